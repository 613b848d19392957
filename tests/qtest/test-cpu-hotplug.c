/* SPDX-License-Identifier: Apache-2.0 */
/* CPU hot-plug by ACPI: the registers that the DSDT's methods use, device_add and device_del. */
#include "tests/qtest/libqtest.h"

#define GPE_STATUS 0xafe0
#define GPE_HOTPLUG 0x04
#define BASE 0xaf00
#define SELECT (BASE + 0)
#define FLAGS (BASE + 4)
#define COMMAND (BASE + 5)
#define DATA (BASE + 8)
#define PRESENT 0x01
#define INSERTING 0x02
#define REMOVING 0x04
#define EJECT 0x08
#define NEXT 0
#define OST_EVENT 1
#define OST_STATUS 2
#define ID 3
#define CMOS_CPUS 0x5f
#define TYPE "qemu64-x86_64-cpu"

static QTest *start(void)
{
    return qtest_start("-M pc -nodefaults -smp 2,maxcpus=8,sockets=2,cores=2,threads=2");
}

/* CPU 4 is the first of socket 1. */
static void add_cpu4(QTest *qts)
{
    json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': {'driver': '" TYPE "', "
                              "'id': 'cpu4', 'socket-id': 1, 'core-id': 0, 'thread-id': 0}}"));
}

static uint8_t flags(QTest *qts, uint32_t cpu)
{
    qtest_outl(qts, SELECT, cpu);
    return qtest_inb(qts, FLAGS);
}

static uint8_t cmos_cpus(QTest *qts)
{
    qtest_outb(qts, 0x70, CMOS_CPUS);
    return qtest_inb(qts, 0x71) + 1;
}

static unsigned cpus(QTest *qts)
{
    json_object *list = qtest_qmp(qts, "{'execute': 'query-cpus-fast'}");
    unsigned count = json_object_array_length(list);

    json_object_put(list);
    return count;
}

static void expect_gpe(QTest *qts)
{
    g_assert_cmphex(qtest_inb(qts, GPE_STATUS), ==, GPE_HOTPLUG);
    qtest_outb(qts, GPE_STATUS, GPE_HOTPLUG);
}

static void expect_string(json_object *object, const char *key, const char *value)
{
    json_object *member;

    g_assert_true(json_object_object_get_ex(object, key, &member));
    g_assert_cmpstr(json_object_get_string(member), ==, value);
}

static void test_present(void)
{
    g_autoptr(QTest) qts = start();

    g_assert_cmphex(flags(qts, 0), ==, PRESENT);
    g_assert_cmphex(flags(qts, 1), ==, PRESENT);
    for (uint32_t cpu = 2; cpu < 10; cpu++) {
        g_assert_cmphex(flags(qts, cpu), ==, 0);
    }
    g_assert_cmphex(flags(qts, UINT32_MAX), ==, 0);
    g_assert_cmpuint(cmos_cpus(qts), ==, 2);
}

static void test_plug_and_eject(void)
{
    g_autoptr(QTest) qts = start();

    add_cpu4(qts);
    expect_gpe(qts);
    g_assert_cmpuint(cpus(qts), ==, 3);
    g_assert_cmpuint(cmos_cpus(qts), ==, 3);
    g_assert_cmphex(flags(qts, 4), ==, PRESENT | INSERTING);
    qtest_outl(qts, SELECT, 0);
    qtest_outb(qts, COMMAND, NEXT);
    g_assert_cmphex(qtest_inl(qts, DATA), ==, 4);
    qtest_outb(qts, FLAGS, INSERTING);
    g_assert_cmphex(qtest_inb(qts, FLAGS), ==, PRESENT);
    qtest_outb(qts, COMMAND, ID);
    g_assert_cmphex(qtest_inl(qts, DATA), ==, 4);
    qtest_device_del(qts, "cpu4");
    expect_gpe(qts);
    g_assert_cmphex(flags(qts, 4), ==, PRESENT | REMOVING);
    g_assert_false(qtest_qmp_has_event(qts, "DEVICE_DELETED"));
    qtest_outb(qts, FLAGS, REMOVING);
    qtest_outb(qts, FLAGS, EJECT);
    qtest_expect_deleted(qts, "cpu4");
    g_assert_cmphex(flags(qts, 4), ==, 0);
    g_assert_cmpuint(cpus(qts), ==, 2);
    g_assert_cmpuint(cmos_cpus(qts), ==, 2);
    add_cpu4(qts); /* name and place are free again */
    g_assert_cmphex(flags(qts, 4), ==, PRESENT | INSERTING);
}

