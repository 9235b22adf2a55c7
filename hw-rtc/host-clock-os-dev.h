/*
 * Host clocks: the operating system's clock devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The part of the seam (see host-clock-os.h) for sources that open a device.
 * Nothing here blocks for longer than the device takes to answer.  Needs the
 * BQL.  What returns an int or ssize_t returns -errno if it fails.
 */

#ifndef HW_RTC_HOST_CLOCK_OS_DEV_H
#define HW_RTC_HOST_CLOCK_OS_DEV_H

/* Open @path, or /dev/fdset/N, for reading: non-blocking and close-on-exec */
int host_clock_os_dev_open(const char *path, Error **errp);

/*
 * The descriptor that @fdname means, a number or a name that was given to the
 * monitor's getfd.  It is not touched, and remains its owner's; one with a name
 * has none any more.
 */
int host_clock_os_dev_fd_param(const char *fdname, Error **errp);

/* Make a descriptor ours, non-blocking and close-on-exec; close one of ours */
void host_clock_os_dev_own_fd(int fd);
void host_clock_os_dev_close(int fd);

/* ioctl(2) with a pointer or a number, read(2) */
int host_clock_os_dev_ioctl(int fd, unsigned long request, void *arg);
ssize_t host_clock_os_dev_read(int fd, void *buf, size_t len);
/* Have @cb called from the main loop when @fd is readable; NULL ends it */
void host_clock_os_dev_watch(int fd, void (*cb)(void *opaque), void *opaque);

/* Map a device's registers, and read one; on a host of 32 bits in halves */
int host_clock_os_dev_map(int fd, size_t len, const void **regs);
void host_clock_os_dev_unmap(const void *regs, size_t len);
uint64_t host_clock_os_dev_load64(const void *regs, size_t offset);

typedef struct HostClockOsDevId {
    unsigned major;
    unsigned minor;
} HostClockOsDevId;

/* The device of @path, or if that is NULL of @fd; -ENOTTY if it is none */
int host_clock_os_dev_id(const char *path, int fd, HostClockOsDevId *id);

/* Read a small file, cut off if need be; returns: its length before the NUL */
ssize_t host_clock_os_read_file(const char *path, char *buf, size_t size);

#endif /* HW_RTC_HOST_CLOCK_OS_DEV_H */
