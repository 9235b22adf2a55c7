#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sync-guest.py QMP AGENT: keep a guest's clock right, by these two sockets."""
import json
import socket
import sys
import time


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock.makefile("rw")


def send(to, command, **arguments):
    to.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    to.flush()


qmp, agent = map(connect, sys.argv[1:])
send(qmp, "qmp_capabilities")
for name in (json.loads(line).get("event") for line in qmp):
    if name in ("RESUME", "HOST_CLOCK_STEP"):
        send(agent, "guest-set-time")               # by its RTC
    elif name == "HOST_CLOCK_LAG":
        send(agent, "guest-set-time", time=time.time_ns())  # its RTC, too
    else:
        continue
    print(name, agent.readline(), end="", flush=True)
