/* SPDX-License-Identifier: Apache-2.0 */
/* Dirty logging: bits per client, snapshots at odd offsets, listeners, and writers that race. */
#include <string.h>

#include "memory/memory.h"
#include "memory/ram-block.h"
#include "util/bits.h"
#include "util/thread.h"
#include "util/vm-lock.h"

#define PAGES 200u
#define PAGE 4096ull

typedef struct Fixture {
    MemoryRegion *ram;
    MemoryListener listener;
    unsigned starts, stops, syncs, clears;
    MemorySection last;
} Fixture;

static Fixture *fixture_of(MemoryListener *listener)
{
    return (Fixture *)((char *)listener - offsetof(Fixture, listener));
}

static void on_log_start(MemoryListener *listener, const MemorySection *section)
{
    fixture_of(listener)->starts++;
    fixture_of(listener)->last = *section;
}

static void on_log_stop(MemoryListener *listener, const MemorySection *section)
{
    fixture_of(listener)->stops++;
    fixture_of(listener)->last = *section;
}

/* An accelerator that always finds the section's first page written. */
static void on_log_sync(MemoryListener *listener, const MemorySection *section)
{
    fixture_of(listener)->syncs++;
    fixture_of(listener)->last = *section;
    memory_region_set_dirty(section->region, section->offset, 1);
}

static void on_log_clear(MemoryListener *listener, const MemorySection *section)
{
    fixture_of(listener)->clears++;
    fixture_of(listener)->last = *section;
}

static void setup(Fixture *f, gconstpointer data)
{
    vm_lock();
    memory_init();
    f->ram = memory_region_new_ram(NULL, "ram", PAGES * PAGE, NULL);
    memory_region_add(memory_system(), 0x100000, f->ram);
}

static void teardown(Fixture *f, gconstpointer data)
{
    memory_region_remove(memory_system(), f->ram);
    memory_region_free(f->ram);
    memory_cleanup();
    vm_unlock();
}

static bool bit(const unsigned long *bitmap, unsigned n)
{
    return bitmap[n / 64] >> (n % 64) & 1;
}

static void test_clients(Fixture *f, gconstpointer data)
{
    AddressSpace *as = address_space_memory();
    unsigned long bitmap[4];

    address_space_store(as, 0x100000, 1, 1);
    g_assert_false(memory_region_test_dirty(f->ram, DIRTY_VGA, 0, PAGES * PAGE));
    memory_region_set_log(f->ram, DIRTY_VGA, true);
    address_space_store(as, 0x100000 + 3 * PAGE - 1, 2, 1);
    memory_region_set_log(f->ram, DIRTY_MIGRATION, true);
    address_space_write(as, 0x100000 + 64 * PAGE - 8, "0123456789abcdef", 16);
    g_assert_true(memory_region_test_dirty(f->ram, DIRTY_VGA, 2 * PAGE, PAGE));
    g_assert_true(memory_region_test_dirty(f->ram, DIRTY_VGA, 3 * PAGE, 1));
    g_assert_false(memory_region_test_dirty(f->ram, DIRTY_VGA, 4 * PAGE, 59 * PAGE));
    g_assert_false(memory_region_test_dirty(f->ram, DIRTY_MIGRATION, 0, 63 * PAGE));
    g_assert_false(memory_region_test_dirty(f->ram, DIRTY_CODE, 0, PAGES * PAGE));
    memory_region_snapshot_dirty(f->ram, DIRTY_VGA, 3 * PAGE, 62 * PAGE, bitmap);
    g_assert_cmphex(bitmap[0], ==, 1ull | 1ull << 60 | 1ull << 61);
    g_assert_true(memory_region_test_dirty(f->ram, DIRTY_VGA, 0, 3 * PAGE));
    g_assert_false(memory_region_test_dirty(f->ram, DIRTY_VGA, 3 * PAGE, 197 * PAGE));
    g_assert_true(memory_region_test_dirty(f->ram, DIRTY_MIGRATION, 63 * PAGE, PAGE));
    memory_region_set_log(f->ram, DIRTY_VGA, false);
    address_space_store(as, 0x100000 + 9 * PAGE, 8, 1);
    g_assert_false(memory_region_test_dirty(f->ram, DIRTY_VGA, 9 * PAGE, PAGE));
    g_assert_true(memory_region_test_dirty(f->ram, DIRTY_MIGRATION, 9 * PAGE, PAGE));
    memory_region_set_dirty(f->ram, UINT64_MAX, 2); /* nonsense is ignored */
    memory_region_set_dirty(f->ram, PAGES * PAGE - 1, 2);
    g_assert_false(memory_region_test_dirty(f->ram, DIRTY_MIGRATION, 199 * PAGE, PAGE));
}

