#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh [SUITE...] [--OPTION...]: run the suites with 'meson test' and count
# their tests. Options go to the test programs.

. "$(dirname "$0")/env.sh"

suites=(unit qtest upstream guest lab libvirt stock-faults differential mutation sanitizers
        fuzz style build)
case ${1:-} in
-h | --help)
    cat << END
usage: ./run check [SUITE...]
       ./run check SUITE --OPTION...
suites: ${suites[*]}
With options one suite runs, and they are for its programs:
  libvirt --full                  all host clocks with all forms of <clock>
  differential --operations N     how many operations of each kind, 200000
  differential --seed N           replay; [--round N] only one round
  upstream --full                 all of migration-test, not only what can be touched
  lab --full                      all of it in the lab, not only what depends on that
  mutation --full                 all mutants, not only those of the unit tests
  sanitizers --full               the emulator too, with its qtests
  fuzz --minutes N                and QEMU's own fuzzer on the RTC and HPET
END
    exit 0 ;;
esac
args=() wanted=()
while [ $# -gt 0 ]; do
    case $1 in
    --*)
        [ ${#wanted[@]} = 1 ] ||
            die "$1 is for the programs of one suite: name that first"
        # What takes long is what was asked for.
        args+=(--timeout-multiplier 0 --test-args "$*")
        break ;;
    *) wanted+=("$1") ;;
    esac
    shift
done
for suite in "${wanted[@]:-${suites[@]}}"; do
    [[ " ${suites[*]} " == *" $suite "* ]] ||
        die "no suite '$suite'. The suites are: ${suites[*]}"
    args+=(--suite "$suite")
done

log=$HOST_CLOCK_BUILD/meson-logs/testlog.json
rm -f "$log"
/usr/bin/meson test -C "$HOST_CLOCK_BUILD" --no-rebuild --print-errorlogs "${args[@]}"
status=$?
/usr/bin/python3 "$HOST_CLOCK_ROOT/scripts/count-tests.py" "$log" "$status"
