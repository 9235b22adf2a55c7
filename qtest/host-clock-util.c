/*
 * Helpers for the tests of host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-util.h"
#include "hw/timer/hpet.h"
#include "qobject/qdict.h"

#define MANUAL_ID "hc0"

const char *const setting_names[SET__MAX] = { "host", "rt", "vm" };

/* Sources */

/* NAME  DESCRIPTION [not available: REASON] */
static Source parse_help_line(char *line)
{
    static const char mark[] = " [not available: ";
    char *reason = g_strstr_len(line, -1, mark);
    size_t len = strcspn(line, " ");
    Source source = { .name = g_strndup(line, len) };

    if (reason) {
        reason += strlen(mark);
        source.missing = g_strndup(reason, strcspn(reason, "]"));
    }
    return source;
}

const Source *host_clock_sources(void)
{
    static GArray *sources;
    const char *argv[] = {
        g_getenv("QTEST_QEMU_BINARY"), "-clock", "help", NULL
    };
    g_autofree char *out = NULL;
    g_auto(GStrv) lines = NULL;
    Source source = { .name = g_strdup("default") };

    if (sources) {
        return &g_array_index(sources, Source, 0);
    }
    sources = g_array_new(true, true, sizeof(Source));
    g_array_append_val(sources, source);
    if (!argv[0] || !g_spawn_sync(NULL, (char **)argv, NULL,
                                  G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL,
                                  NULL, NULL)) {
        g_error("cannot run $QTEST_QEMU_BINARY -clock help");
    }
    lines = g_strsplit(out, "\n", -1);
    for (int i = 0; lines[i]; i++) {
        /* The heading ends in a colon. */
        if (*lines[i] && !g_str_has_suffix(lines[i], ":")) {
            source = parse_help_line(lines[i]);
            g_array_append_val(sources, source);
        }
    }
    return &g_array_index(sources, Source, 0);
}

/* Time */

Span span_since(Span from, Span to)
{
    return (Span) { to.lo - from.hi, to.hi - from.lo };
}

Span span_add(Span a, int64_t ns)
{
    return (Span) { a.lo + ns, a.hi + ns };
}

static bool is_manual(VM *vm)
{
    return g_str_equal(vm->source, "manual");
}

/* With these, qtest's clock is the time of the vm view. */
static bool is_system(VM *vm)
{
    return g_str_equal(vm->source, "default") ||
           g_str_equal(vm->source, "system");
}

bool vm_rtc_is_told(VM *vm)
{
    return is_manual(vm) || (is_system(vm) && vm->setting == SET_VM);
}

bool vm_hpet_is_told(VM *vm)
{
    return is_manual(vm) || is_system(vm);
}

static int64_t host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS + ts.tv_nsec;
}

int64_t vm_rtc_now(VM *vm)
{
    return vm_rtc_is_told(vm) ? vm->told_ns : host_now();
}

int64_t vm_hpet_now(VM *vm)
{
    return vm_hpet_is_told(vm) ? vm->told_ns : host_now();
}

static void host_wait(int64_t ns)
{
    int64_t end = host_now() + ns;

    while (host_now() < end) {
        g_usleep((end - host_now()) / 1000 + 1);
    }
}

static void manual_advance(VM *vm, int64_t ns)
{
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'host-clock-advance',"
                             " 'arguments': { 'id': %s, 'ns': %" PRId64 " } }",
                             MANUAL_ID, ns);
    vm->told_ns += ns;
}

void vms_pass(VM **vms, int n, int64_t ns)
{
    bool wait = false;

    for (int i = 0; i < n; i++) {
        if (is_manual(vms[i])) {
            manual_advance(vms[i], ns);
        } else if (is_system(vms[i])) {
            qtest_clock_step(vms[i]->qts, ns);
            vms[i]->told_ns += ns;
        }
        wait |= !vm_rtc_is_told(vms[i]);
    }
    if (wait) {
        host_wait(ns);
    }
}

void vm_pass(VM *vm, int64_t ns)
{
    vms_pass(&vm, 1, ns);
}

/* qtest's clock is the VM's and stands still with it. */
void vms_pass_stopped(VM **vms, int n, int64_t ns)
{
    bool wait = false;

    for (int i = 0; i < n; i++) {
        if (is_manual(vms[i])) {
            manual_advance(vms[i], ns);
        } else {
            wait = true;
        }
    }
    if (wait) {
        host_wait(ns);
    }
}

void vm_wall_step(VM *vm, int64_t ns)
{
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'host-clock-step',"
                             " 'arguments': { 'id': %s, 'ns': %" PRId64 " } }",
                             MANUAL_ID, ns);
}

/* VM */

VM *vm_start(const char *source, Setting setting, const char *base,
             const char *args)
{
    VM *vm = g_new0(VM, 1);
    g_autofree char *clock = NULL;

    vm->source = source;
    vm->setting = setting;
    if (is_manual(vm)) {
        clock = g_strdup("-object host-clock-manual,id=" MANUAL_ID
                         ",wall=" MANUAL_WALL
                         " -machine host-clock=" MANUAL_ID);
    } else if (g_str_equal(source, "default")) {
        clock = g_strdup("");
    } else {
        clock = g_strdup_printf("-clock %s", source);
    }
    vm->qts = qtest_initf("-machine pc -nodefaults %s -rtc base=%s,clock=%s %s",
                          clock, base, setting_names[setting], args);
    qtest_irq_intercept_in(vm->qts, "ioapic");
    return vm;
}

