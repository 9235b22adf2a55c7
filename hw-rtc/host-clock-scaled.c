/*
 * Host clock "scaled": another clock, faster or slower
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   as its parent
 * Epoch:        mono: 0 when created; wall: its parent's then, plus offset-ns
 * Host suspend: as its parent, times the rate
 * Step:         its parent's, as large as it is there
 * Privilege:    none
 * Failures:     none of its own
 *
 * Its time is a straight line over its parent's, bent where the rate changes.
 * At 10,000 mono comes to its end after five days, and stands still there.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"
#include "qemu/seqlock.h"
#include "host-clock-internal.h"

#define TYPE_HOST_CLOCK_SCALED HOST_CLOCK_PREFIX "scaled"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockScaled, HOST_CLOCK_SCALED)

#define RATE_MAX        10000
#define MONO_END_NS     (INT64_MAX / 2)

/*
 * mono is ns + ((parent's mono - parent_ns) * num + rest) / den, rounded down.
 * num and den fill 32 bits: a change of the rate keeps the rest nearly whole.
 */
typedef struct Line {
    aligned_int64_t parent_ns;
    aligned_int64_t ns;
    uint32_t num;
    uint32_t den;
    uint32_t rest;
} Line;

struct HostClockScaled {
    HostClock parent_obj;

    char *clock_id;
    unsigned rate[2];
    int64_t offset_ns;
    /* The parent's mono at the start */
    int64_t start_ns;

    /* Written with the BQL, read without */
    QemuSeqLock lock;
    Line line;
};

OBJECT_DEFINE_SIMPLE_TYPE(HostClockScaled, host_clock_scaled, HOST_CLOCK_SCALED,
                          HOST_CLOCK)

/* Returns: mono; @rest is what is left */
static int64_t line_at(const Line *l, int64_t parent_ns, uint32_t *rest)
{
    int64_t begin_ns = qatomic_read_i64(&l->ns);
    uint32_t carry = qatomic_read(&l->rest);
    uint64_t low, high;

    mulu64(&low, &high,
           MAX(parent_ns - qatomic_read_i64(&l->parent_ns), 0),
           qatomic_read(&l->num));
    low += carry;
    high += low < carry;
    *rest = divu128(&low, &high, qatomic_read(&l->den));
    return high || low > MONO_END_NS - begin_ns ? MONO_END_NS :
                                                  begin_ns + (int64_t)low;
}

static int64_t scaled_mono_ns(HostClock *hc)
{
    HostClockScaled *s = (HostClockScaled *)hc;
    uint32_t rest;
    unsigned seq;
    int64_t ns;

    do {
        seq = seqlock_read_begin(&s->lock);
        ns = line_at(&s->line, hc->parent->ops->mono_ns(hc->parent), &rest);
    } while (seqlock_read_retry(&s->lock, seq));
    return ns;
}

static int64_t sum_ns(int64_t a, int64_t b)
{
    int64_t sum;

    if (sadd64_overflow(a, b, &sum)) {
        sum = b < 0 ? 0 : HOST_CLOCK_END_NS;
    }
    return MIN(sum, HOST_CLOCK_END_NS);
}

static void scaled_pair(HostClock *hc, HostClockReading *r)
{
    HostClockScaled *s = (HostClockScaled *)hc;
    HostClockReading parent;
    uint32_t rest;
    unsigned seq;

    do {
        seq = seqlock_read_begin(&s->lock);
        host_clock_read_pair(hc->parent, &parent);
        r->mono_ns = line_at(&s->line, parent.mono_ns, &rest);
        r->error_ns = muldiv64_round_up(parent.error_ns,
                                        qatomic_read(&s->line.num),
                                        qatomic_read(&s->line.den));
        r->error_ns = MAX(r->error_ns, parent.error_ns);
    } while (seqlock_read_retry(&s->lock, seq));
    /* Steps of the parent's wall time, and what it drifts, as they are there */
    r->wall_ns = parent.wall_ns - (parent.mono_ns - s->start_ns);
    r->wall_ns = sum_ns(sum_ns(r->wall_ns, s->offset_ns), r->mono_ns);
}

/* The first of the parent's ns at which that much has passed */
static int64_t scaled_parent_delta_ns(HostClock *hc, int64_t delta_ns)
{
    const Line *l = &((HostClockScaled *)hc)->line;
    int64_t parent_ns = hc->parent->ops->mono_ns(hc->parent);
    uint64_t low, high;
    uint32_t rest = 0;

    if (delta_ns <= 0) {
        return delta_ns;
    }
    line_at(l, parent_ns, &rest);
    mulu64(&low, &high, delta_ns, qatomic_read(&l->den));
    high -= low < rest;
    low -= rest;
    if (divu128(&low, &high, qatomic_read(&l->num))) {
        low++;
    }
    return high || low > INT64_MAX ? INT64_MAX : low;
}

