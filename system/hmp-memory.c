/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Human monitor: the memory tree, RAM blocks and NUMA nodes, in the columns that people's scripts
 * know.
 */
#include "system/hmp-machine.h"

#include "hw/core/machine.h"
#include "memory/memory.h"
#include "memory/ram-block.h"
#include "monitor/hmp.h"
#include "util/bits.h"
#include "util/parse.h"

#define HEX "0x%016" G_GINT64_MODIFIER "x"

static bool info_mtree(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autofree char *text = memory_describe(values[0].present, values[1].present);

    hmp_puts(hmp, text);
    return true;
}

typedef struct BlockLister {
    Hmp *hmp;
    uint64_t offset;
} BlockLister;

static bool print_block(RamBlock *block, void *opaque)
{
    BlockLister *lister = opaque;
    g_autofree char *page = format_size(ram_block_page_size(block));

    hmp_printf(lister->hmp, "%24s %8s  " HEX " " HEX " " HEX "\n", ram_block_idstr(block), page,
               lister->offset, ram_block_length(block), ram_block_max_length(block));
    lister->offset += ram_block_max_length(block);
    return true;
}

static bool info_ramblock(Hmp *hmp, const HmpValue *values, GError **error)
{
    BlockLister lister = { .hmp = hmp };

    hmp_printf(hmp, "%24s %8s  %18s %18s %18s\n", "Block Name", "PSize", "Offset", "Used", "Total");
    ram_block_foreach(print_block, &lister);
    return true;
}

static bool info_numa(Hmp *hmp, const HmpValue *values, GError **error)
{
    const Machine *machine = machine_current();
    unsigned count = machine ? machine->numa_nodes : 0;

    hmp_printf(hmp, "%u nodes\n", count);
    for (unsigned i = 0; i < count; i++) {
        const NumaNode *node = &machine->numa[i];

        hmp_printf(hmp, "node %u cpus:", i);
        for (unsigned n = 0; node->cpus && n < node->cpus->len; n++) {
            unsigned cpu = g_array_index(node->cpus, unsigned, n);

            if (cpu < machine->smp.cpus) {
                hmp_printf(hmp, " %u", cpu);
            }
        }
        hmp_printf(hmp, "\nnode %u size: %" G_GUINT64_FORMAT " MB\nnode %u plugged: 0 MB\n", i,
                   node->mem >> 20, i);
    }
    return true;
}

static const HmpCommand memory_info[] = {
    {
        .name = "mtree",
        .help = "memory regions as a tree, or (-f) flattened; -o adds their owners",
        .args = { { "-f", HMP_FLAG }, { "-o", HMP_FLAG } },
        .run = info_mtree,
    },
    { .name = "ramblock", .help = "blocks of guest memory", .run = info_ramblock },
    { .name = "numa", .help = "the guest's NUMA nodes", .run = info_numa },
    { .name = NULL },
};

void hmp_memory_register(void)
{
    hmp_add_info(memory_info);
}
