/* SPDX-License-Identifier: Apache-2.0 */
/* Memory hot-plug: pc-dimm, the ACPI controller's registers, what QMP tells of it. */
#include "tests/qtest/libqtest.h"
#include "tests/qtest/snapshot.h"

#define GPE_STATUS 0xafe0
#define GPE_HOTPLUG 0x08
#define BASE 0xa00
#define SELECT (BASE + 0)
#define OST_EVENT (BASE + 4)
#define OST_STATUS (BASE + 8)
#define ADDR (BASE + 0)
#define SIZE (BASE + 8)
#define NODE (BASE + 16)
#define FLAGS (BASE + 20)
#define PRESENT 0x01
#define INSERTING 0x02
#define REMOVING 0x04
#define EJECT 0x08
#define AREA 0x100000000ULL
#define MIB (1ULL << 20)

static QTest *start(void)
{
    return qtest_start("-M pc -nodefaults -m 512M,slots=3,maxmem=4G");
}

static void add_backend(QTest *qts, const char *id, uint64_t size)
{
    json_object_put(qtest_qmp(qts, "{'execute': 'object-add', 'arguments': {'qom-type': "
                              "'memory-backend-ram', 'id': '%s', 'size': %" G_GUINT64_FORMAT "}}",
                              id, size));
}

static void add_dimm(QTest *qts, const char *id, const char *memdev, const char *more)
{
    json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': {'driver': 'pc-dimm', "
                              "'id': '%s', 'memdev': '%s'%s}}", id, memdev, more));
}

static uint8_t flags(QTest *qts, uint32_t slot)
{
    qtest_outl(qts, SELECT, slot);
    return qtest_inb(qts, FLAGS);
}

static uint64_t pair(QTest *qts, uint16_t port)
{
    return qtest_inl(qts, port) | (uint64_t)qtest_inl(qts, port + 4) << 32;
}

static uint64_t number(json_object *object, const char *key)
{
    json_object *member;

    g_assert_true(json_object_object_get_ex(object, key, &member));
    return json_object_get_uint64(member);
}

static void expect_string(json_object *object, const char *key, const char *value)
{
    json_object *member;

    g_assert_true(json_object_object_get_ex(object, key, &member));
    g_assert_cmpstr(json_object_get_string(member), ==, value);
}

static uint64_t plugged(QTest *qts)
{
    json_object *info = qtest_qmp(qts, "{'execute': 'query-memory-size-summary'}");
    uint64_t size = number(info, "plugged-memory");

    g_assert_cmpuint(number(info, "base-memory"), ==, 512 * MIB);
    json_object_put(info);
    return size;
}

static void expect_gpe(QTest *qts)
{
    g_assert_cmphex(qtest_inb(qts, GPE_STATUS), ==, GPE_HOTPLUG);
    qtest_outb(qts, GPE_STATUS, GPE_HOTPLUG);
}

