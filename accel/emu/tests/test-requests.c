/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads ask of CPUs that run on their own threads, in code that never leaves. */
#include "accel/emu/exec.h"
#include "accel/emu/tests/emu-harness.h"
#include "qom/object.h"
#include "util/error.h"
#include "util/loop.h"
#include "util/vm-lock.h"

/* Of a region that comes and goes; its end says that nobody can see the region any more. */
typedef struct Owner {
    Object object;
    MemoryRegion *region;
    unsigned *alive;
} Owner;

static void owner_finalize(Object *obj)
{
    Owner *owner = (Owner *)obj;

    memory_region_free(owner->region);
    (*owner->alive)--;
}

static const TypeInfo owner_type = {
    .name = "test-owner",
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(Owner),
    .instance_finalize = owner_finalize,
};
QOM_TYPE(owner_type);

static void make_owner(unsigned *alive, uint64_t address)
{
    Owner *owner = (Owner *)object_new("test-owner");

    owner->alive = alive;
    (*alive)++;
    owner->region = memory_region_new_ram(OBJECT(owner), "bar", 2 * EMU_PAGE_SIZE, NULL);
    memory_region_add(memory_system(), address, owner->region);
    memory_region_remove(memory_system(), owner->region);
    object_unref(OBJECT(owner));
}

/* All CPUs loop for ever in this code. */
static EmuHarness *start_spinning(unsigned cpus, const uint8_t *code, size_t len)
{
    EmuHarness *harness = emu_harness_new(cpus, NULL);

    memcpy(harness->bytes + EMU_HARNESS_CODE, code, len);
    for (unsigned i = 0; i < cpus; i++) {
        emu_harness_set_mode(harness->cpus[i], EMU_HARNESS_LONG64);
        harness->cpus[i]->rip = EMU_HARNESS_CODE;
        harness->cpus[i]->halted = harness->vcpus[i]->halted = false;
    }
    vcpus_resume_all();
    for (unsigned i = 0; i < cpus; i++) {
        while (!__atomic_load_n(&harness->cpus[i]->in_guest, __ATOMIC_SEQ_CST)) {
            vm_unlock();
            g_thread_yield();
            vm_lock();
        }
    }
    return harness;
}

/* A device goes, and with it its memory, while no CPU ever leaves the guest by itself. */
static void test_memory_goes(const void *cpus)
{
    static const uint8_t spin[] = { 0xeb, 0xfe };
    EmuHarness *harness = start_spinning(GPOINTER_TO_UINT(cpus), spin, sizeof(spin));
    unsigned alive = 0;

    for (unsigned i = 0; i < 3; i++) {
        make_owner(&alive, 0x10000000);
    }
    while (alive) {
        loop_iterate(loop_main(), true);
    }
    vcpus_pause_all();
    emu_harness_free(harness);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-requests");
    g_test_add_data_func("/emu/requests/memory-goes", GUINT_TO_POINTER(1), test_memory_goes);
    g_test_add_data_func("/emu/requests/memory-goes-smp", GUINT_TO_POINTER(3), test_memory_goes);
    return g_test_run();
}
