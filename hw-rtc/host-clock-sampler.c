/*
 * Host clocks: interpolation between samples of a slow source
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/timer.h"
#include "host-clock-sampler.h"

#include <math.h>

/* Make up for an error within this time, if that needs no faster slew. */
#define SLEW_NS         NANOSECONDS_PER_SECOND
#define SLEW_MAX        (HOST_CLOCK_SLEW_MAX_PPB / 1e9)
#define RATE_MAX        (HOST_CLOCK_RATE_MAX_PPB / 1e9)
#define RATE_CHANGE     (HOST_CLOCK_RATE_CHANGE_PPB / 1e9)
#define RATE_UNIT       (1LL << HOST_CLOCK_RATE_SHIFT)
/* Crystals differ by about as much. */
#define RATE_KNOWN      (200 / 1e6)
/* So few samples that disagree are not worth keeping. */
#define FEW_SAMPLES     4
/* After a restart, how far the rate may be from what it was before */
#define RATE_SLACK      (50 / 1e6)

/* The line */

/* Inline, unlike host-clock-os.h: for most readings this is all it takes. */
static inline int64_t raw_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

/* The product has 128 bits, so that no time is too long. */
static inline int64_t scale(int64_t ns, int64_t rate)
{
    uint64_t low, high;

    muls64(&low, &high, ns, rate);
    return high << (64 - HOST_CLOCK_RATE_SHIFT) | low >> HOST_CLOCK_RATE_SHIFT;
}

/* The fields are read while they may be written; @lock tells that they were. */
static inline int64_t line_at(const HostClockSampler *s, int64_t raw_ns)
{
    bool slewed = raw_ns >= qatomic_read_i64(&s->line[1].raw_ns);
    const HostClockSegment *l = &s->line[slewed];

    return qatomic_read_i64(&l->ns) +
           scale(raw_ns - qatomic_read_i64(&l->raw_ns),
                 qatomic_read_i64(&l->rate));
}

static int64_t error_at(const HostClockSampler *s, int64_t raw_ns)
{
    int64_t since_ns = raw_ns - qatomic_read_i64(&s->line[0].raw_ns);
    int64_t left_ns = qatomic_read_i64(&s->line[1].raw_ns) - raw_ns;
    int64_t slew = qatomic_read_i64(&s->line[0].rate) -
                   qatomic_read_i64(&s->line[1].rate);

    return qatomic_read_i64(&s->error_ns) +
           scale(since_ns, qatomic_read_i64(&s->error_rate)) +
           scale(MAX(left_ns, 0), ABS(slew));
}

/*
 * RAW is read within the critical section, here and by the writer: the old line
 * is read before the point where it is bent, and no thread sees time go back.
 */
int64_t host_clock_sampler_now(HostClockSampler *s)
{
    unsigned seq;
    int64_t ns;

    do {
        seq = seqlock_read_begin(&s->lock);
        ns = line_at(s, raw_now());
    } while (seqlock_read_retry(&s->lock, seq));
    return ns;
}

int64_t host_clock_sampler_now_error(HostClockSampler *s, int64_t *error_ns)
{
    int64_t raw_ns, ns;
    unsigned seq;

    do {
        seq = seqlock_read_begin(&s->lock);
        raw_ns = raw_now();
        ns = line_at(s, raw_ns);
        *error_ns = error_at(s, raw_ns);
    } while (seqlock_read_retry(&s->lock, seq));
    return ns;
}

int64_t host_clock_sampler_raw_at(HostClockSampler *s, int64_t ns)
{
    int64_t raw_ns = raw_now(), left_ns = ns - line_at(s, raw_ns);

    return raw_ns + left_ns - (int64_t)(left_ns * s->rate);
}

static void segment_set(HostClockSegment *l, int64_t raw_ns, int64_t ns,
                        double rate)
{
    qatomic_set_i64(&l->raw_ns, raw_ns);
    qatomic_set_i64(&l->ns, ns);
    qatomic_set_i64(&l->rate, RATE_UNIT + (int64_t)(rate * RATE_UNIT));
}

/* Within the critical section, or before anybody reads */
static void error_set(HostClockSampler *s, double error_ns, double drift)
{
    s->drift = drift;
    qatomic_set_i64(&s->error_ns, error_ns + 1);
    qatomic_set_i64(&s->error_rate, drift * RATE_UNIT + 1);
}

