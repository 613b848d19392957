/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page walks (SDM vol. 3, chapter 4).
 *
 * A walk reads the entries from the top, fails at the first that is not present or has reserved
 * bits set, then judges the rights that all levels together give. Only then are accessed and dirty
 * bits set; if an entry is found changed meanwhile, the walk begins anew.
 */
#include "accel/emu/check.h"

#define ENTRY_P BIT_ULL(0)
#define ENTRY_RW BIT_ULL(1)
#define ENTRY_US BIT_ULL(2)
#define ENTRY_A BIT_ULL(5)
#define ENTRY_D BIT_ULL(6)
#define ENTRY_PS BIT_ULL(7)
#define ENTRY_G BIT_ULL(8)
#define ENTRY_XD BIT_ULL(63)
#define ENTRY_ADDRESS MASK_ULL(51, 12)
#define LEVELS_MAX 5

enum {
    PF_P = 1u << 0, PF_W = 1u << 1, PF_U = 1u << 2, PF_RSVD = 1u << 3, PF_I = 1u << 4,
};

/* How a paging mode divides a linear address. */
typedef struct PagingMode {
    uint8_t levels, entry_size, index_bits;
} PagingMode;

static const PagingMode legacy_paging = { 2, 4, 10 }, pae_paging = { 2, 8, 9 },
                        four_level_paging = { 4, 8, 9 }, five_level_paging = { 5, 8, 9 };

typedef enum WalkResult { WALK_OK, WALK_NOT_PRESENT, WALK_RESERVED } WalkResult;

typedef struct Walk {
    const PagingMode *mode;
    uint64_t linear;
    uint64_t addresses[LEVELS_MAX], entries[LEVELS_MAX]; /* by depth, the first is the top */
    unsigned count;
    unsigned shift;      /* of the page */
    uint64_t physical;   /* of the page */
    unsigned perms;
} Walk;

static const PagingMode *paging_mode(const EmuCpu *cpu)
{
    if (cpu->efer & EFER_LMA) {
        return cpu->cr4 & CR4_LA57 ? &five_level_paging : &four_level_paging;
    }
    return cpu->cr4 & CR4_PAE ? &pae_paging : &legacy_paging;
}

/* ---- Entries ---- */

/* Has the entry, whose pages have that size, a leaf's form? */
static bool is_leaf(const EmuCpu *cpu, const Walk *walk, uint64_t entry, unsigned shift)
{
    if (shift == EMU_PAGE_BITS) {
        return true;
    }
    if (!(entry & ENTRY_PS)) {
        return false;
    }
    if (walk->mode == &legacy_paging) {
        return cpu->cr4 & CR4_PSE;
    }
    return shift == 21 || (shift == 30 && cpu->tlb.second->has_1g);
}

static uint64_t reserved_legacy(const EmuTlb2 *tlb2, bool leaf, unsigned shift)
{
    if (!leaf || shift == EMU_PAGE_BITS) {
        return 0;
    }
    if (!tlb2->has_pse36) {
        return MASK_ULL(21, 13);
    }
    /* Bits 13 and up hold the address's bits 32 to 39, as far as there are so many. */
    return BIT_ULL(21) | (MASK_ULL(39, 32) & ~tlb2->physical_mask) >> 19;
}

static uint64_t reserved_bits(const EmuCpu *cpu, const Walk *walk, bool leaf, unsigned shift)
{
    const EmuTlb2 *tlb2 = cpu->tlb.second;
    uint64_t reserved;

    if (walk->mode == &legacy_paging) {
        return reserved_legacy(tlb2, leaf, shift);
    }
    reserved = ENTRY_ADDRESS & ~tlb2->physical_mask;
    if (!(cpu->efer & EFER_NXE)) {
        reserved |= ENTRY_XD;
    }
    if (walk->mode == &pae_paging) {
        reserved |= MASK_ULL(62, 52);
    }
    if (!leaf && shift > 21) {
        reserved |= ENTRY_PS;
    }
    if (leaf && shift > EMU_PAGE_BITS) {
        reserved |= MASK_ULL(shift - 1, 13);
    }
    return reserved;
}

static uint64_t leaf_address(const Walk *walk, uint64_t entry, unsigned shift)
{
    if (walk->mode == &legacy_paging && shift > EMU_PAGE_BITS) {
        return (entry & MASK_ULL(31, 22)) | extract64(entry, 13, 8) << 32;
    }
    return entry & ENTRY_ADDRESS & ~(BIT_ULL(shift) - 1);
}

static unsigned leaf_perms(const EmuCpu *cpu, uint64_t entry, unsigned perms)
{
    perms |= entry & ENTRY_D ? EMU_PERM_DIRTY : 0;
    return perms | ((entry & ENTRY_G) && (cpu->cr4 & CR4_PGE) ? EMU_PERM_GLOBAL : 0);
}

