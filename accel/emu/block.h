/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: straight runs of ops that end with a branch, an instruction that changes the mode, or the
 * page. (Those that are translated may go on behind JCCs, which leave them where they are taken.)
 * Each vCPU has a cache of its own, so neither looking up nor linking takes a lock; the price is
 * that every CPU decodes for itself.
 *
 * A block is found by the physical address of its first byte and the mode; what it does depends on
 * nothing else, so one block serves every linear address (processes share libraries at different
 * ones): RIP-relative things count from EMU_REG_PAGE_RIP. (But in the upper part of the address
 * space, the kernel's, a block belongs to one linear address, so that the translator may link
 * across pages; and so it does near the hole of non-canonical addresses, where it decides which
 * direct branches fault.) All its bytes are in one page, except for a single instruction that
 * begins in one and ends in the next, which is a block by itself, is never linked, and is decoded
 * anew if the second page changed.
 *
 * Two ways lead past the lookup: links to successors in the same page (they hold as long as both
 * blocks do), and the jump cache by linear address, which is emptied whenever a TLB is.
 */
#ifndef VIREO_ACCEL_EMU_BLOCK_H
#define VIREO_ACCEL_EMU_BLOCK_H

#include "accel/emu/op.h"

#define EMU_BLOCK_MAX_OPS 64

typedef struct EmuJump EmuJump;

struct EmuBlock {
    uint64_t physical;     /* of the first byte */
    uint64_t own_page;     /* linear address of the page if it belongs to that, else 0 */
    uint32_t mode;
    uint16_t bytes;        /* of guest code */
    uint16_t op_count;     /* without the stop op behind them */
    bool no_code;          /* not to be translated */
    bool valid;            /* false: its page was written; kept until nothing can point to it */
    uint32_t runs;         /* how often it was interpreted: heat for the translator */
    EmuBlock *next[2];     /* linked successors in the same page: not taken, taken */
    EmuBlock *hash_next;   /* same bucket */
    EmuBlock *page_next;   /* same physical page */
    void *code;            /* translated: host code, else NULL (jit/) */
    void *jit;             /* the translator's own data */
    EmuOp ops[];           /* op_count + 1 */
};

/* The part of the address space that is the system's, whose pages are global as a rule. */
static inline bool emu_is_upper(uint32_t mode, uint64_t linear)
{
    return linear >> 63 || (!(mode & EMU_MODE_LONG) && linear >> 30 == 3);
}

/* max_bytes bounds ops and blocks; the host gives memory as it is used. NULL: it cannot. */
EmuBlockCache *emu_blocks_new(size_t max_bytes, GError **error);
/* NULL is ignored. */
void emu_blocks_free(EmuBlockCache *cache);
/* Memory in use, for statistics. */
size_t emu_blocks_bytes_used(const EmuBlockCache *cache);

/*
 * The block at cpu->rip in cpu->mode, decoded if need be; sets EMU_REG_PAGE_RIP. Raises fetch
 * faults.
 */
EmuBlock *emu_block_lookup(EmuCpu *cpu);
/* The same with EMU_MODE_STEP: one instruction. */
EmuBlock *emu_block_lookup_single(EmuCpu *cpu);
/*
 * A block that ends with a JCC, at cpu->rip and about to be translated: one in its place that goes
 * on behind each JCC as long as what follows is in use too, or itself. May raise.
 */
EmuBlock *emu_block_extend(EmuCpu *cpu, EmuBlock *block);
/* At cpu->rip: are all its bytes within the code segment's limit? */
bool emu_block_within_limit(const EmuCpu *cpu, const EmuBlock *block);
/* Empty the jump cache: linear addresses may lead elsewhere now. Called by the TLB flushes. */
void emu_blocks_forget_linear(EmuCpu *cpu);
/* Only what does not lead through global pages: another address space. */
void emu_blocks_forget_local(EmuCpu *cpu);
/* Does the jump cache hold only global pages in the part of the address space that holds this? */
bool emu_blocks_all_global(const EmuCpu *cpu, uint64_t linear);
/* What leads into this page, or with `large` perhaps others. */
void emu_blocks_forget_page(EmuCpu *cpu, uint64_t linear, bool large);
/* Blocks that touch [offset, +len) of the physical page are gone. True if any was. */
bool emu_blocks_invalidate(EmuCpu *cpu, uint64_t physical_page, unsigned offset, unsigned len);
/*
 * All blocks are gone (cache full, mode of checking changed). Not while one runs. Nothing happens
 * where there is no cache yet.
 */
void emu_blocks_flush(EmuCpu *cpu);
/* How often one of these was called: neither links nor pointers to blocks are good across it. */
unsigned emu_blocks_flushes(const EmuCpu *cpu);

#endif
