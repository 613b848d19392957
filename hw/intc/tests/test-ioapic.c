/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC alone: registers, edges, levels and EOIs. Messages land in a recorder at
 * 0xfee00000.
 */
#include "hw/core/tests/testbench.h"
#include "hw/intc/ioapic.h"

enum { SELECT = IOAPIC_ADDRESS, WINDOW = IOAPIC_ADDRESS + 0x10, EOIR = IOAPIC_ADDRESS + 0x40 };
enum { LEVEL = 1 << 15, MASKED = 1 << 16, REMOTE_IRR = 1 << 14, LOGICAL = 1 << 11 };

typedef struct Fixture {
    Ioapic *ioapic;
    unsigned messages;
    uint64_t offset;
    uint32_t data;
} Fixture;

static void recorder_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Fixture *f = opaque;

    f->messages++;
    f->offset = offset;
    f->data = value;
}

static uint64_t recorder_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static const MemoryRegionOps recorder_ops = {
    .read = recorder_read,
    .write = recorder_write,
};

static int ext_int(void *opaque)
{
    return 0x77;
}

static uint32_t read_index(uint8_t index)
{
    bench_writel(SELECT, index);
    return bench_readl(WINDOW);
}

static void write_index(uint8_t index, uint32_t value)
{
    bench_writel(SELECT, index);
    bench_writel(WINDOW, value);
}

static void set_entry(unsigned pin, uint32_t low, uint8_t dest)
{
    write_index(0x11 + 2 * pin, (uint32_t)dest << 24);
    write_index(0x10 + 2 * pin, low);
}

static void pin(Fixture *f, unsigned n, bool level)
{
    irq_set(device_irq_in((Device *)f->ioapic, NULL, n), level);
}

static Fixture *set_up(gconstpointer data)
{
    Fixture *f = (Fixture *)data;

    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        pin(f, i, false);
    }
    reset_all_devices();
    f->messages = 0;
    return f;
}

static void test_registers(gconstpointer data)
{
    set_up(data);
    g_assert_cmphex(read_index(0), ==, 0);
    g_assert_cmphex(read_index(1), ==, 0x00170020);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        g_assert_cmphex(read_index(0x10 + 2 * i), ==, MASKED);
        g_assert_cmphex(read_index(0x11 + 2 * i), ==, 0);
    }
    write_index(0, 0xffffffff);
    g_assert_cmphex(read_index(0), ==, 0x0f000000);
    g_assert_cmphex(read_index(2), ==, 0x0f000000);
    write_index(1, 0);
    g_assert_cmphex(read_index(1), ==, 0x00170020);
    write_index(0x10 + 2 * 23, 0xffffffff);
    g_assert_cmphex(read_index(0x10 + 2 * 23), ==, 0x1afff);
    for (unsigned index = 0x40; index < 0x100; index++) {
        write_index(index, 0xffffffff);
        g_assert_cmphex(read_index(index), ==, 0);
    }
}

static void test_edge(gconstpointer data)
{
    Fixture *f = set_up(data);

    set_entry(4, 0x34 | LOGICAL, 0x0f);
    pin(f, 4, true);
    g_assert_cmpuint(f->messages, ==, 1);
    g_assert_cmphex(f->offset, ==, 0xf << 12 | 4);
    g_assert_cmphex(f->data, ==, 0x34);
    pin(f, 4, true);
    g_assert_cmpuint(f->messages, ==, 1);
    pin(f, 4, false);
    /* Masked edges are lost. */
    set_entry(4, 0x34 | MASKED, 0);
    pin(f, 4, true);
    set_entry(4, 0x34, 0);
    g_assert_cmpuint(f->messages, ==, 1);
}

