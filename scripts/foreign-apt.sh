#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# foreign-apt.sh ARCHITECTURE: print the path of an apt configuration for Debian's
# packages of another architecture than the machine's, from the machine's mirror.

. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/private-apt.sh"

find_mirror
apt=$HOST_CLOCK_CACHE/apt/$1
private_apt "$apt" deb "$CODENAME"
cat >> "$apt/apt.conf" << END
APT::Architecture "$1";
APT::Architectures { "$1"; };
Dir::State::status "$apt/status";
END
echo "$apt/apt.conf"
