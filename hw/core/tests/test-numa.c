/* SPDX-License-Identifier: Apache-2.0 */
/* -m and -numa: what they mean, what they refuse, and the RAM that comes of them. */
#include <glib/gstdio.h>
#include <string.h>

#include "hw/core/numa.h"
#include "memory/ram-backend.h"
#include "qapi/qapi-commands-machine.h"
#include "util/bits.h"
#include "util/vm-lock.h"

static const MachineOps test_ops = {
    .default_ram_size = 64 * MiB,
    .default_ram_id = "test.ram",
};

static const TypeInfo test_machine_type = {
    .name = "numa-test-machine",
    .parent = TYPE_MACHINE,
    .instance_size = sizeof(Machine),
    .ops = &test_ops,
};
QOM_TYPE(test_machine_type);

static Machine *machine_new(void)
{
    Machine *machine = (Machine *)object_new("numa-test-machine");

    machine->smp = (SmpConfig){ .cpus = 4, .max_cpus = 8, .sockets = 2, .dies = 1, .cores = 2,
                                .threads = 2 };
    return machine;
}

static void machine_drop(Machine *machine)
{
    machine_release_ram(machine);
    object_unref(OBJECT(machine));
}

static void add_ok(Machine *machine, const char *text)
{
    g_autoptr(GError) error = NULL;

    numa_add_option(machine, text, &error);
    g_assert_no_error(error);
}

static void check_error(bool ok, GError *error, const char *part)
{
    g_assert_false(ok);
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, part));
    g_error_free(error);
}

static void add_fails(Machine *machine, const char *text, const char *part)
{
    GError *error = NULL;
    bool ok = numa_add_option(machine, text, &error);

    check_error(ok, error, part);
}

static void backend_new(const char *id, uint64_t size)
{
    json_object *options = json_object_new_object();

    json_object_object_add(options, "qom-type", json_object_new_string(TYPE_MEMORY_BACKEND_RAM));
    json_object_object_add(options, "id", json_object_new_string(id));
    json_object_object_add(options, "size", json_object_new_uint64(size));
    g_assert_nonnull(user_object_create(options, false, NULL));
    json_object_put(options);
}

static bool node_has_cpu(const NumaNode *node, unsigned cpu)
{
    for (unsigned i = 0; node->cpus && i < node->cpus->len; i++) {
        if (g_array_index(node->cpus, unsigned, i) == cpu) {
            return true;
        }
    }
    return false;
}

static void test_size(void)
{
    static const struct {
        const char *text;
        uint64_t size, max;
        unsigned slots;
    } good[] = {
        { "512", 512 * MiB, 512 * MiB, 0 },
        { "1.5G", 1536 * MiB, 1536 * MiB, 0 },
        { "size=1G,slots=3,maxmem=4G", GiB, 4 * GiB, 3 },
        { "2,maxmem=2M", 2 * MiB, 2 * MiB, 0 },
        { "9k", 16 * KiB, 16 * KiB, 0 },
        { "slots=1,maxmem=1G", 0, GiB, 1 },
        { "1G,maxmem=2G", GiB, 2 * GiB, 0 },
    };
    static const char *const bad[][2] = {
        { "x", "size" }, { "-1", "size" }, { "1G,maxmem=1M,slots=1", "less than" },
        { "1G,slots=1", "maxmem" }, { "1G,slots=1,maxmem=1G", "maxmem" },
        { "1G,slots=1,maxmem=1500001K", "multiple" },
        { "1G,slots=257,maxmem=2G", "256" },
        { "16E", "" }, { "1G,maxmen=2G", "maxmem" }, { "9223372036854775808", "" },
    };
    Machine *machine = machine_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;

        machine_set_memory(machine, good[i].text, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(machine->ram_size, ==, good[i].size);
        g_assert_cmpuint(machine->max_ram_size, ==, good[i].max);
        g_assert_cmpuint(machine->ram_slots, ==, good[i].slots);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        GError *error = NULL;
        bool ok = machine_set_memory(machine, bad[i][0], &error);

        check_error(ok, error, bad[i][1]);
    }
    machine_drop(machine);
}

