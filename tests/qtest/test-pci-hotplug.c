/* SPDX-License-Identifier: Apache-2.0 */
/* PCI hot-plug by ACPI: the registers that the DSDT's methods use, device_add and device_del. */
#include "tests/qtest/libqtest.h"

#define PM_DEVFN (1 << 3 | 3)
#define PM_BASE 0x600
#define PM1_CONTROL (PM_BASE + 4)
#define SCI_EN 0x0001
#define SCI_IRQ 9
#define GPE_STATUS 0xafe0
#define GPE_ENABLE 0xafe2
#define GPE_HOTPLUG 0x02
#define BASE 0xae00
#define UP (BASE + 0x00)
#define DOWN (BASE + 0x04)
#define EJECT (BASE + 0x08)
#define REMOVABLE (BASE + 0x0c)
#define BUS (BASE + 0x10)
#define VGA_ID 0x11111234

static QTest *start(const char *options)
{
    QTest *qts = qtest_start("-M pc -nodefaults %s", options);

    qtest_irq_intercept_in(qts, "ioapic");
    qtest_pci_write(qts, 0, PM_DEVFN, 0x40, 4, PM_BASE | 1);
    qtest_pci_write(qts, 0, PM_DEVFN, 0x80, 1, 1);
    qtest_outw(qts, PM1_CONTROL, SCI_EN);
    qtest_outb(qts, GPE_ENABLE, GPE_HOTPLUG);
    return qts;
}

static void add(QTest *qts, const char *id, const char *addr)
{
    json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': "
                              "{'driver': 'secondary-vga', 'id': '%s', 'addr': '%s'}}", id, addr));
}

static uint32_t device_id(QTest *qts, unsigned slot, unsigned function)
{
    return qtest_pci_read(qts, 0, slot << 3 | function, 0, 4);
}

/* The event of general purpose comes, and is answered. */
static void expect_gpe(QTest *qts)
{
    g_assert_cmphex(qtest_inb(qts, GPE_STATUS), ==, GPE_HOTPLUG);
    g_assert_true(qtest_get_irq(qts, SCI_IRQ));
    qtest_outb(qts, GPE_STATUS, GPE_HOTPLUG);
    g_assert_false(qtest_get_irq(qts, SCI_IRQ));
}

static void test_plug_and_eject(void)
{
    g_autoptr(QTest) qts = start("");

    add(qts, "one", "5");
    expect_gpe(qts);
    g_assert_cmphex(qtest_inl(qts, UP), ==, 1u << 5);
    g_assert_cmphex(qtest_inl(qts, UP), ==, 0);
    g_assert_cmphex(device_id(qts, 5, 0), ==, VGA_ID);
    qtest_device_del(qts, "one");
    expect_gpe(qts);
    g_assert_cmphex(device_id(qts, 5, 0), ==, VGA_ID); /* until the guest agrees */
    g_assert_false(qtest_qmp_has_event(qts, "DEVICE_DELETED"));
    g_assert_cmphex(qtest_inl(qts, DOWN), ==, 1u << 5);
    g_assert_cmphex(qtest_inl(qts, DOWN), ==, 0);
    qtest_device_del(qts, "one"); /* asked again */
    expect_gpe(qts);
    g_assert_cmphex(qtest_inl(qts, DOWN), ==, 1u << 5);
    qtest_outl(qts, EJECT, 1u << 5);
    qtest_expect_deleted(qts, "one");
    g_assert_cmphex(device_id(qts, 5, 0), ==, UINT32_MAX);
    add(qts, "one", "5"); /* name and place are free again */
    g_assert_cmphex(device_id(qts, 5, 0), ==, VGA_ID);
}

/* The guest may eject unasked; an empty slot and the board's devices stay as they are. */
static void test_guest_ejects(void)
{
    g_autoptr(QTest) qts = start("-device secondary-vga,id=cold,addr=6");

    g_assert_cmphex(qtest_inl(qts, UP), ==, 0); /* firmware finds it */
    g_assert_cmphex(qtest_inl(qts, REMOVABLE), ==, 0xfffffffc);
    qtest_outl(qts, EJECT, 1u << 6);
    qtest_expect_deleted(qts, "cold");
    qtest_outl(qts, EJECT, UINT32_MAX);
    g_assert_cmphex(device_id(qts, 0, 0), ==, 0x12378086);
    g_assert_cmphex(device_id(qts, 1, 0), ==, 0x70008086);
    g_assert_cmphex(device_id(qts, 1, 3), ==, 0x71138086);
}

