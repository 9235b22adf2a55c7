/*
 * Host clocks: interpolation between looks at a slow source
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device that is slow to read, or that counts in seconds, is looked at now
 * and then.  In between its time is a straight line over CLOCK_MONOTONIC_RAW,
 * which nobody slews.
 *
 * A look says no more than it knows: at some instant between two readings of
 * RAW the source's time lay between two bounds.  The lines that pass through
 * the windows of all looks of the last minutes are what the source can have
 * done; the sampler takes one from their middle, and the distance to the
 * outermost is its error.  So a look that comes late, or not at all, does no
 * harm, and the error is a bound, not an estimate, as long as the rate of the
 * source changes by no more than HOST_CLOCK_WANDER_PPB within those minutes.
 *
 * The line never jumps and never goes back: what it is off by is made up for by
 * running faster or slower for a while.
 */

#ifndef HW_RTC_HOST_CLOCK_SAMPLER_H
#define HW_RTC_HOST_CLOCK_SAMPLER_H

#include "qemu/seqlock.h"

/* A crystal is some hundred ppm off, a badly calibrated RAW some thousand. */
#define HOST_CLOCK_RATE_MAX_PPB     5000000
/* The kernel bends its own clocks by no more than this. */
#define HOST_CLOCK_SLEW_MAX_PPB     500000
/* What temperature does to the rates of two crystals within the looks' time */
#define HOST_CLOCK_WANDER_PPB       1000
/* Who is further off has not drifted: it was set, stopped or reset. */
#define HOST_CLOCK_JUMP_NS          (5 * 1000 * 1000)

#define HOST_CLOCK_LOOKS            256

/**
 * HostClockLook: what one look at a source tells
 * @raw_ns: CLOCK_MONOTONIC_RAW before and after the look, in ns
 * @ns: at some instant in between, the source's time was not before the first
 *      and not after the second of these, in ns
 */
typedef struct HostClockLook {
    int64_t raw_ns[2];
    int64_t ns[2];
} HostClockLook;

/**
 * HostClockLookResult:
 * @HOST_CLOCK_LOOK_FITS: the source is where it was expected
 * @HOST_CLOCK_LOOK_UNCLEAR: it is not, and by how much is not known yet; the
 *                           line goes on as before
 * @HOST_CLOCK_LOOK_JUMPED: it has jumped; the caller must either relabel or
 *                          skip
 */
typedef enum HostClockLookResult {
    HOST_CLOCK_LOOK_FITS,
    HOST_CLOCK_LOOK_UNCLEAR,
    HOST_CLOCK_LOOK_JUMPED,
} HostClockLookResult;

/**
 * HostClockSampler: the line and the looks that it follows
 * @lock: protects the line, which any thread reads
 * @raw_ns: CLOCK_MONOTONIC_RAW where the line was last bent
 * @out_ns: what the sampler said at that moment
 * @rate_ppb: how much faster than RAW it runs, in parts per billion
 * @slew_ppb: added to @rate_ppb for @slew_ns, to make up for an error
 * @error_ns: half-width of the interval that held the true time at @raw_ns
 * @drift_ppb: by how much the true rate may differ from @rate_ppb
 * @looks: the last looks, in order; one thread only, as all that follows
 * @n_looks: how many there are
 * @is_lost: where the source is has nothing to do with where the line is
 * @rate_min: the source runs no slower against RAW than by this part
 * @rate_max: and no faster
 */
typedef struct HostClockSampler {
    QemuSeqLock lock;
    aligned_int64_t raw_ns;
    aligned_int64_t out_ns;
    aligned_int64_t rate_ppb;
    aligned_int64_t slew_ppb;
    aligned_int64_t slew_ns;
    aligned_int64_t error_ns;
    aligned_int64_t drift_ppb;

    HostClockLook looks[HOST_CLOCK_LOOKS];
    unsigned n_looks;
    bool is_lost;
    double rate_min;
    double rate_max;
} HostClockSampler;

/**
 * host_clock_sampler_start: begin
 * @s: a sampler nobody reads yet
 * @look: the first look; the line starts from its middle
 */
void host_clock_sampler_start(HostClockSampler *s, const HostClockLook *look);

/**
 * host_clock_sampler_now: what does the sampler say
 * @s: a sampler; any thread
 * @error_ns: if not NULL, half-width of the interval that holds the source's
 *            true time, in ns
 *
 * Returns: time in ns; no thread ever sees it go back
 */
int64_t host_clock_sampler_now(HostClockSampler *s, int64_t *error_ns);

/**
 * host_clock_sampler_now_raw: the same, and when that was
 * @s: a sampler; any thread
 * @raw_ns: CLOCK_MONOTONIC_RAW in ns
 * @error_ns: as above
 *
 * Returns: time in ns
 */
int64_t host_clock_sampler_now_raw(HostClockSampler *s, int64_t *raw_ns,
                                   int64_t *error_ns);

/**
 * host_clock_sampler_look: take a look into account
 * @s: a sampler; one thread at a time
 * @look: a look, later than all before
 * @jump_ns: with HOST_CLOCK_LOOK_JUMPED, by how much; negative: it went back
 *
 * Returns: how it compares with what was expected
 */
HostClockLookResult host_clock_sampler_look(HostClockSampler *s,
                                            const HostClockLook *look,
                                            int64_t *jump_ns);

/**
 * host_clock_sampler_settle: make do with what is known
 * @s: a sampler nobody reads yet, of which the last look was unclear
 *
 * The line goes to the middle of where the source can be.  What it is off by is
 * made up for when more is known.
 */
void host_clock_sampler_settle(HostClockSampler *s);

/**
 * host_clock_sampler_relabel: the source has jumped, the sampler does not
 * @s: a sampler; one thread at a time
 * @ns: from now on the caller subtracts this from what the source says
 */
void host_clock_sampler_relabel(HostClockSampler *s, int64_t ns);

/**
 * host_clock_sampler_skip: jump with the source
 * @s: a sampler; one thread at a time
 * @ns: by how much; negative only while nobody reads the sampler yet
 *
 * For a source that says that time has passed which RAW did not count.
 */
void host_clock_sampler_skip(HostClockSampler *s, int64_t ns);

/**
 * host_clock_sampler_raw_at: when will the source say @ns
 * @s: a sampler; one thread at a time
 * @ns: a time of the source's, not far from now
 *
 * Returns: CLOCK_MONOTONIC_RAW in ns
 */
int64_t host_clock_sampler_raw_at(HostClockSampler *s, int64_t ns);

/**
 * host_clock_sampler_error_ns: how well is the source's time known now
 * @s: a sampler; any thread
 *
 * Returns: half-width of the interval in ns
 */
int64_t host_clock_sampler_error_ns(HostClockSampler *s);

#endif /* HW_RTC_HOST_CLOCK_SAMPLER_H */