static void test_default_ram(void)
{
    MachineRamOptions options = { 0 };
    Machine *machine = machine_new();
    g_autoptr(GError) error = NULL;
    MemoryInfo *info;

    machine_create_ram(machine, &options, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(machine->ram_size, ==, 64 * MiB);
    g_assert_cmpstr(ram_block_idstr(memory_region_ram_block(machine->ram)), ==, "test.ram");
    g_assert_false(user_object_delete("test.ram", NULL));
    machine_set_current(machine);
    info = qmp_query_memory_size_summary(NULL);
    g_assert_cmpuint(info->base_memory, ==, 64 * MiB);
    MemoryInfo_free(info);
    machine_drop(machine);
    g_assert_true(user_object_delete("test.ram", NULL));
}

static void test_named_backend(void)
{
    MachineRamOptions options = { 0 };
    Machine *machine = machine_new();
    GError *error = NULL;
    bool ok;

    machine->memory_backend = g_strdup("m0");
    ok = machine_create_ram(machine, &options, &error);
    check_error(ok, error, "m0");
    backend_new("m0", 3 * MiB);
    error = NULL;
    g_assert_true(machine_set_memory(machine, "2M", NULL));
    ok = machine_create_ram(machine, &options, &error);
    check_error(ok, error, "-m says");
    machine->ram_size = 0;
    g_assert_true(machine_create_ram(machine, &options, NULL));
    g_assert_cmpuint(machine->ram_size, ==, 3 * MiB);
    g_assert_cmpuint(memory_region_size(machine->ram), ==, 3 * MiB);
    machine_drop(machine);
    g_assert_true(user_object_delete("m0", NULL));
}

static void test_nodes(void)
{
    MachineRamOptions options = { 0 };
    Machine *machine = machine_new();
    AddressSpace *as;
    uint64_t value;

    backend_new("m0", 2 * MiB);
    backend_new("m1", MiB);
    add_ok(machine, "node,nodeid=0,cpus=0-1,cpus=4,memdev=m0");
    add_ok(machine, "{\"type\":\"node\",\"nodeid\":1,\"cpus\":[2,3,5,6,7],\"memdev\":\"m1\"}");
    add_ok(machine, "dist,src=0,dst=1,val=21");
    g_assert_true(machine_create_ram(machine, &options, NULL));
    g_assert_cmpuint(machine->ram_size, ==, 3 * MiB);
    g_assert_cmpuint(machine->numa[1].mem, ==, MiB);
    g_assert_true(node_has_cpu(&machine->numa[0], 4) && node_has_cpu(&machine->numa[1], 5));
    g_assert_cmpuint(machine->numa[1].distance[0], ==, 21);
    g_assert_cmpuint(machine->numa[1].distance[1], ==, 10);
    as = address_space_new(machine->ram, "ram");
    address_space_store(as, 2 * MiB, 4, 0x1234);
    g_assert_cmpint(address_space_load(as, 2 * MiB, 4, &value), ==, MEM_OK);
    g_assert_cmphex(*(uint32_t *)memory_region_ram_ptr(ram_backend_region(
        (RamBackend *)user_object_find("m1", TYPE_MEMORY_BACKEND, NULL))), ==, 0x1234);
    address_space_free(as);
    machine_drop(machine);
    g_assert_true(user_object_delete("m0", NULL) && user_object_delete("m1", NULL));
}

static void test_completion(void)
{
    Machine *machine = machine_new();

    machine->ram_size = 100 * MiB;
    add_ok(machine, "node");
    add_ok(machine, "node");
    g_assert_true(numa_complete(machine, NULL));
    g_assert_cmpuint(machine->numa[0].mem, ==, 48 * MiB);
    g_assert_cmpuint(machine->numa[1].mem, ==, 52 * MiB);
    g_assert_true(node_has_cpu(&machine->numa[0], 3) && node_has_cpu(&machine->numa[1], 4));
    g_assert_cmpuint(machine->numa[0].distance[1], ==, 0);
    machine_drop(machine);

    machine = machine_new();
    machine->ram_size = 3 * MiB;
    add_ok(machine, "node,mem=1");
    add_ok(machine, "node,mem=2M");
    add_ok(machine, "cpu,node-id=1,socket-id=0,core-id=1");
    add_ok(machine, "cpu,node-id=0,socket-id=1");
    g_assert_true(numa_complete(machine, NULL));
    g_assert_true(node_has_cpu(&machine->numa[1], 2) && node_has_cpu(&machine->numa[1], 3));
    g_assert_cmpuint(machine->numa[1].cpus->len, ==, 2);
    machine_drop(machine);
}

static void complete_fails(Machine *machine, const char *part)
{
    GError *error = NULL;
    bool ok = numa_complete(machine, &error);

    check_error(ok, error, part);
}

static void test_refused(void)
{
    Machine *machine = machine_new();

    machine->ram_size = 16 * MiB;
    add_fails(machine, "nod", "nod");
    add_fails(machine, "node,nodeid=128", "128");
    add_fails(machine, "node,nodeid=70000", "nodeid");
    add_fails(machine, "node,cpus=8", "CPU 8");
    add_fails(machine, "node,cpus=0-99999999999", "cpus");
    add_fails(machine, "node,mem=1,memdev=x", "both");
    add_fails(machine, "node,mem=lots", "lots");
    add_fails(machine, "dist,src=0,dst=1,val=20", "no such node");
    add_fails(machine, "cpu,socket-id=0", "node-id");
    add_ok(machine, "node,nodeid=0,cpus=0-3");
    add_fails(machine, "node,nodeid=0", "twice");
    add_fails(machine, "node,nodeid=1,cpus=3-4", "CPU 3");
    add_ok(machine, "node,nodeid=2");
    complete_fails(machine, "node 1 is missing");
    add_ok(machine, "node,nodeid=1,mem=1M");
    add_fails(machine, "dist,src=0,dst=1,val=9", "distance 9");
    add_fails(machine, "dist,src=0,dst=1,val=10", "distance 10");
    add_fails(machine, "dist,src=0,dst=0,val=20", "distance 20");
    add_fails(machine, "cpu,node-id=1,socket-id=7", "no CPU");
    complete_fails(machine, "together");
    machine->numa[1].mem = 16 * MiB;
    add_ok(machine, "dist,src=0,dst=1,val=20");
    complete_fails(machine, "between nodes 0 and 2");
    machine->numa[2].memdev = g_strdup("nothing");
    complete_fails(machine, "nothing");
    machine_drop(machine);
}

static void count_turn(void *opaque)
{
    ++*(unsigned *)opaque;
}

/* The main loop turns while much is saved. */
static void test_pmemsave_yields(void)
{
    unsigned turns = 0;
    LoopBh *bh = loop_bh_new(loop_main(), count_turn, &turns);
    GError *error = NULL;
    bool ok;

    loop_bh_schedule(bh);
    g_assert_true(qmp_pmemsave(0, 3 * MiB + 5, "/dev/null", NULL));
    g_assert_cmpuint(turns, ==, 1);
    ok = qmp_pmemsave(0, MiB, "/dev/full", &error);
    check_error(ok, error, "/dev/full");
    loop_bh_free(bh);
}

static void test_pmemsave(void)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-pmemsave-XXXXXX", NULL);
    MemoryRegion *ram = memory_region_new_ram(NULL, "saved", 0x2000, NULL);
    g_autofree char *contents = NULL;
    GError *error = NULL;
    gsize length;
    bool ok;

    g_assert_nonnull(g_mkdtemp(path));
    g_autofree char *file = g_build_filename(path, "memory", NULL);

    memory_region_add(memory_system(), 0x1000, ram);
    memset(memory_region_ram_ptr(ram), 0x5a, 0x2000);
    g_assert_true(qmp_pmemsave(0x1800, 0x1900, file, NULL));
    g_assert_true(g_file_get_contents(file, &contents, &length, NULL));
    g_assert_cmpuint(length, ==, 0x1900);
    g_assert_cmphex((uint8_t)contents[0x17ff], ==, 0x5a);
    g_assert_cmphex((uint8_t)contents[0x1800], ==, 0xff);
    ok = qmp_pmemsave(UINT64_MAX, 2, file, &error);
    check_error(ok, error, "beyond");
    error = NULL;
    ok = qmp_pmemsave(0, 1, "/nonexistent/file", &error);
    check_error(ok, error, "/nonexistent/file");
    error = NULL;
    ok = qmp_memsave(0, 1, file, true, 99999, &error);
    check_error(ok, error, "99999");
    memory_region_remove(memory_system(), ram);
    memory_region_free(ram);
    g_unlink(file);
    g_rmdir(path);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    vm_lock();
    memory_init();
    g_test_add_func("/machine/memory/size", test_size);
    g_test_add_func("/machine/memory/default", test_default_ram);
    g_test_add_func("/machine/memory/named", test_named_backend);
    g_test_add_func("/machine/memory/pmemsave", test_pmemsave);
    g_test_add_func("/machine/memory/pmemsave-yields", test_pmemsave_yields);
    g_test_add_func("/machine/numa/nodes", test_nodes);
    g_test_add_func("/machine/numa/completion", test_completion);
    g_test_add_func("/machine/numa/refused", test_refused);
    result = g_test_run();
    memory_cleanup();
    vm_unlock();
    return result;
}
