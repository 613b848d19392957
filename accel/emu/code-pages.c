/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which CPUs have decoded blocks from which page of RAM.
 *
 * Each RAM block has a map, made when the block is first seen: a directory of chunks, allocated
 * when code is first decoded in their part, of one word per page with a bit per CPU. A page with
 * any bit set has no entry in any CPU's first-level write tables, so that CPUs' writes come to
 * emu_code_page_written(); those of devices come through the block's RamWatch. Both drop the
 * writer's own blocks at once and put the piece on the other CPUs' lists, who are asked to serve
 * them before their next block.
 *
 * Who protects a page sets the bit, then removes write entries, then lets all CPUs that had one
 * pass a block boundary (a store may be between its look into the table and memory), then reads the
 * bytes. Who writes to a page without a write entry first writes and then looks at the bits. So
 * either the reader sees the write or the writer sees the reader.
 */
#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/mmu.h"
#include "memory/ram-block.h"

#define CHUNK_PAGES 512u
#define CODE_BITS 64u

typedef struct EmuCodeChunk {
    uint64_t cpus[CHUNK_PAGES]; /* atomic */
} EmuCodeChunk;

struct EmuCodeMap {
    RamWatch watch;
    const uint8_t *host;
    uint64_t chunk_count;
    unsigned settling; /* atomic: CPUs that wait for stores under way */
    EmuCodeChunk *chunks[]; /* atomic; NULL: no code there so far */
};

static uint64_t own_bit(const EmuCpu *cpu)
{
    return BIT_ULL(cpu->tlb.second->code_bit);
}

/* ---- Maps ---- */

static void device_wrote(RamWatch *watch, uint64_t offset, uint64_t size);

static void flush_one(EmuCpu *cpu, void *unused)
{
    emu_code_request_flush(cpu);
}

/* The memory that names these pages goes, and may come back as something else. */
static void map_free(RamWatch *watch)
{
    EmuCodeMap *map = (EmuCodeMap *)((char *)watch - offsetof(EmuCodeMap, watch));

    if (accel_current()) {
        emu_cpus_foreach(flush_one, NULL);
    }
    for (uint64_t i = 0; i < map->chunk_count; i++) {
        g_free(map->chunks[i]);
    }
    g_free(map);
}

EmuCodeMap *emu_code_map(MemoryRegion *region)
{
    RamBlock *block = memory_region_ram_block(region);
    RamWatch *watch = ram_block_watch(block);

    if (EMU_UNLIKELY(!watch)) {
        uint64_t chunks = ram_block_max_length(block) / EMU_PAGE_SIZE / CHUNK_PAGES + 1;
        EmuCodeMap *map = g_malloc0(sizeof(*map) + chunks * sizeof(map->chunks[0]));

        map->watch = (RamWatch){ .written = device_wrote, .free = map_free };
        map->host = ram_block_host(block);
        map->chunk_count = chunks;
        watch = ram_block_set_watch(block, &map->watch);
        if (watch != &map->watch) {
            g_free(map);
        }
    }
    return (EmuCodeMap *)((char *)watch - offsetof(EmuCodeMap, watch));
}

/* NULL: there is no code near it. */
static uint64_t *find_word(const EmuCodeMap *map, uint64_t offset)
{
    uint64_t page = offset / EMU_PAGE_SIZE;
    EmuCodeChunk *chunk = __atomic_load_n(&map->chunks[page / CHUNK_PAGES], __ATOMIC_ACQUIRE);

    return chunk ? &chunk->cpus[page % CHUNK_PAGES] : NULL;
}

static uint64_t *make_word(EmuCodeMap *map, uint64_t offset)
{
    EmuCodeChunk **slot = &map->chunks[offset / EMU_PAGE_SIZE / CHUNK_PAGES];
    EmuCodeChunk *none = NULL;
    uint64_t *word = find_word(map, offset);

    if (!word) {
        EmuCodeChunk *chunk = g_new0(EmuCodeChunk, 1);

        if (!__atomic_compare_exchange_n(slot, &none, chunk, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST)) {
            g_free(chunk);
        }
        word = find_word(map, offset);
    }
    return word;
}

static uint64_t word_value(const EmuCodeMap *map, uint64_t offset)
{
    const uint64_t *word = find_word(map, offset);

    return word ? __atomic_load_n(word, __ATOMIC_SEQ_CST) : 0;
}

bool emu_code_map_has(const EmuCodeMap *map, uint64_t offset)
{
    return word_value(map, offset) != 0;
}

/* The map and the offset that a page's name stands for; NULL: not RAM. In guest code. */
static EmuCodeMap *map_of_page(uint64_t name, uint64_t *offset)
{
    RamBlock *block = ram_block_from_host((const void *)(uintptr_t)name);

    if (!block) {
        return NULL;
    }
    *offset = name - (uintptr_t)ram_block_host(block);
    return emu_code_map(ram_block_region(block));
}

/* ---- Protecting ---- */

typedef struct Forbid {
    EmuCpu *self;
    const uint8_t *host;
    bool others;
} Forbid;

static void forbid_one(EmuCpu *cpu, void *opaque)
{
    Forbid *forbid = opaque;

    if (cpu->tlb.second && emu_tlb_forbid_writes(cpu, forbid->host, EMU_PAGE_SIZE) &&
        cpu != forbid->self) {
        forbid->others = true;
    }
}

