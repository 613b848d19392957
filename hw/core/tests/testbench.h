/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bench for device tests: empty memory and I/O spaces, an ISA bus, CPUs that never run, a virtual
 * clock that only the test moves, and lines that remember what was done to them.
 */
#ifndef VIREO_HW_CORE_TESTS_TESTBENCH_H
#define VIREO_HW_CORE_TESTS_TESTBENCH_H

#include "accel/accel.h"
#include "hw/isa/isa.h"
#include "memory/memory.h"
#include "util/timer.h"
#include "util/vm-lock.h"

/* A line's end that counts. */
typedef struct Probe {
    bool level;
    unsigned rises, falls;
} Probe;

static inline void probe_set(void *opaque, int n, bool level)
{
    Probe *probe = (Probe *)opaque + n;

    probe->rises += level && !probe->level;
    probe->falls += !level && probe->level;
    probe->level = level;
}

static inline Irq probe_irq(Probe *probe)
{
    return (Irq) { probe_set, probe, 0 };
}

/* Owns the buses, so that machine reset reaches what is on them. */
static const TypeInfo bench_host_type = {
    .name = "bench-host",
    .parent = TYPE_SYS_DEVICE,
    .description = "owner of a test's buses",
    .instance_size = sizeof(Device),
};
QOM_TYPE(bench_host_type);

static inline Device *bench_host(void)
{
    g_autoptr(GError) error = NULL;
    Device *host = device_create("bench-host", bus_system(), &error);

    g_assert_no_error(error);
    return host;
}

/* Once per program, before anything else; `cpus` vCPUs of the qtest accelerator. */
static inline void bench_init(unsigned cpus)
{
    static const char *const list[] = { "qtest", NULL };
    static const X86Topology topology = { 1, 1, 1, 1 };
    AccelConfig config = { .max_cpus = cpus };
    g_autoptr(GError) error = NULL;

    vm_lock();
    memory_init();
    accel_select(list, &config, false, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < cpus; i++) {
        vcpu_new(NULL, i, i, NULL, &topology, &error);
        g_assert_no_error(error);
    }
}

static inline IsaBus *bench_isa_bus(void)
{
    IsaBus *bus = isa_bus();

    return bus ? bus : isa_bus_new(bench_host(), memory_system(), memory_io());
}

static inline uint32_t bench_in(uint16_t port, unsigned size)
{
    uint64_t value = 0;

    address_space_load(address_space_io(), port, size, &value);
    return value;
}

static inline uint8_t bench_inb(uint16_t port)
{
    return bench_in(port, 1);
}

static inline void bench_outb(uint16_t port, uint8_t value)
{
    address_space_store(address_space_io(), port, 1, value);
}

static inline uint32_t bench_readl(uint64_t addr)
{
    uint64_t value = 0;

    address_space_load(address_space_memory(), addr, 4, &value);
    return value;
}

static inline void bench_writel(uint64_t addr, uint32_t value)
{
    address_space_store(address_space_memory(), addr, 4, value);
}

/* Save the device's state; the array is the caller's. */
static inline GByteArray *bench_save(Device *dev)
{
    GByteArray *bytes = g_byte_array_new();

    vmstate_save(device_vmstate(dev), dev, bytes);
    return bytes;
}

static inline bool bench_load(Device *dev, const GByteArray *bytes)
{
    const VmState *state = device_vmstate(dev);
    g_autoptr(GError) error = NULL;
    size_t used = 0;
    bool ok = vmstate_load(state, dev, state->version, bytes->data, bytes->len, &used, &error);

    g_assert_true(ok == !error);
    g_assert_true(!ok || used == bytes->len);
    return ok;
}

/* Junk in place of saved bytes: refused, or loaded into something that still runs. */
static inline void bench_load_junk(Device *dev, const GByteArray *bytes, unsigned rounds)
{
    GRand *rand = g_rand_new_with_seed(bytes->len);

    for (unsigned i = 0; i < rounds; i++) {
        g_autoptr(GByteArray) junk = g_byte_array_new();

        g_byte_array_append(junk, bytes->data, bytes->len);
        for (int n = g_rand_int_range(rand, 1, 9); n > 0; n--) {
            junk->data[g_rand_int_range(rand, 0, junk->len)] = g_rand_int(rand);
        }
        bench_load(dev, junk);
        vm_clock_advance_to(vm_clock_ns(VM_CLOCK_VIRTUAL) + g_rand_int_range(rand, 1, 100000));
    }
    g_rand_free(rand);
    g_assert_true(bench_load(dev, bytes));
}

static inline void bench_step(int64_t ns)
{
    vm_clock_advance_to(vm_clock_ns(VM_CLOCK_VIRTUAL) + ns);
}

#endif
