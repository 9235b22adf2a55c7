#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh [SUITE...] [--OPTION...]: run the suites with 'meson test' and count
# their tests. Options go to the test programs.

. "$(dirname "$0")/env.sh"

suites=(unit qtest upstream guest lab libvirt stock-faults differential mutation sanitizers
        fuzz style build)
others=$HOST_CLOCK_BUILD/host-clock/machines/built
case ${1:-} in
-h | --help)
    cat << END
usage: ./run check [SUITE...]
       ./run check SUITE --OPTION...
suites: ${suites[*]}
        machines, after ./run build --targets aarch64,riscv64
With options one suite runs, and they are for its programs:
  qtest --full                    all of the contract under each clock, not only some
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
args=() wanted=() options=
while [ $# -gt 0 ]; do
    case $1 in
    --*)
        [ ${#wanted[@]} = 1 ] ||
            die "$1 is for the programs of one suite: name that first"
        # What takes long is what was asked for.
        args+=(--timeout-multiplier 0)
        options=$*
        break ;;
    *) wanted+=("$1") ;;
    esac
    shift
done
without=
if [ ${#wanted[@]} != 0 ] || [ -e "$others" ]; then
    suites+=(machines)
else
    without="the suite machines did not run, as it needs ./run build --targets aarch64,riscv64"
fi
suite_args=()
for suite in "${wanted[@]:-${suites[@]}}"; do
    [[ " ${suites[*]} " == *" $suite "* ]] ||
        die "no suite '$suite'. The suites are: ${suites[*]}"
    suite_args+=(--suite "$suite")
    # What was built once is to be that of today's source.
    [ "$suite" != machines ] || "$HOST_CLOCK_ROOT/scripts/build-qemu.sh" machines || exit 1
done

run() {
    /usr/bin/meson test -C "$HOST_CLOCK_BUILD" --no-rebuild --print-errorlogs "${args[@]}" "$@"
}

logs=$HOST_CLOCK_BUILD/meson-logs
count=$HOST_CLOCK_ROOT/scripts/count-tests.py
rm -f "$logs/testlog.json" "$logs"/again-*.json
run "${suite_args[@]}" "--test-args=$options"
status=$?

# Machines are shared, and some tests measure real time: what failed runs once more,
# by itself, and it is said that it had to. A fault stays a fault.
again=0
while IFS=$'\t' read -r suite program chosen; do
    say "$suite / $program failed and runs once more: ${chosen:-all of it}"
    run --suite "$suite" "$program" --logbase "again-$((++again))" \
        "--test-args=$options $chosen" < /dev/null
done < <(/usr/bin/python3 "$count" --failed "$logs/testlog.json")
[ $((status && !again)) = 0 ] || die "meson test ended with status $status"
shopt -s nullglob
[ -z "$without" ] || say "$without"
/usr/bin/python3 "$count" "$logs/testlog.json" "$logs"/again-*.json
