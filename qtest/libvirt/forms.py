# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms of <clock> and <timer>: what the RTC must show for each."""

import time
from collections import namedtuple

from daemon import ZONE_S, DaemonError
from domain import Domain, clock_xml

# The kernel slews a host's clock meanwhile.
SLACK_S = 0.1
# What libvirt adds up to a date, its own clock, it takes in whole seconds.
WHOLE_SECOND_S = 1

# The RTC shows `offset` from UTC; or, if `date` is given, counts from that date on.
# libvirt makes a date of forms that are `dated`, when it starts the emulator.
Form = namedtuple("Form", "name attributes offset date dated")

FORMS = [
    Form("utc", "offset='utc'", 0, None, False),
    Form("utc reset", "offset='utc' adjustment='reset'", 0, None, False),
    Form("localtime", "offset='localtime'", ZONE_S, None, False),
    Form("timezone", "offset='timezone' timezone='&lt;+0530&gt;-5:30'", 19800,
         None, False),
    Form("variable utc", "offset='variable' basis='utc' adjustment='-86400'",
         -86400, None, True),
    Form("variable localtime",
         "offset='variable' basis='localtime' adjustment='3600'",
         ZONE_S + 3600, None, True),
    Form("absolute 1970", "offset='absolute' start='0'", None, 0, True),
    Form("absolute 2038", "offset='absolute' start='2147483640'", None,
         2147483640, True),
    Form("absolute 9999", "offset='absolute' start='253402297200'", None,
         253402297200, True),
]

# basis, adjustment, and how far from UTC the guest sets its RTC
CHANGES = [("utc", 0, 86400 * 400), ("localtime", -7200, -90000), ("utc", 5000, -5000)]


def date_error(form, edge, before, after):
    """What is wrong with the date at an edge, or None. The emulator was started,
    and its guest ran, between the Stamps before and after."""
    if form.date is None:
        # Of wall time, less what passed until the emulator took it over
        late = (edge.before.wall + form.offset - edge.rtc,
                edge.after.wall + form.offset - edge.rtc)
        most = WHOLE_SECOND_S + after.mono - before.mono if form.dated else 0
    else:
        late = (form.date + edge.before.mono - after.mono - edge.rtc,
                form.date + edge.after.mono - before.mono - edge.rtc)
        most = 0
    if late[0] <= most + SLACK_S and late[1] >= -SLACK_S:
        return None
    return (f"the RTC shows {time.strftime('%F %T', time.gmtime(edge.rtc))}: late by "
            f"{late[0]:.2f} to {late[1]:.2f} s, of {most:.2f} s allowed")


def check(error):
    if error:
        raise DaemonError(error)


def check_clock(domain, host_clock):
    """The domain runs on the host clock that was asked for."""
    seen = domain.running_clock()
    if host_clock and seen != host_clock:
        raise DaemonError(f"its host clock is {seen}, not {host_clock}")


def form_test(daemon, name, form, host_clock):
    """A domain with this <clock> shows the right date."""
    with Domain(daemon, name, clock_xml(form.attributes), host_clock) as domain:
        before, after = domain.start()
        check(date_error(form, domain.edge(), before, after))
        check_clock(domain, host_clock)


def paused_start_test(daemon, name, host_clock):
    """`virsh start --paused` and a later resume: the date of a variable clock goes
    on from when libvirt made it, as it does on stock QEMU; and what is written back
    to `adjustment` when the guest sets its RTC is right to the second."""
    form = Form("", "offset='variable' basis='utc' adjustment='0'", 0, None, True)
    with Domain(daemon, name, clock_xml(form.attributes), host_clock) as domain:
        before, after = domain.start("--paused")
        # Longer than what may be lost until the emulator has read its options
        time.sleep(after.mono - before.mono + 2 * WHOLE_SECOND_S)
        domain.virsh("resume")
        check(date_error(form, domain.edge(), before, after))
        domain.set_rtc(int(time.time()) + 12345)
        edge = domain.edge()
        written = Form("", "", domain.adjustment(), None, False)
        error = adjustment_error(edge, written.offset, after.mono - before.mono)
        check(error and f"after 'start --paused' {error}")


def adjustment_error(edge, adjustment, allowed_s):
    """Is `adjustment` how far the RTC is from UTC? The RTC counts whole seconds, and
    so does libvirt."""
    low = edge.rtc - edge.after.wall - WHOLE_SECOND_S - SLACK_S
    high = edge.rtc - edge.before.wall + 2 * WHOLE_SECOND_S + allowed_s + SLACK_S
    if low <= adjustment <= high:
        return None
    return (f"libvirt's adjustment is {adjustment}, and the RTC is "
            f"{edge.rtc - edge.before.wall:.2f} s from UTC")


def rtc_change_test(daemon, name, basis, adjustment, target, host_clock):
    """A guest sets its RTC: libvirt's adjustment moves as far as the RTC has, right to
    the second."""
    form = f"offset='variable' basis='{basis}' adjustment='{adjustment}'"
    with Domain(daemon, name, clock_xml(form), host_clock) as domain:
        before, after = domain.start()
        first, was = domain.edge(), domain.adjustment()
        domain.set_rtc(int(time.time()) + target)
        edge, now = domain.edge(), domain.adjustment()
        low = (edge.rtc - edge.after.wall) - (first.rtc - first.before.wall)
        high = (edge.rtc - edge.before.wall) - (first.rtc - first.after.wall)
        if not (low - WHOLE_SECOND_S - SLACK_S <= now - was
                <= high + WHOLE_SECOND_S + SLACK_S):
            raise DaemonError(
                f"the RTC was moved by {low:.2f} to {high:.2f} s, libvirt's "
                f"adjustment by {now - was}, from {was} to {now}")
        check(adjustment_error(edge, now, after.mono - before.mono))


def timer_rows():
    """(name, <timer>, what 'info qtree' has, the clock= that it means)"""
    for track, clock in (("wall", "host"), ("guest", "vm")):
        for policy, word in (("catchup", "slew"), ("delay", "discard")):
            yield (f"track={track} tickpolicy={policy}",
                   f"<timer name='rtc' tickpolicy='{policy}' track='{track}'/>",
                   f'lost_tick_policy = "{word}"', clock)


def timer_test(daemon, name, timer, policy, clock, host_clock):
    """The RTC has libvirt's tick policy, and stands still if it tracks the guest."""
    with Domain(daemon, name, clock_xml(timers=timer), host_clock) as domain:
        domain.start()
        if policy not in domain.hmp("info qtree"):
            raise DaemonError(f"'info qtree' has no {policy}")
        check_clock(domain, host_clock)
        domain.virsh("suspend")
        if clock == "vm":
            domain.still(1.5)
        else:
            domain.edge()


def hpet_test(daemon, name, present, host_clock):
    """<timer name='hpet'> puts the HPET there, or takes it away."""
    timer = f"<timer name='hpet' present='{'yes' if present else 'no'}'/>"
    args = ()
    try:
        with Domain(daemon, name, clock_xml(timers=timer), host_clock) as domain:
            return hpet_seen(domain, present)
    except DaemonError as e:
        if "hpet timer is not supported" not in str(e):
            raise
    # Debian 12's libvirt looks for -no-hpet, which QEMU has no more.
    args = ["-machine", f"hpet={'on' if present else 'off'}"]
    with Domain(daemon, name, clock_xml(), host_clock, args) as domain:
        hpet_seen(domain, present)


def hpet_seen(domain, present):
    domain.start()
    seen = "dev: hpet" in domain.hmp("info qtree")
    if seen != present:
        raise DaemonError("there is an HPET" if seen else "there is no HPET")
