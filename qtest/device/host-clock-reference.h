/*
 * The host's own HPET and RTC, read by the test itself, as what host clocks are
 * to be compared with; and what only a machine that is there for tests allows
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_CLOCK_REFERENCE_H
#define HOST_CLOCK_REFERENCE_H

#include "host-clock-util.h"

#define HPET_DEVICE     "/dev/hpet"
#define RTC_DEVICE      "/dev/rtc0"

/**
 * reference_crystal_ppm: how far a source and CLOCK_MONOTONIC may be apart
 * @source: name of the source
 *
 * Each has a crystal of its own, and the kernel slews CLOCK_MONOTONIC.  In the
 * lab there is one crystal and nobody slews, so the difference is all error.
 */
int reference_crystal_ppm(const char *source);

/* Whether a device can be opened and mapped now */
bool reference_can_map(const char *device);

#define HPET_COMPARATORS    32

/**
 * reference_occupy: open the HPET until it is busy; each takes a comparator
 * @fds: HPET_COMPARATORS descriptors, to be closed
 *
 * Returns: how many there were
 */
int reference_occupy(const char *device, int *fds);

/**
 * reference_rtc_edge: wait for the RTC to begin a new second
 * @utc_s: the UTC of that second by the RTC's calendar
 * @edge: when it began, on CLOCK_MONOTONIC
 *
 * Reads sysfs, so others may hold the device.
 *
 * Returns: false, with the test failed, if it does not within some seconds
 */
bool reference_rtc_edge(int64_t *utc_s, Span *edge);

/* The RTC's calendar now, taken as UTC, or -1 */
int64_t reference_rtc_calendar(void);

/**
 * reference_rtc_set: set the RTC
 * @fd: of its device
 * @calendar_s: the date, as seconds since 1970, or before
 *
 * Returns: 0 or -errno
 */
int reference_rtc_set(int fd, int64_t calendar_s);

/**
 * reference_rtc_driver: the driver's folder in sysfs, with 'bind' and 'unbind'
 * @device: the device's name there, to be freed
 *
 * Returns: the folder, to be freed, or NULL
 */
char *reference_rtc_driver(char **device);

/* Make @path lead to the RTC of a device, if it is not it itself. */
void reference_rtc_link(const char *driver, const char *device,
                        const char *path);

/* Write a word to a file in sysfs. */
bool reference_write(const char *folder, const char *name, const char *word);

/**
 * reference_skip_unless_lab: keep away from the clocks of a real machine
 * @what: what the test would do
 *
 * Returns: whether the test is skipped
 */
bool reference_skip_unless_lab(const char *what);

#endif
