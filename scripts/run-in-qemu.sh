#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run-in-qemu.sh tests/{unit,qtest}/NAME [-OPTION...]: run one of QEMU's test
# programs as QEMU's own 'meson test' does; with --full as the last option, all of it.
# HOST_CLOCK_KIND names another tree than host-clock, as build-qemu.sh does,
# HOST_CLOCK_OBJ another folder in it than obj, and HOST_CLOCK_EMULATOR another emulator.

. "$(dirname "$0")/env.sh"

obj=$HOST_CLOCK_BUILD/${HOST_CLOCK_KIND:-host-clock}/${HOST_CLOCK_OBJ:-obj}
src=$HOST_CLOCK_BUILD/${HOST_CLOCK_KIND:-host-clock}/src
cd "$obj" || exit 1
[ -x "$1" ] || {
    echo "1..1"
    echo "not ok 1 $1 is not built: is it in $(dirname "$1")/meson.build of the staged tree?"
    exit 1
}
export QTEST_QEMU_BINARY=${HOST_CLOCK_EMULATOR:-./qemu-system-x86_64}
export QTEST_QEMU_IMG=./qemu-img
export G_TEST_DBUS_DAEMON=$src/tests/dbus-vmstate-daemon.sh
export G_TEST_SRCDIR=$src/${1%/*}
export G_TEST_BUILDDIR=$obj/${1%/*}
export PYTHON=/usr/bin/python3
# Migration to and from QEMU without the series
stock=$HOST_CLOCK_BUILD/stock/obj/qemu-system-x86_64
[ ! -x "$stock" ] || export QTEST_QEMU_BINARY_STOCK=$stock

full=()
[[ ${*: -1} != --full ]] || { full=(--full); set -- "$1"; }
case $#:$1 in
1:*/host-clock-machine-test) full=(--full) ;&
1:*/host-clock-test) exec "$HOST_CLOCK_ROOT/scripts/run-by-source.py" "./$1" "${full[@]}" ;;
esac
program=$1
shift
exec "./$program" --tap -k "$@"
