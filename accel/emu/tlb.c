/* SPDX-License-Identifier: Apache-2.0 */
/* The two levels of TLB: looking up, filling, flushing. */
#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/check.h"
#include "accel/emu/system.h"

/* A tag that no linear page has. */
#define NO_PAGE UINT64_MAX

/* ---- First level ---- */

static void empty_table(EmuTlbTable *table)
{
    for (unsigned i = 0; i < EMU_TLB_SIZE; i++) {
        table->negated[i] = EMU_TLB_NONE(i);
    }
}

static void empty_tables(EmuTlb *tlb)
{
    pthread_mutex_lock(&tlb->lock);
    for (unsigned kind = 0; kind < EMU_TLB_KINDS; kind++) {
        if (tlb->used[kind]) {
            empty_table(&tlb->kind[kind].read);
            empty_table(&tlb->kind[kind].write);
            memset(tlb->kind[kind].local, 0, sizeof(tlb->kind[kind].local));
            tlb->used[kind] = false;
        }
    }
    pthread_mutex_unlock(&tlb->lock);
}

/* What belongs to one address space. */
static void empty_local(EmuTlb *tlb)
{
    pthread_mutex_lock(&tlb->lock);
    for (unsigned kind = 0; kind < EMU_TLB_KINDS; kind++) {
        EmuTlbTables *tables = &tlb->kind[kind];

        for (unsigned word = 0; tlb->used[kind] && word < G_N_ELEMENTS(tables->local); word++) {
            for (; tables->local[word]; tables->local[word] &= tables->local[word] - 1) {
                unsigned i = word * 64 + __builtin_ctzll(tables->local[word]);

                tables->read.negated[i] = tables->write.negated[i] = EMU_TLB_NONE(i);
            }
        }
    }
    pthread_mutex_unlock(&tlb->lock);
}

/* Under the lock, so that who forbids writes either is seen here or finds the entry. */
static void fill_write(EmuCpu *cpu, EmuTlbTable *table, uint64_t linear_page, const EmuPage *page)
{
    unsigned index = emu_tlb_index(linear_page);
    EmuTlb *tlb = &cpu->tlb;

    pthread_mutex_lock(&tlb->lock);
    if (!emu_code_map_has(page->code, page->offset) &&
        !memory_region_wants_dirty(page->region, page->offset, EMU_PAGE_SIZE)) {
        table->negated[index] = -linear_page;
        table->addend[index] = (uintptr_t)page->write - linear_page;
    }
    pthread_mutex_unlock(&tlb->lock);
}

/*
 * An entry for writing serves reads as well: a page that is read elsewhere than written has none.
 * The table of the other kind of access gains an entry only where it has none: in a copy between
 * pages of the same index each would drive out the other's.
 */
void emu_tlb_fill(EmuCpu *cpu, uint64_t linear, EmuTlbKind kind, EmuAccess access,
                  const EmuPage *page)
{
    EmuTlb *tlb = &cpu->tlb;
    EmuTlbTables *tables = &tlb->kind[kind];
    unsigned index = emu_tlb_index(linear);
    uint64_t linear_page = linear & EMU_PAGE_MASK;
    bool may_read = access != EMU_WRITE || tables->read.negated[index] == EMU_TLB_NONE(index);
    bool may_write = access == EMU_WRITE || tables->write.negated[index] == EMU_TLB_NONE(index);

    if (!page->read || emu_debug_watches_page(cpu, linear_page)) {
        return;
    }
    tlb->used[kind] = true;
    if (!(page->perms & EMU_PERM_GLOBAL)) {
        tables->local[index / 64] |= BIT_ULL(index % 64);
    }
    if (may_read) {
        tables->read.negated[index] = -linear_page;
        tables->read.addend[index] = (uintptr_t)page->read - linear_page;
    }
    if (may_write && page->write == page->read && (page->perms & EMU_PERM_DIRTY) &&
        emu_may_write(cpu, page->perms, kind) &&
        (!cpu->check || emu_check_may_fill_write(cpu->check, page->write, kind, index))) {
        fill_write(cpu, &tables->write, linear_page, page);
    }
}

