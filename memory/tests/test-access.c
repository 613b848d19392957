/* SPDX-License-Identifier: Apache-2.0 */
/* Access: RAM, ROM, I/O of every size and order, edges at 2^64, mappings, re-entry, the VM lock. */
#include <string.h>

#include "memory/guard.h"
#include "memory/memory.h"
#include "util/bits.h"
#include "util/vm-lock.h"

#define RAM_SIZE 0x10000u

/* A device that notes its calls and answers with its own offsets: byte at offset n reads as n. */
typedef struct Probe {
    unsigned calls;
    uint64_t offset[16];
    uint64_t value[16];
    unsigned size[16];
    bool locked;
} Probe;

static void probe_note(Probe *probe, uint64_t offset, uint64_t value, unsigned size)
{
    g_assert_cmpuint(probe->calls, <, G_N_ELEMENTS(probe->offset));
    probe->offset[probe->calls] = offset;
    probe->value[probe->calls] = value;
    probe->size[probe->calls++] = size;
    probe->locked = vm_lock_held();
}

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    probe_note(opaque, offset, 0, size);
    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)((offset + i) & 0xff) << (8 * i);
    }
    return value;
}

static uint64_t probe_read_big(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    probe_note(opaque, offset, 0, size);
    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | ((offset + i) & 0xff);
    }
    return value;
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    probe_note(opaque, offset, value, size);
}

typedef struct Fixture {
    MemoryRegion *root;
    AddressSpace *as;
    MemoryRegion *ram;
    Probe probe;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    vm_lock();
    memory_init();
    f->root = memory_region_new_container(NULL, "root", 0);
    f->as = address_space_new(f->root, "test");
    f->ram = memory_region_new_ram(NULL, "ram", RAM_SIZE, NULL);
    g_assert_nonnull(f->ram);
    memory_region_add(f->root, 0, f->ram);
}

static void teardown(Fixture *f, gconstpointer data)
{
    memory_region_remove(f->root, f->ram);
    memory_region_free(f->ram);
    address_space_free(f->as);
    memory_region_free(f->root);
    memory_cleanup();
    vm_unlock();
}

/* Put a probe device at addr for the time of one test. */
static MemoryRegion *add_probe(Fixture *f, const MemoryRegionOps *ops, uint64_t addr, uint64_t size)
{
    MemoryRegion *region = memory_region_new_io(NULL, ops, &f->probe, "probe", size);

    memory_region_add_overlap(f->root, addr, region, 1);
    return region;
}

static void drop(Fixture *f, MemoryRegion *region)
{
    memory_region_remove(f->root, region);
    memory_region_free(region);
}

static void test_ram(Fixture *f, gconstpointer data)
{
    uint8_t *host = memory_region_ram_ptr(f->ram);
    char text[] = "guest memory";
    char back[sizeof(text)];
    uint64_t value;

    g_assert_cmpint(address_space_write(f->as, 0x1ffc, text, sizeof(text)), ==, MEM_OK);
    g_assert_cmpint(address_space_read(f->as, 0x1ffc, back, sizeof(back)), ==, MEM_OK);
    g_assert_cmpstr(back, ==, text);
    g_assert_cmpmem(host + 0x1ffc, sizeof(text), text, sizeof(text));
    for (unsigned size = 1; size <= 8; size *= 2) {
        g_assert_cmpint(address_space_store(f->as, 0x101, size, 0x8877665544332211), ==, MEM_OK);
        g_assert_cmpint(address_space_load(f->as, 0x101, size, &value), ==, MEM_OK);
        g_assert_cmphex(value, ==, 0x8877665544332211 & (~0ULL >> (64 - 8 * size)));
    }
    g_assert_cmpint(address_space_set(f->as, 0x3000, 0x5a, 0x5001), ==, MEM_OK);
    g_assert_cmphex(host[0x2fff], ==, 0);
    g_assert_cmphex(host[0x3000], ==, 0x5a);
    g_assert_cmphex(host[0x8000], ==, 0x5a);
    g_assert_cmphex(host[0x8001], ==, 0);
}

