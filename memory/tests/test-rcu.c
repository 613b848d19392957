/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers on other threads while the tree changes under them: an address that always leads
 * somewhere must never lead nowhere, memory stays as long as it is mapped, owners stay as long as
 * they are used, and everything is freed in the end.
 */
#include <string.h>

#include "memory/memory.h"
#include "util/bits.h"
#include "util/loop.h"
#include "util/thread.h"
#include "util/timer.h"
#include "util/vm-lock.h"

#define CHANGES 1500u
#define READERS 2u
#define SPEED_ROUNDS 2000000u

typedef struct Owner {
    Object object;
    MemoryRegion *region;
} Owner;

static unsigned owners_alive;

static void owner_init(Object *obj)
{
    owners_alive++;
}

static void owner_finalize(Object *obj)
{
    g_assert_true(vm_lock_held());
    memory_region_free(((Owner *)obj)->region);
    owners_alive--;
}

static const TypeInfo owner_type = {
    .name = "test-owner",
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(Owner),
    .instance_init = owner_init,
    .instance_finalize = owner_finalize,
};
QOM_TYPE(owner_type);

/* Reads as the address of its owner, if that is alive. */
static uint64_t owner_read(void *opaque, uint64_t offset, unsigned size)
{
    Owner *owner = opaque;

    g_assert_true(vm_lock_held());
    return object_is_a(owner, "test-owner") ? 0x600d : 0xbad;
}

static const MemoryRegionOps owner_ops = { .read = owner_read, .impl = { 2, 2, false } };

typedef struct Shared {
    bool stop;
    unsigned reads;
} Shared;

static void *reader(void *opaque)
{
    AddressSpace *as = address_space_memory();
    Shared *shared = opaque;
    unsigned reads = 0;

    while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
        uint64_t len = 0x1000;
        uint64_t value;
        uint8_t *host;

        g_assert_cmpint(address_space_load(as, 0x1000, 4, &value), ==, MEM_OK);
        g_assert_cmphex(value, ==, 0xabababab);
        host = address_space_map(as, 0x1000, &len, false);
        g_assert_nonnull(host);
        g_assert_cmphex(len, ==, 0x1000);
        g_assert_cmphex(host[0xfff], ==, 0xab);
        g_assert_cmpint(address_space_load(as, 0x3000, 2, &value), ==, MEM_OK);
        g_assert_cmphex(value, ==, 0x600d);
        g_assert_cmphex(host[0], ==, 0xab);
        address_space_unmap(as, host, len, false, 0);
        reads++;
    }
    __atomic_fetch_add(&shared->reads, reads, __ATOMIC_RELAXED);
    return NULL;
}

static MemoryRegion *new_ram(void)
{
    MemoryRegion *ram = memory_region_new_ram(NULL, "ram", 0x1000, NULL);

    memset(memory_region_ram_ptr(ram), 0xab, 0x1000);
    memory_region_add(memory_system(), 0x1000, ram);
    return ram;
}

static Owner *new_owner(void)
{
    Owner *owner = (Owner *)object_new("test-owner");

    owner->region = memory_region_new_io(OBJECT(owner), &owner_ops, owner, "owner", 0x100);
    memory_region_add(memory_system(), 0x3000, owner->region);
    return owner;
}

static void test_stress(void)
{
    Shared shared = { 0 };
    pthread_t threads[READERS];
    MemoryRegion *ram;
    Owner *owner;

    vm_lock();
    memory_init();
    ram = new_ram();
    owner = new_owner();
    for (unsigned i = 0; i < READERS; i++) {
        g_assert_true(thread_create(&threads[i], "reader", reader, &shared, NULL));
    }
    for (unsigned i = 0; i < CHANGES; i++) {
        memory_transaction_begin();
        memory_region_remove(memory_system(), ram);
        memory_region_remove(memory_system(), owner->region);
        memory_region_free(ram);
        object_unref(OBJECT(owner));
        ram = new_ram();
        owner = new_owner();
        memory_transaction_commit();
        vm_unlock(); /* let readers in */
        if (i % 16 == 0) {
            g_usleep(100);
        }
        vm_lock();
        if (i % 64 == 0) {
            loop_iterate(loop_main(), false);
        }
    }
    __atomic_store_n(&shared.stop, true, __ATOMIC_RELEASE);
    vm_unlock();
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    vm_lock();
    g_test_message("%u reads", shared.reads);
    g_assert_cmpuint(owners_alive, <, CHANGES); /* the main loop does its part on the way */
    memory_region_remove(memory_system(), ram);
    memory_region_remove(memory_system(), owner->region);
    memory_region_free(ram);
    object_unref(OBJECT(owner));
    memory_cleanup();
    g_assert_cmpuint(owners_alive, ==, 0);
    vm_unlock();
}

/* A figure to look at, not to fail by: machines differ. */
static void test_speed(void)
{
    AddressSpace *as;
    MemoryRegion *ram[16];
    int64_t start;
    uint64_t value;

    vm_lock();
    memory_init();
    as = address_space_memory();
    for (unsigned i = 0; i < G_N_ELEMENTS(ram); i++) {
        ram[i] = memory_region_new_ram(NULL, "ram", 0x10000, NULL);
        memory_region_add(memory_system(), i * 0x20000ull, ram[i]);
    }
    start = vm_clock_ns(VM_CLOCK_REALTIME);
    for (unsigned i = 0; i < SPEED_ROUNDS; i++) {
        address_space_store(as, 8 * (i & 0xfff), 8, i);
    }
    g_test_message("store, one range: %.1f ns",
                   (double)(vm_clock_ns(VM_CLOCK_REALTIME) - start) / SPEED_ROUNDS);
    start = vm_clock_ns(VM_CLOCK_REALTIME);
    for (unsigned i = 0; i < SPEED_ROUNDS; i++) {
        address_space_load(as, i % G_N_ELEMENTS(ram) * 0x20000ull, 4, &value);
    }
    g_test_message("load, another range each time: %.1f ns",
                   (double)(vm_clock_ns(VM_CLOCK_REALTIME) - start) / SPEED_ROUNDS);
    start = vm_clock_ns(VM_CLOCK_REALTIME);
    for (unsigned i = 0; i < CHANGES; i++) {
        memory_region_set_enabled(ram[i % G_N_ELEMENTS(ram)], i & 16);
    }
    g_test_message("change of the tree: %.0f ns",
                   (double)(vm_clock_ns(VM_CLOCK_REALTIME) - start) / CHANGES);
    for (unsigned i = 0; i < G_N_ELEMENTS(ram); i++) {
        memory_region_remove(memory_system(), ram[i]);
        memory_region_free(ram[i]);
    }
    memory_cleanup();
    vm_unlock();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/rcu/stress", test_stress);
    g_test_add_func("/memory/rcu/speed", test_speed);
    return g_test_run();
}