/* The boot CPU stays; places without a CPU, and CPUs that cannot be, have nothing to eject. */
static void test_wild_ejects(void)
{
    g_autoptr(QTest) qts = start();

    for (uint32_t cpu = 0; cpu < 300; cpu++) {
        qtest_outl(qts, SELECT, cpu);
        qtest_outb(qts, FLAGS, 0xff);
        qtest_outb(qts, COMMAND, cpu);
        qtest_outl(qts, DATA, cpu);
        qtest_inl(qts, DATA);
        qtest_inl(qts, SELECT);
    }
    json_object_put(qtest_qmp_event(qts, "DEVICE_DELETED")); /* CPU 1 */
    g_assert_cmpuint(cpus(qts), ==, 1);
    g_assert_cmphex(flags(qts, 0), ==, PRESENT);
}

static void test_reset_finishes(void)
{
    g_autoptr(QTest) qts = start();

    add_cpu4(qts);
    qtest_device_del(qts, "cpu4");
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    qtest_expect_deleted(qts, "cpu4");
    g_assert_cmpuint(cpus(qts), ==, 2);
    g_assert_cmphex(flags(qts, 4), ==, 0);
}

/* What the guest says of it: told by an event, kept for a query; a refusal has an event too. */
static void test_outcome(void)
{
    g_autoptr(QTest) qts = start();
    json_object *data, *info, *list;

    add_cpu4(qts);
    qtest_device_del(qts, "cpu4");
    qtest_outl(qts, SELECT, 4);
    qtest_outb(qts, COMMAND, OST_EVENT);
    qtest_outl(qts, DATA, 3);
    qtest_outb(qts, COMMAND, OST_STATUS);
    qtest_outl(qts, DATA, 0x81); /* in use */
    data = qtest_qmp_event_data(qts, "ACPI_DEVICE_OST");
    g_assert_true(json_object_object_get_ex(data, "info", &info));
    expect_string(info, "device", "cpu4");
    expect_string(info, "slot", "4");
    expect_string(info, "slot-type", "CPU");
    expect_string(info, "source", "3");
    expect_string(info, "status", "129");
    json_object_put(data);
    data = qtest_qmp_event_data(qts, "DEVICE_UNPLUG_GUEST_ERROR");
    expect_string(data, "device", "cpu4");
    json_object_put(data);
    list = qtest_qmp(qts, "{'execute': 'query-acpi-ospm-status'}");
    g_assert_cmpuint(json_object_array_length(list), ==, 8);
    expect_string(json_object_array_get_idx(list, 4), "status", "129");
    expect_string(json_object_array_get_idx(list, 3), "status", "0");
    json_object_put(list);
}

