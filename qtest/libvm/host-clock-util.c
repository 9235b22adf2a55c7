/*
 * Helpers for the tests of host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-util.h"
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "qobject/qdict.h"

#define MANUAL_ID "hc0"
#define SCALED_ID "hc1"
/* In the environment: which PTP clock it is, and what this keeps */
#define PTP_PROPERTIES "HOST_CLOCK_PTP"

const char *const setting_names[SET__MAX] = { "host", "rt", "vm" };

int host_clock_slowness(void)
{
    return g_getenv("HOST_CLOCK_LAB") ? 5 : 1;
}

/* Sources */

/* NAME  DESCRIPTION [not available: REASON] */
static Source parse_help_line(char *line)
{
    static const char mark[] = " [not available: ";
    char *reason = g_strstr_len(line, -1, mark);
    Source source = { .name = g_strndup(line, strcspn(line, " ")) };
    bool is_given = g_str_equal(source.name, "ptp") && g_getenv(PTP_PROPERTIES);

    if (reason && !is_given) {
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

/*
 * The test reads the host's clock, not the device's.  Between the two are the
 * rates of two crystals (in the lab, how well the kernel has calibrated one
 * against the other), and where a second of the RTC begins, which is known to
 * 5 ms at first.
 */
#define CRYSTAL_PPM     2000
#define PHASE_NS        (6 * MS)

static bool has_crystal;

void span_set_source(const char *source)
{
    has_crystal = g_str_equal(source, "hpet") || g_str_equal(source, "ptp") ||
                  g_str_equal(source, "rtc");
}

/* @ns of the host's time, in the time of the source */
static Span source_ns(int64_t lo, int64_t hi)
{
    if (has_crystal) {
        lo -= PHASE_NS + MAX(lo, 0) / 1000000 * CRYSTAL_PPM;
        hi += PHASE_NS + MAX(hi, 0) / 1000000 * CRYSTAL_PPM;
    }
    return (Span) { lo, hi };
}

Span span_since(Span from, Span to)
{
    return source_ns(to.lo - from.hi, to.hi - from.lo);
}

Span span_shift(Span a, int64_t n)
{
    return (Span) { a.lo + n, a.hi + n };
}

Span span_add(Span a, int64_t ns)
{
    Span b = source_ns(ns, ns);

    return (Span) { a.lo + b.lo, a.hi + b.hi };
}

bool source_is_manual(const char *source)
{
    return g_str_equal(source, "manual") || g_str_equal(source, "scaled");
}

bool vm_is_manual(VM *vm)
{
    return source_is_manual(vm->source);
}

bool source_is_system(const char *source)
{
    return g_str_equal(source, "default") || g_str_equal(source, "system");
}

static bool is_system(VM *vm)
{
    return source_is_system(vm->source);
}

bool vm_rtc_is_told(VM *vm)
{
    return vm_is_manual(vm) || (is_system(vm) && vm->setting == SET_VM);
}

bool vm_hpet_is_told(VM *vm)
{
    return vm_is_manual(vm) || is_system(vm);
}

static int64_t os_now(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * NS + ts.tv_nsec;
}

static int64_t host_now(void)
{
    return os_now(CLOCK_MONOTONIC);
}

static int64_t told_now(VM *vm)
{
    return vm_is_manual(vm) ? vm->manual_ns : vm->virtual_ns;
}

int64_t vm_rtc_now(VM *vm)
{
    return vm_rtc_is_told(vm) ? told_now(vm) : host_now();
}

int64_t vm_hpet_now(VM *vm)
{
    return vm_hpet_is_told(vm) ? told_now(vm) : host_now();
}

static int64_t rtc_seconds(void)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents("/sys/class/rtc/rtc0/since_epoch", &text,
                                      NULL, NULL));
    return g_ascii_strtoll(text, NULL, 10);
}

/* The RTC is not where CLOCK_REALTIME is; see where its next second begins. */
static int64_t rtc_ahead_ns(void)
{
    static int64_t ahead_ns;
    static bool known;
    int64_t first;

    if (!known) {
        first = rtc_seconds();
        while (rtc_seconds() == first) {
            /* for a second at most */
        }
        ahead_ns = (first + 1) * NS - os_now(CLOCK_REALTIME);
        known = true;
    }
    return ahead_ns;
}

