/*
 * RTC: ACPI's tables claim the ports that respond, and no second bank
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/fw_cfg.h"

#define TABLES_SIZE (16 * KiB)

static void test_ports(const void *machine)
{
    /* IO (Decode16, 0x0070, 0x0070, 0x01, length), ACPI 6.4.2.5 */
    static const uint8_t io[] = { 0x47, 0x01, 0x70, 0x00, 0x70, 0x00, 0x01 };
    /* The DSDT is at the beginning of the tables, the RTC in its first part. */
    g_autofree uint8_t *tables = g_malloc0(TABLES_SIZE);
    QTestState *s = qtest_initf("-machine %s", (const char *)machine);
    QFWCFG *fw_cfg = pc_fw_cfg_init(s);
    const uint8_t *found;

    qfw_cfg_get_file(fw_cfg, "etc/acpi/tables", tables, TABLES_SIZE);
    found = memmem(tables, TABLES_SIZE - 1, io, sizeof(io));
    g_assert_nonnull(found);
    g_assert_cmpint(found[sizeof(io)], ==, 2);
    pc_fw_cfg_uninit(fw_cfg);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("rtc/ports/pc", "pc", test_ports);
    qtest_add_data_func("rtc/ports/q35", "q35", test_ports);
    qtest_add_data_func("rtc/ports/microvm", "microvm,rtc=on", test_ports);
    return g_test_run();
}
