/*
 * Host clocks: interpolation between looks at a slow source
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "host-clock-os.h"
#include "host-clock-sampler.h"

#include <math.h>

/* Make up for an error within this time, if that does not take more bending. */
#define SLEW_NS         NANOSECONDS_PER_SECOND
#define SLEW_MAX        (HOST_CLOCK_SLEW_MAX_PPB / 1e9)
#define RATE_MAX        (HOST_CLOCK_RATE_MAX_PPB / 1e9)
#define WANDER          (HOST_CLOCK_WANDER_PPB / 1e9)
/* What is known no better can be no worse by more than a jump. */
#define OFFSET_KNOWN_NS (2.0 * HOST_CLOCK_JUMP_NS)
/* Crystals differ by about as much. */
#define RATE_KNOWN      (200 / 1e6)
/* So few looks that disagree are not worth keeping. */
#define FEW_LOOKS       4
/* After a restart, how far the rate may be from what it was before */
#define RATE_SLACK      (50 / 1e6)

/* Durations are days at most: with parts of 10^-2 the product is in range. */
static int64_t scale_ppb(int64_t ns, int64_t ppb)
{
    return ns / 1000 * ppb / 1000000;
}

/* The line */

/* The fields are read while they may be written; @lock tells that they were. */
static int64_t line_at(const HostClockSampler *s, int64_t raw_ns)
{
    int64_t elapsed_ns = MAX(raw_ns - qatomic_read_i64(&s->raw_ns), 0);
    int64_t slewed_ns = MIN(elapsed_ns, qatomic_read_i64(&s->slew_ns));

    return qatomic_read_i64(&s->out_ns) + elapsed_ns +
           scale_ppb(elapsed_ns, qatomic_read_i64(&s->rate_ppb)) +
           scale_ppb(slewed_ns, qatomic_read_i64(&s->slew_ppb));
}

static int64_t error_at(const HostClockSampler *s, int64_t raw_ns)
{
    int64_t elapsed_ns = MAX(raw_ns - qatomic_read_i64(&s->raw_ns), 0);
    int64_t left_ns = MAX(qatomic_read_i64(&s->slew_ns) - elapsed_ns, 0);

    return qatomic_read_i64(&s->error_ns) +
           scale_ppb(elapsed_ns, qatomic_read_i64(&s->drift_ppb)) +
           ABS(scale_ppb(left_ns, qatomic_read_i64(&s->slew_ppb)));
}

/*
 * RAW is read within the critical section, here and by the writer.  So who
 * still reads the old line reads it before the point where it is bent, and time
 * does not go back from one thread to the next.
 */
int64_t host_clock_sampler_now_raw(HostClockSampler *s, int64_t *raw_ns,
                                   int64_t *error_ns)
{
    int64_t out_ns;
    unsigned seq;

    do {
        seq = seqlock_read_begin(&s->lock);
        *raw_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
        out_ns = line_at(s, *raw_ns);
        if (error_ns) {
            *error_ns = error_at(s, *raw_ns);
        }
    } while (seqlock_read_retry(&s->lock, seq));
    return out_ns;
}

int64_t host_clock_sampler_now(HostClockSampler *s, int64_t *error_ns)
{
    int64_t raw_ns;

    return host_clock_sampler_now_raw(s, &raw_ns, error_ns);
}

int64_t host_clock_sampler_error_ns(HostClockSampler *s)
{
    int64_t error_ns;

    host_clock_sampler_now(s, &error_ns);
    return error_ns;
}

int64_t host_clock_sampler_raw_at(HostClockSampler *s, int64_t ns)
{
    int64_t raw_ns, left_ns;

    left_ns = ns - host_clock_sampler_now_raw(s, &raw_ns, NULL);
    return raw_ns + left_ns - scale_ppb(left_ns, s->rate_ppb);
}

/* Bend the line here and now: it goes to where it is off by @phase_ns. */
static void line_bend(HostClockSampler *s, int64_t phase_ns, int64_t rate_ppb)
{
    int64_t slew_ns = MAX(SLEW_NS, ABS(phase_ns) / SLEW_MAX);
    int64_t raw_ns;

    seqlock_write_begin(&s->lock);
    raw_ns = MAX(host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW), s->raw_ns);
    qatomic_set_i64(&s->out_ns, line_at(s, raw_ns));
    qatomic_set_i64(&s->raw_ns, raw_ns);
    qatomic_set_i64(&s->rate_ppb, rate_ppb);
    qatomic_set_i64(&s->slew_ns, slew_ns);
    qatomic_set_i64(&s->slew_ppb, phase_ns * 1e9 / slew_ns);
    seqlock_write_end(&s->lock);
}

