/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state of the small ISA devices: after a long series of random port accesses the state is
 * saved, loaded into a fresh device, and saved again: the two must be equal, and both devices must
 * then answer alike. Damaged states must be refused or loaded, and never do harm.
 */
#include "hw/core/tests/testbench.h"

typedef struct Case {
    const char *type, *option, *value;
    uint16_t ports[8];
    unsigned n_ports;
} Case;

static const Case cases[] = {
    { "isa-serial", "index", "0", { 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff }, 8 },
    { "isa-parallel", "index", "0", { 0x378, 0x379, 0x37a, 0x37b, 0x37c, 0x37f }, 6 },
    { "i8042", "kbd-irq", "1", { 0x60, 0x60, 0x60, 0x64 }, 4 },
    { "port92", NULL, NULL, { 0x92 }, 1 },
    { "port-f0", NULL, NULL, { 0xf0 }, 1 },
};

static Device *create(const Case *c)
{
    Device *dev = (Device *)object_new(c->type);
    g_autoptr(GError) error = NULL;

    if (c->option) {
        object_property_parse(OBJECT(dev), c->option, c->value, &error);
        g_assert_no_error(error);
    }
    device_realize_and_unref(dev, (Bus *)bench_isa_bus(), &error);
    g_assert_no_error(error);
    device_reset_tree(dev);
    return dev;
}

static void poke(const Case *c, int times)
{
    for (int i = 0; i < times; i++) {
        uint16_t port = c->ports[g_test_rand_int_range(0, c->n_ports)];

        if (g_test_rand_bit()) {
            bench_outb(port, g_test_rand_int());
        } else {
            bench_inb(port);
        }
        if (i % 16 == 0) {
            bench_step(g_test_rand_int_range(0, 10000000));
        }
    }
}

static GByteArray *save(Device *dev)
{
    GByteArray *bytes = g_byte_array_new();

    vmstate_save(device_vmstate(dev), dev, bytes);
    return bytes;
}

static bool load(Device *dev, const GByteArray *bytes)
{
    const VmState *state = device_vmstate(dev);
    g_autoptr(GError) error = NULL;
    size_t used;
    bool ok = vmstate_load(state, dev, state->version, bytes->data, bytes->len, &used, &error);

    g_assert_cmpint(ok, ==, error == NULL);
    return ok;
}

static GByteArray *read_all(const Case *c)
{
    GByteArray *answers = g_byte_array_new();

    for (int round = 0; round < 8; round++) {
        for (unsigned i = 0; i < c->n_ports; i++) {
            uint8_t byte = bench_inb(c->ports[i]);

            g_byte_array_append(answers, &byte, 1);
        }
    }
    return answers;
}

static void test_round_trip(const void *opaque)
{
    const Case *c = opaque;

    for (int round = 0; round < 50; round++) {
        Device *dev = create(c);
        g_autoptr(GByteArray) first = NULL, again = NULL, before = NULL, after = NULL;

        poke(c, 500);
        first = save(dev);
        before = read_all(c);
        device_unparent(dev);
        dev = create(c);
        g_assert_true(load(dev, first));
        again = save(dev);
        after = read_all(c);
        g_assert_cmpmem(first->data, first->len, again->data, again->len);
        g_assert_cmpmem(before->data, before->len, after->data, after->len);
        device_unparent(dev);
    }
}

static void test_damaged(const void *opaque)
{
    const Case *c = opaque;
    unsigned refused = 0;

    for (int round = 0; round < 300; round++) {
        Device *dev = create(c);
        g_autoptr(GByteArray) bytes = NULL;

        poke(c, 20);
        bytes = save(dev);
        for (int i = g_test_rand_int_range(1, 8); i > 0; i--) {
            bytes->data[g_test_rand_int_range(0, bytes->len)] = g_test_rand_int();
        }
        if (round % 4 == 0) {
            g_byte_array_set_size(bytes, g_test_rand_int_range(0, bytes->len));
        }
        if (load(dev, bytes)) {
            poke(c, 100);
        } else {
            refused++; /* half loaded: only thrown away */
        }
        device_unparent(dev);
    }
    g_assert_cmpint(refused, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    vm_clock_set_manual();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *trip = g_strdup_printf("/state/%s/round-trip", cases[i].type);
        g_autofree char *damaged = g_strdup_printf("/state/%s/damaged", cases[i].type);

        g_test_add_data_func(trip, &cases[i], test_round_trip);
        g_test_add_data_func(damaged, &cases[i], test_damaged);
    }
    return g_test_run();
}
