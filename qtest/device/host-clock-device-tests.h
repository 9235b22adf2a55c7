/*
 * Tests of the host clocks that open devices: the list
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_CLOCK_DEVICE_TESTS_H
#define HOST_CLOCK_DEVICE_TESTS_H

#include "host-clock-device.h"

/* host-clock-device-open.c */
void test_not_a_device(Kind *kind);
void test_no_such_device(Kind *kind);
void test_command_line(Kind *kind);
void test_absent(Kind *kind);
void test_no_mmap(Kind *kind);
void test_eacces(Kind *kind);
void test_fd(Kind *kind);
void test_fdset(Kind *kind);
void test_getfd(Kind *kind);
void test_bad_fd(Kind *kind);
void test_released(Kind *kind);
void test_many_alarms(Kind *kind);
void test_no_comparator(Kind *kind);

/* host-clock-device-change.c */
void test_busy(Kind *kind);
void test_unbind(Kind *kind);
void test_failover(Kind *kind);
void test_set_by_other(Kind *kind);
void test_set_shared(Kind *kind);
void test_before_1970(Kind *kind);

/* host-clock-device-time.c: how well time is kept */
void test_accuracy(Kind *kind);
void test_share(Kind *kind);
void test_stopped(Kind *kind);
void test_alarm(Kind *kind);

#endif