static void line_set_error(HostClockSampler *s, int64_t error_ns,
                           int64_t drift_ppb)
{
    seqlock_write_begin(&s->lock);
    qatomic_set_i64(&s->error_ns, error_ns);
    qatomic_set_i64(&s->drift_ppb, drift_ppb);
    seqlock_write_end(&s->lock);
}

/*
 * The fit.
 *
 * A line is a point (offset, rate): the source's time less RAW at the latest
 * look, and by which part the source is faster.  Each side of a look's window
 * cuts off a half-plane of lines; what is left of all of them is a convex
 * polygon.
 */

typedef struct Line {
    double offset_ns;
    double rate;
} Line;

typedef struct Lines {
    /* Each cut adds one corner at most. */
    Line corner[2 * HOST_CLOCK_LOOKS + 4];
    unsigned n;
} Lines;

typedef struct Range {
    double min, max;
} Range;

/* Where offset + rate * @at_ns >= @bound_ns, or the other way round */
static void lines_cut(Lines *lines, int sign, double at_ns, double bound_ns)
{
    Line old[ARRAY_SIZE(lines->corner)];
    unsigned n = lines->n;

    memcpy(old, lines->corner, n * sizeof(*old));
    lines->n = 0;
    for (unsigned i = 0; i < n; i++) {
        Line a = old[i], b = old[(i + 1) % n];
        double da = sign * (a.offset_ns + a.rate * at_ns - bound_ns);
        double db = sign * (b.offset_ns + b.rate * at_ns - bound_ns);

        if (da >= 0) {
            lines->corner[lines->n++] = a;
        }
        if ((da < 0) != (db < 0)) {
            double t = da / (da - db);

            lines->corner[lines->n++] = (Line) {
                a.offset_ns + t * (b.offset_ns - a.offset_ns),
                a.rate + t * (b.rate - a.rate),
            };
        }
    }
}

static int64_t look_offset_ns(const HostClockLook *look)
{
    return look->ns[0] + (look->ns[1] - look->ns[0]) / 2 - look->raw_ns[1];
}

/* All lines through the looks' windows; offsets are from the latest look's. */
static void lines_fit(const HostClockSampler *s, Lines *lines)
{
    const HostClockLook *last = &s->looks[s->n_looks - 1];
    int64_t ref_ns = last->raw_ns[1], base_ns = look_offset_ns(last);
    /* More than any window is wide */
    double wide_ns = 10.0 * NANOSECONDS_PER_SECOND;

    *lines = (Lines) { .n = 4, .corner = {
        { -wide_ns, s->rate_min }, { wide_ns, s->rate_min },
        { wide_ns, s->rate_max }, { -wide_ns, s->rate_max },
    } };
    for (unsigned i = 0; i < s->n_looks; i++) {
        const HostClockLook *l = &s->looks[i];
        double slack_ns = 1 + (ref_ns - l->raw_ns[0]) * WANDER;

        lines_cut(lines, 1, l->raw_ns[1] - ref_ns,
                  l->ns[0] - l->raw_ns[1] - base_ns - slack_ns);
        lines_cut(lines, -1, l->raw_ns[0] - ref_ns,
                  l->ns[1] - l->raw_ns[0] - base_ns + slack_ns);
    }
}

static Range lines_offsets(const Lines *lines)
{
    Range r = { INFINITY, -INFINITY };

    for (unsigned i = 0; i < lines->n; i++) {
        r.min = MIN(r.min, lines->corner[i].offset_ns);
        r.max = MAX(r.max, lines->corner[i].offset_ns);
    }
    return r;
}

static Range lines_rates(const Lines *lines)
{
    Range r = { INFINITY, -INFINITY };

    for (unsigned i = 0; i < lines->n; i++) {
        r.min = MIN(r.min, lines->corner[i].rate);
        r.max = MAX(r.max, lines->corner[i].rate);
    }
    return r;
}

/*
 * Whatever the truth is, nothing is less far from the middle.  But as long as
 * it can be more than @known, it is likely to be near to what it was @before.
 */
static double pick(Range r, double known, double before)
{
    if (r.max - r.min <= known) {
        return (r.min + r.max) / 2;
    }
    return MIN(MAX(before, r.min), r.max);
}

static double furthest(Range r, double x)
{
    return MAX(x - r.min, r.max - x);
}

static void keep_looks(HostClockSampler *s, unsigned n)
{
    memmove(s->looks, s->looks + s->n_looks - n, n * sizeof(*s->looks));
    s->n_looks = n;
}

/* Of several looks that tell the same, the first and the last say it all. */
static bool is_between(const HostClockSampler *s, const HostClockLook *look)
{
    const HostClockLook *end = s->looks + s->n_looks;

    return s->n_looks >= 2 && end[-1].ns[0] == look->ns[0] &&
           end[-2].ns[0] == look->ns[0];
}