/* Bend the line here and now: it goes to where it is off by @phase_ns. */
static void line_bend(HostClockSampler *s, double phase_ns, double rate,
                      double error_ns, double drift)
{
    double slew_ns = MAX(SLEW_NS, fabs(phase_ns) / SLEW_MAX);
    int64_t raw_ns, end_ns;

    s->rate = rate;
    seqlock_write_begin(&s->lock);
    smp_mb(); /* as host_clock_mono_locked() */
    raw_now();
    raw_ns = raw_now();
    end_ns = raw_ns + slew_ns;
    segment_set(&s->line[0], raw_ns, line_at(s, raw_ns),
                rate + phase_ns / slew_ns);
    /* The second segment begins where the first, for now without end, is. */
    qatomic_set_i64(&s->line[1].raw_ns, INT64_MAX);
    segment_set(&s->line[1], end_ns, line_at(s, end_ns), rate);
    error_set(s, error_ns, drift);
    seqlock_write_end(&s->lock);
}

/*
 * The fit.
 *
 * A line is a point (offset, rate): the source's time less RAW at the latest
 * sample, and by which part the source is faster.  Each side of a sample's
 * window cuts off a half-plane; what is left is the feasible set, a polygon.
 */

typedef struct Vertex {
    double offset_ns;
    double rate;
} Vertex;

typedef struct FeasibleSet {
    /* In order, and room for the next cut, which adds one vertex at most */
    Vertex vertices[2][2 * HOST_CLOCK_SAMPLES + 4];
    Vertex *vertex;
    unsigned n;
} FeasibleSet;

typedef struct Interval {
    double min;
    double max;
} Interval;

/* Where offset + rate * @at_ns >= @bound_ns, or the other way round */
static void feasible_cut(FeasibleSet *f, int sign, double at_ns,
                         double bound_ns)
{
    const Vertex *old = f->vertex;
    unsigned n = f->n;

    f->vertex = f->vertices[old == f->vertices[0]];
    f->n = 0;
    for (unsigned i = 0; i < n; i++) {
        Vertex a = old[i], b = old[(i + 1) % n];
        double da = sign * (a.offset_ns + a.rate * at_ns - bound_ns);
        double db = sign * (b.offset_ns + b.rate * at_ns - bound_ns);

        if (da >= 0) {
            f->vertex[f->n++] = a;
        }
        if ((da < 0) != (db < 0)) {
            double t = da / (da - db);

            f->vertex[f->n++] = (Vertex) {
                a.offset_ns + t * (b.offset_ns - a.offset_ns),
                a.rate + t * (b.rate - a.rate),
            };
        }
    }
}

static int64_t sample_offset_ns(const HostClockSample *sample)
{
    return sample->ns[0] + (sample->ns[1] - sample->ns[0]) / 2 -
           sample->raw_ns[1];
}

/* All lines through the windows; offsets are from the latest sample's. */
static void feasible_fit(const HostClockSampler *s, FeasibleSet *f)
{
    const HostClockSample *last = &s->samples[s->n_samples - 1];
    int64_t ref_ns = last->raw_ns[1], base_ns = sample_offset_ns(last);
    /* More than any window is wide */
    double wide_ns = 10.0 * NANOSECONDS_PER_SECOND;

    f->vertex = f->vertices[0];
    f->vertex[0] = (Vertex) { -wide_ns, s->rate_min };
    f->vertex[1] = (Vertex) { wide_ns, s->rate_min };
    f->vertex[2] = (Vertex) { wide_ns, s->rate_max };
    f->vertex[3] = (Vertex) { -wide_ns, s->rate_max };
    f->n = 4;
    for (unsigned i = 0; i < s->n_samples; i++) {
        const HostClockSample *l = &s->samples[i];
        double slack_ns = 1 + (ref_ns - l->raw_ns[0]) * RATE_CHANGE;

        feasible_cut(f, 1, l->raw_ns[1] - ref_ns,
                     l->ns[0] - l->raw_ns[1] - base_ns - slack_ns);
        feasible_cut(f, -1, l->raw_ns[0] - ref_ns,
                     l->ns[1] - l->raw_ns[0] - base_ns + slack_ns);
    }
}

static void feasible_bounds(const FeasibleSet *f, Interval *offsets,
                            Interval *rates)
{
    *offsets = *rates = (Interval) { INFINITY, -INFINITY };
    for (unsigned i = 0; i < f->n; i++) {
        offsets->min = MIN(offsets->min, f->vertex[i].offset_ns);
        offsets->max = MAX(offsets->max, f->vertex[i].offset_ns);
        rates->min = MIN(rates->min, f->vertex[i].rate);
        rates->max = MAX(rates->max, f->vertex[i].rate);
    }
}

/* The middle errs least; a wide interval is likely near what was @before. */
static double pick(Interval i, double known, double before)
{
    if (i.max - i.min <= known) {
        return (i.min + i.max) / 2;
    }
    return MIN(MAX(before, i.min), i.max);
}

static double furthest(Interval i, double x)
{
    return MAX(x - i.min, i.max - x);
}

/* Samples */