void vm_quit(VM *vm)
{
    qtest_quit(vm->qts);
    g_free(vm);
}

Moment vm_qmp(VM *vm, const char *command)
{
    Moment m = { .rtc.lo = vm_rtc_now(vm), .hpet.lo = vm_hpet_now(vm) };

    qtest_qmp_assert_success(vm->qts, "{ 'execute': %s }", command);
    m.rtc.hi = vm_rtc_now(vm);
    m.hpet.hi = vm_hpet_now(vm);
    return m;
}

/* RTC */

uint8_t cmos_read(VM *vm, uint8_t reg)
{
    qtest_outb(vm->qts, 0x70, reg);
    return qtest_inb(vm->qts, 0x71);
}

void cmos_write(VM *vm, uint8_t reg, uint8_t value)
{
    qtest_outb(vm->qts, 0x70, reg);
    qtest_outb(vm->qts, 0x71, value);
}

int64_t rtc_read_date(VM *vm, Span *when)
{
    Span span;
    int sec, min, hour, day, month, year;
    g_autoptr(GDateTime) date = NULL;

    do {
        span.lo = vm_rtc_now(vm);
        sec = cmos_read(vm, RTC_SECONDS);
        min = cmos_read(vm, RTC_MINUTES);
        hour = cmos_read(vm, RTC_HOURS);
        day = cmos_read(vm, RTC_DAY_OF_MONTH);
        month = cmos_read(vm, RTC_MONTH);
        year = cmos_read(vm, RTC_YEAR) + 100 * cmos_read(vm, RTC_CENTURY);
        span.hi = vm_rtc_now(vm);
    } while (cmos_read(vm, RTC_SECONDS) != sec);

    if (when) {
        *when = span;
    }
    date = g_date_time_new_utc(year, month, day, hour, min, sec);
    if (!date) {
        g_test_message("no date: %d-%d-%d %d:%d:%d", year, month, day, hour,
                       min, sec);
        return -1;
    }
    return g_date_time_to_unix(date);
}

Span rtc_set_date(VM *vm, int64_t date, uint8_t rate)
{
    g_autoptr(GDateTime) dt = g_date_time_new_from_unix_utc(date);
    Span when;

    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM);
    cmos_write(vm, RTC_REG_A, 0x70 | rate);
    cmos_write(vm, RTC_SECONDS, g_date_time_get_second(dt));
    cmos_write(vm, RTC_MINUTES, g_date_time_get_minute(dt));
    cmos_write(vm, RTC_HOURS, g_date_time_get_hour(dt));
    cmos_write(vm, RTC_DAY_OF_WEEK, g_date_time_get_day_of_week(dt) % 7 + 1);
    cmos_write(vm, RTC_DAY_OF_MONTH, g_date_time_get_day_of_month(dt));
    cmos_write(vm, RTC_MONTH, g_date_time_get_month(dt));
    cmos_write(vm, RTC_YEAR, g_date_time_get_year(dt) % 100);
    cmos_write(vm, RTC_CENTURY, g_date_time_get_year(dt) / 100);
    cmos_read(vm, RTC_REG_C);
    when.lo = vm_rtc_now(vm);
    cmos_write(vm, RTC_REG_A, 0x20 | rate);
    when.hi = vm_rtc_now(vm);
    return when;
}

int64_t machine_rtc_time(VM *vm)
{
    QDict *rsp = qtest_qmp(vm->qts, "{ 'execute': 'qom-get', 'arguments': {"
                           " 'path': '/machine', 'property': 'rtc-time' } }");
    QDict *tm = qdict_get_qdict(rsp, "return");
    g_autoptr(GDateTime) date = g_date_time_new_utc(
        qdict_get_int(tm, "tm_year") + 1900, qdict_get_int(tm, "tm_mon") + 1,
        qdict_get_int(tm, "tm_mday"), qdict_get_int(tm, "tm_hour"),
        qdict_get_int(tm, "tm_min"), qdict_get_int(tm, "tm_sec"));

    qobject_unref(rsp);
    return date ? g_date_time_to_unix(date) : -1;
}

/* HPET */

void hpet_enable(VM *vm)
{
    qtest_writeq(vm->qts, HPET_BASE + HPET_CFG, HPET_CFG_ENABLE);
}

uint64_t hpet_read(VM *vm, Span *when)
{
    uint64_t ticks;

    when->lo = vm_hpet_now(vm);
    ticks = qtest_readq(vm->qts, HPET_BASE + HPET_COUNTER);
    when->hi = vm_hpet_now(vm);
    return ticks;
}

/* Migration */

static void wait_for_migration(VM *vm)
{
    while (true) {
        QDict *rsp = qtest_qmp(vm->qts, "{ 'execute': 'query-migrate' }");
        const char *state = qdict_get_try_str(qdict_get_qdict(rsp, "return"),
                                              "status");
        bool done = state && g_str_equal(state, "completed");
        bool failed = state && g_str_equal(state, "failed");

        qobject_unref(rsp);
        g_assert_false(failed);
        if (done || failed) {
            return;
        }
        g_usleep(1000);
    }
}

void migrate_to_file(VM *vm, const char *path)
{
    g_autofree char *uri = g_strdup_printf("file:%s", path);

    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_for_migration(vm);
}

void migrate_from_file(VM *vm, const char *path)
{
    g_autofree char *uri = g_strdup_printf("file:%s", path);

    if (is_system(vm) && vm->told_ns) {
        qtest_clock_set(vm->qts, vm->told_ns);
    }
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_for_migration(vm);
}