static void test_unassigned(Fixture *f, gconstpointer data)
{
    uint8_t bytes[16] = { 0 };
    uint64_t value = 0;

    g_assert_cmpint(address_space_read(f->as, RAM_SIZE - 8, bytes, 16), ==, MEM_UNASSIGNED);
    g_assert_cmphex(bytes[7], ==, 0);
    g_assert_cmphex(bytes[8], ==, 0xff);
    g_assert_cmpint(address_space_load(f->as, 1ull << 40, 4, &value), ==, MEM_UNASSIGNED);
    g_assert_cmphex(value, ==, 0xffffffff);
    g_assert_cmpint(address_space_load(f->as, RAM_SIZE - 2, 4, &value), ==, MEM_UNASSIGNED);
    g_assert_cmphex(value, ==, 0xffff0000);
    g_assert_cmpint(address_space_store(f->as, RAM_SIZE - 2, 4, 0x44332211), ==, MEM_UNASSIGNED);
    g_assert_cmphex(ldw_le((uint8_t *)memory_region_ram_ptr(f->ram) + RAM_SIZE - 2), ==, 0x2211);
    g_assert_true(address_space_is_ram(f->as, 0, RAM_SIZE));
    g_assert_false(address_space_is_ram(f->as, 1, RAM_SIZE));
    g_assert_false(address_space_is_ram(f->as, 0, UINT64_MAX));
}

/* Lengths and addresses where sums overflow. */
static void test_edge(Fixture *f, gconstpointer data)
{
    MemoryRegion *top = memory_region_new_ram(NULL, "top", 0x1000, NULL);
    uint8_t bytes[0x1000] = { 0 };
    uint64_t len = UINT64_MAX;
    uint64_t offset;
    uint64_t value;

    memory_region_add(f->root, -0x1000ull, top);
    ((uint8_t *)memory_region_ram_ptr(top))[0xfff] = 0x77;
    *(uint8_t *)memory_region_ram_ptr(f->ram) = 0x33;
    g_assert_cmpint(address_space_load(f->as, UINT64_MAX, 1, &value), ==, MEM_OK);
    g_assert_cmphex(value, ==, 0x77);
    g_assert_cmpint(address_space_load(f->as, UINT64_MAX, 2, &value), ==, MEM_OK);
    g_assert_cmphex(value, ==, 0x3377);
    g_assert_cmpint(address_space_read(f->as, -0x800ull, bytes, 0x1000), ==, MEM_OK);
    g_assert_cmphex(bytes[0x7ff], ==, 0x77);
    g_assert_cmphex(bytes[0x800], ==, 0x33);
    g_assert_true(address_space_translate(f->as, -0x10ull, &offset, &len) == top);
    g_assert_cmphex(offset, ==, 0xff0);
    g_assert_cmphex(len, ==, 0x10);
    len = UINT64_MAX;
    g_assert_true(address_space_map(f->as, UINT64_MAX, &len, true) ==
                  (uint8_t *)memory_region_ram_ptr(top) + 0xfff);
    g_assert_cmphex(len, ==, 1);
    address_space_unmap(f->as, (uint8_t *)memory_region_ram_ptr(top) + 0xfff, 1, true, 1);
    g_assert_false(address_space_is_ram(f->as, -0x1000ull, UINT64_MAX));
    /* All of the space, and not byte by byte. */
    g_assert_cmpint(address_space_set(f->as, 5, 0x11, UINT64_MAX), ==, MEM_UNASSIGNED);
    g_assert_cmphex(((uint8_t *)memory_region_ram_ptr(top))[0], ==, 0x11);
    g_assert_cmphex(*(uint8_t *)memory_region_ram_ptr(f->ram), ==, 0x11);
    g_assert_cmphex(((uint8_t *)memory_region_ram_ptr(f->ram))[4], ==, 0);
    drop(f, top);
}

static void test_rom(Fixture *f, gconstpointer data)
{
    MemoryRegion *rom = memory_region_new_rom(NULL, "rom", 0x1000, NULL);
    uint64_t len = 16;
    uint64_t value;

    memory_region_add_overlap(f->root, 0x4000, rom, 1);
    g_assert_cmpint(address_space_store(f->as, 0x4000, 4, 1), ==, MEM_ROM);
    g_assert_cmpint(address_space_write(f->as, 0x3fff, "ab", 2), ==, MEM_ROM);
    g_assert_cmpint(address_space_write_rom(f->as, 0x3fff, "ab", 2), ==, MEM_OK);
    g_assert_cmpint(address_space_load(f->as, 0x4000, 1, &value), ==, MEM_OK);
    g_assert_cmphex(value, ==, 'b');
    g_assert_null(address_space_map(f->as, 0x4000, &len, true));
    g_assert_cmpuint(len, ==, 0);
    len = 16;
    g_assert_nonnull(address_space_map(f->as, 0x4000, &len, false));
    address_space_unmap(f->as, memory_region_ram_ptr(rom), len, false, 0);
    drop(f, rom);
}

