/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the software MMU, for mmu.c (page walks), tlb.c, mem.c, phys.c, code-pages.c and
 * listener.c.
 *
 * An EmuPage is a translation of the second-level TLB: what a walk found, not what somebody may do:
 * rights are judged at each use, from the registers as they are then. It stays valid until the CPU
 * leaves guest code or translates something else.
 */
#ifndef VIREO_ACCEL_EMU_MMU_H
#define VIREO_ACCEL_EMU_MMU_H

#include "accel/emu/mem.h"
#include "memory/memory.h"

#define EMU_PAGE_MASK (~(uint64_t)(EMU_PAGE_SIZE - 1))

typedef struct EmuCodeMap EmuCodeMap; /* code-pages.c: of one RAM block */

enum {
    EMU_PERM_WRITE = 1u << 0,
    EMU_PERM_USER = 1u << 1,
    EMU_PERM_EXEC = 1u << 2,
    EMU_PERM_GLOBAL = 1u << 3,
    EMU_PERM_DIRTY = 1u << 4, /* D is set: a write needs no walk */
};

typedef struct EmuPage {
    uint64_t generation;  /* when it was filled */
    uint64_t physical;    /* page address, A20 applied */
    uint8_t *read, *write; /* host page; NULL: an access is more than a copy */
    MemoryRegion *region; /* of the host page, else NULL */
    uint64_t offset;      /* of the page in it */
    EmuCodeMap *code;     /* of the region's RAM block */
    uint16_t pcid;
    uint8_t perms;        /* EMU_PERM_* */
    uint8_t shift;        /* log2 of the size of the guest's page */
} EmuPage;

/* A place in the first level. */
typedef struct EmuTlbSlot {
    uint8_t kind;
    uint16_t index;
} EmuTlbSlot;

#define EMU_TLB2_SETS 512u
#define EMU_TLB2_WAYS 4u
#define EMU_LARGE_MARKS 4096u /* direct maps of 8 GiB do not collide */
#define EMU_HUGE_MARKS 64u
#define EMU_PCIDS 4096u
#define EMU_PLACES 4u
#define EMU_CODE_QUEUE 64u

/* A piece of a page that another thread wrote; see code-pages.c. */
typedef struct EmuCodeWrite {
    uint64_t page;
    uint16_t offset, len; /* len 4096: all of it */
} EmuCodeWrite;

/* The last part of the address space that fell here, EMU_MARK_SEVERAL for more than one. */
typedef struct EmuLargeMark {
    uint64_t number, generation;
} EmuLargeMark;
#define EMU_MARK_SEVERAL (~0ull)

struct EmuTlb2 {
    EmuCpu *cpu;
    /*
     * Every flush is a new generation. An entry counts if it is not older than `all` and, unless it
     * is global, not older than `nonglobal` and its PCID's.
     */
    uint64_t generation;
    uint64_t all, nonglobal;
    uint64_t pcid[EMU_PCIDS];
    /*
     * When a piece of a large page was last filled, by numbers of its 2 MiB and of its 1 GiB:
     * INVLPG must find the other pieces, and looks for them only then.
     */
    EmuLargeMark large[EMU_LARGE_MARKS], huge[EMU_HUGE_MARKS];
    uint64_t tags[EMU_TLB2_SETS][EMU_TLB2_WAYS]; /* linear page numbers */
    EmuPage pages[EMU_TLB2_SETS][EMU_TLB2_WAYS];
    uint8_t victim[EMU_TLB2_SETS];

    /* What CPUID says. */
    uint64_t physical_mask; /* bits that a physical address has */
    bool has_1g, has_pse36;

    /* RAM and ROM ranges used last, of the present view. */
    MemoryPlace places[EMU_PLACES];
    unsigned next_place;

    /* Under tlb.lock: what others wrote into this CPU's code pages. */
    EmuCodeWrite code_writes[EMU_CODE_QUEUE];
    unsigned code_write_count;
    bool code_overflow;     /* too many: all blocks go */
    unsigned code_bit;      /* this CPU's bit in code maps */

    struct EmuMapListener {
        MemoryListener listener;
        EmuCpu *cpu;
        bool changed;
    } listeners[2];         /* of ordinary memory and of SMM's view */
    bool has_smm_listener;
};

/* ---- tlb.c ---- */

/* The valid entry for a linear address, or NULL. */
EmuPage *emu_tlb2_find(EmuTlb2 *tlb2, uint64_t linear, unsigned pcid);
/* A place for a new translation, already tagged and stamped; replaces an old one of the page. */
EmuPage *emu_tlb2_place(EmuTlb2 *tlb2, uint64_t linear, unsigned pcid, bool global,
                        unsigned shift);