static bool forbid_writes(EmuCpu *cpu, const uint8_t *host, uint64_t len, MemoryRegion *mark)
{
    EmuTlb *tlb = &cpu->tlb;
    const uint8_t *base = mark ? memory_region_ram_ptr(mark) : NULL;
    bool any = false;

    pthread_mutex_lock(&tlb->lock);
    for (unsigned kind = 0; kind < EMU_TLB_KINDS; kind++) {
        EmuTlbTable *table = &tlb->kind[kind].write;

        for (unsigned i = 0; tlb->used[kind] && i < EMU_TLB_SIZE; i++) {
            uint64_t at = table->addend[i] - table->negated[i]; /* its host page */

            if (table->negated[i] == EMU_TLB_NONE(i) || at - (uintptr_t)host >= len) {
                continue;
            }
            __atomic_store_n(&table->negated[i], EMU_TLB_NONE(i), __ATOMIC_RELEASE);
            any = true;
            if (mark) {
                memory_region_set_dirty(mark, at - (uintptr_t)base, EMU_PAGE_SIZE);
            }
        }
    }
    pthread_mutex_unlock(&tlb->lock);
    return any;
}

bool emu_tlb_forbid_writes(EmuCpu *cpu, const uint8_t *host, uint64_t len)
{
    return forbid_writes(cpu, host, len, NULL);
}

void emu_tlb_log_writes(EmuCpu *cpu, MemoryRegion *region, uint64_t offset, uint64_t len)
{
    const uint8_t *host = memory_region_ram_ptr(region);

    if (host) {
        forbid_writes(cpu, host + offset, len, region);
    }
}

void emu_tlb_forget_writes(EmuCpu *cpu, const EmuTlbSlot *slots, unsigned count)
{
    EmuTlb *tlb = &cpu->tlb;

    pthread_mutex_lock(&tlb->lock);
    for (unsigned i = 0; i < count; i++) {
        unsigned index = slots[i].index;

        tlb->kind[slots[i].kind].write.negated[index] = EMU_TLB_NONE(index);
    }
    pthread_mutex_unlock(&tlb->lock);
}

void emu_tlb_forget_first(EmuCpu *cpu, uint64_t linear)
{
    EmuTlb *tlb = &cpu->tlb;
    unsigned index = emu_tlb_index(linear);

    pthread_mutex_lock(&tlb->lock);
    for (unsigned kind = 0; kind < EMU_TLB_KINDS; kind++) {
        EmuTlbTables *tables = &tlb->kind[kind];

        if (emu_tlb_hit(&tables->read, linear, 1)) {
            tables->read.negated[index] = EMU_TLB_NONE(index);
        }
        if (emu_tlb_hit(&tables->write, linear, 1)) {
            tables->write.negated[index] = EMU_TLB_NONE(index);
        }
    }
    pthread_mutex_unlock(&tlb->lock);
}

/* ---- Second level ---- */

static unsigned set_of(uint64_t number)
{
    return (number ^ number >> 9) & (EMU_TLB2_SETS - 1);
}

static void mark_large(const EmuTlb2 *tlb2, EmuLargeMark *marks, unsigned count, uint64_t number)
{
    EmuLargeMark *mark = &marks[number % count];

    if (mark->generation >= tlb2->all && mark->number != number) {
        number = EMU_MARK_SEVERAL;
    }
    *mark = (EmuLargeMark) { number, tlb2->generation };
}

static bool is_marked(const EmuTlb2 *tlb2, const EmuLargeMark *marks, unsigned count,
                      uint64_t number)
{
    const EmuLargeMark *mark = &marks[number % count];

    return mark->generation >= tlb2->all &&
           (mark->number == number || mark->number == EMU_MARK_SEVERAL);
}

