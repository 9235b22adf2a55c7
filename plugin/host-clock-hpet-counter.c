/*
 * Host clock "hpet": the main counter
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See the IA-PC HPET specification 1.0a, section 2.3: General Capabilities and
 * ID Register (2.3.4), Main Counter Register (2.3.7).
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/timer.h"
#include "host-clock-os.h"
#include "host-clock-os-dev.h"
#include "host-clock-hpet-counter.h"

#include <sys/ioctl.h>
#include <linux/hpet.h>

#define REG_CAPABILITIES    0x00
#define REG_COUNTER         0xf0
#define CAP_COUNTER_64      (1 << 13)
#define PERIOD_MIN_FS       100000
#define PERIOD_MAX_FS       100000000
#define FS_PER_NS           1000000

/* A look that was interrupted is taken again. */
#define LOOK_TRIES          5
#define LOOK_GOOD_NS        5000

static int64_t now_raw(void)
{
    return host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
}

static uint64_t counter_load(const HpetCounter *c)
{
    return c->is_64 ? host_clock_os_dev_load64(c->regs, REG_COUNTER) :
                      host_clock_os_dev_load32(c->regs, REG_COUNTER);
}

static int64_t tick_ns(const HpetCounter *c)
{
    return c->period_fs / FS_PER_NS + 1;
}

/*
 * RAW tells how often a counter of 32 bits has wrapped since the base, so that
 * nobody has to look in time.
 */
static int64_t count_to_ns(const HpetCounter *c, uint64_t count, int64_t raw_ns)
{
    int64_t ticks = count - c->base_count;

    if (!c->is_64) {
        int64_t expected = muldiv64(MAX(raw_ns - c->base_raw_ns, 0), FS_PER_NS,
                                    c->period_fs);

        ticks = (uint32_t)ticks;
        ticks += ROUND_DOWN(MAX(expected - ticks, 0) + INT32_MAX, 1LL << 32);
    }
    if (ticks < 0) {
        return c->base_ns - (int64_t)muldiv64(-ticks, c->period_fs, FS_PER_NS);
    }
    return c->base_ns + muldiv64(ticks, c->period_fs, FS_PER_NS);
}

uint64_t hpet_counter_look(HpetCounter *c, HostClockLook *look)
{
    int64_t best_ns = INT64_MAX;
    /* The first access to a new mapping takes longer than the rest. */
    uint64_t count = counter_load(c);

    for (int i = 0; i < LOOK_TRIES && best_ns > LOOK_GOOD_NS; i++) {
        int64_t before_ns = now_raw();
        uint64_t now = counter_load(c);
        int64_t after_ns = now_raw();

        if (after_ns - before_ns < best_ns) {
            best_ns = after_ns - before_ns;
            count = now;
            look->raw_ns[0] = before_ns;
            look->raw_ns[1] = after_ns;
        }
    }
    look->ns[0] = count_to_ns(c, count, look->raw_ns[0]);
    look->ns[1] = look->ns[0] + tick_ns(c);
    return count;
}

void hpet_counter_rebase(HpetCounter *c, uint64_t count, int64_t ns,
                         int64_t raw_ns)
{
    seqlock_write_begin(&c->lock);
    c->base_count = count;
    c->base_ns = ns;
    c->base_raw_ns = raw_ns;
    seqlock_write_end(&c->lock);
}

int64_t hpet_counter_read(HpetCounter *c, int64_t *error_ns)
{
    int64_t before_ns, ns;
    unsigned seq;

    do {
        seq = seqlock_read_begin(&c->lock);
        before_ns = now_raw();
        ns = count_to_ns(c, counter_load(c), before_ns);
    } while (seqlock_read_retry(&c->lock, seq));

    *error_ns = now_raw() - before_ns + tick_ns(c);
    return ns;
}

int hpet_counter_map(HpetCounter *c, int fd, const char *name, Error **errp)
{
    struct hpet_info info;
    int ret = host_clock_os_dev_ioctl(fd, HPET_INFO, &info);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s is not an HPET", name);
        return ret;
    }
    c->regs_len = qemu_real_host_page_size();
    ret = host_clock_os_dev_map(fd, c->regs_len, &c->regs);
    if (ret == -EACCES || ret == -ENOSYS) {
        error_setg(errp, "the kernel does not let %s be mapped: hpet_mmap=1 on "
                   "its command line would allow it", name);
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot map %s", name);
    }
    return ret;
}

void hpet_counter_unmap(HpetCounter *c)
{
    if (c->regs) {
        host_clock_os_dev_unmap(c->regs, c->regs_len);
        c->regs = NULL;
    }
}

bool hpet_counter_start(HpetCounter *c, const char *name, Error **errp)
{
    uint64_t count;

    c->period_fs = host_clock_os_dev_load32(c->regs, REG_CAPABILITIES + 4);
    c->is_64 = sizeof(void *) == 8 &&
               (host_clock_os_dev_load32(c->regs, REG_CAPABILITIES) &
                CAP_COUNTER_64);
    if (c->period_fs < PERIOD_MIN_FS || c->period_fs > PERIOD_MAX_FS) {
        error_setg(errp, "%s is not an HPET: its period is %" PRIu32 " fs, not "
                   "%d to %d", name, c->period_fs, PERIOD_MIN_FS,
                   PERIOD_MAX_FS);
        return false;
    }
    count = counter_load(c);
    host_clock_os_sleep_ns(SCALE_MS);
    if (counter_load(c) == count) {
        error_setg(errp, "the counter of %s stands still", name);
        return false;
    }
    seqlock_init(&c->lock);
    hpet_counter_rebase(c, counter_load(c), 0, now_raw());
    return true;
}