int64_t vm_wall_now(VM *vm)
{
    if (vm_is_manual(vm)) {
        return vm->manual_wall_ns + vm->manual_ns;
    }
    return os_now(CLOCK_REALTIME) +
           (g_str_equal(vm->source, "rtc") ? rtc_ahead_ns() : 0);
}

static void host_wait(int64_t ns)
{
    int64_t end = host_now() + ns;

    while (host_now() < end) {
        g_usleep((end - host_now()) / 1000 + 1);
    }
}

int64_t vm_note_pass(VM *vm, int64_t ns)
{
    int64_t from_ns = muldiv64(vm->parent_ns, vm->rate[0], vm->rate[1]);
    int64_t to_ns = muldiv64_round_up(from_ns + ns, vm->rate[1], vm->rate[0]);
    int64_t by_ns = MAX(to_ns - vm->parent_ns, 0);

    vm->parent_ns += by_ns;
    vm->manual_ns += muldiv64(vm->parent_ns, vm->rate[0], vm->rate[1]) -
                     from_ns;
    return by_ns;
}

static void manual_tell(VM *vm, const char *command, int64_t ns)
{
    qtest_qmp_assert_success(vm->qts, "{ 'execute': %s, 'arguments':"
                             " { 'id': %s, 'ns': %" PRId64 " } }", command,
                             MANUAL_ID, ns);
}

/* qtest's clock is the VM's and stands still with it. */
static void let_pass(VM **vms, int n, int64_t ns, bool is_running)
{
    bool wait = false;

    for (int i = 0; i < n; i++) {
        if (vm_is_manual(vms[i])) {
            manual_tell(vms[i], "host-clock-advance",
                        vm_note_pass(vms[i], ns));
        } else if (is_running && is_system(vms[i])) {
            qtest_clock_step(vms[i]->qts, ns);
            vms[i]->virtual_ns += ns;
        }
        wait |= is_running ? !vm_rtc_is_told(vms[i]) : !vm_is_manual(vms[i]);
    }
    if (wait) {
        host_wait(ns);
    }
}

void vms_pass(VM **vms, int n, int64_t ns)
{
    let_pass(vms, n, ns, true);
}

void vms_pass_stopped(VM **vms, int n, int64_t ns)
{
    let_pass(vms, n, ns, false);
}

void vm_pass(VM *vm, int64_t ns)
{
    vms_pass(&vm, 1, ns);
}

void vm_pass_short_of(VM *vm, int64_t ns)
{
    int64_t from_ns = muldiv64(vm->parent_ns, vm->rate[0], vm->rate[1]);

    /* The first ns of the manual clock by which all is over, less one */
    ns = muldiv64_round_up(from_ns + ns, vm->rate[1], vm->rate[0]) - 1;
    vm_pass(vm, muldiv64(ns, vm->rate[0], vm->rate[1]) - from_ns);
}

void vm_pass_until(VM *vm, int64_t ns)
{
    int64_t left = ns - vm_rtc_now(vm);

    if (left > 0) {
        vm_pass(vm, left);
    }
}

void vm_wall_step(VM *vm, int64_t ns)
{
    manual_tell(vm, "host-clock-step", ns);
    vm->manual_wall_ns += ns;
}

/* VM */

static char *clock_args(VM *vm)
{
    g_autoptr(GDateTime) wall = g_date_time_new_from_unix_utc(
        vm->manual_wall_ns / NS);
    g_autofree char *text = g_date_time_format(wall, "%Y-%m-%dT%H:%M:%S");
    g_autofree char *scaled = g_str_equal(vm->source, "manual") ?
        g_strdup("-machine host-clock=" MANUAL_ID) :
        g_strdup_printf("-object host-clock-scaled,id=" SCALED_ID ",clock="
                        MANUAL_ID ",rate=%d/%d -machine host-clock=" SCALED_ID,
                        vm->rate[0], vm->rate[1]);

    if (vm_is_manual(vm)) {
        return g_strdup_printf("-object host-clock-manual,id=" MANUAL_ID
                               ",wall=%s %s", text, scaled);
    }
    if (g_str_equal(vm->source, "default")) {
        return g_strdup("");
    }
    if (g_str_equal(vm->source, "ptp")) {
        return g_strdup_printf("-object host-clock-ptp,id=p,%s -machine "
                               "host-clock=p", g_getenv(PTP_PROPERTIES));
    }
    return g_strdup_printf("-clock %s", vm->source);
}

