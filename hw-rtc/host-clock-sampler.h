/*
 * Host clocks: interpolation between samples of a slow source
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device that is slow to read, or that counts in seconds, is sampled now and
 * then.  In between its time is a straight line over CLOCK_MONOTONIC_RAW, which
 * nothing slews.
 *
 * A sample says no more than it knows: at some instant between two readings of
 * RAW the source's time lay between two bounds.  The lines that pass through
 * the windows of all samples of the last minutes are what the source can have
 * done, the feasible set.  The sampler takes one from its middle, and the
 * distance to the outermost is its error: a bound, not an estimate, as long as
 * the rate of the source changes by no more than HOST_CLOCK_RATE_CHANGE_PPB
 * within those minutes.
 *
 * The line never jumps or goes back: what it is off by is made up for slowly.
 */

#ifndef HW_RTC_HOST_CLOCK_SAMPLER_H
#define HW_RTC_HOST_CLOCK_SAMPLER_H

#include "qemu/seqlock.h"

/* A crystal is some hundred ppm off, a badly calibrated RAW some thousand. */
#define HOST_CLOCK_RATE_MAX_PPB     5000000
/* The kernel slews its own clocks by no more than this. */
#define HOST_CLOCK_SLEW_MAX_PPB     500000
/* What temperature does to the rates of two crystals within some minutes */
#define HOST_CLOCK_RATE_CHANGE_PPB  1000
/* Who is further off has not drifted: it was set, stopped or reset. */
#define HOST_CLOCK_STEP_MIN_NS      (5 * 1000 * 1000)

#define HOST_CLOCK_SAMPLES          256
#define HOST_CLOCK_RATE_SHIFT       40

/* What one reading of a source tells, in ns */
typedef struct HostClockSample {
    /* CLOCK_MONOTONIC_RAW before and after the reading */
    int64_t raw_ns[2];
    /* At some instant in between, the source's time was between these two. */
    int64_t ns[2];
} HostClockSample;

typedef enum HostClockSampleResult {
    /* The source is where it was expected. */
    HOST_CLOCK_SAMPLE_CONSISTENT,
    /* By how much it is not is not known yet; the line goes on as before. */
    HOST_CLOCK_SAMPLE_AMBIGUOUS,
    /* It has stepped; the caller must either discard or apply the step. */
    HOST_CLOCK_SAMPLE_STEPPED,
} HostClockSampleResult;

/* From @raw_ns on, where it is @ns, a line of slope @rate / 2^RATE_SHIFT */
typedef struct HostClockSegment {
    aligned_int64_t raw_ns;
    aligned_int64_t ns;
    aligned_int64_t rate;
} HostClockSegment;

typedef struct HostClockSampler {
    /* Protects the line, which any thread reads */
    QemuSeqLock lock;
    /* Where it makes up for an error, and from then on */
    HostClockSegment line[2];
    /* Error where it begins, and how fast it grows, in units as above */
    aligned_int64_t error_ns;
    aligned_int64_t error_rate;

    /* The latest samples, in order.  One thread only, as all that follows */
    HostClockSample samples[HOST_CLOCK_SAMPLES];
    unsigned n_samples;
    /* Where the source is has nothing to do with where the line is. */
    bool is_lost;
    /* By which part the source is faster than RAW, how well that is known */
    double rate;
    double drift;
    /* and what it can be at all */
    double rate_min;
    double rate_max;
} HostClockSampler;

/*
 * Any thread reads the sampler, and never sees its time go back; one thread
 * calls the rest.  The error is the half-width of the interval that holds the
 * source's true time.
 */
int64_t host_clock_sampler_now(HostClockSampler *s);
int64_t host_clock_sampler_now_error(HostClockSampler *s, int64_t *error_ns);

/* Begin in the middle of the first sample */
void host_clock_sampler_start(HostClockSampler *s,
                              const HostClockSample *sample);

/*
 * Take into account a sample later than all before.  @known_ns is how well the
 * source has to be known after a step; with HOST_CLOCK_SAMPLE_STEPPED, @step_ns
 * is by how much; negative: back.
 */
HostClockSampleResult host_clock_sampler_add(HostClockSampler *s,
                                             const HostClockSample *sample,
                                             int64_t known_ns,
                                             int64_t *step_ns);

/* The line does not step: the caller subtracts @ns from what the source says */
void host_clock_sampler_discard_step(HostClockSampler *s, int64_t ns);

/* @ns have passed that RAW did not count; negative only before any reading */
void host_clock_sampler_apply_step(HostClockSampler *s, int64_t ns);

/* CLOCK_MONOTONIC_RAW when the source will say @ns */
int64_t host_clock_sampler_raw_at(HostClockSampler *s, int64_t ns);

#endif /* HW_RTC_HOST_CLOCK_SAMPLER_H */
