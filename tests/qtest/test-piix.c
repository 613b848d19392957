/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PIIX3's PIRQ routing and reset control, PIIX4's power management, and what the run state makes
 * of them.
 */
#include "tests/qtest/libqtest.h"

#define ISA_DEVFN (1 << 3)
#define PM_DEVFN (1 << 3 | 3)
#define RESET_CONTROL 0xcf9
#define PM_BASE 0x600
#define PM1_STATUS (PM_BASE + 0)
#define PM1_ENABLE (PM_BASE + 2)
#define PM1_CONTROL (PM_BASE + 4)
#define PM_TIMER (PM_BASE + 8)
#define GPE0 0xafe0
#define SMI_COMMAND 0xb2
#define TMR_STS 0x0001
#define PWRBTN_STS 0x0100
#define WAK_STS 0x8000
#define SCI_EN 0x0001
#define SLP_EN 0x2000
#define SLP_TYP(n) ((n) << 10)
#define SCI_IRQ 9
#define PM_TIMER_HZ 3579545

static QTest *start_with_pm(const char *options)
{
    QTest *qts = qtest_start("-M pc -nodefaults %s", options);

    qtest_pci_write(qts, 0, PM_DEVFN, 0x40, 4, PM_BASE | 1);
    qtest_pci_write(qts, 0, PM_DEVFN, 0x80, 1, 1);
    return qts;
}

static void test_pirq_registers(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    for (unsigned at = 0x60; at < 0x64; at++) {
        g_assert_cmphex(qtest_pci_read(qts, 0, ISA_DEVFN, at, 1), ==, 0x80);
        qtest_pci_write(qts, 0, ISA_DEVFN, at, 1, 0x0b);
        g_assert_cmphex(qtest_pci_read(qts, 0, ISA_DEVFN, at, 1), ==, 0x0b);
    }
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_pci_read(qts, 0, ISA_DEVFN, 0x60, 1), ==, 0x80);
    qtest_stop(qts);
}

/* A PCI UART's interrupt reaches the ISA line that its PIRQ is routed to, and follows the route. */
static void test_pirq_routing(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults -chardev null,id=c "
                             "-device pci-serial,addr=4,chardev=c");
    const unsigned pirq = (4 - 1) & 3;

    qtest_irq_intercept_in(qts, "ioapic");
    qtest_pci_write(qts, 0, 4 << 3, 0x10, 4, 0xc000);
    qtest_pci_write(qts, 0, 4 << 3, 0x04, 2, 0x1);
    qtest_pci_write(qts, 0, ISA_DEVFN, 0x60 + pirq, 1, 11);
    qtest_outb(qts, 0xc004, 0x08); /* OUT2 */
    qtest_outb(qts, 0xc001, 0x02); /* transmitter empty */
    g_assert_true(qtest_get_irq(qts, 11));
    qtest_pci_write(qts, 0, ISA_DEVFN, 0x60 + pirq, 1, 10);
    g_assert_false(qtest_get_irq(qts, 11));
    g_assert_true(qtest_get_irq(qts, 10));
    qtest_pci_write(qts, 0, ISA_DEVFN, 0x60 + pirq, 1, 0x80); /* disabled */
    g_assert_false(qtest_get_irq(qts, 10));
    qtest_pci_write(qts, 0, ISA_DEVFN, 0x60 + pirq, 1, 11);
    g_assert_true(qtest_get_irq(qts, 11));
    qtest_pci_write(qts, 0, 4 << 3, 0x04, 2, 0x401); /* INTx disabled in the device */
    g_assert_false(qtest_get_irq(qts, 11));
    qtest_stop(qts);
}

static void test_reset_control(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    qtest_outb(qts, RESET_CONTROL, 0x02);
    g_assert_cmphex(qtest_inb(qts, RESET_CONTROL), ==, 0x02);
    g_assert_false(qtest_qmp_has_event(qts, "RESET"));
    qtest_outb(qts, RESET_CONTROL, 0x06);
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_inb(qts, RESET_CONTROL), ==, 0);
    qtest_stop(qts);
}

