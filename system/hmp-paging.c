/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Human monitor: the page tables of a CPU as `info tlb` (every mapping) and `info mem` (ranges of
 * equal rights) show them. Formats: Intel SDM vol. 3, chapter 4. The guest owns the tables and may
 * make them as large and as circular as it likes: the number of tables read is bounded.
 */
#include <inttypes.h>

#include "accel/accel.h"
#include "memory/memory.h"
#include "monitor/hmp.h"
#include "system/hmp-machine.h"
#include "util/error.h"

#define MAX_TABLES 16384

enum {
    CR0_PG = 1u << 31,
    CR4_PSE = 1u << 4,
    CR4_PAE = 1u << 5,
    CR4_LA57 = 1u << 12,
    EFER_LMA = 1u << 10,

    PTE_PRESENT = 1u << 0,
    PTE_WRITE = 1u << 1,
    PTE_USER = 1u << 2,
    PTE_LARGE = 1u << 7,
};
#define PTE_NX (1ULL << 63)
#define RIGHTS (PTE_PRESENT | PTE_WRITE | PTE_USER)

typedef struct Paging {
    unsigned levels;
    unsigned entry_bytes;
    unsigned index_bits;  /* of all levels but a three-level root, which has two */
    bool large_pages;
} Paging;

typedef struct Walk Walk;
struct Walk {
    Hmp *hmp;
    Paging paging;
    unsigned tables_left;
    void (*leaf)(Walk *walk, uint64_t virtual, uint64_t entry, uint64_t size, unsigned rights);
    /* info mem: the range that is being put together */
    uint64_t start, end;
    unsigned rights;
};

static uint64_t address_bits(uint64_t entry, uint64_t size)
{
    return entry & ~(PTE_NX | (size - 1)) & ((1ULL << 52) - 1);
}

static void walk_table(Walk *walk, uint64_t table, unsigned level, uint64_t virtual,
                       unsigned rights)
{
    const Paging *paging = &walk->paging;
    unsigned shift = 12 + paging->index_bits * (level - 1);
    unsigned bits = paging->levels == 3 && level == 3 ? 2 : paging->index_bits;

    if (!walk->tables_left) {
        return;
    }
    walk->tables_left--;
    for (uint64_t i = 0; i < 1ULL << bits; i++) {
        uint64_t at = table + i * paging->entry_bytes;
        uint64_t address = virtual | i << shift, entry;
        /* The root of three levels holds no rights. */
        unsigned mask = paging->levels == 3 && level == 3 ? RIGHTS & ~PTE_PRESENT : 0;

        if (!address_space_is_ram(address_space_memory(), at, paging->entry_bytes) ||
            address_space_load(address_space_memory(), at, paging->entry_bytes, &entry) != MEM_OK ||
            !(entry & PTE_PRESENT)) {
            continue;
        }
        if (level == 1 || (level <= 3 && !mask && (entry & PTE_LARGE) && paging->large_pages)) {
            walk->leaf(walk, address, entry, 1ULL << shift, rights & ((unsigned)entry | mask));
        } else {
            walk_table(walk, address_bits(entry, 4096), level - 1, address,
                       rights & ((unsigned)entry | mask));
        }
    }
}

/* Bits above the highest that is translated repeat it. */
static uint64_t canonical(const Walk *walk, uint64_t virtual)
{
    unsigned unused = 64 - (12 + walk->paging.index_bits * walk->paging.levels);

    return walk->paging.levels < 4 ? virtual
                                   : (uint64_t)((int64_t)(virtual << unused) >> unused);
}

static void tlb_leaf(Walk *walk, uint64_t virtual, uint64_t entry, uint64_t size, unsigned rights)
{
    static const struct {
        uint64_t bit;
        char letter;
    } flags[] = {
        { PTE_NX, 'X' },   { 1u << 8, 'G' }, { PTE_LARGE, 'P' }, { 1u << 6, 'D' }, { 1u << 5, 'A' },
        { 1u << 4, 'C' },  { 1u << 3, 'T' }, { PTE_USER, 'U' },  { PTE_WRITE, 'W' },
    };

    hmp_printf(walk->hmp, "%016" PRIx64 ": %016" PRIx64 " ", canonical(walk, virtual),
               address_bits(entry, size));
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        hmp_printf(walk->hmp, "%c", entry & flags[i].bit ? flags[i].letter : '-');
    }
    hmp_puts(walk->hmp, "\n");
}

static void print_range(Walk *walk)
{
    if (walk->rights) {
        hmp_printf(walk->hmp, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c\n",
                   canonical(walk, walk->start), canonical(walk, walk->end - 1) + 1,
                   walk->end - walk->start, walk->rights & PTE_USER ? 'u' : '-',
                   walk->rights & PTE_WRITE ? 'w' : '-');
    }
}

static void mem_leaf(Walk *walk, uint64_t virtual, uint64_t entry, uint64_t size, unsigned rights)
{
    if (virtual != walk->end || rights != walk->rights) {
        print_range(walk);
        walk->start = virtual;
        walk->rights = rights;
    }
    walk->end = virtual + size;
}

/* False if the CPU does not use page tables. */
static bool paging_of(const X86CpuState *state, Paging *paging)
{
    bool is_long = state->efer & EFER_LMA;
    bool pae = is_long || (state->cr4 & CR4_PAE);

    if (!(state->cr0 & CR0_PG)) {
        return false;
    }
    *paging = (Paging){
        .levels = !pae ? 2 : !is_long ? 3 : state->cr4 & CR4_LA57 ? 5 : 4,
        .entry_bytes = pae ? 8 : 4,
        .index_bits = pae ? 9 : 10,
        .large_pages = pae || (state->cr4 & CR4_PSE),
    };
    return true;
}

static bool walk_all(Hmp *hmp, Walk *walk, GError **error)
{
    VCpu *cpu = vcpu_get(hmp_cpu(hmp));

    walk->hmp = hmp;
    walk->tables_left = MAX_TABLES;
    if (!cpu) {
        error_setf(error, "There is no CPU %d", hmp_cpu(hmp));
        return false;
    }
    if (!vcpu_sync_state(cpu, error)) {
        return false;
    }
    if (!paging_of(&cpu->state, &walk->paging)) {
        hmp_puts(hmp, "PG disabled\n");
        return true;
    }
    walk_table(walk, cpu->state.cr3 & (walk->paging.levels == 3 ? ~31ULL : ~0xfffULL) &
               ((1ULL << 52) - 1), walk->paging.levels, 0, RIGHTS);
    print_range(walk);
    if (!walk->tables_left) {
        hmp_printf(hmp, "(only the first %d tables were read)\n", MAX_TABLES);
    }
    return true;
}

static bool info_tlb(Hmp *hmp, const HmpValue *values, GError **error)
{
    return walk_all(hmp, &(Walk){ .leaf = tlb_leaf }, error);
}

static bool info_mem(Hmp *hmp, const HmpValue *values, GError **error)
{
    return walk_all(hmp, &(Walk){ .leaf = mem_leaf }, error);
}

static const HmpCommand paging_info[] = {
    { .name = "tlb", .help = "every page that the CPU's tables map", .run = info_tlb },
    { .name = "mem", .help = "ranges that the CPU's tables map, with rights", .run = info_mem },
    { .name = NULL },
};

void hmp_paging_register(void)
{
    hmp_add_info(paging_info);
}
