/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The i440FX host bridge: configuration mechanism 1, PAM, and the PCI core's rules seen through
 * it.
 */
#include "tests/qtest/libqtest.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define HOST_DEVFN 0
#define PAM0 0x59
#define RAM_PROBE 0x5a5a1234u

static void test_identity(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, 0x00, 4), ==, 0x12378086);
    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, 0x08, 4), ==, 0x06000002);
    g_assert_cmphex(qtest_pci_read(qts, 0, 1 << 3, 0x00, 4), ==, 0x70008086);
    g_assert_cmphex(qtest_pci_read(qts, 0, 1 << 3 | 3, 0x00, 4), ==, 0x71138086);
    /* Function 0 of a device with several says so. */
    g_assert_cmphex(qtest_pci_read(qts, 0, 1 << 3, 0x0e, 1), ==, 0x80);
    qtest_stop(qts);
}

static void test_absent(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    g_assert_cmphex(qtest_pci_read(qts, 0, 31 << 3, 0x00, 4), ==, 0xffffffff);
    g_assert_cmphex(qtest_pci_read(qts, 7, HOST_DEVFN, 0x00, 4), ==, 0xffffffff);
    qtest_pci_write(qts, 7, HOST_DEVFN, 0x04, 4, 0xffffffff); /* goes nowhere */
    /* The enable bit is what makes the data port a configuration port. */
    qtest_outl(qts, CONFIG_ADDRESS, 0);
    g_assert_cmphex(qtest_inl(qts, CONFIG_DATA), ==, 0xffffffff);
    /* Reserved bits of the address register do not stick. */
    qtest_outl(qts, CONFIG_ADDRESS, 0xffffffff);
    g_assert_cmphex(qtest_inl(qts, CONFIG_ADDRESS), ==, 0x80fffffc);
    qtest_stop(qts);
}

static void test_widths(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, 0x02, 2), ==, 0x1237);
    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, 0x01, 1), ==, 0x80);
    qtest_pci_write(qts, 0, HOST_DEVFN, 0x3c, 1, 0xab); /* interrupt line: plain storage */
    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, 0x3c, 1), ==, 0xab);
    qtest_pci_write(qts, 0, HOST_DEVFN, 0x00, 4, 0); /* identity is read-only */
    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, 0x00, 4), ==, 0x12378086);
    /* An access that is not a dword at CONFIG_ADDRESS is not the mechanism's. */
    qtest_outl(qts, CONFIG_ADDRESS, 0x80000000);
    qtest_outb(qts, CONFIG_ADDRESS, 0x44);
    g_assert_cmphex(qtest_inl(qts, CONFIG_ADDRESS), ==, 0x80000000);
    qtest_stop(qts);
}

/* The register and shift of a piece: 0 is 0xF0000 (64 KiB), then 16 KiB pieces from 0xC0000. */
static void set_piece(QTest *qts, unsigned piece, unsigned mode)
{
    unsigned at = piece == 0 ? PAM0 : PAM0 + 1 + (piece - 1) / 2;
    unsigned shift = piece == 0 || (piece - 1) % 2 ? 4 : 0;
    uint32_t value = qtest_pci_read(qts, 0, HOST_DEVFN, at, 1);

    qtest_pci_write(qts, 0, HOST_DEVFN, at, 1, (value & ~(3u << shift)) | mode << shift);
}

static uint64_t piece_base(unsigned piece)
{
    return piece == 0 ? 0xf0000 : 0xc0000 + (piece - 1) * 0x4000;
}

static void check_piece(QTest *qts, unsigned piece)
{
    uint64_t addr = piece_base(piece) + 0x100;
    uint32_t behind = qtest_readl(qts, addr);

    qtest_writel(qts, addr, RAM_PROBE); /* PAM off: PCI's, and nothing there takes writes */
    g_assert_cmphex(qtest_readl(qts, addr), ==, behind);
    set_piece(qts, piece, 3); /* RAM */
    qtest_writel(qts, addr, RAM_PROBE + piece);
    g_assert_cmphex(qtest_readl(qts, addr), ==, RAM_PROBE + piece);
    set_piece(qts, piece, 1); /* read-only RAM */
    qtest_writel(qts, addr, 0);
    g_assert_cmphex(qtest_readl(qts, addr), ==, RAM_PROBE + piece);
    set_piece(qts, piece, 0);
    g_assert_cmphex(qtest_readl(qts, addr), ==, behind);
    set_piece(qts, piece, 3); /* what was written is still in RAM */
    g_assert_cmphex(qtest_readl(qts, addr), ==, RAM_PROBE + piece);
    set_piece(qts, piece, 0);
}

static void test_pam(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    for (unsigned piece = 0; piece < 13; piece++) {
        check_piece(qts, piece);
    }
    /* Bits that the register does not have read as zero. */
    qtest_pci_write(qts, 0, HOST_DEVFN, PAM0, 1, 0xff);
    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, PAM0, 1), ==, 0x30);
    qtest_stop(qts);
}