static void test_random(Fixture *f, gconstpointer data)
{
    bool model[PAGES] = { false };

    memory_region_set_log(f->ram, DIRTY_MIGRATION, true);
    for (unsigned round = 0; round < 2000; round++) {
        unsigned first = g_test_rand_int_range(0, PAGES);
        unsigned count = g_test_rand_int_range(1, PAGES - first + 1);
        unsigned long bitmap[PAGES / 64 + 1];

        if (g_test_rand_bit()) {
            count = MIN(count, 3);
            memory_region_set_dirty(f->ram, first * PAGE + 5, count * PAGE - 5);
            memset(model + first, true, count);
            continue;
        }
        memory_region_snapshot_dirty(f->ram, DIRTY_MIGRATION, first * PAGE, count * PAGE, bitmap);
        for (unsigned i = 0; i < count; i++) {
            g_assert_true(bit(bitmap, i) == model[first + i]);
            model[first + i] = false;
        }
    }
}

static void test_listener(Fixture *f, gconstpointer data)
{
    unsigned long bitmap[4];

    f->listener = (MemoryListener){
        .name = "log", .log_start = on_log_start, .log_stop = on_log_stop,
        .log_sync = on_log_sync, .log_clear = on_log_clear,
    };
    memory_listener_register(&f->listener, address_space_memory());
    memory_region_set_log(f->ram, DIRTY_CODE, true); /* not the accelerator's business */
    g_assert_cmpuint(f->starts, ==, 0);
    memory_region_set_log(f->ram, DIRTY_VGA, true);
    g_assert_cmpuint(f->clears, ==, 0);
    memory_region_set_log(f->ram, DIRTY_MIGRATION, true); /* its bits are clear now */
    g_assert_cmpuint(f->starts, ==, 1);
    g_assert_cmpuint(f->clears, ==, 1);
    g_assert_cmphex(f->last.addr, ==, 0x100000);
    g_assert_cmphex(f->last.size, ==, PAGES * PAGE);
    g_assert_true(f->last.romd && !f->last.readonly);
    memory_region_snapshot_dirty(f->ram, DIRTY_VGA, 5 * PAGE, 7 * PAGE, bitmap);
    g_assert_cmpuint(f->syncs, ==, 1);
    g_assert_cmpuint(f->clears, ==, 2);
    g_assert_cmphex(f->last.addr, ==, 0x100000 + 5 * PAGE);
    g_assert_cmphex(f->last.offset, ==, 5 * PAGE);
    g_assert_cmphex(f->last.size, ==, 7 * PAGE);
    g_assert_cmphex(bitmap[0], ==, 1);
    memory_region_set_log(f->ram, DIRTY_VGA, false);
    g_assert_cmpuint(f->stops, ==, 0);
    memory_region_set_log(f->ram, DIRTY_MIGRATION, false);
    g_assert_cmpuint(f->stops, ==, 1);
    memory_region_set_log(f->ram, DIRTY_VGA, true);
    memory_region_set_address(f->ram, 0x200000); /* a new range that is logged already */
    g_assert_cmpuint(f->starts, ==, 3);
    g_assert_cmphex(f->last.addr, ==, 0x200000);
    memory_listener_unregister(&f->listener);
}

