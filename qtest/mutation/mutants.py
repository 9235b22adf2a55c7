# SPDX-License-Identifier: GPL-2.0-or-later
"""Small faults, and the test that has to notice each of them.

A mutant is the file in the QEMU tree, the text that is there once, what is put
in its place, the test program, and the beginning of the names of the tests
that may fail (one has to).
"""

from collections import namedtuple

Mutant = namedtuple("Mutant", "name file old new program tests")

CORE, VIEW = "hw/rtc/host-clock.c", "hw/rtc/host-clock-view.c"
UNIX, SELECT = "hw/rtc/host-clock-unix.c", "hw/rtc/host-clock-select.c"
MANUAL, RTC = "hw/rtc/host-clock-manual.c", "hw/rtc/mc146818rtc.c"
HPET = "hw/timer/hpet.c"
UNIT = "tests/unit/test-host-clock"
FAULT, CONFORM = "tests/qtest/host-clock-fault-test", "tests/qtest/host-clock-test"
MANUAL_TEST = "tests/qtest/host-clock-manual-test"
HPET_TEST = "tests/qtest/hpet-test"

MUTANTS = [
    # The core, the views and the sources, on the simulated host
    Mutant("monotonic-floor-missing", CORE,
           "stat64_max(&hc->mono_floor, MAX(r->mono_ns, 0));",
           "stat64_set(&hc->mono_floor, MAX(r->mono_ns, 0));",
           UNIT, "/host-clock/core/reading/backward"),
    Mutant("wall-before-1970", CORE,
           "r->mono_ns <= INT64_MAX / 2 && r->wall_ns >= 0;",
           "r->mono_ns <= INT64_MAX / 2;",
           UNIT, "/host-clock/core/reading/before-1970"),
    Mutant("step-not-counted", CORE, "hc->pending_step_ns += change;",
           "hc->pending_step_ns = -change;", UNIT, "/host-clock/"),
    Mutant("no-splice-after-holdover", CORE,
           "    r->mono_ns += hc->mono_splice_ns;\n    hc->good_mono_ns",
           "    hc->good_mono_ns", UNIT, "/host-clock/core/reading/holdover"),
    Mutant("back-at-once", CORE, "#define BACK_NS             NANO",
           "#define BACK_NS             0 * NANO",
           UNIT, "/host-clock/core/reading/holdover"),
    Mutant("deleted-while-in-use", CORE, "return !hc->users && ", "return ",
           UNIT, "/host-clock/core/choice/in-use"),
    Mutant("not-closed-after-failure", CORE,
           "        k->close(hc);\n        return;", "        return;",
           UNIT, "/host-clock/core/choice/open-fails"),
    Mutant("unix-follows-steps", UNIX,
           "return host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC) + u->",
           "return host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME) + u->",
           UNIT, "/host-clock/unix/"),
    Mutant("vm-view-runs-while-stopped", VIEW, "    if (!running) {\n        "
           "return qemu_clock_get_ns", "    if (!running && !offset_ns) {\n        "
           "return 1 + qemu_clock_get_ns", UNIT, "/host-clock/"),
    Mutant("timers-not-shifted", VIEW,
           "timerlist_shift(view->timers, -drift_ns);",
           "timerlist_shift(view->timers, 0);",
           UNIT, "/host-clock/core/vm/rebase"),
    Mutant("devices-not-rebased", VIEW,
           "notifier_list_notify(&view->rebase_notifiers, &drift_ns);",
           "(void)drift_ns;", UNIT, "/host-clock/core/vm/rebase"),
    Mutant("not-armed-again", VIEW,
           "    view_run_timers(view);\n    view_arm(view);\n}",
           "    view_run_timers(view);\n}",
           UNIT, "/host-clock/core/timer/never-early"),
    Mutant("set-clock-ignored", CORE,
           "    host_clock_check_step(hc, true);\n    host_clock_os_timer_arm(",
           "    host_clock_os_timer_arm(",
           UNIT, "/host-clock/dynticks/reading/step-without-view"),
    Mutant("never-looks-again", VIEW, "return delta_ns - delta_ns / 8;",
           "return delta_ns;", UNIT, "/host-clock/core/timer/rate-differs"),
    Mutant("slew-is-a-step", CORE, "#define SLEW_MAX_PPM        500",
           "#define SLEW_MAX_PPM        0",
           UNIT, "/host-clock/core/reading/slew"),
    Mutant("small-steps-unseen", CORE, "#define STEP_ANNOUNCED_NS   SCALE_US",
           "#define STEP_ANNOUNCED_NS   SCALE_MS",
           UNIT, "/host-clock/core/reading/announced-step"),
    Mutant("armed-once-only", VIEW, "#define ARM_TRIES       4",
           "#define ARM_TRIES       1",
           UNIT, "/host-clock/core/timer/steps-while-arming"),
    # The models, on an emulator
    Mutant("divider-on-wall-time", RTC,
           "if (host_clock_view_type(s->view) != HOST_CLOCK_VIEW_TYPE_HOST ||",
           "if (true ||", FAULT, "/x86_64/host-clock/manual/host/fault/step"),
    Mutant("update-stays-away", RTC,
           "    s->cmos_data[RTC_REG_A] &= ~REG_A_UIP;\n"
           "    check_update_timer(s);\n}\n\n/* The vm view",
           "    s->cmos_data[RTC_REG_A] &= ~REG_A_UIP;\n}\n\n/* The vm view",
           FAULT, "/x86_64/host-clock/manual/host/fault/step"),
    Mutant("rtc-not-rebased", RTC, "    s->last_update -= drift_ns;\n", "",
           CONFORM, "/x86_64/host-clock/manual/vm/snapshot/load"),
    Mutant("missed-periods-in-ns", RTC, "missed /= s->period;",
           "missed = missed / s->period + missed / 1000000;",
           FAULT, "/x86_64/host-clock/default/vm/fault/stall-60s/none"),
    Mutant("reinjected-for-ever", RTC, "MAX(s->period / c, 1)",
           "s->period / c",
           FAULT, "/x86_64/host-clock/default/vm/fault/stall-60s/slew"),
    Mutant("migrated-in-monotonic-time", RTC,
           "    s->next_periodic_time += offset_ns;\n",
           "    s->next_periodic_time += 0 * offset_ns;\n",
           FAULT, "/x86_64/host-clock/manual/host/fault/late-migration"),
    Mutant("manual-skips-deadlines", MANUAL,
           "int64_t step_ns = manual_next_ns(HOST_CLOCK(m), ns);",
           "int64_t step_ns = MAX(manual_next_ns(HOST_CLOCK(m), ns), ns);",
           MANUAL_TEST, "/x86_64/host-clock-manual/order/of-views"),
    Mutant("hpet-one-timer-too-many", HPET,
           "        trace_hpet_ram_write_timer_id(timer_id);\n"
           "        if (timer_id >= s->num_timers) {",
           "        trace_hpet_ram_write_timer_id(timer_id);\n"
           "        if (timer_id > s->num_timers) {",
           HPET_TEST, "/x86_64/hpet/"),
    Mutant("hpet-fires-twice", HPET,
           "if (!hpet_time_after(t->cmp64, cur_tick)) {",
           "if (hpet_time_after(cur_tick, t->cmp64)) {",
           HPET_TEST, "/x86_64/hpet/"),
    Mutant("hpet-far-fires-at-once", HPET,
           "tick - cur_tick > HPET_MAX_TICKS_AHEAD", "false",
           HPET_TEST, "/x86_64/hpet/"),
    Mutant("hpet-masked-wakes-up", HPET,
           "t->masked_pending = !timer_enabled(t);",
           "t->masked_pending = false;",
           HPET_TEST, "/x86_64/hpet/"),
    Mutant("hpet-masked-not-caught-up", HPET,
           "        case HPET_STATUS:\n            hpet_catch_up(s);\n",
           "        case HPET_STATUS:\n", HPET_TEST, "/x86_64/hpet/"),
]
