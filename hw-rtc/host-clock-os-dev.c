/*
 * Host clocks: the operating system's clock devices, on Linux
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/monitor.h"
#include "qemu/main-loop.h"
#include "host-clock-os-dev.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

int host_clock_os_dev_open(const char *path, Error **errp)
{
    /* This sets O_CLOEXEC, and knows the sets of -add-fd. */
    int fd = qemu_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, errp);

    return fd < 0 ? -errno : fd;
}

int host_clock_os_dev_fd_param(const char *fdname, Error **errp)
{
    int fd = monitor_fd_param(monitor_cur(), fdname, errp);

    return fd < 0 ? -EBADF : fd;
}

void host_clock_os_dev_own_fd(int fd)
{
    qemu_set_cloexec(fd);
    g_unix_set_fd_nonblocking(fd, true, NULL);
}

void host_clock_os_dev_close(int fd)
{
    qemu_close(fd);
}

int host_clock_os_dev_ioctl(int fd, unsigned long request, void *arg)
{
    int ret = ioctl(fd, request, arg);

    return ret < 0 ? -errno : ret;
}

ssize_t host_clock_os_dev_read(int fd, void *buf, size_t len)
{
    ssize_t ret = RETRY_ON_EINTR(read(fd, buf, len));

    return ret < 0 ? -errno : ret;
}

void host_clock_os_dev_watch(int fd, void (*cb)(void *opaque), void *opaque)
{
    qemu_set_fd_handler(fd, cb, NULL, opaque);
}

int host_clock_os_dev_map(int fd, size_t len, const void **regs)
{
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

    *regs = map;
    return map == MAP_FAILED ? -errno : 0;
}

void host_clock_os_dev_unmap(const void *regs, size_t len)
{
    munmap((void *)regs, len);
}

uint64_t host_clock_os_dev_load64(const void *regs, size_t offset)
{
    /* volatile: a register, which is to be read now and once */
    return *(const volatile uint64_t *)(regs + offset);
}

int host_clock_os_dev_id(const char *path, int fd, HostClockOsDevId *id)
{
    struct stat st;

    if ((path ? stat(path, &st) : fstat(fd, &st)) < 0) {
        return -errno;
    }
    id->major = major(st.st_rdev);
    id->minor = minor(st.st_rdev);
    return S_ISCHR(st.st_mode) ? 0 : -ENOTTY;
}

ssize_t host_clock_os_read_file(const char *path, char *buf, size_t size)
{
    int fd = host_clock_os_dev_open(path, NULL);
    ssize_t len;

    if (fd < 0) {
        return fd;
    }
    len = host_clock_os_dev_read(fd, buf, size - 1);
    qemu_close(fd);
    buf[MAX(len, 0)] = 0;
    return len;
}
