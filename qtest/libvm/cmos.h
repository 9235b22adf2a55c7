/*
 * The registers of a PC's RTC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_CMOS_H
#define TESTS_QTEST_CMOS_H

#include "libqtest.h"

static inline uint8_t qtest_cmos_read(QTestState *qts, uint8_t reg)
{
    qtest_outb(qts, 0x70, reg);
    return qtest_inb(qts, 0x71);
}

static inline void qtest_cmos_write(QTestState *qts, uint8_t reg,
                                    uint8_t value)
{
    qtest_outb(qts, 0x70, reg);
    qtest_outb(qts, 0x71, value);
}

#endif
