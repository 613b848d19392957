/* SPDX-License-Identifier: Apache-2.0 */
/* microvm: the event device, empty virtio windows, and parts that can be left out. */
#include <glib/gstdio.h>
#include <unistd.h>

#include "tests/qtest/libqtest.h"

#define GED_EVENT 0xfea00000u
#define GED_REGS 0xfea00200u
#define GED_GSI 9
#define VIRTIO_BASE 0xfeb00000u
#define VIRTIO_STRIDE 0x200

static void test_power_button(void)
{
    QTest *qts = qtest_start("-M microvm -nodefaults");

    qtest_irq_intercept_in(qts, "ioapic");
    g_assert_cmphex(qtest_readl(qts, GED_EVENT), ==, 0);
    json_object_put(qtest_qmp(qts, "{'execute': 'system_powerdown'}"));
    json_object_put(qtest_qmp_event(qts, "POWERDOWN"));
    g_assert_cmpuint(qtest_irq_rises(qts, GED_GSI), ==, 1);
    g_assert_cmphex(qtest_readl(qts, GED_EVENT), ==, 1);
    g_assert_cmphex(qtest_readl(qts, GED_EVENT), ==, 0); /* reading cleared it */
    qtest_stop(qts);
}

static void test_soft_off(void)
{
    QTest *qts = qtest_start("-M microvm -nodefaults");

    qtest_writeb(qts, GED_REGS, 5 << 2);        /* no SLP_EN */
    qtest_writeb(qts, GED_REGS, 0x20 | 3 << 2); /* not S5 */
    g_assert_false(qtest_qmp_has_event(qts, "SHUTDOWN"));
    qtest_writeb(qts, GED_REGS, 0x20 | 5 << 2);
    json_object_put(qtest_qmp_event(qts, "SHUTDOWN"));
    g_assert_cmpint(qtest_wait_exit(qts), ==, 0);
}

static void test_reset(void)
{
    QTest *qts = qtest_start("-M microvm -nodefaults");

    qtest_writeb(qts, GED_REGS + 2, 0x41);
    g_assert_false(qtest_qmp_has_event(qts, "RESET"));
    qtest_writeb(qts, GED_REGS + 2, 0x42);
    json_object_put(qtest_qmp_event(qts, "RESET"));
    qtest_stop(qts);
}

static void test_empty_windows(void)
{
    QTest *qts = qtest_start("-M microvm -nodefaults");

    for (unsigned i = 0; i < 8; i++) {
        uint64_t base = VIRTIO_BASE + i * VIRTIO_STRIDE;

        g_assert_cmphex(qtest_readl(qts, base), ==, 0x74726976);
        g_assert_cmphex(qtest_readl(qts, base + 8), ==, 0); /* no device */
        for (unsigned at = 0; at < VIRTIO_STRIDE; at += 4) {
            qtest_writel(qts, base + at, 0xffffffff);
        }
        g_assert_cmphex(qtest_readl(qts, base + 0x70), ==, 0);
    }
    g_assert_cmphex(qtest_readl(qts, VIRTIO_BASE + 8 * VIRTIO_STRIDE), ==, 0xffffffff);
    qtest_stop(qts);
}

/* dumpdtb at run time, and a machine that has no device tree. */
static void test_dumpdtb(void)
{
    g_autofree char *file = g_build_filename(g_get_tmp_dir(), "vireo-dumpdtb-XXXXXX", NULL);
    int fd = g_mkstemp(file);
    QTest *qts = qtest_start("-M microvm -nodefaults");
    QTest *pc = qtest_start("-M pc -nodefaults");
    g_autofree char *tree = NULL, *refusal = NULL, *said = NULL;
    g_autofree char *command = g_strdup_printf("dumpdtb %s", file);
    gsize size;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    json_object_put(qtest_qmp(qts, "{'execute': 'dumpdtb', 'arguments': {'filename': '%s'}}",
                              file));
    g_assert_true(g_file_get_contents(file, &tree, &size, NULL));
    g_assert_cmpmem(tree, 4, "\xd0\x0d\xfe\xed", 4);
    g_unlink(file);
    said = qtest_hmp(qts, command);
    g_assert_cmpstr(said, ==, "");
    g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
    g_unlink(file);
    refusal = qtest_qmp_error(pc, "{'execute': 'dumpdtb', 'arguments': {'filename': '%s'}}", file);
    g_assert_nonnull(strstr(refusal, "no device tree"));
    g_assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
    qtest_stop(qts);
    qtest_stop(pc);
}

static void test_parts(void)
{
    QTest *qts = qtest_start("-M microvm,rtc=off,pit=off,pic=off,isa-serial=off,acpi=off "
                             "-nodefaults");

    g_assert_cmphex(qtest_inb(qts, 0x71), ==, 0xff);
    g_assert_cmphex(qtest_inb(qts, 0x40), ==, 0xff);
    g_assert_cmphex(qtest_inb(qts, 0x21), ==, 0xff);
    g_assert_cmphex(qtest_readl(qts, GED_EVENT), ==, 0xffffffff);
    g_assert_cmphex(qtest_inl(qts, 0xcf8), ==, 0xffffffff); /* no PCI */
    qtest_stop(qts);
    qts = qtest_start("-M microvm -nodefaults");
    g_assert_cmphex(qtest_inb(qts, 0x21), ==, 0xff); /* masked: no firmware will program it */
    g_assert_cmphex(qtest_inb(qts, 0x71), !=, 0xff);
    qtest_stop(qts);
}

static void test_refusals(void)
{
    g_autofree char *pci = qtest_start_refused("-M microvm -device pci-serial");
    g_autofree char *property = qtest_start_refused("-M microvm,rct=on");

    g_assert_nonnull(strstr(pci, "needs a PCI bus"));
    g_assert_nonnull(strstr(property, "rtc"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/microvm/power-button", test_power_button);
    g_test_add_func("/microvm/soft-off", test_soft_off);
    g_test_add_func("/microvm/reset", test_reset);
    g_test_add_func("/microvm/empty-windows", test_empty_windows);
    g_test_add_func("/microvm/parts", test_parts);
    g_test_add_func("/microvm/refusals", test_refusals);
    g_test_add_func("/microvm/dumpdtb", test_dumpdtb);
    return g_test_run();
}
