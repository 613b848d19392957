/* SPDX-License-Identifier: Apache-2.0 */
/* The PC's interrupt controllers on a machine: reset values, ways between them, hostile values. */
#include "tests/qtest/pc-ports.h"

enum {
    APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_LDR = 0xd0, APIC_SVR = 0xf0,
    APIC_IRR = 0x200, APIC_TIMER = 0x320, APIC_LINT0 = 0x350, APIC_LINT1 = 0x360,
    APIC_INITIAL = 0x380, APIC_CURRENT = 0x390, APIC_DIVIDE = 0x3e0,
};

static uint32_t apic_get(QTest *qts, unsigned reg)
{
    return qtest_readl(qts, APIC_BASE + reg);
}

static void apic_put(QTest *qts, unsigned reg, uint32_t value)
{
    qtest_writel(qts, APIC_BASE + reg, value);
}

static bool requested(QTest *qts, uint8_t vector)
{
    return apic_get(qts, APIC_IRR + vector / 32 * 0x10) & 1u << vector % 32;
}

static void test_pic(void)
{
    QTest *qts = qtest_start("-M pc");

    pic_init(qts);
    g_assert_cmphex(qtest_inb(qts, PIC_MASTER + 1), ==, 0);
    g_assert_cmphex(qtest_inb(qts, PIC_ELCR), ==, 0);
    qtest_outb(qts, PIC_ELCR, 0xff);
    qtest_outb(qts, PIC_ELCR + 1, 0xff);
    g_assert_cmphex(qtest_inw(qts, PIC_ELCR), ==, 0xdef8);
    qtest_outb(qts, PIC_MASTER + 1, 0x5a);
    g_assert_cmphex(qtest_inb(qts, PIC_MASTER + 1), ==, 0x5a);
    /* A machine reset brings everything back. */
    json_object_put(qtest_qmp(qts, "{\"execute\": \"system_reset\"}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_inw(qts, PIC_ELCR), ==, 0);
    g_assert_cmphex(qtest_inb(qts, PIC_MASTER + 1), ==, 0);
    qtest_stop(qts);
}

/* The timer reaches the PIC's IR0 and the I/O APIC's pin 2; from there the local APIC. */
static void test_routes(void)
{
    QTest *qts = qtest_start("-M pc,hpet=off");

    pic_init(qts);
    apic_put(qts, APIC_SVR, 0x1ff);
    ioapic_write(qts, 0x10 + 2 * 2, 0x62);
    ioapic_write(qts, 0x10 + 2 * 0, 0x60);
    qtest_outb(qts, PIT_CONTROL, 0x30);
    qtest_outb(qts, PIT, 100);
    qtest_outb(qts, PIT, 0);
    qtest_clock_step(qts, 1000000);
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    g_assert_true(requested(qts, 0x62));
    g_assert_false(requested(qts, 0x60));
    qtest_stop(qts);
}

static void test_ioapic(void)
{
    QTest *qts = qtest_start("-M pc,hpet=off -rtc clock=vm");

    g_assert_cmphex(ioapic_read(qts, 1), ==, 0x00170020);
    for (unsigned i = 0; i < 24; i++) {
        g_assert_cmphex(ioapic_read(qts, 0x10 + 2 * i), ==, 0x10000);
    }
    /* IRQ 8 to a logical destination that nobody has, then to one that the boot CPU has. */
    apic_put(qts, APIC_SVR, 0x1ff);
    apic_put(qts, APIC_LDR, 0x02000000);
    rtc_write(qts, 0x0b, 0x12);
    for (unsigned dest = 1; dest <= 2; dest++) {
        ioapic_write(qts, 0x11 + 2 * 8, dest << 24);
        ioapic_write(qts, 0x10 + 2 * 8, 0x870 + dest);
        rtc_read(qts, 0x0c);
        qtest_clock_step(qts, 1000000000);
    }
    g_assert_false(requested(qts, 0x71));
    g_assert_true(requested(qts, 0x72));
    qtest_stop(qts);
}

static void test_apic(void)
{
    QTest *qts = qtest_start("-M pc");

    g_assert_cmphex(apic_get(qts, APIC_ID), ==, 0);
    g_assert_cmphex(apic_get(qts, APIC_VERSION), ==, 0x50014);
    g_assert_cmphex(apic_get(qts, APIC_SVR), ==, 0xff);
    g_assert_cmphex(apic_get(qts, APIC_LINT0), ==, 0x700);
    apic_put(qts, APIC_SVR, 0x1ff);
    apic_put(qts, APIC_TPR, 0x35);
    g_assert_cmphex(apic_get(qts, APIC_TPR), ==, 0x35);
    apic_put(qts, APIC_DIVIDE, 0xb);
    apic_put(qts, APIC_TIMER, 0x77);
    apic_put(qts, APIC_INITIAL, 50000);
    qtest_clock_step(qts, 20000);
    g_assert_cmpuint(apic_get(qts, APIC_CURRENT), ==, 30000);
    g_assert_false(requested(qts, 0x77));
    qtest_clock_step(qts, 30000);
    g_assert_true(requested(qts, 0x77));
    /* An MSI, as a device writes it. */
    qtest_writel(qts, APIC_BASE, 0x55);
    g_assert_true(requested(qts, 0x55));
    qtest_stop(qts);
}

/* inject-nmi pulls LINT1: nothing while it is masked, a vector if the guest made it one. */
static void test_nmi(void)
{
    QTest *qts = qtest_start("-M pc");

    apic_put(qts, APIC_SVR, 0x1ff);
    json_object_put(qtest_qmp(qts, "{\"execute\": \"inject-nmi\"}"));
    apic_put(qts, APIC_LINT1, 0x66);
    g_assert_false(requested(qts, 0x66));
    json_object_put(qtest_qmp(qts, "{\"execute\": \"inject-nmi\"}"));
    g_assert_true(requested(qts, 0x66));
    qtest_stop(qts);
}

static void test_hpet_message(void)
{
    QTest *qts = qtest_start("-M pc -global hpet.msi=on");

    apic_put(qts, APIC_SVR, 0x1ff);
    qtest_writeq(qts, HPET_BASE + 0x130, 0xfee0000000000088ull);
    qtest_writeq(qts, HPET_BASE + 0x120, 0x4004);
    qtest_writeq(qts, HPET_BASE + 0x128, 100);
    qtest_writeq(qts, HPET_BASE + 0x010, 1);
    qtest_clock_step(qts, 1000);
    g_assert_true(requested(qts, 0x88));
    qtest_stop(qts);
}

static void test_dma(void)
{
    QTest *qts = qtest_start("-M pc");

    g_assert_cmphex(qtest_inb(qts, 0x0f), ==, 0x0f);
    qtest_outb(qts, 0x0c, 0);
    qtest_outb(qts, 0x04, 0x34);
    qtest_outb(qts, 0x04, 0x12);
    g_assert_cmphex(qtest_inb(qts, 0x04), ==, 0x34);
    g_assert_cmphex(qtest_inb(qts, 0x04), ==, 0x12);
    qtest_outb(qts, 0x81, 0x77);
    g_assert_cmphex(qtest_inb(qts, 0x81), ==, 0x77);
    qtest_outb(qts, 0x8a, 0x66);
    g_assert_cmphex(qtest_inb(qts, 0x8a), ==, 0x66);
    qtest_stop(qts);
}

static void test_hostile(void)
{
    static const uint64_t windows[] = { IOAPIC_BASE, APIC_BASE, 0xfee80000 };
    QTest *qts = qtest_start("-M pc -smp 3");
    GRand *rand = g_rand_new_with_seed(21);

    for (int i = 0; i < 6000; i++) {
        uint64_t addr = windows[i % 3] + (g_rand_int_range(rand, 0, 0x1000) & ~3);

        if (g_rand_boolean(rand)) {
            qtest_writel(qts, addr, g_rand_int(rand));
        } else {
            qtest_readl(qts, addr);
        }
        qtest_outb(qts, g_rand_int_range(rand, 0, 2) + (i % 2 ? PIC_MASTER : PIC_SLAVE),
                   g_rand_int(rand));
        if (i % 64 == 0) {
            qtest_clock_step(qts, g_rand_int_range(rand, 1, 1000000));
        }
    }
    json_object_put(qtest_qmp(qts, "{\"execute\": \"query-status\"}"));
    g_rand_free(rand);
    qtest_stop(qts);
}

static void assert_hmp(QTest *qts, const char *command, const char *wanted)
{
    g_autofree char *text = qtest_hmp(qts, command);

    if (!strstr(text, wanted)) {
        g_error("%s: no '%s' in: %s", command, wanted, text);
    }
}

/* The chips as people see them in the monitor. */
static void test_monitor(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -smp 2 -device isa-debug-exit");
    g_autofree char *line = NULL;

    qtest_outb(qts, 0x21, 0xfb);
    qtest_set_irq_in(qts, "ioapic", NULL, 4, true);
    qtest_set_irq_in(qts, "ioapic", NULL, 4, false);
    qtest_set_irq_in(qts, "ioapic", NULL, 4, true);
    qtest_writel(qts, 0xfec00000, 0x10 + 2 * 5);
    qtest_writel(qts, 0xfec00010, 0x0000e931); /* vector 31h, lowest, logical, low, level */
    assert_hmp(qts, "info pic", "pic0: irr=00 imr=fb isr=00 hprio=0 irq_base=00 rr_sel=0 elcr=00 "
               "fnm=0\n");
    assert_hmp(qts, "info pic", "ioapic0: ver=0x20 id=0x00 sel=0x1a (redir[5])\n");
    assert_hmp(qts, "info pic", "  pin 5  0x000000000000a931 dest=0 vec=49  active-lo level        "
               "lowest logical\n");
    assert_hmp(qts, "info irq", "IRQ statistics for ioapic:\n 4: 2\n");
    qtest_writel(qts, 0xfee000f0, 0x1ff);
    qtest_writel(qts, 0xfee00320, 0x00020040);
    assert_hmp(qts, "info lapic", "SPIV     0x000001ff APIC enabled, focus=off, spurious vec 255");
    assert_hmp(qts, "info lapic", "active-hi edge         periodic     fixed  (vec 64)");
    assert_hmp(qts, "info lapic 1", "local APIC of CPU 1");
    assert_hmp(qts, "info lapic 9", "no such CPU");
    assert_hmp(qts, "info roms", "addr=00000000fffc0000 size=0x040000 mem=rom name=\"pc.bios\"");
    assert_hmp(qts, "info roms", "fw=etc/acpi/rsdp size=0x000024");
    /* Code at the reset vector, by both roads; the last bytes of memory are no error. */
    line = qtest_hmp(qts, "xp/i 0xffff0");
    if (strstr(line, "no disassembler")) {
        g_test_message("built without Zydis");
        return;
    }
    assert_hmp(qts, "xp/i 0xffff0", "ljmp 0xF000:0xE05B\n");
    assert_hmp(qts, "x/i $pc", "ljmp 0xF000:0xE05B\n");
    assert_hmp(qts, "xp/20i 0xfffffff0", "0xffffffff: ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/irqchip/pic", test_pic);
    g_test_add_func("/irqchip/routes", test_routes);
    g_test_add_func("/irqchip/ioapic", test_ioapic);
    g_test_add_func("/irqchip/apic", test_apic);
    g_test_add_func("/irqchip/nmi", test_nmi);
    g_test_add_func("/irqchip/hpet-message", test_hpet_message);
    g_test_add_func("/irqchip/dma", test_dma);
    g_test_add_func("/irqchip/hostile", test_hostile);
    g_test_add_func("/irqchip/monitor", test_monitor);
    return g_test_run();
}