static void test_no_reboot(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults -no-reboot");
    json_object *event, *data, *reason;

    qtest_outb(qts, RESET_CONTROL, 0x06);
    event = qtest_qmp_event(qts, "SHUTDOWN");
    g_assert_true(json_object_object_get_ex(event, "data", &data));
    g_assert_true(json_object_object_get_ex(data, "reason", &reason));
    g_assert_cmpstr(json_object_get_string(reason), ==, "guest-reset");
    json_object_put(event);
    g_assert_cmpint(qtest_wait_exit(qts), ==, 0);
}

static void test_pm_window(void)
{
    QTest *qts = qtest_start("-M pc -nodefaults");

    qtest_pci_write(qts, 0, PM_DEVFN, 0x40, 4, PM_BASE | 1);
    g_assert_cmphex(qtest_inw(qts, PM1_CONTROL), ==, 0xffff); /* not enabled */
    qtest_pci_write(qts, 0, PM_DEVFN, 0x80, 1, 1);
    g_assert_cmphex(qtest_inw(qts, PM1_CONTROL), ==, 0);
    qtest_pci_write(qts, 0, PM_DEVFN, 0x40, 4, 0xffffffff); /* only bits 15:6 are an address */
    g_assert_cmphex(qtest_pci_read(qts, 0, PM_DEVFN, 0x40, 4) & ~1u, ==, 0xffc0);
    g_assert_cmphex(qtest_inw(qts, PM1_CONTROL), ==, 0xffff);
    qtest_stop(qts);
}

static void test_acpi_enable(void)
{
    QTest *qts = start_with_pm("");

    g_assert_cmphex(qtest_inw(qts, PM1_CONTROL) & SCI_EN, ==, 0);
    qtest_outb(qts, SMI_COMMAND, 0xf1);
    g_assert_cmphex(qtest_inw(qts, PM1_CONTROL) & SCI_EN, ==, SCI_EN);
    qtest_outb(qts, SMI_COMMAND, 0xf0);
    g_assert_cmphex(qtest_inw(qts, PM1_CONTROL) & SCI_EN, ==, 0);
    qtest_stop(qts);
}

static void test_pm_timer(void)
{
    QTest *qts = start_with_pm("");
    uint32_t before, after;

    qtest_irq_intercept_in(qts, "ioapic");
    before = qtest_inl(qts, PM_TIMER);
    qtest_clock_step(qts, 1000000);
    after = qtest_inl(qts, PM_TIMER);
    g_assert_cmpuint((after - before) & 0xffffff, >=, PM_TIMER_HZ / 1000 - 1);
    g_assert_cmpuint((after - before) & 0xffffff, <=, PM_TIMER_HZ / 1000 + 1);
    qtest_outw(qts, PM1_ENABLE, TMR_STS);
    g_assert_false(qtest_get_irq(qts, SCI_IRQ));
    qtest_clock_step(qts, (int64_t)0x800000 * 1000000000 / PM_TIMER_HZ + 1000);
    g_assert_cmphex(qtest_inw(qts, PM1_STATUS) & TMR_STS, ==, TMR_STS);
    g_assert_true(qtest_get_irq(qts, SCI_IRQ));
    qtest_outw(qts, PM1_STATUS, TMR_STS);
    g_assert_false(qtest_get_irq(qts, SCI_IRQ));
    qtest_stop(qts);
}

static void test_power_button(void)
{
    QTest *qts = start_with_pm("");

    qtest_irq_intercept_in(qts, "ioapic");
    qtest_outw(qts, PM1_ENABLE, PWRBTN_STS);
    json_object_put(qtest_qmp(qts, "{'execute': 'system_powerdown'}"));
    json_object_put(qtest_qmp_event(qts, "POWERDOWN"));
    g_assert_true(qtest_get_irq(qts, SCI_IRQ));
    /* A byte write of the other half clears nothing. */
    qtest_outb(qts, PM1_STATUS, 0xff);
    g_assert_true(qtest_get_irq(qts, SCI_IRQ));
    qtest_outb(qts, PM1_STATUS + 1, PWRBTN_STS >> 8);
    g_assert_false(qtest_get_irq(qts, SCI_IRQ));
    qtest_stop(qts);
}

static void test_gpe(void)
{
    QTest *qts = start_with_pm("");

    qtest_outb(qts, GPE0 + 2, 0xff);
    g_assert_cmphex(qtest_inb(qts, GPE0 + 2), ==, 0xff);
    g_assert_cmphex(qtest_inl(qts, GPE0), ==, 0x00ff0000);
    qtest_outl(qts, GPE0, 0xffffffff);
    g_assert_cmphex(qtest_inl(qts, GPE0), ==, 0xffff0000);
    qtest_stop(qts);
}

