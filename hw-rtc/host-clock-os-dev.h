/*
 * Host clocks: the operating system's clock devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The part of the seam (see host-clock-os.h) for sources that open a device.
 * Unit tests link a simulated host in place of host-clock-os-dev.c.
 *
 * Nothing here blocks for longer than the device takes to answer.  Unless
 * stated otherwise, a function may be called from any thread.
 */

#ifndef HW_RTC_HOST_CLOCK_OS_DEV_H
#define HW_RTC_HOST_CLOCK_OS_DEV_H

/**
 * host_clock_os_dev_open: open a character device for reading
 * @path: its path, or /dev/fdset/N
 * @errp: error; it names @path and the reason
 *
 * With O_NONBLOCK and O_CLOEXEC.  Needs the BQL.
 *
 * Returns: a file descriptor, or -errno with @errp set
 */
int host_clock_os_dev_open(const char *path, Error **errp);

/**
 * host_clock_os_dev_open_fd: take over a file descriptor that QEMU was given
 * @fdname: a number, or a name that was given to the monitor's getfd
 * @errp: error; it names @fdname and the reason
 *
 * Needs the BQL.
 *
 * Returns: a file descriptor, non-blocking and close-on-exec, or -errno with
 * @errp set
 */
int host_clock_os_dev_open_fd(const char *fdname, Error **errp);

/**
 * host_clock_os_dev_close: close a file descriptor
 * @fd: what one of the above returned; not watched any more.  Needs the BQL.
 */
void host_clock_os_dev_close(int fd);

/**
 * host_clock_os_dev_ioctl: ioctl(2) with a pointer or a number
 *
 * Returns: 0 or more as the device says, or -errno
 */
int host_clock_os_dev_ioctl(int fd, unsigned long request, void *arg);

/**
 * host_clock_os_dev_read: read(2)
 *
 * Returns: number of bytes, or -errno; -EAGAIN if there is nothing to read
 */
ssize_t host_clock_os_dev_read(int fd, void *buf, size_t len);

/**
 * host_clock_os_dev_watch: be called when @fd is readable
 * @fd: a file descriptor
 * @cb: called from the main loop, with the BQL; NULL to end it
 * @opaque: passed to @cb
 *
 * Needs the BQL.
 */
void host_clock_os_dev_watch(int fd, void (*cb)(void *opaque), void *opaque);

/**
 * host_clock_os_dev_map: map a device's registers for reading
 * @fd: a file descriptor
 * @len: how many bytes
 * @regs: the mapping
 *
 * Returns: 0, or -errno
 */
int host_clock_os_dev_map(int fd, size_t len, const void **regs);

/**
 * host_clock_os_dev_unmap: undo host_clock_os_dev_map()
 */
void host_clock_os_dev_unmap(const void *regs, size_t len);

/**
 * host_clock_os_dev_load32: read a register, once
 */
uint32_t host_clock_os_dev_load32(const void *regs, size_t offset);

/**
 * host_clock_os_dev_load64: read a register, once
 *
 * A host of 32 bits reads it in halves, so that a counter has to be masked to
 * its low half there.
 */
uint64_t host_clock_os_dev_load64(const void *regs, size_t offset);

/**
 * HostClockOsDevId: which device a file stands for
 * @major: its major number
 * @minor: its minor number
 */
typedef struct HostClockOsDevId {
    unsigned major;
    unsigned minor;
} HostClockOsDevId;

/**
 * host_clock_os_dev_id: which device does a file stand for
 * @path: its path; symbolic links are followed
 * @fd: or its file descriptor, if @path is NULL
 * @id: the device
 *
 * Returns: 0, or -errno; -ENOTTY if the file is no character device
 */
int host_clock_os_dev_id(const char *path, int fd, HostClockOsDevId *id);

/**
 * host_clock_os_dev_is_driver: does the kernel's list of drivers say so
 * @id: a device
 * @driver: the name of a driver, as in /proc/devices
 *
 * Returns: true if the device's major number is that of @driver
 */
bool host_clock_os_dev_is_driver(const HostClockOsDevId *id,
                                 const char *driver);

/**
 * host_clock_os_read_file: read a small file
 * @path: its path
 * @buf: what it holds, cut off if need be, with a NUL at the end
 * @size: size of @buf
 *
 * Returns: number of bytes in @buf, or -errno
 */
ssize_t host_clock_os_read_file(const char *path, char *buf, size_t size);

#endif /* HW_RTC_HOST_CLOCK_OS_DEV_H */
