/*
 * The manual host clock: what host-clock-advance and host-clock-step promise
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whatever becomes due on the way has run, in order and each at its own time,
 * before the reply; the result does not depend on how the way was cut up.  The
 * conformance suite has what the guest sees of it, host-clock-options-test the
 * errors.
 */

#include "qemu/osdep.h"
#include "host-clock-util.h"
#include "hw/timer/hpet.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

/* Where messages of HPET timers go */
#define MESSAGES        0x100000
#define TICKS(n)        ((n) * HPET_TICK_NS)

static VM *start(Setting setting, const char *args)
{
    return vm_start("manual", setting, "utc", args);
}

/* Messages: a timer writes a word of memory, or a register of a device. */
static VM *start_with_messages(Setting setting)
{
    return start(setting, "-global hpet.msi=on");
}

static void hpet_write(VM *vm, unsigned int reg, uint64_t value)
{
    qtest_writeq(vm->qts, HPET_BASE + reg, value);
}

static unsigned int tn(int timer, unsigned int reg)
{
    return 0x100 + 0x20 * timer + reg;
}

/* When the counter reaches @when, timer @timer writes @data to @address. */
static void hpet_arm_message(VM *vm, int timer, uint64_t when, uint32_t address,
                             uint32_t data)
{
    hpet_write(vm, tn(timer, HPET_TN_ROUTE), (uint64_t)address << 32 | data);
    hpet_write(vm, tn(timer, HPET_TN_CMP), when);
    hpet_write(vm, tn(timer, HPET_TN_CFG), HPET_TN_ENABLE | HPET_TN_FSB_ENABLE);
}

static void advance(VM *vm, const char *id, int64_t ns)
{
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'host-clock-advance',"
                             " 'arguments': { 'id': %s, 'ns': %" PRId64 " } }",
                             id, ns);
}

/* What query-host-clocks says of a clock */
static int64_t clock_info(VM *vm, const char *id, const char *member)
{
    QDict *rsp = qtest_qmp(vm->qts, "{ 'execute': 'query-host-clocks' }");
    QListEntry *entry;
    int64_t value = -1;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        QDict *info = qobject_to(QDict, qlist_entry_obj(entry));

        if (!g_strcmp0(qdict_get_try_str(info, "id"), id)) {
            value = qdict_get_int(info, member);
        }
    }
    qobject_unref(rsp);
    return value;
}

/* Order */

/* The last one to write is the last one to have been armed. */
static void test_equal_deadlines(void)
{
    for (int last = 0; last < HPET_MIN_TIMERS; last++) {
        VM *vm = start_with_messages(SET_VM);

        for (int i = 1; i <= HPET_MIN_TIMERS; i++) {
            int timer = (last + i) % HPET_MIN_TIMERS;

            /* Enabling the counter arms them by number; so enable it first. */
            hpet_enable(vm);
            hpet_arm_message(vm, timer, 1000, MESSAGES, 0x100 + timer);
        }
        vm_pass(vm, TICKS(1000) - 1);
        g_assert_cmphex(qtest_readl(vm->qts, MESSAGES), ==, 0);
        vm_pass(vm, 1);
        g_assert_cmphex(qtest_readl(vm->qts, MESSAGES), ==, 0x100 + last);
        vm_quit(vm);
    }
}

/* One command that passes all of them; each finds the counter at its time. */
static void test_order_in_a_view(void)
{
    static const int when[HPET_MIN_TIMERS] = { 2000, 3000, 1000 };
    VM *vm = start_with_messages(SET_VM);

    hpet_enable(vm);
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        hpet_arm_message(vm, i, when[i], MESSAGES, 0x100 + i);
    }
    vm_pass(vm, TICKS(1500));
    g_assert_cmphex(qtest_readl(vm->qts, MESSAGES), ==, 0x102);
    vm_pass(vm, NS);
    g_assert_cmphex(qtest_readl(vm->qts, MESSAGES), ==, 0x101);

    /* A message that halts the counter, at the tick for which it was asked */
    hpet_arm_message(vm, 0, (NS + TICKS(1500)) / HPET_TICK_NS + 777,
                     HPET_BASE + HPET_CFG, 0);
    vm_pass(vm, NS);
    g_assert_cmpint(qtest_readq(vm->qts, HPET_BASE + HPET_COUNTER), ==,
                    (NS + TICKS(1500)) / HPET_TICK_NS + 777);
    vm_quit(vm);
}

