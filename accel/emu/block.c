/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of decoded blocks of one vCPU.
 *
 * Blocks come from an arena that is only ever emptied whole: a block that was invalidated keeps its
 * memory until then, so links to it need not be hunted down; whoever follows one looks at `valid`.
 */
#include "accel/emu/block.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/emu/decode.h"
#include "accel/emu/emu-accel.h"
#include "accel/emu/jit/jit.h"
#include "accel/emu/mem.h"
#include "accel/emu/system.h"
#include "util/error.h"
#include "util/log.h"

#define HASH_BITS 17
#define PAGE_HASH_BITS 12
#define MAX_INSN_BYTES 15
#define WARM 4 /* times as often as that a block must run to be translated */
/* How far from the start of its page a direct branch may lead. */
#define BRANCH_REACH (BIT_ULL(31) + EMU_PAGE_SIZE)

/* Where a linear address led last time. */
struct EmuJump {
    uint64_t linear;
    EmuBlock *block;
};
#define JUMP_BITS 10
#define JUMP_COUNT (1u << JUMP_BITS)
#define HALVES 2 /* of the address space, as emu_is_upper() says */
#define PAGE_MARKS 16384u /* a false one costs all jumps */


/* A physical page with blocks. */
typedef struct CodePage {
    uint64_t physical;
    EmuBlock *blocks;
    struct CodePage *next;
} CodePage;

/*
 * Instructions that cross into another page are fetched anew each time, but not decoded: the same
 * bytes in the same mode give the same op.
 */
typedef struct CrossingOp {
    uint32_t mode;
    uint16_t offset;
    uint8_t available;     /* bytes that the decoder may see; 0: nothing here */
    uint8_t bytes[MAX_INSN_BYTES];
    EmuOp op;
} CrossingOp;
#define CROSSING_OPS 256u

struct EmuBlockCache {
    uint8_t *arena;
    size_t size, used;
    unsigned flushes;
    struct {
        EmuJump jumps[JUMP_COUNT];
        bool used;
        bool local;        /* some page is not global */
    } half[HALVES];
    uint64_t page_marks[PAGE_MARKS / 64]; /* by hash: linear pages in `half` */
    EmuBlock *hash[1u << HASH_BITS];
    CodePage *pages[1u << PAGE_HASH_BITS];
    CrossingOp crossing[CROSSING_OPS];
    /* Holds the op of code that lies in no RAM, or that must not be kept. */
    union {
        EmuBlock block;
        uint8_t room[sizeof(EmuBlock) + 2 * sizeof(EmuOp)];
    } scratch;
};