#define WRITES 20000u

static void *writer(void *opaque)
{
    MemoryRegion *ram = opaque;

    for (unsigned i = 0; i < WRITES; i++) {
        memory_region_set_dirty(ram, i % PAGES * PAGE, 1);
        __atomic_fetch_add((uint32_t *)memory_region_ram_ptr(ram), 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* What a thread marks dirty is seen by a snapshot that starts after it, and only until then. */
static void test_race(Fixture *f, gconstpointer data)
{
    uint32_t *counter = memory_region_ram_ptr(f->ram);
    unsigned long bitmap[4];
    unsigned seen = 0;
    pthread_t thread;

    memory_region_set_log(f->ram, DIRTY_MIGRATION, true);
    g_assert_true(thread_create(&thread, "writer", writer, f->ram, NULL));
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < WRITES) {
        uint32_t before = __atomic_load_n(counter, __ATOMIC_SEQ_CST);

        memory_region_snapshot_dirty(f->ram, DIRTY_MIGRATION, 0, PAGES * PAGE, bitmap);
        for (unsigned i = 0; i < PAGES; i++) {
            seen += bit(bitmap, i);
        }
        if (before >= PAGES) {
            g_assert_cmpuint(seen, >=, PAGES);
        }
    }
    pthread_join(thread, NULL);
    memory_region_snapshot_dirty(f->ram, DIRTY_MIGRATION, 0, PAGES * PAGE, bitmap);
    memory_region_snapshot_dirty(f->ram, DIRTY_MIGRATION, 0, PAGES * PAGE, bitmap);
    g_assert_cmphex(bitmap[0] | bitmap[1] | bitmap[2] | bitmap[3], ==, 0);
}

static void note_resize(void *opaque, uint64_t size)
{
    *(uint64_t *)opaque = size;
}

static bool count_block(RamBlock *block, void *opaque)
{
    g_ptr_array_add(opaque, (void *)ram_block_idstr(block));
    return true;
}

static void test_blocks(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    uint64_t told = 0;
    MemoryRegion *same = memory_region_new_ram(NULL, "ram", PAGE, NULL);
    MemoryRegion *tables = memory_region_new_resizable_ram(NULL, "tables", PAGE, 4 * PAGE,
                                                           note_resize, &told, NULL);
    RamBlock *block = memory_region_ram_block(tables);

    g_assert_true(ram_block_find("ram") == memory_region_ram_block(f->ram));
    g_assert_true(ram_block_find("ram#2") == memory_region_ram_block(same));
    g_assert_null(ram_block_find("no such"));
    g_assert_true(ram_block_from_host((uint8_t *)ram_block_host(block) + 4 * PAGE - 1) == block);
    g_assert_true(ram_block_resize(block, 3 * PAGE, &error));
    g_assert_cmpuint(told, ==, 3 * PAGE);
    g_assert_cmpuint(memory_region_size(tables), ==, 3 * PAGE);
    g_assert_false(ram_block_resize(block, 5 * PAGE, &error));
    g_assert_nonnull(strstr(error->message, "tables"));
    ram_block_foreach(count_block, names);
    g_assert_cmpuint(names->len, ==, 3);
    g_assert_cmpstr(names->pdata[0], ==, "ram");
    g_assert_cmpstr(names->pdata[2], ==, "tables");
    memory_region_free(same);
    memory_region_free(tables);
}

static void add(const char *name, void (*fn)(Fixture *, gconstpointer))
{
    g_autofree char *path = g_strdup_printf("/memory/dirty/%s", name);

    g_test_add(path, Fixture, NULL, setup, fn, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("clients", test_clients);
    add("random", test_random);
    add("listener", test_listener);
    add("race", test_race);
    add("blocks", test_blocks);
    return g_test_run();
}
