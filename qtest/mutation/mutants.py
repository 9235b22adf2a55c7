# SPDX-License-Identifier: GPL-2.0-or-later
"""Small faults, and the test that has to notice each of them.

A mutant is the file in the QEMU tree, the text that is there once, what is put
in its place, the test program, and the beginning of the names of the tests
that may fail (one has to).
"""

from collections import namedtuple

Mutant = namedtuple("Mutant", "name file old new program tests")

CORE, VIEW = "hw/rtc/host-clock.c", "hw/rtc/host-clock-view.c"
STEP, LAG = "hw/rtc/host-clock-step.c", "hw/rtc/host-clock-lag.c"
MACHINE, SCALED = "hw/rtc/host-clock-machine.c", "hw/rtc/host-clock-scaled.c"
POSIX, SELECT = "hw/rtc/host-clock-posix.c", "hw/rtc/host-clock-select.c"
SAMPLED, SAMPLER = "hw/rtc/host-clock-sampled.c", "hw/rtc/host-clock-sampler.c"
SAMPLED_DEV, PTP = "hw/rtc/host-clock-sampled-dev.c", "hw/rtc/host-clock-ptp.c"
MANUAL, RTC = "hw/rtc/host-clock-manual.c", "hw/rtc/mc146818rtc.c"
HPET, TIMERS = "hw/timer/hpet.c", "system/cpu-timers.c"
UNIT = "tests/unit/test-host-clock"
STEP_TEST, VIEW_TEST = UNIT + "-step", UNIT + "-view"
CHOICE_TEST, NOTIFY_TEST, RATE_TEST = (
    UNIT + "-choice", UNIT + "-notify", UNIT + "-rate")
SAMPLED_TEST, SAMPLED_RTC_TEST = UNIT + "-sampled", UNIT + "-sampled-rtc"
PTP_TEST, PTP_FAULT_TEST = UNIT + "-sampled-ptp", UNIT + "-sampled-ptp-fault"
THREADS_TEST, BASE_TEST = UNIT + "-threads", "tests/unit/test-cpu-clock-base"
FAULT, CONFORM = "tests/qtest/host-clock-fault-test", "tests/qtest/host-clock-test"
MANUAL_TEST = "tests/qtest/host-clock-manual-test"
HPET_TEST = "tests/qtest/hpet-test"
REGISTERS = "tests/qtest/rtc-registers-test"
LOST_TICK = "tests/qtest/rtc-lost-tick-test"