static void test_rom_device(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = { .read = probe_read, .write = probe_write };
    MemoryRegion *flash = memory_region_new_rom_device(NULL, &ops, &f->probe, "flash", 0x1000,
                                                       NULL);
    uint64_t value;

    memory_region_add_overlap(f->root, 0x4000, flash, 1);
    *(uint8_t *)memory_region_ram_ptr(flash) = 0x99;
    address_space_load(f->as, 0x4000, 1, &value);
    g_assert_cmphex(value, ==, 0x99);
    g_assert_cmpuint(f->probe.calls, ==, 0);
    g_assert_cmpint(address_space_store(f->as, 0x4010, 1, 0x20), ==, MEM_OK);
    g_assert_cmpuint(f->probe.calls, ==, 1);
    memory_region_rom_device_set_romd(flash, false);
    address_space_load(f->as, 0x4010, 1, &value);
    g_assert_cmphex(value, ==, 0x10);
    drop(f, flash);
}

static void check_call(const Probe *probe, unsigned i, uint64_t offset, unsigned size,
                       uint64_t value)
{
    g_assert_cmpuint(i, <, probe->calls);
    g_assert_cmphex(probe->offset[i], ==, offset);
    g_assert_cmpuint(probe->size[i], ==, size);
    g_assert_cmphex(probe->value[i], ==, value);
}

static void test_split(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = {
        .read = probe_read, .write = probe_write, .impl = { 1, 2, false },
    };
    MemoryRegion *region = add_probe(f, &ops, 0x8000, 0x100);
    uint64_t value;

    g_assert_cmpint(address_space_load(f->as, 0x8010, 8, &value), ==, MEM_OK);
    g_assert_cmphex(value, ==, 0x1716151413121110);
    g_assert_cmpuint(f->probe.calls, ==, 4);
    f->probe.calls = 0;
    g_assert_cmpint(address_space_store(f->as, 0x8010, 4, 0x44332211), ==, MEM_OK);
    check_call(&f->probe, 0, 0x10, 2, 0x2211);
    check_call(&f->probe, 1, 0x12, 2, 0x4433);
    g_assert_cmpuint(f->probe.calls, ==, 2);
    f->probe.calls = 0;
    g_assert_cmpint(address_space_store(f->as, 0x8011, 4, 0x44332211), ==, MEM_OK);
    check_call(&f->probe, 0, 0x11, 1, 0x11);
    check_call(&f->probe, 1, 0x12, 2, 0x3322);
    check_call(&f->probe, 2, 0x14, 1, 0x44);
    drop(f, region);
}

static void test_widen(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = {
        .read = probe_read, .write = probe_write, .impl = { 4, 4, false },
    };
    MemoryRegion *region = add_probe(f, &ops, 0x8000, 0x100);
    uint64_t value;

    g_assert_cmpint(address_space_load(f->as, 0x8012, 2, &value), ==, MEM_OK);
    g_assert_cmphex(value, ==, 0x1312);
    check_call(&f->probe, 0, 0x10, 4, 0);
    g_assert_cmpint(address_space_store(f->as, 0x8013, 1, 0xab), ==, MEM_OK);
    check_call(&f->probe, 1, 0x10, 4, 0xab000000);
    f->probe.calls = 0;
    g_assert_cmpint(address_space_load(f->as, 0x8016, 8, &value), ==, MEM_OK);
    g_assert_cmphex(value, ==, 0x1d1c1b1a19181716);
    drop(f, region);
}