void emu_code_page_protect(EmuCpu *cpu, uint64_t physical_page)
{
    Forbid forbid = { .self = cpu, .host = (const uint8_t *)(uintptr_t)physical_page };
    uint64_t offset;
    EmuCodeMap *map = map_of_page(physical_page, &offset);
    uint64_t *word;

    if (!map || (word_value(map, offset) & own_bit(cpu))) {
        return;
    }
    word = make_word(map, offset);
    __atomic_fetch_add(&map->settling, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(word, own_bit(cpu), __ATOMIC_SEQ_CST);
    emu_cpus_foreach(forbid_one, &forbid);
    if (forbid.others || __atomic_load_n(&map->settling, __ATOMIC_SEQ_CST) > 1) {
        emu_exclusive_begin(cpu);
        emu_exclusive_end(cpu);
    }
    __atomic_fetch_sub(&map->settling, 1, __ATOMIC_SEQ_CST);
}

void emu_code_page_release(EmuCpu *cpu, uint64_t physical_page)
{
    uint64_t offset;
    EmuCodeMap *map = map_of_page(physical_page, &offset);
    uint64_t *word = map ? find_word(map, offset) : NULL;

    /* The last bit may be many CPUs'. */
    if (word && cpu->tlb.second->code_bit < CODE_BITS - 1) {
        __atomic_fetch_and(word, ~own_bit(cpu), __ATOMIC_SEQ_CST);
    }
}

/* ---- Writes ---- */

static void add_write_locked(EmuTlb2 *tlb2, EmuCodeWrite write)
{
    EmuCodeWrite *last = tlb2->code_write_count ?
                         &tlb2->code_writes[tlb2->code_write_count - 1] : NULL;

    if (last && last->page == write.page && last->offset + last->len == write.offset) {
        last->len += write.len; /* a copy in pieces */
    } else if (tlb2->code_write_count < EMU_CODE_QUEUE) {
        tlb2->code_writes[tlb2->code_write_count++] = write;
    } else {
        tlb2->code_overflow = true;
    }
}

typedef struct Report {
    EmuCpu *self;   /* knows already */
    uint64_t cpus;  /* bits of those concerned */
    EmuCodeWrite write;
} Report;

static void report_one(EmuCpu *cpu, void *opaque)
{
    const Report *report = opaque;

    if (cpu == report->self || !cpu->tlb.second || !(report->cpus & own_bit(cpu))) {
        return;
    }
    pthread_mutex_lock(&cpu->tlb.lock);
    add_write_locked(cpu->tlb.second, report->write);
    pthread_mutex_unlock(&cpu->tlb.lock);
    emu_request(cpu, EMU_REQUEST_INVALIDATE);
}

/* Within one page. */
static bool page_written(EmuCpu *cpu, uint64_t cpus, uint64_t name, unsigned len)
{
    uint64_t own = cpu ? own_bit(cpu) : 0;
    Report report = {
        .self = cpu, .cpus = cpus,
        .write = { name & EMU_PAGE_MASK, name & ~EMU_PAGE_MASK, len },
    };

    if ((cpus & ~own) || (own && cpu->tlb.second->code_bit == CODE_BITS - 1)) {
        emu_cpus_foreach(report_one, &report);
    }
    return (cpus & own) &&
           emu_blocks_invalidate(cpu, report.write.page, report.write.offset, len);
}

bool emu_code_page_written(EmuCpu *cpu, uint64_t physical, unsigned len)
{
    uint64_t offset;
    const EmuCodeMap *map = map_of_page(physical, &offset);
    uint64_t cpus = map ? word_value(map, offset) : 0;

    return cpus && page_written(cpu, cpus, physical, len);
}

static void device_wrote(RamWatch *watch, uint64_t offset, uint64_t size)
{
    const EmuCodeMap *map = (EmuCodeMap *)((char *)watch - offsetof(EmuCodeMap, watch));
    uint64_t end = offset + size;

    while (offset < end) {
        uint64_t chunk_end = ROUND_DOWN(offset, EMU_PAGE_SIZE * CHUNK_PAGES) +
                             EMU_PAGE_SIZE * CHUNK_PAGES;
        uint64_t next = MIN(end, ROUND_DOWN(offset, EMU_PAGE_SIZE) + EMU_PAGE_SIZE);
        const uint64_t *word = find_word(map, offset);
        uint64_t cpus = word ? __atomic_load_n(word, __ATOMIC_SEQ_CST) : 0;

        if (cpus) {
            page_written(NULL, cpus, (uintptr_t)map->host + offset, next - offset);
        }
        offset = word ? next : MIN(end, chunk_end);
    }
}

/* ---- Requests ---- */

void emu_code_request_flush(EmuCpu *cpu)
{
    if (!cpu->tlb.second) {
        return;
    }
    pthread_mutex_lock(&cpu->tlb.lock);
    cpu->tlb.second->code_overflow = true;
    pthread_mutex_unlock(&cpu->tlb.lock);
    emu_request(cpu, EMU_REQUEST_INVALIDATE);
}

void emu_code_pages_serve(EmuCpu *cpu)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;
    EmuCodeWrite writes[EMU_CODE_QUEUE];
    unsigned count;
    bool flush, later;

    pthread_mutex_lock(&cpu->tlb.lock);
    count = tlb2->code_write_count;
    memcpy(writes, tlb2->code_writes, count * sizeof(writes[0]));
    tlb2->code_write_count = 0;
    flush = tlb2->code_overflow && !cpu->block;
    tlb2->code_overflow &= !flush;
    later = tlb2->code_overflow; /* not while a block runs */
    pthread_mutex_unlock(&cpu->tlb.lock);
    if (flush) {
        emu_blocks_flush(cpu);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        emu_blocks_invalidate(cpu, writes[i].page, writes[i].offset, writes[i].len);
    }
    if (later) {
        emu_request(cpu, EMU_REQUEST_INVALIDATE);
    }
}