static unsigned entry_perms(const Walk *walk, uint64_t entry)
{
    return (entry & ENTRY_RW ? EMU_PERM_WRITE : 0) | (entry & ENTRY_US ? EMU_PERM_USER : 0) |
           (walk->mode->entry_size == 8 && (entry & ENTRY_XD) ? 0 : EMU_PERM_EXEC);
}

/* ---- The walk ---- */

static WalkResult walk_from(EmuCpu *cpu, Walk *walk, uint64_t table)
{
    const PagingMode *mode = walk->mode;
    unsigned perms = EMU_PERM_WRITE | EMU_PERM_USER | EMU_PERM_EXEC;

    for (unsigned level = mode->levels; level > 0; level--) {
        unsigned shift = EMU_PAGE_BITS + (level - 1) * mode->index_bits;
        uint64_t address = table + extract64(walk->linear, shift, mode->index_bits) *
                                   mode->entry_size;
        uint64_t entry = emu_phys_read(cpu, address, mode->entry_size);
        bool leaf = is_leaf(cpu, walk, entry, shift);

        if (!(entry & ENTRY_P)) {
            return WALK_NOT_PRESENT;
        }
        if (entry & reserved_bits(cpu, walk, leaf, shift)) {
            return WALK_RESERVED;
        }
        walk->addresses[walk->count] = address;
        walk->entries[walk->count++] = entry;
        perms &= entry_perms(walk, entry);
        if (leaf) {
            walk->shift = shift;
            walk->perms = leaf_perms(cpu, entry, perms);
            walk->physical = (leaf_address(walk, entry, shift) |
                              (walk->linear & (BIT_ULL(shift) - 1))) & EMU_PAGE_MASK;
            return WALK_OK;
        }
        table = entry & ENTRY_ADDRESS;
    }
    return WALK_NOT_PRESENT;
}

static WalkResult walk_tables(EmuCpu *cpu, Walk *walk)
{
    walk->mode = paging_mode(cpu);
    walk->count = 0;
    if (walk->mode == &pae_paging) {
        uint64_t pdpte = cpu->pdptr[walk->linear >> 30 & 3];

        return pdpte & ENTRY_P ? walk_from(cpu, walk, pdpte & ENTRY_ADDRESS) : WALK_NOT_PRESENT;
    }
    return walk_from(cpu, walk, cpu->cr3 & (walk->mode == &legacy_paging ? MASK_ULL(31, 12) :
                                                                           ENTRY_ADDRESS));
}

/* Set A in all entries, and for a write D in the last. False: one of them is another by now. */
static bool set_accessed(EmuCpu *cpu, Walk *walk, bool is_write)
{
    for (unsigned i = 0; i < walk->count; i++) {
        bool last = i + 1 == walk->count;
        uint64_t entry = walk->entries[i] | ENTRY_A | (last && is_write ? ENTRY_D : 0);

        if (entry != walk->entries[i] &&
            !emu_phys_update(cpu, walk->addresses[i], walk->mode->entry_size, walk->entries[i],
                             entry)) {
            return false;
        }
        walk->entries[i] = entry;
    }
    if (is_write) {
        walk->perms |= EMU_PERM_DIRTY;
    }
    return true;
}

/* ---- Rights ---- */

bool emu_may_write(const EmuCpu *cpu, unsigned perms, EmuTlbKind kind)
{
    return (perms & EMU_PERM_WRITE) || (kind != EMU_TLB_USER && !(cpu->cr0 & CR0_WP));
}

static bool may_access(const EmuCpu *cpu, unsigned perms, EmuTlbKind kind, EmuAccess access)
{
    bool user_page = perms & EMU_PERM_USER;

    if (kind == EMU_TLB_USER && !user_page) {
        return false;
    }
    switch (access) {
    case EMU_EXEC:
        return (perms & EMU_PERM_EXEC) &&
               !(user_page && kind != EMU_TLB_USER && (cpu->cr4 & CR4_SMEP));
    case EMU_WRITE:
        return !(user_page && kind == EMU_TLB_SUPER_SMAP) && emu_may_write(cpu, perms, kind);
    default:
        return !(user_page && kind == EMU_TLB_SUPER_SMAP);
    }
}

static G_NORETURN void page_fault(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access,
                                  uint32_t error)
{
    bool tells_fetch = (cpu->cr4 & CR4_SMEP) ||
                       ((cpu->efer & EFER_NXE) && (cpu->cr4 & CR4_PAE));

    error |= access == EMU_WRITE ? PF_W : 0;
    error |= kind == EMU_TLB_USER ? PF_U : 0;
    error |= access == EMU_EXEC && tells_fetch ? PF_I : 0;
    cpu->cr2 = linear;
    emu_raise(cpu, X86_PF, error);
}

/* ---- Putting it together ---- */