static void test_big_endian(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = {
        .read = probe_read_big, .write = probe_write, .impl = { 2, 2, false }, .big_endian = true,
    };
    MemoryRegion *region = add_probe(f, &ops, 0x8000, 0x100);
    uint64_t value;

    for (unsigned size = 1; size <= 8; size *= 2) {
        f->probe.calls = 0;
        g_assert_cmpint(address_space_load(f->as, 0x8010, size, &value), ==, MEM_OK);
        g_assert_cmphex(value, ==, 0x1716151413121110 & (~0ULL >> (64 - 8 * size)));
    }
    f->probe.calls = 0;
    address_space_store(f->as, 0x8010, 4, 0x44332211);
    check_call(&f->probe, 0, 0x10, 2, 0x1122);
    check_call(&f->probe, 1, 0x12, 2, 0x3344);
    address_space_store(f->as, 0x8011, 1, 0x55);
    check_call(&f->probe, 2, 0x10, 2, 0x0055);
    drop(f, region);
}

static void test_valid(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = {
        .read = probe_read, .write = probe_write, .valid = { 2, 4, false }, .impl = { 1, 4, false },
    };
    MemoryRegion *region = add_probe(f, &ops, 0x8000, 0x100);
    uint8_t bytes[7];
    uint64_t value;

    g_assert_cmpint(address_space_load(f->as, 0x8010, 1, &value), ==, MEM_UNASSIGNED);
    g_assert_cmphex(value, ==, 0xff);
    g_assert_cmpint(address_space_load(f->as, 0x8010, 8, &value), ==, MEM_UNASSIGNED);
    g_assert_cmphex(value, ==, UINT64_MAX);
    g_assert_cmpint(address_space_store(f->as, 0x8010, 8, 0), ==, MEM_UNASSIGNED);
    g_assert_cmpint(address_space_store(f->as, 0x8011, 2, 0), ==, MEM_UNASSIGNED);
    g_assert_cmpuint(f->probe.calls, ==, 0);
    g_assert_cmpint(address_space_read(f->as, 0x8010, bytes, 7), ==, MEM_UNASSIGNED);
    g_assert_cmphex(bytes[5], ==, 0x15);
    g_assert_cmphex(bytes[6], ==, 0xff);
    drop(f, region);
}

static void test_unaligned(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = {
        .read = probe_read, .write = probe_write, .valid = { 1, 8, true }, .impl = { 1, 8, true },
    };
    MemoryRegion *region = add_probe(f, &ops, 0x8000, 0x100);
    uint64_t value;

    g_assert_cmpint(address_space_load(f->as, 0x8013, 8, &value), ==, MEM_OK);
    g_assert_cmphex(value, ==, 0x1a19181716151413);
    g_assert_cmpuint(f->probe.calls, ==, 1);
    drop(f, region);
}

static void test_lock(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps locked = { .read = probe_read, .write = probe_write };
    static const MemoryRegionOps lockless = {
        .read = probe_read, .write = probe_write, .lockless = true,
    };
    MemoryRegion *one = add_probe(f, &locked, 0x8000, 0x100);
    MemoryRegion *two = add_probe(f, &lockless, 0x9000, 0x100);
    uint64_t value;

    vm_unlock();
    address_space_load(f->as, 0x8000, 1, &value);
    g_assert_true(f->probe.locked);
    g_assert_false(vm_lock_held());
    address_space_load(f->as, 0x9000, 1, &value);
    g_assert_false(f->probe.locked);
    vm_lock();
    drop(f, one);
    drop(f, two);
}

/* A device whose register makes it write to an address of the guest's choice. */
typedef struct Looper {
    AddressSpace *as;
    uint64_t target;
    MemResult result;
    unsigned calls;
} Looper;

static void looper_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Looper *looper = opaque;

    looper->calls++;
    looper->result = address_space_store(looper->as, looper->target, 4, value);
}