static bool is_current(const EmuTlb2 *tlb2, const EmuPage *page)
{
    return page->generation >= tlb2->all &&
           ((page->perms & EMU_PERM_GLOBAL) ||
            (page->generation >= tlb2->nonglobal && page->generation >= tlb2->pcid[page->pcid]));
}

EmuPage *emu_tlb2_find(EmuTlb2 *tlb2, uint64_t linear, unsigned pcid)
{
    uint64_t number = linear >> EMU_PAGE_BITS;
    unsigned set = set_of(number);

    for (unsigned way = 0; way < EMU_TLB2_WAYS; way++) {
        EmuPage *page = &tlb2->pages[set][way];

        if (tlb2->tags[set][way] == number &&
            (page->pcid == pcid || (page->perms & EMU_PERM_GLOBAL)) && is_current(tlb2, page)) {
            return page;
        }
    }
    return NULL;
}

/* Where the page is already, else an unused way, else the next one in turn. */
static unsigned choose_way(EmuTlb2 *tlb2, unsigned set, uint64_t number, unsigned pcid,
                           bool global)
{
    unsigned chosen = EMU_TLB2_WAYS;

    for (unsigned way = 0; way < EMU_TLB2_WAYS; way++) {
        const EmuPage *page = &tlb2->pages[set][way];
        bool unused = tlb2->tags[set][way] == NO_PAGE || !is_current(tlb2, page);

        if (!unused && tlb2->tags[set][way] == number &&
            (page->pcid == pcid || global || (page->perms & EMU_PERM_GLOBAL))) {
            return way;
        }
        if (unused && chosen == EMU_TLB2_WAYS) {
            chosen = way;
        }
    }
    return chosen < EMU_TLB2_WAYS ? chosen : tlb2->victim[set]++ % EMU_TLB2_WAYS;
}

EmuPage *emu_tlb2_place(EmuTlb2 *tlb2, uint64_t linear, unsigned pcid, bool global, unsigned shift)
{
    uint64_t number = linear >> EMU_PAGE_BITS;
    unsigned set = set_of(number);
    unsigned way = choose_way(tlb2, set, number, pcid, global);
    EmuPage *page = &tlb2->pages[set][way];

    tlb2->tags[set][way] = number;
    *page = (EmuPage){ .generation = tlb2->generation, .pcid = pcid, .shift = shift };
    if (shift > EMU_PAGE_BITS) {
        mark_large(tlb2, tlb2->large, EMU_LARGE_MARKS, linear >> 21);
    }
    if (shift == 30) {
        mark_large(tlb2, tlb2->huge, EMU_HUGE_MARKS, linear >> 30);
    }
    return page;
}

/* A page of 4 MiB has two marks, so the neighbour's is asked too. */
static bool may_be_large(const EmuTlb2 *tlb2, uint64_t linear)
{
    return is_marked(tlb2, tlb2->large, EMU_LARGE_MARKS, linear >> 21) ||
           is_marked(tlb2, tlb2->large, EMU_LARGE_MARKS, linear >> 21 ^ 1) ||
           is_marked(tlb2, tlb2->huge, EMU_HUGE_MARKS, linear >> 30);
}

/* Drop the entry for a linear address, and if it may be part of a large page, the other parts. */
static void forget_second(EmuTlb2 *tlb2, uint64_t linear, unsigned pcid, bool globals)
{
    uint64_t number = linear >> EMU_PAGE_BITS;
    unsigned set = set_of(number), first = set, count = 1;

    if (may_be_large(tlb2, linear)) {
        first = 0;
        count = EMU_TLB2_SETS;
    }
    for (unsigned i = first; i < first + count; i++) {
        for (unsigned way = 0; way < EMU_TLB2_WAYS; way++) {
            const EmuPage *page = &tlb2->pages[i][way];
            bool global = page->perms & EMU_PERM_GLOBAL;

            if (((tlb2->tags[i][way] ^ number) >> (page->shift - EMU_PAGE_BITS)) == 0 &&
                (global ? globals : page->pcid == pcid)) {
                tlb2->tags[i][way] = NO_PAGE;
            }
        }
    }
}