static void test_level(gconstpointer data)
{
    Fixture *f = set_up(data);

    set_entry(10, 0x5a | LEVEL, 1);
    pin(f, 10, true);
    g_assert_cmpuint(f->messages, ==, 1);
    g_assert_cmphex(f->data, ==, 0x5a | 3 << 14);
    g_assert_cmphex(read_index(0x10 + 20), ==, 0x5a | LEVEL | REMOTE_IRR);
    pin(f, 10, false);
    pin(f, 10, true);
    g_assert_cmpuint(f->messages, ==, 1);
    ioapic_eoi(f->ioapic, 0x5b);
    g_assert_cmpuint(f->messages, ==, 1);
    ioapic_eoi(f->ioapic, 0x5a);
    g_assert_cmpuint(f->messages, ==, 2);
    pin(f, 10, false);
    bench_writel(EOIR, 0x5a);
    g_assert_cmpuint(f->messages, ==, 2);
    g_assert_cmphex(read_index(0x10 + 20), ==, 0x5a | LEVEL);
    /* Masked while asserted, then unmasked: it asks at once. */
    set_entry(10, 0x5a | LEVEL | MASKED, 1);
    pin(f, 10, true);
    g_assert_cmpuint(f->messages, ==, 2);
    set_entry(10, 0x5a | LEVEL, 1);
    g_assert_cmpuint(f->messages, ==, 3);
    /* Becoming an edge pin clears the remote IRR. */
    write_index(0x10 + 20, 0x5a | MASKED);
    g_assert_cmphex(read_index(0x10 + 20), ==, 0x5a | MASKED);
}

static void test_ext_int(gconstpointer data)
{
    Fixture *f = set_up(data);

    set_entry(0, 7 << 8, 0);
    pin(f, 0, true);
    g_assert_cmpuint(f->messages, ==, 1);
    g_assert_cmphex(f->data, ==, 0x77);
}

static void test_saved_state(gconstpointer data)
{
    Fixture *f = set_up(data);
    const VmState *state = device_vmstate((Device *)f->ioapic);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    size_t used;

    set_entry(10, 0x5a | LEVEL, 1);
    pin(f, 10, true);
    vmstate_save(state, f->ioapic, bytes);
    set_up(data);
    vmstate_load(state, f->ioapic, state->version, bytes->data, bytes->len, &used, &error);
    g_assert_no_error(error);
    g_assert_cmphex(read_index(0x10 + 20), ==, 0x5a | LEVEL | REMOTE_IRR);
    bench_load_junk((Device *)f->ioapic, bytes, 3000);
}

static void test_hostile(gconstpointer data)
{
    Fixture *f = set_up(data);
    GRand *rand = g_rand_new_with_seed(82093);

    for (int i = 0; i < 20000; i++) {
        uint64_t addr = IOAPIC_ADDRESS + g_rand_int_range(rand, 0, 0x60);
        unsigned size = 1u << g_rand_int_range(rand, 0, 4);
        uint64_t value = g_rand_int(rand);

        if (g_rand_boolean(rand)) {
            address_space_store(address_space_memory(), addr, size, value);
        } else {
            address_space_load(address_space_memory(), addr, size, &value);
        }
        pin(f, g_rand_int_range(rand, 0, IOAPIC_PINS), g_rand_boolean(rand));
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    static Fixture f;
    g_autoptr(GError) error = NULL;
    MemoryRegion *recorder;
    int status;

    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    recorder = memory_region_new_io(NULL, &recorder_ops, &f, "recorder", 0x100000);
    memory_region_add(memory_system(), 0xfee00000, recorder);
    f.ioapic = ioapic_new(ext_int, NULL, &error);
    g_assert_no_error(error);
    g_test_add_data_func("/ioapic/registers", &f, test_registers);
    g_test_add_data_func("/ioapic/edge", &f, test_edge);
    g_test_add_data_func("/ioapic/level", &f, test_level);
    g_test_add_data_func("/ioapic/ext-int", &f, test_ext_int);
    g_test_add_data_func("/ioapic/saved-state", &f, test_saved_state);
    g_test_add_data_func("/ioapic/hostile", &f, test_hostile);
    status = g_test_run();
    memory_region_remove(memory_system(), recorder);
    memory_region_free(recorder);
    return status;
}