MUTANTS = [
    # The core: readings, life and holdover, on the simulated host
    Mutant("wall-before-1970", CORE,
           "return MAX(host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME), 0);",
           "return host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);",
           UNIT, "/host-clock/core/reading/before-1970"),
    Mutant("error-of-the-source-forgotten", CORE,
           "r->error_ns += k->error_ns(hc);", "r->error_ns += 0;",
           UNIT, "/host-clock/core/default/error"),
    Mutant("recovers-at-once", CORE, "#define RECOVERY_NS         NANO",
           "#define RECOVERY_NS         0 * NANO",
           UNIT, "/host-clock/core/holdover/recovery"),
    Mutant("failure-told-again", CORE,
           "if (hc->state == HOST_CLOCK_STATE_HOLDOVER) {", "if (false) {",
           UNIT, "/host-clock/core/holdover/failure"),
    Mutant("deleted-while-chosen", CORE,
           "return hc != host_clock_machine() && !hc->n_children;",
           "return !hc->n_children;",
           CHOICE_TEST, "/host-clock/core/choice/twice"),
    Mutant("closed-though-not-opened", CORE, "    if (!hc->opened) {\n        return;\n    }\n"
           "    trace_host_clock_close",
           "    hc->next.le_prev = hc->next.le_prev ?: &hc->next.le_next;\n"
           "    trace_host_clock_close",
           CHOICE_TEST, "/host-clock/core/choice/open-fails"),
    Mutant("name-left-behind", SELECT, "    object_unparent(obj);\n    object_unref(obj);\n    return",
           "    object_unref(obj);\n    return",
           CHOICE_TEST, "/host-clock/core/choice/absent"),
    Mutant("second-choice-wins", MACHINE,
           "if (was_chosen && machine_clock != hc) {", "if (false) {",
           CHOICE_TEST, "/host-clock/core/choice/twice"),
    Mutant("sleep-is-a-step-of-boottime", POSIX,
           "row->id == HOST_CLOCK_OS_BOOTTIME ?", "false ?",
           STEP_TEST, "/host-clock/boottime/step/suspend"),
    Mutant("unix-follows-steps", POSIX,
           "return host_clock_os_now_ns(p->id) + p->epoch_ns;",
           "return host_clock_os_now_ns(p->epoch_ns ? HOST_CLOCK_OS_REALTIME : "
           "p->id) + p->epoch_ns % 1;", UNIT, "/host-clock/unix/reading/epoch"),
    # Steps
    Mutant("step-not-counted", STEP, "sum->step_ns + step->step_ns;",
           "step->step_ns;",
           NOTIFY_TEST, "/host-clock/core/step/sum"),
    Mutant("slew-is-a-step", STEP, "#define SLEW_MAX_PPM        500",
           "#define SLEW_MAX_PPM        0",
           STEP_TEST, "/host-clock/core/step/unannounced"),
    Mutant("small-steps-unseen", STEP, "#define STEP_ANNOUNCED_NS   SCALE_US",
           "#define STEP_ANNOUNCED_NS   SCALE_MS",
           STEP_TEST, "/host-clock/core/step/announced"),
    Mutant("set-clock-ignored", STEP,
           "        host_clock_check_step(hc, true);\n    }\n", "    }\n",
           STEP_TEST, "/host-clock/dynticks/step/unread"),
    Mutant("source-asked-before-it-is-told", STEP,
           "        if (hc->ops->clock_was_set) {\n"
           "            hc->ops->clock_was_set(hc);\n        }\n"
           "        host_clock_check_step(hc, true);\n",
           "        host_clock_check_step(hc, true);\n"
           "        if (hc->ops->clock_was_set) {\n"
           "            hc->ops->clock_was_set(hc);\n        }\n",
           STEP_TEST, "/host-clock/core/step/all-clocks"),
    Mutant("told-in-a-nested-poll", CORE,
           "aio_bh_new(iohandler_get_aio_context(),",
           "aio_bh_new(qemu_get_aio_context(),",
           NOTIFY_TEST, "/host-clock/core/step/nested-poll"),
    Mutant("devices-told-before-timers-run", VIEW,
           "    if (view->timers) {\n"
           "        timerlist_run_timers(view->timers);\n    }\n"
           "    notifier_list_notify(&step_notifiers, &step_ns);\n",
           "    notifier_list_notify(&step_notifiers, &step_ns);\n"
           "    if (view->timers) {\n"
           "        timerlist_run_timers(view->timers);\n    }\n",
           NOTIFY_TEST, "/host-clock/raw/step/forward"),
    Mutant("watch-not-tried-again", STEP,
           "is_watching = host_clock_os_watch(host_clock_os_was_set);",
           "is_watching = true;\n"
           "        host_clock_os_watch(host_clock_os_was_set);",
           STEP_TEST, "/host-clock/core/step/no-watch"),
    Mutant("reading-stored-late", STEP,
           "    QEMU_LOCK_GUARD(&hc->lock);\n"
           "    os_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);\n"
           "    read_for_steps(root, &r);\n",
           "    os_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);\n"
           "    read_for_steps(root, &r);\n    QEMU_LOCK_GUARD(&hc->lock);\n",
           THREADS_TEST, "/host-clock/threads/stored-late"),
    Mutant("suspend-told-too-early", STEP,
           "(!stepped && more_ns < ns / 2)", "(false && more_ns < ns / 2)",
           SAMPLED_RTC_TEST, "/host-clock/rtc/reading/suspend"),
    Mutant("suspend-told-again", STEP, "hc->suspended_ns += ns;", "",
           STEP_TEST, "/host-clock/dynticks/step/suspend"),
    Mutant("any-second-is-a-leap", STEP,
           "return step_ns > 0 ? os.leap == HOST_CLOCK_LEAP_POST_NEG :",
           "return step_ns > 0 ? true :", STEP_TEST, "/host-clock/unix/step/leap"),
    Mutant("events-without-limit", STEP, "#define EVENT_NS            (100 *",
           "#define EVENT_NS            (1 + 0 *", STEP_TEST,
           "/host-clock/dynticks/step/limit"),
    Mutant("lag-of-whole-seconds", LAG, "lag_ns %= NANOSECONDS_PER_SECOND;",
           "lag_ns = 0;", STEP_TEST, "/host-clock/core/lag"),
    # Views and alarms
    Mutant("resume-not-told", STEP,
           "    host_clock_mono_jumped(host_clock_machine());\n", "",
           VIEW_TEST, "/host-clock/boottime/view/suspend"),
    Mutant("long-sleep-not-cut", VIEW,
           "slack_ns > LATE_MAX_NS ? delta_ns - slack_ns : delta_ns;",
           "slack_ns > LATE_MAX_NS ? delta_ns : delta_ns;",
           RATE_TEST, "/host-clock/raw/view/late/"),
    Mutant("base-not-set", MACHINE, "hc->ops->counts_as_qemu ? NULL :",
           "true ? NULL :", RATE_TEST, "/host-clock/raw/view/late/"),
    Mutant("not-armed-again", VIEW,
           "    qatomic_store_release(&view->running_timers, false);\n"
           "    view_arm(view);\n",
           "    qatomic_store_release(&view->running_timers, false);\n",
           VIEW_TEST, "/host-clock/core/view/never-early"),
    Mutant("armed-for-the-first-only", VIEW,
           "    if (!qatomic_read(&view->running_timers)) {\n",
           "    if (!timer_pending(view->alarm)) {\n",
           VIEW_TEST, "/host-clock/core/view/moved"),
    Mutant("host-is-rt", VIEW,
           "view->view.get_ns = type == HOST_CLOCK_VIEW_TYPE_HOST ?",
           "view->view.get_ns = type == HOST_CLOCK_VIEW_TYPE_RT ?",
           VIEW_TEST, "/host-clock/dynticks/view/time"),
    # QEMU_CLOCK_VIRTUAL
    Mutant("virtual-time-jumps", TIMERS,
           "        timers_state.cpu_clock_offset -= clock_base_ns();\n    }\n"
           "    seqlock_write_unlock",
           "        timers_state.cpu_clock_offset -= get_clock();\n    }\n"
           "    seqlock_write_unlock", BASE_TEST, "/cpu-clock-base/move"),
    Mutant("virtual-sleep-not-converted", TIMERS,
           "return base && delta_ns >= 0 ?", "return false ?",
           BASE_TEST, "/cpu-clock-base/sleep"),
    # Sources that sample a device
    Mutant("suspend-is-a-failure", SAMPLED,
           "return step_ns > 0 && suspended_ns > HOST_CLOCK_SUSPEND_MIN_NS &&",
           "return false && suspended_ns > HOST_CLOCK_SUSPEND_MIN_NS &&",
           SAMPLED_TEST, "/host-clock/hpet/reading/suspend"),
    Mutant("step-back-forward", SAMPLED,
           "stat64_set(&s->offset_ns, stat64_get(&s->offset_ns) + step_ns);",
           "stat64_set(&s->offset_ns, stat64_get(&s->offset_ns) - step_ns);",
           SAMPLED_RTC_TEST, "/host-clock/rtc/set"),
    Mutant("line-jumps", SAMPLER,
           "segment_set(&s->line[0], raw_ns, line_at(s, raw_ns),",
           "segment_set(&s->line[0], raw_ns, line_at(s, raw_ns) + phase_ns,",
           SAMPLED_RTC_TEST, "/host-clock/rtc/reading/goal"),
    Mutant("error-too-small", SAMPLER,
           "line_bend(s, phase_ns, rate, furthest(offsets, offset_ns),",
           "line_bend(s, phase_ns, rate, 0,",
           SAMPLED_RTC_TEST, "/host-clock/rtc/reading/goal"),
    Mutant("bent-where-it-was", SAMPLER,
           "    seqlock_write_begin(&s->lock);\n"
           "    smp_mb(); /* as host_clock_mono_locked() */\n"
           "    raw_now();\n    raw_ns = raw_now();\n    end_ns",
           "    raw_ns = raw_now();\n    seqlock_write_begin(&s->lock);\n"
           "    end_ns", THREADS_TEST, "/host-clock/threads/sampler"),
    Mutant("any-device-will-do", SAMPLED_DEV, "strstr(text, line) :", "true :",
           PTP_FAULT_TEST, "/host-clock/ptp/open/refused"),
    Mutant("ptp-realtime-set-before", PTP,
           "MIN(raw_ns[0] - real_ns[0] - error_ns[0],",
           "MAX(raw_ns[0] - real_ns[0] - error_ns[0],",
           PTP_TEST, "/host-clock/ptp/reading/realtime-set"),
    Mutant("ptp-realtime-set-after", PTP,
           "MAX(raw_ns[0] - real_ns[0] + error_ns[0],",
           "MIN(raw_ns[0] - real_ns[0] + error_ns[0],",
           PTP_TEST, "/host-clock/ptp/reading/realtime-set"),
    Mutant("ptp-raw-of-another", PTP,
           "w->raw_ns[0] > w->raw_ns[1] ? -EBUSY : 0", "0",
           PTP_TEST, "/host-clock/ptp/reading/time-namespace"),
    Mutant("ptp-stamps-mixed-up", PTP, "&o.plain.ts[2 * i]",
           "&o.plain.ts[2 * i + 1]",
           PTP_TEST, "/host-clock/ptp/reading/goal"),
    Mutant("ptp-widest-reading", PTP, "i == 0 || ns < best", "i == 0 || ns > best",
           PTP_TEST, "/host-clock/ptp/reading/busy-host"),
    Mutant("ptp-first-way-or-none", PTP, "*method < HOST_CLOCK_METHOD_PLAIN",
           "false", PTP_TEST, "/host-clock/ptp/reading/goal"),
    Mutant("ptp-tai-is-utc", PTP, "return os.tai_offset_s * SECOND_NS;",
           "return 0;",
           PTP_TEST, "/host-clock/ptp/scale/tai"),
    Mutant("ptp-tai-not-set", PTP, "os.tai_offset_s <= 0",
           "os.tai_offset_s < 0", PTP_TEST, "/host-clock/ptp/scale/tai"),
    Mutant("ptp-any-driver-says-utc", PTP,
           "!g_regex_match_simple(SAY_UTC, p->name, 0, 0)", "false",
           PTP_FAULT_TEST, "/host-clock/ptp/open/"),
    Mutant("ptp-one-of-several", PTP, "i < 16 && !found", "i < 2 && !found",
           PTP_FAULT_TEST, "/host-clock/ptp/open/several"),
    Mutant("ptp-several-later", PTP, "(!s->is_acquired && !s->device",
           "(!s->device", PTP_FAULT_TEST, "/host-clock/ptp/open/several"),
    Mutant("ptp-before-1970", PTP, "(uint64_t)sample->ns[0]", "sample->ns[0]",
           PTP_FAULT_TEST, "/host-clock/ptp/"),
    # The models, on an emulator
    Mutant("divider-on-wall-time", RTC,
           "if (host_clock_view_type(s->view) != HOST_CLOCK_VIEW_TYPE_HOST ||",
           "if (true ||", FAULT, "/x86_64/host-clock/manual/host/fault/step"),
    Mutant("update-stays-away", RTC,
           "    s->cmos_data[RTC_REG_A] &= ~REG_A_UIP;\n"
           "    check_update_timer(s);\n}\n\nstatic void rtc_get_date",
           "    s->cmos_data[RTC_REG_A] &= ~REG_A_UIP;\n}\n\n"
           "static void rtc_get_date",
           FAULT, "/x86_64/host-clock/manual/host/fault/step"),
    Mutant("reinjected-for-ever", RTC, "MAX(s->period / c, 1)",
           "s->period / c",
           FAULT, "/x86_64/host-clock/default/vm/fault/stall-60s/slew"),
    Mutant("migrated-in-monotonic-time", RTC,
           "    s->next_periodic_time += offset_ns;\n",
           "    s->next_periodic_time += 0 * offset_ns;\n",
           FAULT, "/x86_64/host-clock/manual/host/fault/late-migration"),
    Mutant("manual-skips-deadlines", MANUAL,
           "int64_t step_ns = manual_next_ns(m, end_ns - m->mono_ns);",
           "int64_t step_ns = MAX(manual_next_ns(m, end_ns - m->mono_ns), "
           "end_ns - m->mono_ns);",
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
    Mutant("missed-periods-uncounted", RTC,
           "s->irq_coalesced + missed / s->period,", "s->irq_coalesced,",
           FAULT, "/x86_64/host-clock/default/vm/fault/stall-60s/slew"),
    Mutant("chain-starts-anew", RTC,
           "    s->period = rtc_periodic_clock_ticks(s);\n"
           "    s->tap_cycles",
           "    s->divider_origin = now;\n"
           "    s->period = rtc_periodic_clock_ticks(s);\n"
           "    s->tap_cycles", REGISTERS, "/x86_64/rtc-registers/chain/"),
    Mutant("chain-not-reset", RTC,
           "            if (was_in_reset && !rtc_divider_in_reset(s)) {",
           "            if (false) {",
           REGISTERS, "/x86_64/rtc-registers/chain/"),
    Mutant("no-flag-without-enable", RTC,
           "            rtc_update_pf(s);\n            ret",
           "            ret", REGISTERS, "/x86_64/rtc-registers/flags/"),
    Mutant("second-begins-with-write", RTC,
           "                s->cmos_data[s->cmos_index] = data;\n"
           "                s->offset = rtc_subsecond_ns(s, now);\n",
           "                s->cmos_data[s->cmos_index] = data;\n"
           "                s->offset = 0;\n",
           REGISTERS, "/x86_64/rtc-registers/write/"),
    Mutant("weekday-of-the-date", RTC,
           "ret.tm_wday + s->weekday_offset + 7", "ret.tm_wday",
           REGISTERS, "/x86_64/rtc-registers/write/"),
    Mutant("starts-with-qemu", RTC, "    if (!s->date_unused) {\n",
           "    if (true) {\n", REGISTERS, "/x86_64/rtc-registers/start/"),
    Mutant("alarm-kept-from-acpi", RTC, "    qemu_irq_pulse(s->alarm);\n", "",
           REGISTERS, "/x86_64/rtc-registers/acpi/"),
    Mutant("lost-tick-forgotten", RTC, "            if (lost) {",
           "            if (lost && false) {", LOST_TICK, "/x86_64/rtc/lost-tick"),
    Mutant("seen-tick-is-lost", RTC, "            if (lost) {",
           "            if (lost || true) {", LOST_TICK, "/x86_64/rtc/lost-tick"),
    Mutant("second-bank", RTC, "                           0x01, 0x02));",
           "                           0x01, 0x08));",
           "tests/qtest/rtc-ports-test", "/x86_64/rtc/ports/"),
    Mutant("date-waits-for-the-guest", "system/rtc.c",
           "    if (rtc_base_type != RTC_BASE_DATETIME) {\n        rtc_guest",
           "    if (true) {\n        rtc_guest",
           REGISTERS, "/x86_64/rtc-registers/start/paused/"),
    Mutant("zone-ignored", "system/rtc.c", "+ more_s - offset_s", "+ more_s",
           REGISTERS, "/x86_64/rtc-registers/base/"),
    Mutant("hpet-half-by-half", HPET,
           "halves == rest ? 0 : HPET_HALVES & ~halves;", "0;",
           HPET_TEST, "/x86_64/hpet/halves/"),
    Mutant("hpet-half-is-never", HPET, "    if (hpet_is_half_set(t, cur_tick)) {",
           "    if (false) {", HPET_TEST, "/x86_64/hpet/halves/"),
]