static void test_functions(void)
{
    g_autoptr(QTest) qts = start("");
    g_autofree char *error = NULL;

    add(qts, "one", "7.1");
    g_assert_cmphex(qtest_inb(qts, GPE_STATUS), ==, 0); /* a slot shows itself as a whole */
    g_assert_cmphex(qtest_inl(qts, UP), ==, 0);
    error = qtest_qmp_error(qts, "{'execute': 'device_add', 'arguments': "
                            "{'driver': 'secondary-vga', 'addr': '7'}}");
    g_assert_nonnull(strstr(error, "multifunction=on"));
    json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': {'id': 'zero', "
                              "'driver': 'secondary-vga', 'addr': '7', 'multifunction': true}}"));
    expect_gpe(qts);
    g_assert_cmphex(qtest_inl(qts, UP), ==, 1u << 7);
    qtest_outl(qts, EJECT, 1u << 7);
    qtest_expect_deleted(qts, "one");
    qtest_expect_deleted(qts, "zero");
    g_assert_cmphex(device_id(qts, 7, 0), ==, UINT32_MAX);
    g_assert_cmphex(device_id(qts, 7, 1), ==, UINT32_MAX);
}

/* Nobody is left to object: what was asked for goes with the reset, and nothing else does. */
static void test_reset_finishes(void)
{
    g_autoptr(QTest) qts = start("-device secondary-vga,id=kept,addr=6");

    add(qts, "one", "5");
    qtest_device_del(qts, "one");
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    qtest_expect_deleted(qts, "one");
    g_assert_cmphex(device_id(qts, 5, 0), ==, UINT32_MAX);
    g_assert_cmphex(device_id(qts, 6, 0), ==, VGA_ID);
    g_assert_cmphex(qtest_inl(qts, UP), ==, 0);
    g_assert_cmphex(qtest_inl(qts, DOWN), ==, 0);
}

static void test_other_bus(void)
{
    g_autoptr(QTest) qts = start("");

    add(qts, "one", "5");
    qtest_outl(qts, BUS, 7);
    g_assert_cmphex(qtest_inl(qts, BUS), ==, 7);
    g_assert_cmphex(qtest_inl(qts, UP), ==, 0);
    g_assert_cmphex(qtest_inl(qts, REMOVABLE), ==, 0);
    qtest_outl(qts, EJECT, 1u << 5);
    qtest_outl(qts, BUS, 0);
    g_assert_cmphex(qtest_inl(qts, UP), ==, 1u << 5);
    g_assert_cmphex(device_id(qts, 5, 0), ==, VGA_ID);
}

/* Accesses of other widths, at other offsets, and past the end change nothing. */
static void test_odd_accesses(void)
{
    g_autoptr(QTest) qts = start("");

    add(qts, "one", "5");
    for (unsigned at = 0; at < 0x20; at++) {
        qtest_outb(qts, BASE + at, 0xff);
        qtest_outw(qts, BASE + at, 0xffff);
        if (at % 4) {
            qtest_outl(qts, BASE + at, UINT32_MAX);
        }
        qtest_inb(qts, BASE + at);
        qtest_inw(qts, BASE + at);
    }
    g_assert_cmphex(device_id(qts, 5, 0), ==, VGA_ID);
}

static void test_refusals(void)
{
    g_autoptr(QTest) qts = start("-global PIIX4_PM.acpi-root-pci-hotplug=off "
                                 "-device secondary-vga,id=cold");
    g_autofree char *no_add = NULL, *no_del = NULL;

    no_add = qtest_qmp_error(qts, "{'execute': 'device_add', 'arguments': "
                             "{'driver': 'secondary-vga'}}");
    g_assert_cmpstr(no_add, ==, "Bus 'pci.0' does not support hotplugging");
    no_del = qtest_qmp_error(qts, "{'execute': 'device_del', 'arguments': {'id': 'cold'}}");
    g_assert_cmpstr(no_del, ==, "Bus 'pci.0' does not support hotplugging");
}

