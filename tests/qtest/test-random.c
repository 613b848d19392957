/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile accesses: pseudo-random reads and writes of every size over all of a machine's ports,
 * registers and configuration space, with time passing and resets between. Nothing is checked but
 * that the process lives and answers; the sanitizer builds see the rest. The seed is fixed, so a
 * failure repeats; VIREO_RANDOM_SEED and VIREO_RANDOM_COUNT ask for other or longer runs.
 */
#include "tests/qtest/libqtest.h"

#include <stdlib.h>

#define DEFAULT_SEED 20240607
#define DEFAULT_COUNT 30000

typedef struct Range {
    uint64_t base;
    uint32_t size;
} Range;

/* Where devices answer; the accesses go slightly beyond each end too. */
static const Range pc_ports[] = {
    { 0x00, 0x100 }, { 0xc0, 0x20 }, { 0x1ce, 4 }, { 0x278, 8 }, { 0x2e8, 8 }, { 0x2f8, 8 },
    { 0x378, 8 }, { 0x3b0, 0x30 }, { 0x3e8, 8 }, { 0x3f8, 8 }, { 0x402, 1 }, { 0x4d0, 2 },
    { 0x505, 1 }, { 0x510, 12 }, { 0x600, 64 }, { 0xcf8, 8 }, { 0xafe0, 4 }, { 0xe9, 1 },
    { 0xc000, 0x100 },
};
static const Range pc_memory[] = {
    { 0xa0000, 0x20000 }, { 0xc0000, 0x40000 }, { 0xfec00000, 0x100 }, { 0xfed00000, 0x400 },
    { 0xfee00000, 0x1000 }, { 0xe0000000, 0x1000 }, { 0xe1000000, 0x1000 }, { 0x7ff0, 32 },
    { 0xfffffff0, 32 },
};
static const Range microvm_ports[] = {
    { 0x20, 2 }, { 0x40, 4 }, { 0x61, 1 }, { 0x70, 2 }, { 0xa0, 2 }, { 0x3f8, 8 }, { 0x510, 12 },
};
static const Range microvm_memory[] = {
    { 0xfea00000, 4 }, { 0xfea00200, 4 }, { 0xfeb00000, 0x1000 }, { 0xfec00000, 0x100 },
    { 0xfee00000, 0x1000 },
};

typedef struct Target {
    const char *options;
    const Range *ports, *memory;
    unsigned port_count, memory_count;
    bool pci;
} Target;

static const Target targets[] = {
    { "-M pc -no-shutdown -vga std -serial null -serial null -parallel null "
      "-device isa-debugcon,iobase=0xe9,chardev=d -chardev null,id=d -device pvpanic "
      "-device pvpanic-pci -device pci-serial,chardev=p -chardev null,id=p -device vmgenid "
      "-device vmcoreinfo -action panic=none", pc_ports, pc_memory,
      G_N_ELEMENTS(pc_ports), G_N_ELEMENTS(pc_memory), true },
    { "-M microvm -no-shutdown -serial null", microvm_ports, microvm_memory,
      G_N_ELEMENTS(microvm_ports), G_N_ELEMENTS(microvm_memory), false },
};

static uint64_t environment_number(const char *name, uint64_t fallback)
{
    const char *text = g_getenv(name);

    return text ? g_ascii_strtoull(text, NULL, 0) : fallback;
}

static uint64_t pick(GRand *rand, const Range *ranges, unsigned count)
{
    const Range *range = &ranges[g_rand_int_range(rand, 0, count)];

    return range->base + g_rand_int_range(rand, 0, range->size + 2);
}

/* All ones, all zeros, one bit and plain noise: each finds other mistakes. */
static uint64_t value(GRand *rand)
{
    switch (g_rand_int_range(rand, 0, 4)) {
    case 0:
        return UINT64_MAX;
    case 1:
        return 0;
    case 2:
        return 1ULL << g_rand_int_range(rand, 0, 64);
    default:
        return (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);
    }
}

static void port_access(QTest *qts, GRand *rand, const Target *target)
{
    static const char sizes[] = "bwl";
    unsigned size = g_rand_int_range(rand, 0, 3);
    uint64_t port = pick(rand, target->ports, target->port_count) & 0xffff;

    if (g_rand_boolean(rand)) {
        g_free(qtest_raw(qts, "in%c 0x%" G_GINT64_MODIFIER "x", sizes[size], port));
    } else {
        g_free(qtest_raw(qts, "out%c 0x%" G_GINT64_MODIFIER "x 0x%x", sizes[size], port,
                         (uint32_t)(value(rand) & (0xffffffffu >> (32 - (8u << size))))));
    }
}

static void memory_access(QTest *qts, GRand *rand, const Target *target)
{
    static const char sizes[] = "bwlq";
    unsigned size = g_rand_int_range(rand, 0, 4);
    uint64_t addr = pick(rand, target->memory, target->memory_count);

    if (g_rand_boolean(rand)) {
        g_free(qtest_raw(qts, "read%c 0x%" G_GINT64_MODIFIER "x", sizes[size], addr));
    } else {
        g_free(qtest_raw(qts, "write%c 0x%" G_GINT64_MODIFIER "x 0x%" G_GINT64_MODIFIER "x",
                         sizes[size], addr,
                         value(rand) & (UINT64_MAX >> (64 - (8u << size)))));
    }
}

static void config_access(QTest *qts, GRand *rand)
{
    unsigned devfn = g_rand_int_range(rand, 0, 8) << 3 | g_rand_int_range(rand, 0, 8);
    unsigned size = 1u << g_rand_int_range(rand, 0, 3);
    unsigned offset = g_rand_int_range(rand, 0, 256) & ~(size - 1);

    if (g_rand_boolean(rand)) {
        qtest_pci_read(qts, 0, devfn, offset, size);
    } else {
        qtest_pci_write(qts, 0, devfn, offset, size, value(rand));
    }
}

static void run_target(gconstpointer data)
{
    const Target *target = data;
    GRand *rand = g_rand_new_with_seed(environment_number("VIREO_RANDOM_SEED", DEFAULT_SEED));
    uint64_t count = environment_number("VIREO_RANDOM_COUNT", DEFAULT_COUNT);
    QTest *qts = qtest_start("%s", target->options);
    json_object *status;

    for (uint64_t i = 0; i < count; i++) {
        switch (g_rand_int_range(rand, 0, 16)) {
        case 0:
            g_free(qtest_raw(qts, "clock_step %u", g_rand_int(rand) >> 4));
            break;
        case 1:
        case 2:
        case 3:
            if (target->pci) {
                config_access(qts, rand);
            }
            break;
        case 4: case 5: case 6: case 7: case 8:
            memory_access(qts, rand, target);
            break;
        default:
            port_access(qts, rand, target);
            break;
        }
        if (i % 1000 == 999) {
            json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
        }
    }
    status = qtest_qmp(qts, "{'execute': 'query-status'}");
    g_assert_nonnull(status);
    json_object_put(status);
    qtest_stop(qts);
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/random/pc", &targets[0], run_target);
    g_test_add_data_func("/random/microvm", &targets[1], run_target);
    return g_test_run();
}