static void test_reentry(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = { .write = looper_write };
    static const MemoryRegionOps open_ops = { .write = looper_write, .reentrant = true };
    Looper looper = { f->as, 0x8000, MEM_OK, 0 };
    Looper other = { f->as, 0x8000, MEM_OK, 0 };
    MemoryRegion *one = memory_region_new_io(NULL, &ops, &looper, "one", 0x100);
    MemoryRegion *two = memory_region_new_io(NULL, &ops, &other, "two", 0x100);
    MemoryRegion *three = memory_region_new_io(NULL, &open_ops, &looper, "three", 0x100);
    MemoryGuard guard;

    memory_region_add_overlap(f->root, 0x8000, one, 1);
    memory_region_add_overlap(f->root, 0x9000, two, 1);
    memory_region_add_overlap(f->root, 0xa000, three, 1);
    g_assert_cmpint(address_space_store(f->as, 0x8000, 4, 1), ==, MEM_OK);
    g_assert_cmpint(looper.result, ==, MEM_BUSY);
    looper.target = 0x9000; /* in a circle of two */
    g_assert_cmpint(address_space_store(f->as, 0x8000, 4, 1), ==, MEM_OK);
    g_assert_cmpint(looper.result, ==, MEM_OK);
    g_assert_cmpint(other.result, ==, MEM_BUSY);
    looper.target = 0xa000; /* allowed to, but not for ever */
    looper.calls = 0;
    g_assert_cmpint(address_space_store(f->as, 0xa000, 4, 1), ==, MEM_OK);
    g_assert_cmpuint(looper.calls, ==, 16);
    g_assert_true(memory_guard_enter(&guard, one));
    g_assert_cmpint(address_space_store(f->as, 0x8000, 4, 1), ==, MEM_BUSY);
    memory_guard_exit(&guard);
    drop(f, one);
    drop(f, two);
    drop(f, three);
}

static void test_eventfd(Fixture *f, gconstpointer data)
{
    static const MemoryRegionOps ops = { .read = probe_read, .write = probe_write };
    MemoryRegion *region = add_probe(f, &ops, 0x8000, 0x100);
    EventNotifier any, matched;

    g_assert_true(event_notifier_init(&any, NULL) && event_notifier_init(&matched, NULL));
    memory_region_add_eventfd(region, 0x10, 0, false, 0, &any);
    memory_region_add_eventfd(region, 0x20, 2, true, 7, &matched);
    address_space_store(f->as, 0x8010, 4, 123);
    g_assert_true(event_notifier_test_and_clear(&any));
    address_space_store(f->as, 0x8020, 2, 7);
    g_assert_true(event_notifier_test_and_clear(&matched));
    g_assert_cmpuint(f->probe.calls, ==, 0);
    address_space_store(f->as, 0x8020, 2, 8);
    address_space_store(f->as, 0x8020, 4, 7);
    g_assert_false(event_notifier_test_and_clear(&matched));
    g_assert_cmpuint(f->probe.calls, ==, 2);
    memory_region_del_eventfd(region, 0x10, 0, false, 0, &any);
    memory_region_del_eventfd(region, 0x20, 2, true, 7, &matched);
    event_notifier_cleanup(&any);
    event_notifier_cleanup(&matched);
    drop(f, region);
}

static void test_map(Fixture *f, gconstpointer data)
{
    MemoryRegion *ram = memory_region_new_ram(NULL, "extra", 0x2000, NULL);
    uint64_t len = 0x5000;
    uint8_t *host, *base;
    uint64_t offset = 5;

    memory_region_add(f->root, 0x100000, ram);
    base = memory_region_ram_ptr(ram);
    memory_region_set_log(ram, DIRTY_MIGRATION, true);
    host = address_space_map(f->as, 0x100800, &len, true);
    g_assert_true(host == base + 0x800);
    g_assert_cmphex(len, ==, 0x1800);
    g_assert_true(memory_region_from_host(host, &offset) == ram && offset == 0x800);
    g_assert_null(memory_region_from_host(&offset, &offset));
    /* The memory stays while it is mapped, though nobody else wants it. */
    drop(f, ram);
    host[0x17ff] = 1;
    address_space_unmap(f->as, host, len, true, len);
}

static void add(const char *name, void (*fn)(Fixture *, gconstpointer))
{
    g_autofree char *path = g_strdup_printf("/memory/access/%s", name);

    g_test_add(path, Fixture, NULL, setup, fn, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("ram", test_ram);
    add("unassigned", test_unassigned);
    add("edge", test_edge);
    add("rom", test_rom);
    add("rom-device", test_rom_device);
    add("split", test_split);
    add("widen", test_widen);
    add("big-endian", test_big_endian);
    add("valid", test_valid);
    add("unaligned", test_unaligned);
    add("lock", test_lock);
    add("reentry", test_reentry);
    add("eventfd", test_eventfd);
    add("map", test_map);
    return g_test_run();
}