EmuBlockCache *emu_blocks_new(size_t max_bytes, GError **error)
{
    EmuBlockCache *cache;
    void *arena = mmap(NULL, max_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (arena == MAP_FAILED) {
        error_set_errno(error, errno, "no memory for %zu MiB of decoded code (tb-size)",
                        (size_t)(max_bytes / MiB));
        return NULL;
    }
    cache = g_new0(EmuBlockCache, 1);
    cache->arena = arena;
    cache->size = max_bytes;
    return cache;
}

void emu_blocks_free(EmuBlockCache *cache)
{
    if (cache) {
        munmap(cache->arena, cache->size);
        g_free(cache);
    }
}

size_t emu_blocks_bytes_used(const EmuBlockCache *cache)
{
    return cache->used;
}

unsigned emu_blocks_flushes(const EmuCpu *cpu)
{
    return cpu->blocks->flushes;
}

/* ---- Memory ---- */

static void *arena_take(EmuBlockCache *cache, size_t bytes)
{
    void *memory = cache->arena + cache->used;

    cache->used += ROUND_UP(bytes, 16);
    return memory;
}

/* Room for the largest block and its page? */
static bool arena_has_room(const EmuBlockCache *cache)
{
    size_t most = sizeof(EmuBlock) + (EMU_BLOCK_MAX_OPS + 1) * sizeof(EmuOp) + sizeof(CodePage) +
                  64;

    return cache->size - cache->used >= most;
}

static void forget_half(EmuBlockCache *cache, unsigned half)
{
    if (cache->half[half].used) {
        memset(&cache->half[half], 0, sizeof(cache->half[half]));
    }
}

void emu_blocks_forget_linear(EmuCpu *cpu)
{
    EmuBlockCache *cache = cpu->blocks;

    if (!cache) {
        return;
    }
    cache->flushes++;
    for (unsigned half = 0; half < HALVES; half++) {
        forget_half(cache, half);
    }
    memset(cache->page_marks, 0, sizeof(cache->page_marks));
    if (cpu->jit) {
        emu_jit_forget_linear(cpu);
    }
}

void emu_blocks_forget_local(EmuCpu *cpu)
{
    EmuBlockCache *cache = cpu->blocks;

    if (!cache) {
        return;
    }
    cache->flushes++;
    for (unsigned half = 0; half < HALVES; half++) {
        if (cache->half[half].local) {
            forget_half(cache, half);
        }
    }
    if (cpu->jit) {
        emu_jit_forget_local(cpu);
    }
}

bool emu_blocks_all_global(const EmuCpu *cpu, uint64_t linear)
{
    return !cpu->blocks->half[emu_is_upper(cpu->mode, linear)].local;
}

static unsigned page_mark(uint64_t linear)
{
    return (linear >> EMU_PAGE_BITS ^ linear >> 21) % PAGE_MARKS;
}

void emu_blocks_forget_page(EmuCpu *cpu, uint64_t linear, bool large)
{
    unsigned mark = page_mark(linear);

    if (!cpu->blocks) {
        return;
    }
    if (large || (cpu->blocks->page_marks[mark / 64] & BIT_ULL(mark % 64))) {
        emu_blocks_forget_linear(cpu);
    } else if (cpu->jit) {
        emu_jit_forget_returns(cpu);
    }
}

void emu_blocks_flush(EmuCpu *cpu)
{
    EmuBlockCache *cache = cpu->blocks;

    if (!cache) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cache->pages); i++) {
        for (CodePage *page = cache->pages[i]; page; page = page->next) {
            emu_code_page_release(cpu, page->physical);
        }
    }
    memset(cache->pages, 0, sizeof(cache->pages));
    memset(cache->hash, 0, sizeof(cache->hash));
    emu_blocks_forget_linear(cpu);
    cache->used = 0;
    cpu->stats.blocks = 0;
    cpu->stats.cache_flushes++;
    if (cpu->jit) {
        emu_jit_flush(cpu);
    }
}

/* ---- Finding ---- */

static unsigned hash_of(uint64_t physical, uint32_t mode)
{
    uint64_t key = (physical ^ (uint64_t)mode << 40) * 0x9e3779b97f4a7c15ull;

    return key >> (64 - HASH_BITS);
}

static unsigned page_hash_of(uint64_t page)
{
    return (page >> EMU_PAGE_BITS) * 0x9e3779b97f4a7c15ull >> (64 - PAGE_HASH_BITS);
}

/* May a direct branch in this page lead to `end`, the first address behind the lower half? */
static bool reaches(uint64_t linear, uint64_t end)
{
    return end - linear <= BRANCH_REACH;
}

static uint64_t own_page(uint32_t mode, uint64_t linear)
{
    bool owns = emu_is_upper(mode, linear) || reaches(linear, BIT_ULL(47)) ||
                reaches(linear, BIT_ULL(56));

    return owns ? linear & ~(uint64_t)(EMU_PAGE_SIZE - 1) : 0;
}

static EmuBlock *hash_find(EmuBlockCache *cache, uint64_t physical, uint64_t linear, uint32_t mode)
{
    EmuBlock *block = cache->hash[hash_of(physical, mode)];

    while (block && (block->physical != physical || block->mode != mode ||
                     block->own_page != own_page(mode, linear))) {
        block = block->hash_next;
    }
    return block;
}

static CodePage *page_find(EmuBlockCache *cache, uint64_t physical)
{
    CodePage *page = cache->pages[page_hash_of(physical)];

    while (page && page->physical != physical) {
        page = page->next;
    }
    return page;
}