/* Many times over, all slots: nothing is lost, and all places come back. */
static void test_cycles(void)
{
    g_autoptr(QTest) qts = start("");

    for (unsigned i = 0; i < 20; i++) {
        for (unsigned slot = 2; slot < 32; slot++) {
            g_autofree char *id = g_strdup_printf("d%u", slot);
            g_autofree char *addr = g_strdup_printf("%x", slot);

            add(qts, id, addr);
        }
        g_assert_cmphex(qtest_inl(qts, UP), ==, 0xfffffffc);
        for (unsigned slot = 2; slot < 32; slot++) {
            g_autofree char *id = g_strdup_printf("d%u", slot);

            qtest_device_del(qts, id);
        }
        qtest_outl(qts, EJECT, qtest_inl(qts, DOWN));
        for (unsigned slot = 2; slot < 32; slot++) {
            g_autofree char *id = g_strdup_printf("d%u", slot);

            qtest_expect_deleted(qts, id);
        }
    }
}

/* One of each that can come and go, three times, with its BARs and bus mastering on. */
static void test_kinds(void)
{
    static const char *const kinds[] = {
        "'driver': 'e1000', 'netdev': 'w', 'romfile': ''",
        "'driver': 'virtio-net-pci', 'netdev': 'w', 'romfile': ''",
        "'driver': 'pci-serial', 'chardev': 'c'", "'driver': 'pvpanic-pci'",
        "'driver': 'virtio-rng-pci'", "'driver': 'virtio-scsi-pci'",
    };
    g_autoptr(QTest) qts = start("-netdev hubport,id=w,hubid=0 -chardev null,id=c");

    for (unsigned i = 0; i < 3 * G_N_ELEMENTS(kinds); i++) {
        json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': {%s, 'id': 'd', "
                                  "'addr': '5'}}", kinds[i % G_N_ELEMENTS(kinds)]));
        qtest_pci_write(qts, 0, 5 << 3, 0x10, 4, 0xe0000000);
        qtest_pci_write(qts, 0, 5 << 3, 0x14, 4, 0xc000);
        qtest_pci_write(qts, 0, 5 << 3, 0x04, 2, 7);
        qtest_readl(qts, 0xe0000000);
        qtest_device_del(qts, "d");
        qtest_outl(qts, EJECT, qtest_inl(qts, DOWN));
        qtest_expect_deleted(qts, "d");
        g_assert_cmphex(device_id(qts, 5, 0), ==, 0xffffffff);
        qtest_readl(qts, 0xe0000000);
    }
}

/* Who hears that a disk is gone may take its node away at once. */
static void test_node_is_free(void)
{
    g_autoptr(QTest) qts = start("-object iothread,id=io");

    for (unsigned i = 0; i < 40; i++) {
        json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-add', 'arguments': {'driver': "
                                  "'null-co', 'node-name': 'n', 'size': 1048576}}"));
        json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': {'driver': "
                                  "'virtio-blk-pci', 'id': 'd', 'drive': 'n', 'addr': '5'%s}}",
                                  i % 2 ? ", 'iothread': 'io'" : ""));
        qtest_pci_write(qts, 0, 5 << 3, 0x20, 4, 0xe0000000);
        qtest_pci_write(qts, 0, 5 << 3, 0x04, 2, 6);
        qtest_device_del(qts, "d");
        qtest_outl(qts, EJECT, qtest_inl(qts, DOWN));
        qtest_expect_deleted(qts, "d");
        json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-del', 'arguments': "
                                  "{'node-name': 'n'}}"));
    }
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci-hotplug/plug-and-eject", test_plug_and_eject);
    g_test_add_func("/pci-hotplug/guest-ejects", test_guest_ejects);
    g_test_add_func("/pci-hotplug/functions", test_functions);
    g_test_add_func("/pci-hotplug/reset-finishes", test_reset_finishes);
    g_test_add_func("/pci-hotplug/other-bus", test_other_bus);
    g_test_add_func("/pci-hotplug/odd-accesses", test_odd_accesses);
    g_test_add_func("/pci-hotplug/refusals", test_refusals);
    g_test_add_func("/pci-hotplug/cycles", test_cycles);
    g_test_add_func("/pci-hotplug/kinds", test_kinds);
    g_test_add_func("/pci-hotplug/node-is-free", test_node_is_free);
    return g_test_run();
}