/* The 8259 keeps an edge of the RTC's interrupt, which may be cut off soon. */
static void pic_reset(VM *vm)
{
    qtest_outb(vm->qts, 0xa0, 0x11);
    qtest_outb(vm->qts, 0xa1, 0x70);
    qtest_outb(vm->qts, 0xa1, 2);
    qtest_outb(vm->qts, 0xa1, 1);
    qtest_outb(vm->qts, 0xa0, 0x0a);
}

static bool pic_saw_rtc(VM *vm)
{
    return qtest_inb(vm->qts, 0xa0) & 1;
}

/*
 * The RTC's update comes half a second after the date is set, on the view of
 * -rtc clock=.  @ticks after that, a message on the vm view lets the HPET take
 * the RTC's interrupt away.  One command passes both.
 */
static void check_order_of_views(Setting setting, int ticks)
{
    VM *vm = start_with_messages(setting);

    hpet_enable(vm);
    rtc_set_date(vm, 0, 6);
    hpet_arm_message(vm, 2, NS / 2 / HPET_TICK_NS + ticks, HPET_BASE + HPET_CFG,
                     HPET_CFG_ENABLE | HPET_CFG_LEGACY);
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_UIE);
    pic_reset(vm);
    g_assert_false(pic_saw_rtc(vm));
    vm_pass(vm, NS);
    g_assert_cmpint(pic_saw_rtc(vm), ==, ticks > 0);
    vm_quit(vm);
}

static void test_order_of_views(void)
{
    for (Setting setting = 0; setting < SET__MAX; setting++) {
        check_order_of_views(setting, -1);
        check_order_of_views(setting, 1);
    }
}

/* Determinism */

static VM *start_busy(Setting setting)
{
    VM *vm = start_with_messages(setting);

    hpet_enable(vm);
    hpet_arm_message(vm, 0, 12345678, MESSAGES, 1);
    hpet_write(vm, tn(1, HPET_TN_CFG), HPET_TN_ENABLE | HPET_TN_TYPE_LEVEL |
               HPET_TN_PERIODIC | HPET_TN_SETVAL |
               RTC_IRQ << HPET_TN_INT_ROUTE_SHIFT);
    hpet_write(vm, tn(1, HPET_TN_CMP), 100);
    hpet_write(vm, tn(1, HPET_TN_CMP), 9973);
    rtc_set_date(vm, 946684798, 3);
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_PIE | REG_B_UIE | REG_B_AIE);
    return vm;
}

/* All registers that the guest can read; register C last */
static GByteArray *dump(VM *vm)
{
    GByteArray *bytes = g_byte_array_new();

    for (int reg = 0; reg < 0x40; reg++) {
        uint8_t value = reg == RTC_REG_C ? 0 : cmos_read(vm, reg);

        g_byte_array_append(bytes, &value, 1);
    }
    for (int reg = 0; reg < 0x160; reg += 8) {
        uint64_t value = qtest_readq(vm->qts, HPET_BASE + reg);

        g_byte_array_append(bytes, (uint8_t *)&value, sizeof(value));
    }
    for (int i = 0; i < 2; i++) {
        uint8_t value = i ? qtest_readb(vm->qts, MESSAGES) :
                            cmos_read(vm, RTC_REG_C);

        g_byte_array_append(bytes, &value, 1);
    }
    return bytes;
}

/* In one go, and in random pieces */
static void test_pieces(void)
{
    for (Setting setting = 0; setting < SET__MAX; setting++) {
        int64_t left = 3456789012LL;
        VM *a = start_busy(setting), *b = start_busy(setting);
        g_autoptr(GByteArray) in_one = NULL;
        g_autoptr(GByteArray) in_pieces = NULL;

        vm_pass(a, left);
        while (left > 0) {
            int64_t piece = g_test_rand_bit() ? g_test_rand_int_range(0, 1000) :
                            g_test_rand_int_range(0, 100000000);

            piece = MIN(piece, left);
            vm_pass(b, piece);
            left -= piece;
        }
        in_one = dump(a);
        in_pieces = dump(b);
        g_assert_cmpmem(in_one->data, in_one->len, in_pieces->data,
                        in_pieces->len);
        vm_quit(a);
        vm_quit(b);
    }
}