static CodePage *page_make(EmuBlockCache *cache, uint64_t physical)
{
    CodePage *page = page_find(cache, physical);
    CodePage **bucket = &cache->pages[page_hash_of(physical)];

    if (!page) {
        page = arena_take(cache, sizeof(*page));
        *page = (CodePage) { .physical = physical, .next = *bucket };
        *bucket = page;
    }
    return page;
}

/* ---- Going ---- */

static void hash_remove(EmuBlockCache *cache, EmuBlock *block)
{
    EmuBlock **at = &cache->hash[hash_of(block->physical, block->mode)];

    while (*at && *at != block) {
        at = &(*at)->hash_next;
    }
    if (*at) {
        *at = block->hash_next;
    }
}

static void block_retire(EmuCpu *cpu, EmuBlock *block)
{
    hash_remove(cpu->blocks, block);
    block->valid = false;
    cpu->stats.blocks--;
    cpu->stats.retired++;
    if (block->code) {
        emu_jit_retire(cpu, block);
    }
}

static bool block_touches(const EmuBlock *block, unsigned offset, unsigned len)
{
    unsigned first = block->physical & (EMU_PAGE_SIZE - 1);

    return first < offset + len && offset < first + block->bytes;
}

/* Stores to what it runs from must stay slow: the next may hit ops that are still to run. */
static bool is_running(const EmuCpu *cpu, uint64_t physical_page)
{
    return cpu->block && (cpu->block->physical & ~(uint64_t)(EMU_PAGE_SIZE - 1)) == physical_page;
}

bool emu_blocks_invalidate(EmuCpu *cpu, uint64_t physical_page, unsigned offset, unsigned len)
{
    CodePage *page = page_find(cpu->blocks, physical_page);
    EmuBlock **at;
    bool any = false;

    if (!page) {
        return false;
    }
    for (at = &page->blocks; *at;) {
        EmuBlock *block = *at;

        if (block_touches(block, offset, len)) {
            *at = block->page_next;
            block_retire(cpu, block);
            any = true;
        } else {
            at = &block->page_next;
        }
    }
    if (!page->blocks && !is_running(cpu, physical_page)) {
        emu_code_page_release(cpu, physical_page);
    }
    return any;
}

/* ---- Coming ---- */

/* What a block is decoded from. */
typedef struct Source {
    uint64_t linear;      /* of the first byte */
    EmuFetch page, page2; /* page2: only if `crosses` */
    bool crosses;
    unsigned limit;       /* bytes that the code segment allows, at most a page */
    uint32_t mode;        /* of the block */
    bool extends;         /* beyond JCCs */
} Source;

static void log_op(EmuCpu *cpu, const EmuOp *op, const uint8_t *code)
{
    ZydisMachineMode machine = cpu->mode & EMU_MODE_CS64 ? ZYDIS_MACHINE_MODE_LONG_64 :
                               cpu->mode & EMU_MODE_CS32 ? ZYDIS_MACHINE_MODE_LEGACY_32 :
                                                           ZYDIS_MACHINE_MODE_REAL_16;
    ZydisDisassembledInstruction insn;
    uint64_t rip = emu_mask_ip(cpu, emu_op_rip(cpu, op));
    bool ok = ZYAN_SUCCESS(ZydisDisassembleIntel(machine, rip, code, op->length, &insn));

    log_printf(LOG_IN_ASM, "0x%08" PRIx64 ":  %s\n", rip, ok ? insn.text : "(bad)");
}

static void fetch_bytes(EmuCpu *cpu, const EmuFetch *page, unsigned offset, uint8_t *buf,
                        unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        buf[i] = page->host ? page->host[offset + i] : emu_fetch_byte(cpu, page, offset + i);
    }
}

/* One op at `offset` of the page. False: it goes on in the next page. */
static bool decode_within(EmuCpu *cpu, const Source *source, unsigned offset, unsigned room,
                          EmuOp *op)
{
    unsigned available = MIN(MIN(EMU_PAGE_SIZE - offset, room), MAX_INSN_BYTES);
    uint8_t bytes[MAX_INSN_BYTES];

    fetch_bytes(cpu, &source->page, offset, bytes, available);
    if (!emu_decode(cpu, bytes, available, offset, op)) {
        return false;
    }
    if (log_enabled(LOG_IN_ASM)) {
        log_op(cpu, op, bytes);
    }
    return true;
}

