/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs as the accelerator makes and runs them: what other threads ask of those that run on their
 * own threads, in code that never leaves; and hosts without enough memory for one more.
 */
#include <sys/resource.h>

#include "accel/emu/emu-accel.h"
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

/* Address space of this process, in bytes. */
static uint64_t address_space_used(void)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    return g_ascii_strtoull(text, NULL, 10) * EMU_PAGE_SIZE;
}

/* A tb-size that the host cannot give is an error, wherever on the way it is met. */
static void test_no_memory(void)
{
    static const X86Topology topology = { 1, 1, 1, 1 };
    EmuHarness *harness = emu_harness_new(1, NULL);
    struct rlimit before, limit;

    emu_accel()->cache_mib = 1024;
    g_assert_cmpint(getrlimit(RLIMIT_AS, &before), ==, 0);
    for (unsigned mib = 512; mib <= 3584; mib += 1024) {
        g_autoptr(GError) error = NULL;
        VCpu *vcpu;

        limit = before;
        limit.rlim_cur = address_space_used() + mib * MiB;
        g_assert_cmpint(setrlimit(RLIMIT_AS, &limit), ==, 0);
        vcpu = vcpu_new(NULL, 1, 1, harness->config, &topology, &error);
        g_assert_cmpint(setrlimit(RLIMIT_AS, &before), ==, 0);
        g_assert_null(vcpu);
        g_assert_nonnull(error);
        g_test_message("%u MiB: %s", mib, error->message);
        g_assert_cmpuint(emu_accel()->cpus->len, ==, 1);
    }
    emu_accel()->cache_mib = 1;
    harness->vcpus[1] = vcpu_new(NULL, 1, 1, harness->config, &topology, NULL);
    g_assert_nonnull(harness->vcpus[1]);
    harness->count++;
    emu_harness_free(harness);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-requests");
    g_test_add_data_func("/emu/requests/memory-goes", GUINT_TO_POINTER(1), test_memory_goes);
    g_test_add_data_func("/emu/requests/memory-goes-smp", GUINT_TO_POINTER(3), test_memory_goes);
    g_test_add_func("/emu/requests/no-memory", test_no_memory);
    return g_test_run();
}