/* The VM is stopped */

/*
 * The clock goes on, and so does the date unless it is on the vm view; so do
 * alarms.
 */
static void test_stopped(void)
{
    for (Setting setting = 0; setting < SET__MAX; setting++) {
        const bool stands = setting == SET_VM;
        VM *vm = start(setting, "");
        Span when;
        uint64_t ticks;

        cmos_write(vm, RTC_SECONDS_ALARM, 5);
        cmos_write(vm, RTC_MINUTES_ALARM, 0);
        cmos_write(vm, RTC_HOURS_ALARM, 0);
        rtc_set_date(vm, 0, 6);
        cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM | REG_B_AIE);
        hpet_enable(vm);
        vm_pass(vm, NS / 4);
        vm_qmp(vm, "stop");
        ticks = hpet_read(vm, &when);

        vm_pass(vm, 10 * NS);
        g_assert_cmpint(clock_info(vm, "hc0", "mono-ns"), ==, 10 * NS + NS / 4);
        g_assert_cmpint(clock_info(vm, "hc0", "wall-ns"), ==,
                        MANUAL_WALL_S * NS + 10 * NS + NS / 4);
        g_assert_cmpint(rtc_read_date(vm, NULL), ==, stands ? 0 : 10);
        g_assert_cmpint(vm_irq(vm), ==, !stands);
        g_assert_cmpint(hpet_read(vm, &when), ==, ticks);

        vm_qmp(vm, "cont");
        g_assert_cmpint(hpet_read(vm, &when), ==, ticks);
        /* Where the date stood, the alarm is 4 seconds and a quarter ahead. */
        vm_pass(vm, 4 * NS + NS / 4 - 1);
        g_assert_cmpint(vm_irq(vm), ==, !stands);
        vm_pass(vm, 1);
        g_assert_true(vm_irq(vm));
        g_assert_cmpint(rtc_read_date(vm, NULL), ==, stands ? 5 : 15);
        vm_quit(vm);
    }
}

/* Steps */

/* The event is there before the reply, and monotonic time does not notice. */
static void test_step(void)
{
    static const int64_t steps[] = { NS, -NS, 2000, -86400 * 365 * 20 * NS };
    VM *vm = start(SET_HOST, "");
    int64_t wall_ns = MANUAL_WALL_S * NS;

    vm_pass(vm, 12345);
    wall_ns += 12345;
    for (int i = 0; i < ARRAY_SIZE(steps); i++) {
        QDict *event, *data;

        vm_wall_step(vm, steps[i]);
        wall_ns += steps[i];
        event = qtest_qmp_eventwait_ref(vm->qts, "HOST_CLOCK_STEP");
        data = qdict_get_qdict(event, "data");
        g_assert_cmpstr(qdict_get_str(data, "id"), ==, "hc0");
        g_assert_cmpint(qdict_get_int(data, "step-ns"), ==, steps[i]);
        g_assert_cmpint(qdict_get_int(data, "generation"), ==, i + 1);
        qobject_unref(event);
        g_assert_cmpint(clock_info(vm, "hc0", "generation"), ==, i + 1);
        g_assert_cmpint(clock_info(vm, "hc0", "wall-ns"), ==, wall_ns);
        g_assert_cmpint(clock_info(vm, "hc0", "mono-ns"), ==, 12345);
    }
    vm_quit(vm);
}

/*
 * A step of less than a microsecond is not worth an event, but what it makes
 * due runs before the reply all the same.
 */
static void test_tiny_step(void)
{
    VM *vm = start(SET_HOST, "");

    rtc_set_date(vm, 0, 6);
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM | REG_B_UIE);
    vm_pass(vm, NS / 2 - 1);
    g_assert_false(vm_irq(vm));
    vm_wall_step(vm, 1);
    g_assert_true(vm_irq(vm));
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, 1);
    vm_quit(vm);
}

/* Limits */