static void op_beyond_limit(EmuCpu *cpu, const EmuOp *op)
{
    emu_raise(cpu, X86_GP, 0);
}

static void make_limit_op(unsigned offset, EmuOp *op)
{
    memset(op, 0, sizeof(*op));
    op->fn = op_beyond_limit;
    op->page_offset = offset;
    op->flags = EMU_OP_ENDS;
}

static void finish_block(EmuBlock *block, unsigned count, unsigned end)
{
    EmuOp *stop = &block->ops[count];

    memset(stop, 0, sizeof(*stop));
    stop->fn = emu_op_stop;
    stop->page_offset = end;
    block->op_count = count;
    block->bytes = end - (block->physical & (EMU_PAGE_SIZE - 1));
    block->valid = true;
}

static void decode_crossing_op(EmuCpu *cpu, const Source *source, const uint8_t *bytes,
                               unsigned available, EmuOp *op)
{
    CrossingOp *kept = &cpu->blocks->crossing[(source->linear >> EMU_PAGE_BITS) % CROSSING_OPS];
    unsigned offset = source->linear & (EMU_PAGE_SIZE - 1);

    if (kept->available == available && kept->mode == source->mode && kept->offset == offset &&
        memcmp(kept->bytes, bytes, available) == 0) {
        *op = kept->op;
        return;
    }
    if (!emu_decode(cpu, bytes, available, offset, op)) {
        make_limit_op(offset, op);
    } else if (log_enabled(LOG_IN_ASM)) {
        log_op(cpu, op, bytes);
    }
    *kept = (CrossingOp) { .mode = source->mode, .offset = offset, .available = available,
                           .op = *op };
    memcpy(kept->bytes, bytes, available);
}

/* A single instruction that begins in one page and ends in the next. */
static void decode_crossing(EmuCpu *cpu, Source *source, EmuBlock *block)
{
    unsigned offset = source->linear & (EMU_PAGE_SIZE - 1);
    unsigned first = EMU_PAGE_SIZE - offset, len = MIN(MAX_INSN_BYTES, source->limit);
    uint8_t bytes[MAX_INSN_BYTES];

    fetch_bytes(cpu, &source->page, offset, bytes, MIN(first, len));
    if (len > first) {
        fetch_bytes(cpu, &source->page2, 0, bytes + first, len - first);
    }
    decode_crossing_op(cpu, source, bytes, len, &block->ops[0]);
    finish_block(block, 1, offset + block->ops[0].length);
}

/* Is the block that begins at `offset` of the page run often enough to be part of one before it? */
static bool is_warm(EmuCpu *cpu, const Source *source, unsigned offset)
{
    uint64_t mask = EMU_PAGE_SIZE - 1;
    const EmuBlock *block;

    if (!cpu->jit_hot || offset >= EMU_PAGE_SIZE) {
        return offset < EMU_PAGE_SIZE;
    }
    block = hash_find(cpu->blocks, source->page.physical | offset,
                      (source->linear & ~mask) | offset, source->mode);
    return block && block->runs * WARM >= cpu->jit_hot;
}

static bool ends_block(EmuCpu *cpu, const Source *source, const EmuOp *op)
{
    return (op->flags & EMU_OP_ENDS) ||
           ((op->flags & EMU_OP_FORKS) &&
            !(source->extends && is_warm(cpu, source, op->page_offset + op->length)));
}

/* False: the first instruction crosses into the next page. */
static bool decode_straight(EmuCpu *cpu, const Source *source, EmuBlock *block, unsigned max_ops)
{
    unsigned start = source->linear & (EMU_PAGE_SIZE - 1), offset = start, count = 0;

    while (count < max_ops && offset < EMU_PAGE_SIZE) {
        EmuOp *op = &block->ops[count];
        unsigned room = source->limit - (offset - start);

        if (!decode_within(cpu, source, offset, room, op)) {
            if (count == 0 && room >= EMU_PAGE_SIZE - offset) {
                return false;
            }
            if (count == 0) {
                make_limit_op(offset, op);
                count = 1;
            }
            break;
        }
        count++;
        offset += op->length;
        if (ends_block(cpu, source, op)) {
            break;
        }
    }
    finish_block(block, count, offset);
    return true;
}