/* ---- Flushes ---- */

void emu_tlb_flush_first(EmuCpu *cpu)
{
    cpu->stats.flushes++;
    empty_tables(&cpu->tlb);
    emu_blocks_forget_linear(cpu);
}

void emu_tlb_switch(EmuCpu *cpu)
{
    cpu->stats.local_flushes++;
    empty_local(&cpu->tlb);
    emu_blocks_forget_local(cpu);
}

void emu_tlb_flush_local(EmuCpu *cpu)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;

    tlb2->pcid[emu_pcid(cpu)] = ++tlb2->generation;
    emu_tlb_switch(cpu);
}

void emu_tlb_flush_all(EmuCpu *cpu)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;

    tlb2->all = ++tlb2->generation;
    emu_forget_places(cpu);
    emu_tlb_flush_first(cpu);
}

static void flush_address(EmuCpu *cpu, uint64_t linear, unsigned pcid, bool globals)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;
    bool large = may_be_large(tlb2, linear);

    cpu->stats.page_flushes++;
    forget_second(tlb2, linear, pcid, globals);
    if (large) {
        empty_tables(&cpu->tlb);
    } else {
        emu_tlb_forget_first(cpu, linear);
    }
    emu_blocks_forget_page(cpu, linear, large);
}

void emu_tlb_flush_page(EmuCpu *cpu, uint64_t linear)
{
    flush_address(cpu, linear, emu_pcid(cpu), true);
}

void emu_tlb_invpcid(EmuCpu *cpu, unsigned type, unsigned pcid, uint64_t linear)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;

    switch (type) {
    case 0:
        flush_address(cpu, linear, pcid, false);
        break;
    case 1:
        tlb2->pcid[pcid % EMU_PCIDS] = ++tlb2->generation;
        emu_tlb_flush_first(cpu);
        break;
    case 2:
        emu_tlb_flush_all(cpu);
        break;
    default:
        tlb2->nonglobal = ++tlb2->generation;
        emu_tlb_flush_first(cpu);
        break;
    }
}

/* ---- Life ---- */

static void init_features(EmuCpu *cpu)
{
    EmuTlb2 *tlb2 = cpu->tlb.second;
    const X86CpuConfig *config = cpu->vcpu->config;
    unsigned bits = config ? x86_cpu_config_phys_bits(config) : 40;

    tlb2->physical_mask = BIT_ULL(bits) - 1;
    tlb2->has_1g = !config || x86_cpu_config_has(config, X86_FEAT_8000_0001_EDX, 26);
    tlb2->has_pse36 = !config || x86_cpu_config_has(config, X86_FEAT_1_EDX, 17);
}

void emu_tlb_init(EmuCpu *cpu)
{
    EmuTlb *tlb = &cpu->tlb;
    EmuTlb2 *tlb2 = g_new0(EmuTlb2, 1);

    pthread_mutex_init(&tlb->lock, NULL);
    tlb->second = tlb2;
    tlb2->cpu = cpu;
    /* Zeroed generations are of the past. */
    tlb2->generation = tlb2->all = 1;
    memset(tlb2->tags, 0xff, sizeof(tlb2->tags));
    for (unsigned set = 0; set < EMU_TLB2_SETS; set++) {
        for (unsigned way = 0; way < EMU_TLB2_WAYS; way++) {
            tlb2->pages[set][way].shift = EMU_PAGE_BITS;
        }
    }
    for (unsigned kind = 0; kind < EMU_TLB_KINDS; kind++) {
        empty_table(&tlb->kind[kind].read);
        empty_table(&tlb->kind[kind].write);
    }
    init_features(cpu);
    emu_listeners_register(cpu);
}

void emu_tlb_cleanup(EmuCpu *cpu)
{
    EmuTlb *tlb = &cpu->tlb;

    if (!tlb->second) {
        return;
    }
    emu_listeners_unregister(cpu);
    pthread_mutex_destroy(&tlb->lock);
    g_clear_pointer(&tlb->second, g_free);
}