/* Let later accesses of this kind to the page hit, as far as nothing speaks against it. */
void emu_tlb_fill(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access,
                  const EmuPage *page);
/* Remove the first level's entries for the page. */
void emu_tlb_forget_first(EmuCpu *cpu, uint64_t linear);
/* Empty these slots of the tables for writing. */
void emu_tlb_forget_writes(EmuCpu *cpu, const EmuTlbSlot *slots, unsigned count);
/* Remove write entries that lead to [host, host + len). Any thread. True if there were any. */
bool emu_tlb_forbid_writes(EmuCpu *cpu, const uint8_t *host, uint64_t len);
/* The same for a part of a RAM region; marks the pages that had entries dirty. */
void emu_tlb_log_writes(EmuCpu *cpu, MemoryRegion *region, uint64_t offset, uint64_t len);

static inline unsigned emu_pcid(const EmuCpu *cpu)
{
    return cpu->cr4 & CR4_PCIDE ? cpu->cr3 & (EMU_PCIDS - 1) : 0;
}

/* ---- mmu.c ---- */

/*
 * Translate for an access that begins at `linear` (canonical), of which it says the page. Raises
 * #PF. Not EMU_TLB_USER_ALIGN. Fetches: EMU_TLB_USER or EMU_TLB_SUPER.
 */
const EmuPage *emu_translate(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access);
/* Raise #GP(0), or for fetch false and a stack operand #SS(0), unless both ends are canonical. */
void emu_check_canonical(EmuCpu *cpu, uint64_t linear, unsigned size, bool fetch);
/* May an access of this kind write to the page? */
bool emu_may_write(const EmuCpu *cpu, unsigned perms, EmuTlbKind kind);

/* ---- phys.c: physical memory as the CPU sees it now ---- */

AddressSpace *emu_address_space(const EmuCpu *cpu);
/* The range of RAM or ROM that holds the whole page (A20 applied), or NULL. */
const MemoryPlace *emu_place(EmuCpu *cpu, uint64_t physical);
void emu_forget_places(EmuCpu *cpu);
/* Accesses that are more than a copy, within a page. They leave guest code on the way: EmuPages and
   host addresses are void afterwards. */
uint64_t emu_mmio_read(EmuCpu *cpu, uint64_t physical, unsigned size);
void emu_mmio_write(EmuCpu *cpu, uint64_t physical, uint64_t value, unsigned size);
/* Copies of any length within a page, to RAM or whatever else is there. */
void emu_phys_read_bytes(EmuCpu *cpu, uint64_t physical, void *buf, unsigned len);
void emu_phys_write_bytes(EmuCpu *cpu, uint64_t physical, const void *buf, unsigned len);
/*
 * The entry of a paging structure changes from old to new, if it still is old: false if not. Where
 * it is not in RAM nothing can be promised but the write.
 */
bool emu_phys_update(EmuCpu *cpu, uint64_t physical, unsigned size, uint64_t old, uint64_t new_);
/* RAM behind the page was written by this CPU: mark it dirty, drop blocks. After the write. */
void emu_note_write(EmuCpu *cpu, const EmuPage *page, unsigned offset, unsigned len);
void emu_phys_note_write(EmuCpu *cpu, uint64_t physical, unsigned len);
bool emu_phys_is_ram(EmuCpu *cpu, uint64_t physical);

static inline uint64_t emu_host_load(const void *host, unsigned size)
{
    switch (size) {
    case 1:
        return emu_host_load_u8(host);
    case 2:
        return emu_host_load_u16(host);
    case 4:
        return emu_host_load_u32(host);
    default:
        return emu_host_load_u64(host);
    }
}

static inline void emu_host_store(void *host, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        emu_host_store_u8(host, value);
        break;
    case 2:
        emu_host_store_u16(host, value);
        break;
    case 4:
        emu_host_store_u32(host, value);
        break;
    default:
        emu_host_store_u64(host, value);
        break;
    }
}

/* ---- code-pages.c ---- */

/* The map of a RAM or ROM region's block; made if need be. */
EmuCodeMap *emu_code_map(MemoryRegion *region);
/* Has any CPU blocks from the page that holds this offset of the block? */
bool emu_code_map_has(const EmuCodeMap *map, uint64_t offset);
/* Give up the CPU's blocks, because what they were decoded from is going. Any thread. */
void emu_code_request_flush(EmuCpu *cpu);

/* ---- listener.c ---- */

void emu_listeners_register(EmuCpu *cpu);
void emu_listeners_unregister(EmuCpu *cpu);

#endif