static void test_pam_reset(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    set_piece(qts, 0, 3);
    qtest_writel(qts, 0xfff00, RAM_PROBE);
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, PAM0, 1), ==, 0);
    g_assert_cmphex(qtest_readl(qts, 0xfff00), !=, RAM_PROBE);
    qtest_stop(qts);
}

#define SMRAM 0x72
#define SMRAM_ADDR 0xa0100

static uint8_t write_smram(QTest *qts, uint8_t value)
{
    qtest_pci_write(qts, 0, HOST_DEVFN, SMRAM, 1, value);
    return qtest_pci_read(qts, 0, HOST_DEVFN, SMRAM, 1);
}

/* Does the flat view of CPUs in SMM have RAM at 0xA0000? */
static bool smm_sees_smram(QTest *qts)
{
    g_autofree char *views = qtest_hmp(qts, "info mtree -f");
    const char *view = strstr(views, "AS \"SMM\"");
    const char *next = view ? strstr(view, "FlatView") : NULL;
    g_autofree char *own = next ? g_strndup(view, next - view) : g_strdup(view);

    return own && strstr(own, "0000000000000000-00000000000bffff (prio 0, ram)");
}

static bool ram_is_open(QTest *qts)
{
    qtest_writel(qts, SMRAM_ADDR, RAM_PROBE);
    return qtest_readl(qts, SMRAM_ADDR) == RAM_PROBE;
}

static void test_smram(void)
{
    QTest *qts = qtest_start("-M pc,smm=on -nodefaults");

    g_assert_cmphex(qtest_pci_read(qts, 0, HOST_DEVFN, SMRAM, 1), ==, 0x02);
    g_assert_false(ram_is_open(qts));
    g_assert_false(smm_sees_smram(qts));
    g_assert_cmphex(write_smram(qts, 0x4a), ==, 0x4a); /* open, as firmware fills it */
    g_assert_true(ram_is_open(qts));
    g_assert_cmphex(write_smram(qts, 0x08), ==, 0x0a); /* C_BASE_SEG is fixed; closed */
    g_assert_cmphex(qtest_readl(qts, SMRAM_ADDR), !=, RAM_PROBE);
    g_assert_cmphex(write_smram(qts, 0xff), ==, 0x3a); /* D_LCK closes and stays */
    g_assert_false(ram_is_open(qts));
    g_assert_cmphex(write_smram(qts, 0x40), ==, 0x12);
    g_assert_false(ram_is_open(qts));
    g_assert_cmphex(write_smram(qts, 0x4a), ==, 0x1a); /* G_SMRAME and D_CLS still change */
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(write_smram(qts, 0x40), ==, 0x42); /* a reset unlocks */
    g_assert_cmphex(qtest_readl(qts, SMRAM_ADDR), ==, RAM_PROBE); /* and memory keeps */
    qtest_stop(qts);
}

/* What CPUs in SMM see. */
static void test_smm_view(void)
{
    QTest *qts = qtest_start("-M pc,smm=on -vga std");
    QTest *without = qtest_start("-M pc,smm=off -nodefaults");
    g_autofree char *views = qtest_hmp(without, "info mtree -f");

    write_smram(qts, 0x0a);
    g_assert_true(smm_sees_smram(qts));
    g_assert_false(ram_is_open(qts));
    write_smram(qts, 0x02);
    g_assert_false(smm_sees_smram(qts));
    qtest_stop(qts);
    g_assert_null(strstr(views, "SMM"));
    g_assert_cmphex(write_smram(without, 0x4a), ==, 0x4a); /* the register is there all the same */
    g_assert_true(ram_is_open(without));
    qtest_stop(without);
}

/* A write to the APM port makes an SMI where PIIX4 is told so, and the machine has SMM. */
static void test_smi(void)
{
    const uint8_t pm_devfn = 1 << 3 | 3;
    QTest *qts = qtest_start("-M pc,smm=on -nodefaults");

    qtest_irq_intercept_out(qts, "piix4-pm", "smi");
    g_assert_cmphex(qtest_pci_read(qts, 0, pm_devfn, 0x5b, 1), ==, 0);
    qtest_outb(qts, 0xb2, 0x55);
    g_assert_cmpuint(qtest_irq_rises(qts, 0), ==, 0);
    qtest_pci_write(qts, 0, pm_devfn, 0x5b, 1, 0x02);
    qtest_outb(qts, 0xb2, 0x55);
    g_assert_cmpuint(qtest_irq_rises(qts, 0), ==, 1);
    qtest_stop(qts);
}