static void test_plug_and_eject(void)
{
    g_autoptr(QTest) qts = start();

    g_assert_cmphex(flags(qts, 0), ==, 0);
    add_backend(qts, "m1", 128 * MIB);
    add_dimm(qts, "d1", "m1", "");
    expect_gpe(qts);
    g_assert_cmphex(flags(qts, 0), ==, PRESENT | INSERTING);
    g_assert_cmphex(pair(qts, ADDR), ==, AREA);
    g_assert_cmphex(pair(qts, SIZE), ==, 128 * MIB);
    g_assert_cmpuint(qtest_inl(qts, NODE), ==, 0);
    qtest_outb(qts, FLAGS, INSERTING);
    g_assert_cmphex(qtest_inb(qts, FLAGS), ==, PRESENT);
    g_assert_cmpuint(plugged(qts), ==, 128 * MIB);
    qtest_writeq(qts, AREA + 128 * MIB - 8, 0x1122334455667788);
    g_assert_cmphex(qtest_readq(qts, AREA + 128 * MIB - 8), ==, 0x1122334455667788);
    g_assert_cmphex(qtest_readq(qts, AREA + 128 * MIB), ==, UINT64_MAX);
    qtest_device_del(qts, "d1");
    expect_gpe(qts);
    g_assert_cmphex(flags(qts, 0), ==, PRESENT | REMOVING);
    qtest_outb(qts, FLAGS, REMOVING);
    g_assert_false(qtest_qmp_has_event(qts, "DEVICE_DELETED"));
    qtest_outb(qts, FLAGS, EJECT);
    qtest_expect_deleted(qts, "d1");
    g_assert_cmphex(flags(qts, 0), ==, 0);
    g_assert_cmphex(pair(qts, SIZE), ==, 0);
    g_assert_cmpuint(plugged(qts), ==, 0);
    g_assert_cmphex(qtest_readq(qts, AREA), ==, UINT64_MAX);
    /* The backend can go, or come back with what was in it. */
    add_dimm(qts, "d1", "m1", ", 'slot': 2, 'addr': 4429185024");
    g_assert_cmphex(flags(qts, 2), ==, PRESENT | INSERTING);
    g_assert_cmphex(pair(qts, ADDR), ==, AREA + 128 * MIB);
    g_assert_cmphex(qtest_readq(qts, AREA + 256 * MIB - 8), ==, 0x1122334455667788);
    qtest_outb(qts, FLAGS, EJECT);
    qtest_expect_deleted(qts, "d1");
    json_object_put(qtest_qmp(qts, "{'execute': 'object-del', 'arguments': {'id': 'm1'}}"));
}

static void test_errors(void)
{
    static const struct {
        const char *arguments, *error;
    } cases[] = {
        { "", "'memdev' property must be set" },
        { ", 'memdev': 'm1'", "can't use already busy memdev: m1" },
        { ", 'memdev': 'odd'", "backend memory size must be multiple of 0x200000" },
        { ", 'memdev': 'huge'", "not enough space, currently 0x8000000 in use of total space for "
                                "memory devices 0xe0000000" },
        { ", 'memdev': 'm2', 'slot': 0", "slot 0 is busy" },
        { ", 'memdev': 'm2', 'slot': 7", "invalid slot number 7, valid range is [0-2]" },
        { ", 'memdev': 'm2', 'slot': -2", "invalid slot number -2, valid range is [0-2]" },
        { ", 'memdev': 'm2', 'node': 1", "'DIMM property node has value 1' which exceeds the "
                                         "number of numa nodes: 1" },
        { ", 'memdev': 'm2', 'addr': 4294967296", "address range conflicts with memory device "
                                                  "id='d1'" },
        { ", 'memdev': 'm2', 'addr': 268435456", "can't add memory device [0x10000000:0x4000000], "
          "usable range for memory devices [0x100000000:0x1a0000000]" },
        { ", 'memdev': 'm2', 'addr': 18446744073642442752", "can't add memory device "
          "[0xfffffffffc000000:0x4000000], usable range for memory devices "
          "[0x100000000:0x1a0000000]" },
        { ", 'memdev': 'm2', 'addr': 4294967297", "address must be aligned to 0x200000 bytes" },
    };
    g_autoptr(QTest) qts = start();
    g_autofree char *busy = NULL, *full = NULL;

    add_backend(qts, "m1", 128 * MIB);
    add_backend(qts, "m2", 64 * MIB);
    add_backend(qts, "m3", 64 * MIB);
    add_backend(qts, "m4", 64 * MIB);
    add_backend(qts, "odd", 100000);
    add_backend(qts, "huge", 3584 * MIB);
    add_dimm(qts, "d1", "m1", "");
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *error = qtest_qmp_error(
            qts, "{'execute': 'device_add', 'arguments': {'driver': 'pc-dimm', 'id': 'x'%s}}",
            cases[i].arguments);

        g_assert_cmpstr(error, ==, cases[i].error);
        g_assert_cmpuint(plugged(qts), ==, 128 * MIB);
    }
    busy = qtest_qmp_error(qts, "{'execute': 'object-del', 'arguments': {'id': 'm1'}}");
    g_assert_cmpstr(busy, ==, "memory backend 'm1' is in use");
    add_dimm(qts, "d2", "m2", "");
    add_dimm(qts, "d3", "m3", "");
    full = qtest_qmp_error(qts, "{'execute': 'device_add', 'arguments': {'driver': 'pc-dimm', "
                           "'id': 'x', 'memdev': 'm4'}}");
    g_assert_cmpstr(full, ==, "no free slots available");
}