static void test_soft_off(void)
{
    QTest *qts = start_with_pm("");
    json_object *event;

    qtest_outw(qts, PM1_CONTROL, SLP_TYP(0)); /* without SLP_EN nothing happens */
    g_assert_false(qtest_qmp_has_event(qts, "SHUTDOWN"));
    qtest_outw(qts, PM1_CONTROL, SLP_TYP(0) | SLP_EN);
    event = qtest_qmp_event(qts, "SHUTDOWN");
    g_assert_nonnull(strstr(json_object_to_json_string(event), "guest-shutdown"));
    json_object_put(event);
    g_assert_cmpint(qtest_wait_exit(qts), ==, 0);
}

static void test_no_shutdown(void)
{
    QTest *qts = start_with_pm("-no-shutdown");
    g_autofree char *refusal = NULL;
    json_object *status;

    qtest_outw(qts, PM1_CONTROL, SLP_TYP(0) | SLP_EN);
    json_object_put(qtest_qmp_event(qts, "SHUTDOWN"));
    json_object_put(qtest_qmp_event(qts, "STOP"));
    status = qtest_qmp(qts, "{'execute': 'query-status'}");
    g_assert_nonnull(strstr(json_object_to_json_string(status), "shutdown"));
    json_object_put(status);
    refusal = qtest_qmp_error(qts, "{'execute': 'cont'}");
    g_assert_nonnull(strstr(refusal, "Reset"));
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
    qtest_stop(qts);
}

static void test_suspend(void)
{
    QTest *qts = start_with_pm("");
    g_autofree char *refusal = qtest_qmp_error(qts, "{'execute': 'system_wakeup'}");

    g_assert_nonnull(strstr(refusal, "suspended"));
    qtest_writel(qts, 0x100000, 0x12345678);
    qtest_outw(qts, PM1_CONTROL, SLP_TYP(1) | SLP_EN);
    json_object_put(qtest_qmp_event(qts, "SUSPEND"));
    json_object_put(qtest_qmp(qts, "{'execute': 'system_wakeup'}"));
    json_object_put(qtest_qmp_event(qts, "WAKEUP"));
    /*
     * The chipset was reset, memory was not, and the wake status says why the CPU is at its
     * vector.
     */
    qtest_pci_write(qts, 0, PM_DEVFN, 0x40, 4, PM_BASE | 1);
    qtest_pci_write(qts, 0, PM_DEVFN, 0x80, 1, 1);
    g_assert_cmphex(qtest_inw(qts, PM1_STATUS) & WAK_STS, ==, WAK_STS);
    g_assert_cmphex(qtest_readl(qts, 0x100000), ==, 0x12345678);
    qtest_stop(qts);
}

static void test_suspend_disabled(void)
{
    QTest *qts = start_with_pm("-global PIIX4_PM.disable_s3=1");

    qtest_outw(qts, PM1_CONTROL, SLP_TYP(1) | SLP_EN);
    json_object_put(qtest_qmp(qts, "{'execute': 'query-status'}"));
    g_assert_false(qtest_qmp_has_event(qts, "SUSPEND"));
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/piix3/pirq-registers", test_pirq_registers);
    g_test_add_func("/piix3/pirq-routing", test_pirq_routing);
    g_test_add_func("/piix3/reset-control", test_reset_control);
    g_test_add_func("/piix3/no-reboot", test_no_reboot);
    g_test_add_func("/piix4-pm/window", test_pm_window);
    g_test_add_func("/piix4-pm/acpi-enable", test_acpi_enable);
    g_test_add_func("/piix4-pm/timer", test_pm_timer);
    g_test_add_func("/piix4-pm/power-button", test_power_button);
    g_test_add_func("/piix4-pm/gpe", test_gpe);
    g_test_add_func("/piix4-pm/soft-off", test_soft_off);
    g_test_add_func("/piix4-pm/no-shutdown", test_no_shutdown);
    g_test_add_func("/piix4-pm/suspend", test_suspend);
    g_test_add_func("/piix4-pm/suspend-disabled", test_suspend_disabled);
    return g_test_run();
}