/* The firmware stands at the end of 4 GiB and, its last 128 KiB, below 1 MiB. */
static void test_firmware(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    g_assert_cmphex(qtest_readb(qts, 0xffff0), ==, 0xea); /* far jump at the reset vector */
    g_assert_cmphex(qtest_readb(qts, 0xfffffff0), ==, 0xea);
    qtest_writeb(qts, 0xfffffff0, 0); /* ROM */
    g_assert_cmphex(qtest_readb(qts, 0xfffffff0), ==, 0xea);
    qtest_stop(qts);
}

#define VGA_DEVFN (2 << 3)

/* Sizing, decoding and moving of a BAR, by the VGA's frame buffer. */
static void test_bar(void)
{
    QTest *qts = qtest_start("-M pc -vga std");
    uint32_t bar;

    g_assert_cmphex(qtest_pci_read(qts, 0, VGA_DEVFN, 0x00, 4), ==, 0x11111234);
    qtest_pci_write(qts, 0, VGA_DEVFN, 0x10, 4, 0xffffffff);
    bar = qtest_pci_read(qts, 0, VGA_DEVFN, 0x10, 4);
    g_assert_cmphex(bar & 0xfffffff0, ==, 0xff000000); /* 16 MiB */
    qtest_pci_write(qts, 0, VGA_DEVFN, 0x10, 4, 0xe0000000);
    g_assert_cmphex(qtest_readl(qts, 0xe0000000), ==, 0xffffffff); /* decoding is off */
    qtest_pci_write(qts, 0, VGA_DEVFN, 0x04, 2, 0x2);
    qtest_writel(qts, 0xe0000010, RAM_PROBE);
    g_assert_cmphex(qtest_readl(qts, 0xe0000010), ==, RAM_PROBE);
    qtest_pci_write(qts, 0, VGA_DEVFN, 0x10, 4, 0xe8000000); /* move it */
    g_assert_cmphex(qtest_readl(qts, 0xe0000010), ==, 0xffffffff);
    g_assert_cmphex(qtest_readl(qts, 0xe8000010), ==, RAM_PROBE);
    qtest_pci_write(qts, 0, VGA_DEVFN, 0x10, 4, 0); /* zero is not a place: RAM stays there */
    qtest_writel(qts, 0x10, 1);
    g_assert_cmphex(qtest_readl(qts, 0x10), ==, 1);
    qtest_pci_write(qts, 0, VGA_DEVFN, 0x10, 4, 0xffffffff); /* nor is the end of 4 GiB */
    g_assert_cmphex(qtest_readb(qts, 0xfffffff0), ==, 0xea);
    qtest_stop(qts);
}

static void test_addresses(void)
{
    g_autofree char *taken = qtest_start_refused("-M pc -device pci-serial,addr=1.0");
    g_autofree char *range = qtest_start_refused("-M pc -device pci-serial,addr=20");
    g_autofree char *single = qtest_start_refused("-M pc -device pci-serial,addr=9 "
                                                  "-device pci-serial,addr=9.1");
    QTest *qts;

    g_assert_nonnull(strstr(taken, "taken by PIIX3"));
    g_assert_nonnull(strstr(range, "SLOT.FUNCTION"));
    g_assert_nonnull(strstr(single, "multifunction"));
    qts = qtest_start("-M pc -device pci-serial,addr=1f.0,multifunction=on "
                      "-device pci-serial,addr=1f.7");
    g_assert_cmphex(qtest_pci_read(qts, 0, 0xff, 0x00, 4), !=, 0xffffffff);
    qtest_stop(qts);
}

static void test_query_pci(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");
    json_object *buses = qtest_qmp(qts, "{'execute': 'query-pci'}");
    json_object *devices, *first, *id, *vendor;

    g_assert_cmpint(json_object_array_length(buses), ==, 1);
    g_assert_true(json_object_object_get_ex(json_object_array_get_idx(buses, 0), "devices",
                                            &devices));
    g_assert_cmpint(json_object_array_length(devices), ==, 4);
    first = json_object_array_get_idx(devices, 0);
    g_assert_true(json_object_object_get_ex(first, "id", &id));
    g_assert_true(json_object_object_get_ex(id, "vendor", &vendor));
    g_assert_cmphex(json_object_get_int(vendor), ==, 0x8086);
    json_object_put(buses);
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i440fx/identity", test_identity);
    g_test_add_func("/i440fx/absent", test_absent);
    g_test_add_func("/i440fx/widths", test_widths);
    g_test_add_func("/i440fx/pam", test_pam);
    g_test_add_func("/i440fx/pam-reset", test_pam_reset);
    g_test_add_func("/i440fx/smram", test_smram);
    g_test_add_func("/i440fx/smm-view", test_smm_view);
    g_test_add_func("/i440fx/smi", test_smi);
    g_test_add_func("/i440fx/firmware", test_firmware);
    g_test_add_func("/pci/bar", test_bar);
    g_test_add_func("/pci/addresses", test_addresses);
    g_test_add_func("/pci/query", test_query_pci);
    return g_test_run();
}