/* Gaps are filled, and the list is in order of address. */
static void test_places(void)
{
    static const struct {
        const char *id, *more;
        uint64_t addr;
        int slot;
    } dimms[] = {
        { "a", ", 'addr': 4362076160, 'slot': 2", AREA + 64 * MIB, 2 },
        { "b", "", AREA, 0 },
        { "c", "", AREA + 128 * MIB, 1 },
    };
    static const char *const order[] = { "b", "a", "c" };
    g_autoptr(QTest) qts = start();
    g_autofree char *text = NULL;
    json_object *list;

    for (unsigned i = 0; i < G_N_ELEMENTS(dimms); i++) {
        g_autofree char *memdev = g_strdup_printf("m-%s", dimms[i].id);

        add_backend(qts, memdev, 64 * MIB);
        add_dimm(qts, dimms[i].id, memdev, dimms[i].more);
        flags(qts, dimms[i].slot);
        g_assert_cmphex(pair(qts, ADDR), ==, dimms[i].addr);
    }
    list = qtest_qmp(qts, "{'execute': 'query-memory-devices'}");
    g_assert_cmpuint(json_object_array_length(list), ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        json_object *item = json_object_array_get_idx(list, i), *data;

        expect_string(item, "type", "dimm");
        g_assert_true(json_object_object_get_ex(item, "data", &data));
        expect_string(data, "id", order[i]);
        expect_string(data, "hotplugged", "true");
        expect_string(data, "hotpluggable", "true");
        g_assert_cmpuint(number(data, "size"), ==, 64 * MIB);
        g_assert_cmphex(number(data, "addr"), ==, AREA + i * 64 * MIB);
    }
    json_object_put(list);
    text = qtest_hmp(qts, "info memory-devices");
    g_assert_nonnull(strstr(text, "Memory device [dimm]: \"a\""));
    g_assert_nonnull(strstr(text, "addr: 0x104000000"));
    g_assert_nonnull(strstr(text, "memdev: /objects/m-a"));
}

static void test_wild_registers(void)
{
    g_autoptr(QTest) qts = start();

    add_backend(qts, "m1", 64 * MIB);
    add_dimm(qts, "d1", "m1", "");
    for (uint32_t slot = 1; slot < 300; slot++) {
        qtest_outl(qts, SELECT, slot);
        for (uint16_t port = BASE; port < BASE + 24; port++) {
            qtest_inb(qts, port);
            if (port >= OST_EVENT) {
                qtest_outb(qts, port, 0xff);
            }
        }
        qtest_outl(qts, OST_STATUS, slot);
        g_assert_cmphex(pair(qts, SIZE), ==, 0);
    }
    g_assert_cmphex(flags(qts, UINT32_MAX), ==, 0);
    g_assert_cmphex(flags(qts, 0), ==, PRESENT | INSERTING);
    /* Twice before the main loop gets to it. */
    qtest_outb(qts, FLAGS, 0xff);
    qtest_outb(qts, FLAGS, 0xff);
    qtest_expect_deleted(qts, "d1");
    g_assert_cmphex(flags(qts, 0), ==, 0);
}