static void keep_samples(HostClockSampler *s, unsigned n)
{
    memmove(s->samples, s->samples + s->n_samples - n,
            n * sizeof(*s->samples));
    s->n_samples = n;
}

static void add_sample(HostClockSampler *s, const HostClockSample *sample)
{
    const HostClockSample *end = s->samples + s->n_samples;

    /* Of several that say the same, the first and the last say it all. */
    if (s->n_samples >= 2 && end[-1].ns[0] == sample->ns[0] &&
        end[-2].ns[0] == sample->ns[0]) {
        s->n_samples--;
    }
    if (s->n_samples == HOST_CLOCK_SAMPLES) {
        keep_samples(s, HOST_CLOCK_SAMPLES - 1);
    }
    s->samples[s->n_samples++] = *sample;
}

/* Of what is forgotten, the rate is not: it was about what it is. */
static void keep_rate(HostClockSampler *s)
{
    double slack = s->n_samples > 2 ? RATE_SLACK + s->drift : RATE_MAX;

    s->rate_min = MAX(s->rate - slack, -RATE_MAX);
    s->rate_max = MIN(s->rate + slack, RATE_MAX);
}

/* Follow the source.  The line's own offset is @own_ns. */
static HostClockSampleResult follow(HostClockSampler *s, const FeasibleSet *f,
                                    double own_ns, double known_ns,
                                    int64_t *step_ns)
{
    HostClockSampleResult result = HOST_CLOCK_SAMPLE_CONSISTENT;
    Interval offsets, rates;
    double offset_ns, phase_ns, rate;

    feasible_bounds(f, &offsets, &rates);
    offset_ns = pick(offsets, 2 * known_ns, own_ns);
    rate = pick(rates, RATE_KNOWN, s->rate);
    phase_ns = offset_ns - own_ns;
    if (s->is_lost && offsets.max - offsets.min > 2 * known_ns) {
        /* There is nothing to steer by yet. */
        result = HOST_CLOCK_SAMPLE_AMBIGUOUS;
        offset_ns = own_ns;
        phase_ns = 0;
    } else if (s->is_lost && fabs(phase_ns) > HOST_CLOCK_STEP_MIN_NS) {
        result = HOST_CLOCK_SAMPLE_STEPPED;
        *step_ns = phase_ns;
        phase_ns = 0;
    }
    s->is_lost = result == HOST_CLOCK_SAMPLE_AMBIGUOUS;
    line_bend(s, phase_ns, rate, furthest(offsets, offset_ns),
              furthest(rates, rate) + RATE_CHANGE);
    return result;
}

HostClockSampleResult host_clock_sampler_add(HostClockSampler *s,
                                             const HostClockSample *sample,
                                             int64_t known_ns,
                                             int64_t *step_ns)
{
    int64_t own_ns = line_at(s, sample->raw_ns[1]) - sample->raw_ns[1] -
                     sample_offset_ns(sample);
    FeasibleSet f;

    add_sample(s, sample);
    feasible_fit(s, &f);
    if (!f.n) {
        keep_rate(s);
    }
    /* If it has not stepped, its rate has changed: the latest samples agree. */
    while (!f.n && s->n_samples > 1) {
        s->is_lost = s->n_samples <= FEW_SAMPLES;
        keep_samples(s, s->is_lost ? 1 : s->n_samples / 2);
        feasible_fit(s, &f);
    }
    return follow(s, &f, own_ns, known_ns, step_ns);
}

void host_clock_sampler_start(HostClockSampler *s,
                              const HostClockSample *sample)
{
    int64_t width_ns = sample->ns[1] - sample->ns[0] +
                       sample->raw_ns[1] - sample->raw_ns[0];
    int64_t raw_ns = sample->raw_ns[1];

    memset(s, 0, sizeof(*s));
    seqlock_init(&s->lock);
    segment_set(&s->line[0], raw_ns, raw_ns + sample_offset_ns(sample), 0);
    s->line[1] = s->line[0];
    error_set(s, width_ns, RATE_MAX);
    s->rate_min = -RATE_MAX;
    s->rate_max = RATE_MAX;
    s->is_lost = width_ns > HOST_CLOCK_STEP_MIN_NS;
    add_sample(s, sample);
}

void host_clock_sampler_discard_step(HostClockSampler *s, int64_t ns)
{
    for (unsigned i = 0; i < s->n_samples; i++) {
        s->samples[i].ns[0] -= ns;
        s->samples[i].ns[1] -= ns;
    }
}

void host_clock_sampler_apply_step(HostClockSampler *s, int64_t ns)
{
    seqlock_write_begin(&s->lock);
    for (int i = 0; i < ARRAY_SIZE(s->line); i++) {
        qatomic_set_i64(&s->line[i].ns, s->line[i].ns + ns);
    }
    seqlock_write_end(&s->lock);
}