static EmuPage *keep(EmuCpu *cpu, uint64_t linear, const Walk *walk)
{
    EmuPage *page = emu_tlb2_place(cpu->tlb.second, linear, emu_pcid(cpu),
                                   walk->perms & EMU_PERM_GLOBAL, walk->shift);
    const MemoryPlace *place;

    page->perms = walk->perms;
    page->physical = walk->physical & accel_a20_mask();
    place = emu_place(cpu, page->physical);
    if (place) {
        uint64_t in_place = page->physical - place->first;

        page->region = place->region;
        page->offset = place->offset + in_place;
        page->read = place->read + in_place;
        page->write = place->write ? place->write + in_place : NULL;
        page->code = emu_code_map(place->region);
    }
    return page;
}

static EmuPage *walk_and_keep(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access)
{
    Walk walk = { .linear = linear };

    cpu->stats.walks++;
    if (!(cpu->cr0 & CR0_PG)) {
        walk.physical = linear & EMU_PAGE_MASK;
        walk.shift = EMU_PAGE_BITS;
        walk.perms = EMU_PERM_WRITE | EMU_PERM_USER | EMU_PERM_EXEC | EMU_PERM_DIRTY;
        return keep(cpu, linear, &walk);
    }
    do {
        WalkResult result = walk_tables(cpu, &walk);

        if (result != WALK_OK) {
            page_fault(cpu, linear, kind, access,
                       result == WALK_RESERVED ? PF_P | PF_RSVD : 0);
        }
        if (!may_access(cpu, walk.perms, kind, access)) {
            page_fault(cpu, linear, kind, access, PF_P);
        }
    } while (!set_accessed(cpu, &walk, access == EMU_WRITE));
    return keep(cpu, linear, &walk);
}

const EmuPage *emu_translate(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access)
{
    const EmuPage *page = emu_tlb2_find(cpu->tlb.second, linear, emu_pcid(cpu));

    cpu->stats.tlb_misses++;
    /* Tables may have changed since: a cached translation alone does not make a fault. */
    if (EMU_UNLIKELY(!page || !may_access(cpu, page->perms, kind, access) ||
                     (access == EMU_WRITE && !(page->perms & EMU_PERM_DIRTY)))) {
        page = walk_and_keep(cpu, linear, kind, access);
    }
    return EMU_UNLIKELY(cpu->check) ? emu_check_page(cpu, linear, page) : page;
}

/* ---- Canonical addresses ---- */

static bool is_canonical(const EmuCpu *cpu, uint64_t linear)
{
    unsigned unused = cpu->cr4 & CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

void emu_check_canonical(EmuCpu *cpu, uint64_t linear, unsigned size, bool fetch)
{
    bool is_stack = !fetch && cpu->op && cpu->op->seg == X86_SS;

    if (!(cpu->mode & EMU_MODE_LONG) ||
        (is_canonical(cpu, linear) && is_canonical(cpu, linear + size - 1))) {
        return;
    }
    emu_raise(cpu, is_stack ? X86_SS_FAULT : X86_GP, 0);
}

/* ---- Fetches ---- */

/* Of pages that are not memory; no host address looks like it. */
#define FETCH_IO BIT_ULL(62)

void emu_fetch_page(EmuCpu *cpu, uint64_t linear, EmuFetch *fetch)
{
    EmuTlbKind kind = emu_cpl(cpu) == 3 ? EMU_TLB_USER : EMU_TLB_SUPER;
    const EmuPage *page;

    if (cpu->mode & EMU_MODE_LONG) {
        emu_check_canonical(cpu, linear, 1, true);
    } else {
        linear = (uint32_t)linear;
    }
    page = emu_translate(cpu, linear, kind, EMU_EXEC);
    fetch->host = page->read;
    fetch->global = page->perms & EMU_PERM_GLOBAL;
    fetch->physical = page->read ? (uintptr_t)page->read : page->physical | FETCH_IO;
}

uint8_t emu_fetch_byte(EmuCpu *cpu, const EmuFetch *fetch, unsigned page_offset)
{
    return emu_phys_read(cpu, (fetch->physical & ~FETCH_IO) + page_offset, 1);
}

/* ---- PAE's page directory pointers ---- */

void emu_load_pdptrs(EmuCpu *cpu, uint64_t cr3)
{
    uint64_t reserved = ~(ENTRY_ADDRESS & cpu->tlb.second->physical_mask) &
                        ~(ENTRY_P | MASK_ULL(4, 3) | MASK_ULL(11, 9));
    uint64_t table = cr3 & MASK_ULL(31, 5);
    uint64_t entries[G_N_ELEMENTS(cpu->pdptr)];

    for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
        entries[i] = emu_phys_read(cpu, table + i * sizeof(entries[0]), sizeof(entries[0]));
        if ((entries[i] & ENTRY_P) && (entries[i] & reserved)) {
            emu_raise(cpu, X86_GP, 0);
        }
    }
    memcpy(cpu->pdptr, entries, sizeof(entries));
}