static void test_reset_finishes(void)
{
    g_autoptr(QTest) qts = start();

    add_backend(qts, "m1", 64 * MIB);
    add_dimm(qts, "d1", "m1", "");
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(flags(qts, 0), ==, PRESENT);
    qtest_device_del(qts, "d1");
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    qtest_expect_deleted(qts, "d1");
    g_assert_cmphex(flags(qts, 0), ==, 0);
}

/* What the guest says of it: told by events, kept for a query. */
static void test_outcome(void)
{
    g_autoptr(QTest) qts = start();
    json_object *data, *info, *list;

    add_backend(qts, "m1", 64 * MIB);
    add_dimm(qts, "d1", "m1", ", 'slot': 1");
    qtest_device_del(qts, "d1");
    qtest_outl(qts, SELECT, 1);
    qtest_outl(qts, OST_EVENT, 3);
    qtest_outl(qts, OST_STATUS, 0x84); /* under way */
    data = qtest_qmp_event_data(qts, "ACPI_DEVICE_OST");
    json_object_put(data);
    qtest_outl(qts, OST_STATUS, 0x81); /* in use */
    data = qtest_qmp_event_data(qts, "ACPI_DEVICE_OST");
    g_assert_true(json_object_object_get_ex(data, "info", &info));
    expect_string(info, "device", "d1");
    expect_string(info, "slot", "1");
    expect_string(info, "slot-type", "DIMM");
    expect_string(info, "source", "3");
    expect_string(info, "status", "129");
    json_object_put(data);
    data = qtest_qmp_event_data(qts, "MEM_UNPLUG_ERROR");
    expect_string(data, "device", "d1");
    expect_string(data, "msg", "The guest refused to let the memory go (_OST status 0x81)");
    json_object_put(data);
    data = qtest_qmp_event_data(qts, "DEVICE_UNPLUG_GUEST_ERROR");
    expect_string(data, "device", "d1");
    expect_string(data, "path", "/machine/peripheral/d1");
    json_object_put(data);
    list = qtest_qmp(qts, "{'execute': 'query-acpi-ospm-status'}");
    g_assert_cmpuint(json_object_array_length(list), ==, 4);
    expect_string(json_object_array_get_idx(list, 1), "status", "129");
    expect_string(json_object_array_get_idx(list, 1), "slot-type", "DIMM");
    expect_string(json_object_array_get_idx(list, 2), "status", "0");
    expect_string(json_object_array_get_idx(list, 3), "slot-type", "CPU");
    json_object_put(list);
    g_assert_cmpuint(plugged(qts), ==, 64 * MIB);
}

static void test_cold_plug(void)
{
    g_autoptr(QTest) qts = qtest_start(
        "-M pc -nodefaults -m 512M,slots=2,maxmem=2G -numa node,nodeid=0 -numa node,nodeid=1 "
        "-object memory-backend-memfd,id=m1,size=256M -device pc-dimm,memdev=m1,id=d1,node=1");
    json_object *list, *data;

    g_assert_cmphex(qtest_inb(qts, GPE_STATUS), ==, 0);
    g_assert_cmphex(flags(qts, 0), ==, PRESENT);
    g_assert_cmpuint(qtest_inl(qts, NODE), ==, 1);
    list = qtest_qmp(qts, "{'execute': 'query-memory-devices'}");
    g_assert_true(json_object_object_get_ex(json_object_array_get_idx(list, 0), "data", &data));
    expect_string(data, "hotplugged", "false");
    expect_string(data, "memdev", "/objects/m1");
    json_object_put(list);
    g_assert_cmpuint(plugged(qts), ==, 256 * MIB);
}