/* A year before nanoseconds since 1970 overflow; see host-clock-manual.c. */
#define END_NS  ((INT64_MAX / NS - 365 * 86400LL) * NS)

/* To the last nanosecond that there is, and not one more */
static void test_end_of_time(void)
{
    for (Setting setting = 0; setting < SET__MAX; setting++) {
        VM *vm = start(setting, "");
        int64_t left = END_NS - MANUAL_WALL_S * NS;
        QDict *rsp;

        rtc_set_date(vm, 0, 6);
        hpet_enable(vm);
        vm_pass(vm, left);
        g_assert_cmpint(clock_info(vm, "hc0", "wall-ns"), ==, END_NS);
        g_assert_cmpint(rtc_read_date(vm, NULL), ==, (left + NS / 2) / NS);
        rsp = qtest_qmp(vm->qts, "{ 'execute': 'host-clock-advance',"
                        " 'arguments': { 'id': 'hc0', 'ns': 1 } }");
        g_assert_true(qdict_haskey(rsp, "error"));
        qobject_unref(rsp);
        g_assert_cmpint(clock_info(vm, "hc0", "wall-ns"), ==, END_NS);
        g_assert_cmpint(clock_info(vm, "hc0", "mono-ns"), ==, left);
        vm_quit(vm);
    }
}

/* No time at all is fine. */
static void test_nothing(void)
{
    VM *vm = start(SET_HOST, "");

    vm_pass(vm, 0);
    vm_wall_step(vm, 0);
    g_assert_cmpint(clock_info(vm, "hc0", "mono-ns"), ==, 0);
    g_assert_cmpint(clock_info(vm, "hc0", "wall-ns"), ==, MANUAL_WALL_S * NS);
    vm_quit(vm);
}

/* Of two clocks, the VM follows the machine's. */
static void test_two_clocks(void)
{
    VM *vm = vm_start("default", SET_RT, "2006-06-17T16:01:21",
                      "-object host-clock-manual,id=a "
                      "-object host-clock-manual,id=b "
                      "-machine host-clock=a");
    int64_t date;
    Span when;

    hpet_enable(vm);
    rtc_set_date(vm, 0, 6);
    date = rtc_read_date(vm, NULL);
    advance(vm, "b", 3 * NS);
    g_assert_cmpint(clock_info(vm, "b", "mono-ns"), ==, 3 * NS);
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, date);
    g_assert_cmpint(hpet_read(vm, &when), ==, 0);
    advance(vm, "a", 5 * NS);
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, date + 5);
    g_assert_cmpint(hpet_read(vm, &when), ==, 5 * NS / HPET_TICK_NS);
    vm_quit(vm);
}

/* Without wall=, it starts with the host's time. */
static void test_no_wall(void)
{
    int64_t before = g_get_real_time() * 1000;
    VM *vm = vm_start("default", SET_HOST, "utc",
                      "-object host-clock-manual,id=a");
    int64_t after = g_get_real_time() * 1000 + 1000;
    int64_t wall_ns = clock_info(vm, "a", "wall-ns");

    g_assert_cmpint(wall_ns, >=, before);
    g_assert_cmpint(wall_ns, <=, after);
    /* And stands still. */
    g_usleep(10000);
    g_assert_cmpint(clock_info(vm, "a", "wall-ns"), ==, wall_ns);
    vm_quit(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();

    qtest_add_func("/host-clock-manual/order/equal-deadlines",
                   test_equal_deadlines);
    qtest_add_func("/host-clock-manual/order/in-a-view", test_order_in_a_view);
    qtest_add_func("/host-clock-manual/order/of-views", test_order_of_views);
    qtest_add_func("/host-clock-manual/pieces", test_pieces);
    qtest_add_func("/host-clock-manual/stopped", test_stopped);
    qtest_add_func("/host-clock-manual/step", test_step);
    qtest_add_func("/host-clock-manual/tiny-step", test_tiny_step);
    qtest_add_func("/host-clock-manual/end-of-time", test_end_of_time);
    qtest_add_func("/host-clock-manual/nothing", test_nothing);
    qtest_add_func("/host-clock-manual/two-clocks", test_two_clocks);
    qtest_add_func("/host-clock-manual/no-wall", test_no_wall);

    return g_test_run();
}
