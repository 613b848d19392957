/* SPDX-License-Identifier: Apache-2.0 */
/* Standard VGA on machines: where it answers, and that reset and odd properties are well. */
#include "tests/qtest/pc-ports.h"

static uint8_t find_vga(QTest *qts)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        if (qtest_pci_read(qts, 0, slot << 3, 0, 4) == 0x11111234) {
            return slot << 3;
        }
    }
    g_assert_not_reached();
}

static uint16_t dispi(QTest *qts, uint16_t index)
{
    qtest_outw(qts, 0x1ce, index);
    return qtest_inw(qts, 0x1cf);
}

static void test_pci(void)
{
    QTest *qts = qtest_start("-M pc -device VGA,vgamem_mb=32");
    uint8_t devfn = find_vga(qts);

    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0x0a, 2), ==, 0x0300);
    qtest_pci_write(qts, 0, devfn, 0x10, 4, 0xe0000000);
    qtest_pci_write(qts, 0, devfn, 0x18, 4, 0xf0000000);
    qtest_pci_write(qts, 0, devfn, 0x04, 2, 0x03);
    g_assert_cmphex(dispi(qts, 0), ==, 0xb0c5);
    g_assert_cmphex(dispi(qts, 10), ==, 512);
    g_assert_cmphex(qtest_readw(qts, 0xf0000500), ==, 0xb0c5);
    qtest_writel(qts, 0xe1fffffc, 0x12345678);
    g_assert_cmphex(qtest_readl(qts, 0xe1fffffc), ==, 0x12345678);
    /* Text through the legacy window lands in the first two planes. */
    qtest_outb(qts, 0x3c2, 0x67);
    qtest_outw(qts, 0x3c4, 0x0302);
    qtest_outw(qts, 0x3c4, 0x0204);
    qtest_outw(qts, 0x3ce, 0x1005);
    qtest_outw(qts, 0x3ce, 0x0e06);
    qtest_writew(qts, 0xb8000, 0x0741);
    g_assert_cmphex(qtest_readw(qts, 0xe0000000), ==, 0x0741);
    /* Registers fall back at reset. */
    json_object_put(qtest_qmp(qts, "{\"execute\": \"system_reset\"}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_inb(qts, 0x3cc), ==, 0);
    qtest_stop(qts);
}

static void test_properties(void)
{
    QTest *qts = qtest_start("-M pc -device VGA,vgamem_mb=3,edid=off,mmio=on,xres=1024");
    uint8_t devfn = find_vga(qts);

    g_assert_cmphex(dispi(qts, 10), ==, 64); /* the next power of two */
    qtest_pci_write(qts, 0, devfn, 0x18, 4, 0xf0000000);
    qtest_pci_write(qts, 0, devfn, 0x04, 2, 0x02);
    g_assert_cmphex(qtest_readl(qts, 0xf0000000), ==, 0);
    qtest_stop(qts);
    qts = qtest_start("-M pc -device secondary-vga");
    devfn = find_vga(qts);
    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0x0a, 2), ==, 0x0380);
    g_assert_cmphex(qtest_inb(qts, 0x3cc), ==, 0xff);
    qtest_pci_write(qts, 0, devfn, 0x18, 4, 0xf0000000);
    qtest_pci_write(qts, 0, devfn, 0x04, 2, 0x02);
    g_assert_cmphex(qtest_readl(qts, 0xf0000000), ==, 0xffffff00);
    qtest_stop(qts);
}

static void test_isa(void)
{
    QTest *qts = qtest_start("-M pc -device isa-vga");

    g_assert_cmphex(dispi(qts, 0), ==, 0xb0c5);
    g_assert_cmphex(dispi(qts, 10), ==, 128);
    qtest_writel(qts, 0xe0000000, 0xcafef00d);
    g_assert_cmphex(qtest_readl(qts, 0xe0000000), ==, 0xcafef00d);
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vga/pci", test_pci);
    g_test_add_func("/vga/properties", test_properties);
    g_test_add_func("/vga/isa", test_isa);
    return g_test_run();
}