static void test_refused(void)
{
    static const struct {
        const char *options, *error;
    } cases[] = {
        { "-M pc -m 512M", "no slots where allocated, please specify the 'slots' option" },
        { "-M pc -m 512M,maxmem=1G",
          "no slots where allocated, please specify the 'slots' option" },
        { "-M pc,acpi=off -m 512M,slots=1,maxmem=1G",
          "memory hotplug is not enabled: missing acpi device or acpi disabled" },
        { "-M microvm -m 512M,slots=1,maxmem=1G",
          "memory devices (such as memory to be plugged) are not supported by the machine" },
    };
    g_autofree char *big = qtest_start_refused("-M pc -m 512M,slots=1,maxmem=8388608T");

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = qtest_start_refused(
            "%s -object memory-backend-ram,id=m,size=64M -device pc-dimm,memdev=m",
            cases[i].options);

        if (!strstr(text, cases[i].error)) {
            g_error("%s: %s", cases[i].options, text);
        }
    }
    g_assert_nonnull(strstr(big, "maxmem"));
}

/* The memory's content, what the guest has seen, and what it said. */
static void test_saved_state(void)
{
    g_autoptr(QTest) qts = start();
    g_autofree char *path = NULL;
    json_object *list;

    path = snapshot_make_node(qts);
    g_unlink(path);
    add_backend(qts, "m1", 4 * MIB);
    add_dimm(qts, "d1", "m1", "");
    qtest_device_del(qts, "d1");
    qtest_writeq(qts, AREA + 8, 0x1122334455667788);
    g_assert_cmphex(flags(qts, 0), ==, PRESENT | INSERTING | REMOVING);
    qtest_outb(qts, FLAGS, INSERTING);
    qtest_outl(qts, OST_EVENT, 0x103);
    qtest_outl(qts, OST_STATUS, 0x84);
    snapshot_run(qts, "snapshot-save");
    qtest_outb(qts, FLAGS, REMOVING);
    qtest_outl(qts, OST_STATUS, 0x81); /* it stays, else the reset of loading would remove it */
    qtest_outl(qts, SELECT, 2);
    qtest_writeq(qts, AREA + 8, 0);
    snapshot_run(qts, "snapshot-load");
    g_assert_cmphex(qtest_inb(qts, FLAGS), ==, PRESENT | REMOVING);
    g_assert_cmphex(qtest_readq(qts, AREA + 8), ==, 0x1122334455667788);
    list = qtest_qmp(qts, "{'execute': 'query-acpi-ospm-status'}");
    expect_string(json_object_array_get_idx(list, 0), "source", "259");
    expect_string(json_object_array_get_idx(list, 0), "status", "132");
    json_object_put(list);
    qtest_outb(qts, FLAGS, EJECT);
    qtest_expect_deleted(qts, "d1");
}

static void test_cycles(void)
{
    g_autoptr(QTest) qts = start();

    for (unsigned i = 0; i < 100; i++) {
        add_backend(qts, "m1", 64 * MIB);
        add_dimm(qts, "d1", "m1", "");
        qtest_writeb(qts, AREA, 1);
        qtest_outl(qts, SELECT, 0);
        qtest_outb(qts, FLAGS, EJECT);
        qtest_expect_deleted(qts, "d1");
        json_object_put(qtest_qmp(qts, "{'execute': 'object-del', 'arguments': {'id': 'm1'}}"));
    }
    g_assert_cmpuint(plugged(qts), ==, 0);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory-hotplug/plug-and-eject", test_plug_and_eject);
    g_test_add_func("/memory-hotplug/errors", test_errors);
    g_test_add_func("/memory-hotplug/places", test_places);
    g_test_add_func("/memory-hotplug/wild-registers", test_wild_registers);
    g_test_add_func("/memory-hotplug/reset-finishes", test_reset_finishes);
    g_test_add_func("/memory-hotplug/outcome", test_outcome);
    g_test_add_func("/memory-hotplug/cold-plug", test_cold_plug);
    g_test_add_func("/memory-hotplug/refused", test_refused);
    g_test_add_func("/memory-hotplug/saved-state", test_saved_state);
    g_test_add_func("/memory-hotplug/cycles", test_cycles);
    return g_test_run();
}