/* The linear address of cpu->rip, and how much code may follow it. Raises for a bad one. */
static void find_source(EmuCpu *cpu, Source *source)
{
    const X86Segment *cs = &cpu->segs[X86_CS];

    source->crosses = false;
    source->limit = EMU_PAGE_SIZE;
    if (cpu->mode & EMU_MODE_CS64) {
        source->linear = cpu->rip;
        return;
    }
    if (cpu->rip > cs->limit) {
        emu_raise(cpu, X86_GP, 0);
    }
    source->limit = MIN(cs->limit - cpu->rip + 1, EMU_PAGE_SIZE);
    source->linear = (uint32_t)(cs->base + cpu->rip);
}

static void insert_block(EmuCpu *cpu, EmuBlock *block)
{
    EmuBlockCache *cache = cpu->blocks;
    EmuBlock **bucket = &cache->hash[hash_of(block->physical, block->mode)];
    CodePage *page = page_make(cache, block->physical & ~(uint64_t)(EMU_PAGE_SIZE - 1));

    block->hash_next = *bucket;
    *bucket = block;
    block->page_next = page->blocks;
    page->blocks = block;
    cpu->stats.blocks++;
    cpu->stats.decoded++;
}

static EmuBlock *begin_block(EmuBlock *block, const Source *source, uint64_t physical)
{
    *block = (EmuBlock) { .physical = physical, .own_page = own_page(source->mode, source->linear),
                          .mode = source->mode };
    return block;
}

/* Code that is not kept: outside RAM, across pages, or at the end of a short code segment. */
static EmuBlock *decode_scratch(EmuCpu *cpu, Source *source, uint64_t physical)
{
    EmuBlock *block = begin_block(&cpu->blocks->scratch.block, source, physical);
    uint64_t next_page = (source->linear | (EMU_PAGE_SIZE - 1)) + 1;

    if (source->crosses || !decode_straight(cpu, source, block, 1)) {
        if (!(cpu->mode & EMU_MODE_CS64)) {
            next_page = (uint32_t)next_page;
        }
        emu_fetch_page(cpu, next_page, &source->page2);
        decode_crossing(cpu, source, block);
    }
    block->valid = false; /* neither linked nor remembered */
    return block;
}

static EmuBlock *decode_block(EmuCpu *cpu, Source *source, uint64_t physical)
{
    EmuBlockCache *cache = cpu->blocks;
    unsigned max_ops = source->mode & EMU_MODE_STEP || emu_accel()->one_insn ? 1 :
                                                                                EMU_BLOCK_MAX_OPS;
    EmuBlock *block;

    if (!source->page.host || source->limit < EMU_PAGE_SIZE - (source->linear % EMU_PAGE_SIZE)) {
        return decode_scratch(cpu, source, physical);
    }
    if (!arena_has_room(cache)) {
        emu_blocks_flush(cpu);
    }
    emu_code_page_protect(cpu, source->page.physical);
    block = begin_block((EmuBlock *)(cache->arena + cache->used), source, physical);
    if (!decode_straight(cpu, source, block, max_ops)) {
        source->crosses = true;
        return decode_scratch(cpu, source, physical);
    }
    arena_take(cache, sizeof(*block) + (block->op_count + 1) * sizeof(EmuOp));
    insert_block(cpu, block);
    return block;
}

static void page_remove(EmuBlockCache *cache, const EmuBlock *block)
{
    EmuBlock **at = &page_find(cache, block->physical & ~(uint64_t)(EMU_PAGE_SIZE - 1))->blocks;

    while (*at != block) {
        at = &(*at)->page_next;
    }
    *at = block->page_next;
}

