#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh [SUITE...]: run the suites with 'meson test' and count their tests.

. "$(dirname "$0")/env.sh"

suites=(unit qtest upstream guest style build)
case ${1:-} in
-h | --help)
    echo "usage: ./run check [SUITE...]"
    echo "suites: ${suites[*]}"
    exit 0 ;;
esac
args=()
for suite in "${@:-${suites[@]}}"; do
    [[ " ${suites[*]} " == *" $suite "* ]] ||
        die "no suite '$suite'. The suites are: ${suites[*]}"
    args+=(--suite "$suite")
done

log=$HOST_CLOCK_BUILD/meson-logs/testlog.json
rm -f "$log"
/usr/bin/meson test -C "$HOST_CLOCK_BUILD" --no-rebuild --print-errorlogs "${args[@]}"
status=$?
/usr/bin/python3 "$HOST_CLOCK_ROOT/scripts/count-tests.py" "$log" "$status"