static void line_bend(HostClockScaled *s)
{
    HostClock *parent = HOST_CLOCK(s)->parent;
    uint32_t den = s->line.den, rest;
    uint32_t factor = UINT32_MAX / MAX(s->rate[0], s->rate[1]);
    int64_t parent_ns;

    seqlock_write_begin(&s->lock);
    parent_ns = host_clock_mono_locked(parent);
    qatomic_set_i64(&s->line.ns, line_at(&s->line, parent_ns, &rest));
    qatomic_set_i64(&s->line.parent_ns, parent_ns);
    qatomic_set(&s->line.num, s->rate[0] * factor);
    qatomic_set(&s->line.den, s->rate[1] * factor);
    qatomic_set(&s->line.rest, muldiv64(rest, s->line.den, den));
    seqlock_write_end(&s->lock);
}

static bool scaled_open(HostClock *hc, Error **errp)
{
    HostClockScaled *s = HOST_CLOCK_SCALED(hc);
    HostClockReading r;
    HostClock *parent;

    parent = s->clock_id ? host_clock_find("clock", s->clock_id, errp) :
                           host_clock_system();
    if (!parent) {
        return false;
    }
    if (parent == hc) {
        error_setg(errp, "clock=%s: a clock cannot scale itself", s->clock_id);
        return false;
    }
    if (parent->state != HOST_CLOCK_STATE_RUNNING) {
        error_setg(errp, "clock=%s: its state is '%s'; it can be scaled once "
                   "it is 'running'", s->clock_id,
                   HostClockState_str(parent->state));
        return false;
    }
    host_clock_read_pair(parent, &r);
    if (s->offset_ns < -r.wall_ns ||
        s->offset_ns > HOST_CLOCK_END_NS - r.wall_ns) {
        error_setg(errp, "offset-ns=%" PRId64 ": wall time would not be "
                   "between 1970-01-01 and 2261-04-11 (UTC)", s->offset_ns);
        return false;
    }
    hc->parent = parent;
    hc->alarm_name = parent->alarm_name;
    s->start_ns = r.mono_ns;
    line_bend(s);
    s->line.parent_ns = r.mono_ns;
    s->line.ns = 0;
    return true;
}

static bool parse_rate(const char *str, unsigned rate[2], Error **errp)
{
    unsigned num, den = 1;
    const char *end;

    /* Blanks and signs are numbers, too, for qemu_strtoui(). */
    if (str[strspn(str, "0123456789/")] ||
        qemu_strtoui(str, &end, 10, &num) < 0 ||
        (*end && qemu_strtoui(end + 1, NULL, 10, &den) < 0)) {
        error_setg(errp, "rate=%s: not a fraction of whole numbers, such as "
                   "3/2", str);
        return false;
    }
    if (!num || !den || num > (uint64_t)den * RATE_MAX ||
        den > (uint64_t)num * RATE_MAX) {
        error_setg(errp, "rate=%s: a rate goes from 1/%d to %d", str, RATE_MAX,
                   RATE_MAX);
        return false;
    }
    rate[0] = num;
    rate[1] = den;
    return true;
}

static char *scaled_get_rate(Object *obj, Error **errp)
{
    HostClockScaled *s = HOST_CLOCK_SCALED(obj);

    return g_strdup_printf("%u/%u", s->rate[0], s->rate[1]);
}

static void scaled_set_rate(Object *obj, const char *value, Error **errp)
{
    HostClockScaled *s = HOST_CLOCK_SCALED(obj);

    if (parse_rate(value, s->rate, errp) && HOST_CLOCK(obj)->opened) {
        line_bend(s);
        host_clock_mono_jumped(HOST_CLOCK(obj));
    }
}

HOST_CLOCK_PROPERTY(HOST_CLOCK_SCALED, clock_id, visit_type_str, g_free)
HOST_CLOCK_PROPERTY(HOST_CLOCK_SCALED, offset_ns, visit_type_int64, (void))

static void host_clock_scaled_init(Object *obj)
{
    HostClockScaled *s = HOST_CLOCK_SCALED(obj);

    seqlock_init(&s->lock);
    s->rate[0] = s->rate[1] = 1;
    s->line.num = s->line.den = 1;
}

static void host_clock_scaled_finalize(Object *obj)
{
    g_free(HOST_CLOCK_SCALED(obj)->clock_id);
}

static void host_clock_scaled_class_init(ObjectClass *oc,
                                         HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "another clock, faster or slower";
    k->rating = 10;
    k->open = scaled_open;
    k->mono_ns = scaled_mono_ns;
    k->pair = scaled_pair;
    k->parent_delta_ns = scaled_parent_delta_ns;

    object_class_property_add(oc, "clock", "string", get_clock_id,
                              set_clock_id, NULL, NULL);
    object_class_property_set_description(oc, "clock",
        "ID of the host clock that is scaled; the system's by default");
    object_class_property_add_str(oc, "rate", scaled_get_rate,
                                  scaled_set_rate);
    object_class_property_set_description(oc, "rate",
        "how much faster it runs, as a fraction, from 1/10000 to 10000");
    object_class_property_add(oc, "offset-ns", "int", get_offset_ns,
                              set_offset_ns, NULL, NULL);
    object_class_property_set_description(oc, "offset-ns",
        "by how much its wall time is ahead at the start, in ns");
}