static void add_look(HostClockSampler *s, const HostClockLook *look)
{
    if (is_between(s, look)) {
        s->n_looks--;
    }
    if (s->n_looks == HOST_CLOCK_LOOKS) {
        keep_looks(s, HOST_CLOCK_LOOKS - 1);
    }
    s->looks[s->n_looks++] = *look;
}

/* Forget the looks; of the rate, what it was about. */
static void restart(HostClockSampler *s)
{
    double rate = s->rate_ppb / 1e9;
    double slack = s->n_looks > 2 ? RATE_SLACK + s->drift_ppb / 1e9 : RATE_MAX;

    s->rate_min = MAX(rate - slack, -RATE_MAX);
    s->rate_max = MIN(rate + slack, RATE_MAX);
    s->n_looks = 0;
    s->is_lost = true;
}

/* Follow @lines.  The line's own offset is @own_ns. */
static HostClockLookResult follow(HostClockSampler *s, const Lines *lines,
                                  double own_ns, int64_t *jump_ns)
{
    Range offsets = lines_offsets(lines), rates = lines_rates(lines);
    double offset_ns = pick(offsets, OFFSET_KNOWN_NS, own_ns);
    double rate = pick(rates, RATE_KNOWN, s->rate_ppb / 1e9);
    double drift = furthest(rates, rate) + WANDER;
    HostClockLookResult result = HOST_CLOCK_LOOK_FITS;
    double phase_ns = offset_ns - own_ns;

    if (s->is_lost && offsets.max - offsets.min > OFFSET_KNOWN_NS) {
        /* There is nothing to steer by yet. */
        result = HOST_CLOCK_LOOK_UNCLEAR;
        offset_ns = own_ns;
        phase_ns = 0;
    } else if (s->is_lost && fabs(phase_ns) > HOST_CLOCK_JUMP_NS) {
        result = HOST_CLOCK_LOOK_JUMPED;
        *jump_ns = phase_ns;
        phase_ns = 0;
    }
    s->is_lost = result == HOST_CLOCK_LOOK_UNCLEAR;
    line_bend(s, phase_ns, rate * 1e9);
    line_set_error(s, furthest(offsets, offset_ns) + 1, drift * 1e9 + 1);
    return result;
}

HostClockLookResult host_clock_sampler_look(HostClockSampler *s,
                                            const HostClockLook *look,
                                            int64_t *jump_ns)
{
    int64_t own_ns = line_at(s, look->raw_ns[1]) - look->raw_ns[1] -
                     look_offset_ns(look);
    Lines lines;

    add_look(s, look);
    lines_fit(s, &lines);
    /* If it has not jumped, its rate has changed, and the latest looks agree */
    while (!lines.n && s->n_looks > FEW_LOOKS) {
        keep_looks(s, s->n_looks / 2);
        lines_fit(s, &lines);
    }
    if (!lines.n) {
        restart(s);
        add_look(s, look);
        lines_fit(s, &lines);
    }
    return follow(s, &lines, own_ns, jump_ns);
}

void host_clock_sampler_settle(HostClockSampler *s)
{
    const HostClockLook *last = &s->looks[s->n_looks - 1];
    int64_t raw_ns = last->raw_ns[1], ns;
    Range offsets;
    Lines lines;

    lines_fit(s, &lines);
    offsets = lines_offsets(&lines);
    ns = raw_ns + look_offset_ns(last) + (offsets.min + offsets.max) / 2;
    host_clock_sampler_skip(s, ns - line_at(s, raw_ns));
    s->is_lost = false;
    line_set_error(s, (offsets.max - offsets.min) / 2 + 1, s->drift_ppb);
}

void host_clock_sampler_start(HostClockSampler *s, const HostClockLook *look)
{
    int64_t width_ns = look->ns[1] - look->ns[0] +
                       look->raw_ns[1] - look->raw_ns[0];

    memset(s, 0, sizeof(*s));
    seqlock_init(&s->lock);
    s->raw_ns = look->raw_ns[1];
    s->out_ns = look->raw_ns[1] + look_offset_ns(look);
    s->error_ns = width_ns;
    s->drift_ppb = HOST_CLOCK_RATE_MAX_PPB;
    s->rate_min = -RATE_MAX;
    s->rate_max = RATE_MAX;
    s->is_lost = width_ns > OFFSET_KNOWN_NS;
    add_look(s, look);
}

void host_clock_sampler_relabel(HostClockSampler *s, int64_t ns)
{
    for (unsigned i = 0; i < s->n_looks; i++) {
        s->looks[i].ns[0] -= ns;
        s->looks[i].ns[1] -= ns;
    }
}

void host_clock_sampler_skip(HostClockSampler *s, int64_t ns)
{
    seqlock_write_begin(&s->lock);
    qatomic_set_i64(&s->out_ns, s->out_ns + ns);
    seqlock_write_end(&s->lock);
}