/*
 * qtest_init() with the emulator that the environment variable @var names.
 * libqtest's own function for it has another name in each version of QEMU.
 */
static QTestState *init_with_binary(const char *var, const char *args)
{
    g_autofree char *usual = g_strdup(g_getenv("QTEST_QEMU_BINARY"));
    const char *other = var ? g_getenv(var) : NULL;
    QTestState *qts;

    g_setenv("QTEST_QEMU_BINARY", other ?: usual, true);
    qts = qtest_init(args);
    g_setenv("QTEST_QEMU_BINARY", usual, true);
    return qts;
}

VM *vm_start_with(const VMOptions *options, const char *source,
                  Setting setting, const char *base, const char *args)
{
    VM *vm = g_new0(VM, 1);
    bool is_scaled = g_str_equal(source, "scaled");
    g_autofree char *clock = NULL;
    g_autofree char *line = NULL;

    vm->source = source;
    vm->setting = setting;
    vm->manual_wall_ns = (options->manual_wall_s ?: MANUAL_WALL_S) * NS;
    vm->rate[0] = is_scaled ? options->rate[0] ?: 3 : 1;
    vm->rate[1] = is_scaled ? options->rate[1] ?: 2 : 1;
    clock = clock_args(vm);
    /* The PIT's interrupts would take most of the time when hours pass. */
    line = g_strdup_printf("-machine %s -nodefaults %s "
                           "-rtc base=%s,clock=%s %s",
                           options->machine ?:
                           options->real_irqs ? "pc" : "pc,pit=off", clock,
                           base, setting_names[setting], args);
    vm->qts = init_with_binary(options->binary, line);
    if (!options->machine && !options->real_irqs) {
        qtest_irq_intercept_in(vm->qts, "ioapic");
    }
    return vm;
}

VM *vm_start(const char *source, Setting setting, const char *base,
             const char *args)
{
    return vm_start_with(&(VMOptions) {}, source, setting, base, args);
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

bool vm_irq(VM *vm)
{
    return qtest_get_irq(vm->qts, RTC_IRQ);
}

int64_t vm_cpu_ns(VM *vm)
{
    struct timespec ts;
    clockid_t id;

    g_assert_cmpint(clock_getcpuclockid(qtest_pid(vm->qts), &id), ==, 0);
    g_assert_cmpint(clock_gettime(id, &ts), ==, 0);
    return ts.tv_sec * NS + ts.tv_nsec;
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

char *temporary_file(void)
{
    char *path = NULL;
    int fd = g_file_open_tmp("host-clock-test-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return path;
}

/*
 * Where QEMU_CLOCK_VIRTUAL is in a stream: the section "timer" has the name
 * with its length, instance and version, cpu_ticks_offset, 8 unused bytes, and
 * then cpu_clock_offset, which is the time of a VM that does not run.
 */
static uint8_t *find_virtual_clock(char *stream, gsize len)
{
    static const uint8_t head[] = "\5timer\0\0\0\0\0\0\0\2";
    uint8_t *at = memmem(stream, len, head, sizeof(head) - 1);

    g_assert_nonnull(at);
    return at + sizeof(head) - 1 + 16;
}

/* Returns what there was; @set: what to have in its place, or NULL */
static int64_t stream_virtual_clock(const char *path, const int64_t *set)
{
    g_autofree char *stream = NULL;
    uint8_t *at;
    int64_t was_ns;
    gsize len;

    g_assert_true(g_file_get_contents(path, &stream, &len, NULL));
    at = find_virtual_clock(stream, len);
    was_ns = ldq_be_p(at);
    if (set) {
        stq_be_p(at, *set);
        g_assert_true(g_file_set_contents(path, stream, len, NULL));
    }
    return was_ns;
}

void vm_continue_clocks(VM *to, VM *from, const char *path)
{
    to->manual_ns = from->manual_ns;
    to->manual_wall_ns -= from->manual_ns;
    if (is_system(to)) {
        to->virtual_ns = is_system(from) ? from->virtual_ns :
                         stream_virtual_clock(path, NULL);
        if (to->virtual_ns) {
            qtest_clock_set(to->qts, to->virtual_ns);
        }
    } else if (is_system(from)) {
        stream_virtual_clock(path, &from->virtual_ns);
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

    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_for_migration(vm);
}
