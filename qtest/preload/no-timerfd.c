/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LD_PRELOAD library: a host without timerfd, which is every host but Linux
 * and FreeBSD.
 */

#include <errno.h>
#include <sys/timerfd.h>

int timerfd_create(int id, int flags)
{
    (void)id;
    (void)flags;
    errno = ENOSYS;
    return -1;
}