EmuBlock *emu_block_extend(EmuCpu *cpu, EmuBlock *block)
{
    EmuBlockCache *cache = cpu->blocks;
    Source source = { .mode = block->mode, .extends = true };
    EmuBlock *extended = (EmuBlock *)(cache->arena + cache->used);
    uint64_t physical;

    if (block->jit || emu_accel()->one_insn || !arena_has_room(cache) ||
        !(block->ops[block->op_count - 1].flags & EMU_OP_FORKS)) {
        return block;
    }
    find_source(cpu, &source);
    emu_fetch_page(cpu, source.linear, &source.page);
    physical = source.page.physical | (source.linear & (EMU_PAGE_SIZE - 1));
    if (physical != block->physical || source.limit < EMU_PAGE_SIZE - physical % EMU_PAGE_SIZE ||
        !is_warm(cpu, &source, block->ops[block->op_count].page_offset)) {
        return block;
    }
    begin_block(extended, &source, physical);
    decode_straight(cpu, &source, extended, EMU_BLOCK_MAX_OPS);
    extended->runs = block->runs;
    arena_take(cache, sizeof(*extended) + (extended->op_count + 1) * sizeof(EmuOp));
    page_remove(cache, block);
    block_retire(cpu, block);
    insert_block(cpu, extended);
    return extended;
}

/* ---- Lookup ---- */

static EmuJump *jump_entry(EmuBlockCache *cache, uint32_t mode, uint64_t linear)
{
    return &cache->half[emu_is_upper(mode, linear)].jumps[(linear ^ linear >> 10) % JUMP_COUNT];
}

bool emu_block_within_limit(const EmuCpu *cpu, const EmuBlock *block)
{
    return cpu->mode & EMU_MODE_CS64 ||
           cpu->rip + block->bytes - 1 <= cpu->segs[X86_CS].limit;
}

static EmuBlock *find_by_page_walk(EmuCpu *cpu, Source *source)
{
    uint64_t physical;
    EmuBlock *block;

    emu_fetch_page(cpu, source->linear, &source->page);
    physical = source->page.physical | (source->linear & (EMU_PAGE_SIZE - 1));
    block = hash_find(cpu->blocks, physical, source->linear, source->mode);
    if (!block || !emu_block_within_limit(cpu, block)) {
        block = decode_block(cpu, source, physical);
    }
    return block;
}

static void remember_jump(EmuBlockCache *cache, const Source *source, EmuBlock *block)
{
    unsigned mark = page_mark(source->linear), half = emu_is_upper(source->mode, source->linear);

    *jump_entry(cache, source->mode, source->linear) = (EmuJump) { source->linear, block };
    cache->half[half].used = true;
    cache->half[half].local |= !source->page.global;
    cache->page_marks[mark / 64] |= BIT_ULL(mark % 64);
}

static EmuBlock *lookup(EmuCpu *cpu, uint32_t mode)
{
    EmuBlockCache *cache = cpu->blocks;
    Source source = { .mode = mode };
    EmuJump *jump;
    EmuBlock *block;

    find_source(cpu, &source);
    cpu->regs[EMU_REG_PAGE_RIP] = cpu->rip - (source.linear & (EMU_PAGE_SIZE - 1));
    jump = jump_entry(cache, mode, source.linear);
    block = jump->block;
    if (EMU_LIKELY(block && jump->linear == source.linear && block->valid &&
                   block->mode == mode && emu_block_within_limit(cpu, block))) {
        return block;
    }
    if (EMU_UNLIKELY(cpu->vcpu->debug.count) && !(mode & EMU_MODE_STEP)) {
        emu_debug_before_lookup(cpu, source.linear);
    }
    cpu->stats.lookups++;
    block = find_by_page_walk(cpu, &source);
    if (block->valid) {
        remember_jump(cache, &source, block);
    }
    return block;
}

EmuBlock *emu_block_lookup(EmuCpu *cpu)
{
    return lookup(cpu, cpu->mode);
}

EmuBlock *emu_block_lookup_single(EmuCpu *cpu)
{
    return lookup(cpu, cpu->mode | EMU_MODE_STEP);
}