static void test_errors(void)
{
    static const struct {
        const char *arguments, *error;
    } cases[] = {
        { "'driver': '" TYPE "'", "CPU socket-id is not set" },
        { "'driver': '" TYPE "', 'socket-id': 1", "CPU core-id is not set" },
        { "'driver': '" TYPE "', 'socket-id': 1, 'core-id': 0", "CPU thread-id is not set" },
        { "'driver': '" TYPE "', 'socket-id': 1, 'core-id': 7, 'thread-id': 0",
          "Invalid CPU core-id: 7 must be in range 0:1" },
        { "'driver': '" TYPE "', 'socket-id': 0, 'core-id': 0, 'thread-id': 1",
          "CPU 1 with APIC id 1 exists" },
        { "'driver': '" TYPE "', 'apic-id': 8",
          "This machine has no place for a CPU with APIC id 8 "
          "(query-hotpluggable-cpus lists the places)" },
        { "'driver': 'Haswell-x86_64-cpu', 'socket-id': 1, 'core-id': 0, 'thread-id': 0",
          "Invalid CPU type Haswell-x86_64-cpu: all CPUs of this machine are " TYPE },
        { "'driver': '" TYPE "', 'apic-id': 5, 'node-id': 3",
          "CPU 5 belongs to NUMA node 0, as -numa says, not to node-id 3" },
    };
    g_autoptr(QTest) qts = start();
    g_autofree char *boot_cpu = NULL;
    json_object *list, *path;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *error = qtest_qmp_error(
            qts, "{'execute': 'device_add', 'arguments': {%s}}", cases[i].arguments);

        g_assert_cmpstr(error, ==, cases[i].error);
        g_assert_cmpuint(cpus(qts), ==, 2);
    }
    list = qtest_qmp(qts, "{'execute': 'query-cpus-fast'}");
    g_assert_true(json_object_object_get_ex(json_object_array_get_idx(list, 0), "qom-path",
                                            &path));
    boot_cpu = qtest_qmp_error(qts, "{'execute': 'device_del', 'arguments': {'id': '%s'}}",
                               json_object_get_string(path));
    json_object_put(list);
    g_assert_cmpstr(boot_cpu, ==, "The boot CPU cannot be unplugged");
}

/* On the command line, and without a machine that could tell the guest. */
static void test_cold_plug(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -nodefaults -smp 1,maxcpus=4 "
                                       "-device " TYPE ",apic-id=2,id=two");
    g_autoptr(QTest) no_acpi = qtest_start("-M pc,acpi=off -nodefaults -smp 1,maxcpus=4");
    g_autofree char *error = NULL;

    g_assert_cmpuint(cpus(qts), ==, 2);
    g_assert_cmpuint(cmos_cpus(qts), ==, 2);
    g_assert_cmphex(flags(qts, 2), ==, PRESENT);
    error = qtest_qmp_error(no_acpi, "{'execute': 'device_add', 'arguments': "
                            "{'driver': '" TYPE "', 'apic-id': 1}}");
    g_assert_cmpstr(error, ==, "CPUs come and go by ACPI, which this machine has not");
}

/* query-hotpluggable-cpus says what device_add takes, whatever -cpu is. */
static void test_other_model(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -nodefaults -smp 1,maxcpus=2 -cpu EPYC,-svm");
    json_object *places = qtest_qmp(qts, "{'execute': 'query-hotpluggable-cpus'}");
    json_object *type;

    g_assert_true(json_object_object_get_ex(json_object_array_get_idx(places, 0), "type", &type));
    g_assert_cmpstr(json_object_get_string(type), ==, "EPYC-x86_64-cpu");
    json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': {'driver': '%s', "
                              "'socket-id': 0, 'core-id': 1, 'thread-id': 0}}",
                              json_object_get_string(type)));
    json_object_put(places);
    g_assert_cmpuint(cpus(qts), ==, 2);
}

static void test_cycles(void)
{
    g_autoptr(QTest) qts = start();

    for (unsigned i = 0; i < 100; i++) {
        add_cpu4(qts);
        qtest_outl(qts, SELECT, 4);
        qtest_outb(qts, FLAGS, EJECT);
        qtest_expect_deleted(qts, "cpu4");
    }
    g_assert_cmpuint(cpus(qts), ==, 2);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu-hotplug/present", test_present);
    g_test_add_func("/cpu-hotplug/plug-and-eject", test_plug_and_eject);
    g_test_add_func("/cpu-hotplug/wild-ejects", test_wild_ejects);
    g_test_add_func("/cpu-hotplug/reset-finishes", test_reset_finishes);
    g_test_add_func("/cpu-hotplug/outcome", test_outcome);
    g_test_add_func("/cpu-hotplug/errors", test_errors);
    g_test_add_func("/cpu-hotplug/cold-plug", test_cold_plug);
    g_test_add_func("/cpu-hotplug/other-model", test_other_model);
    g_test_add_func("/cpu-hotplug/cycles", test_cycles);
    return g_test_run();
}
