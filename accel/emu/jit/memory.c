/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory operands: the look into the TLB, and doing with one where several are close together.
 *
 * An access whose block has more to come at the same unknown address plus or minus a constant
 * checks for all of them that their bytes are in one page, and leaves the way to the host's page in
 * a slot of the EmuCpu. The others take it from there. What a slot says holds until something
 * leaves translated code in the midst of the block: behind a callout there are none; behind an
 * access that its handler did they are looked at again (reuse.c).
 */
#include "accel/emu/jit/internal.h"

/* As far as accesses that are checked together may lie apart: the more, the likelier two pages. */
#define MAX_SPAN 256

/* ---- Slow paths ---- */

static bool is_live(const JitTranslation *t, const JitSlot *slot)
{
    return slot->used && slot->last > t->index;
}

/* What must hold for the code behind this op to go on. */
static JitReuse *make_reuse(JitTranslation *t)
{
    JitReuse *reuse = NULL;

    for (unsigned i = 0; i < JIT_SLOTS; i++) {
        const JitSlot *slot = &t->slots[i];

        if (!is_live(t, slot)) {
            continue;
        }
        if (!reuse) {
            reuse = jit_data_take(t->jit, sizeof(*reuse));
            if (!reuse) {
                t->failed = true;
                return NULL;
            }
            *reuse = (JitReuse) { .next_op = t->index + 1 };
        }
        reuse->slots[i] = (JitReuseSlot) { .size = slot->size, .write = slot->write,
                                           .host = slot->host };
    }
    return reuse;
}

static void add_slow_path(JitTranslation *t, uint8_t *jump)
{
    JitCallout *callout = jit_make_callout(t, 1);
    JitSlowPath *slow;

    if (t->slow_count == G_N_ELEMENTS(t->slow) || !callout) {
        t->failed = true;
        return;
    }
    callout->reuse = make_reuse(t);
    slow = &t->slow[t->slow_count++];
    *slow = (JitSlowPath) { .jump = jump, .callout = callout, .vec_spill = t->vec_dirty_before };
}

void jit_slow_unless_zero(JitTranslation *t)
{
    jit_jrcxz_over_jmp(t->as);
    add_slow_path(t, jit_jmp(t->as));
}

uint8_t *jit_slow_place(JitTranslation *t)
{
    uint8_t *place;

    jit_u8(t->as, 0xeb); /* JMP over JMP */
    jit_u8(t->as, 5);
    place = t->as->at;
    add_slow_path(t, jit_jmp(t->as));
    return place;
}

void jit_slow_done(JitTranslation *t)
{
    /* Every slow path that this instruction opened returns here. */
    for (unsigned i = t->slow_count; i-- > 0 && !t->slow[i].back;) {
        t->slow[i].back = t->as->at;
        t->slow[i].vec_reload = t->vec_loaded;
    }
}

/* ---- The look into the TLB ---- */

/* RCX becomes something else than zero if RAX is not a multiple of `align`. RDX is lost. */
static void check_alignment(JitTranslation *t, unsigned align, bool have_rcx)
{
    JitAsm *as = t->as;

    /* The host's page is aligned as the guest's: its address has the same low bits. */
    t->cached[JIT_CACHE_RDX] = -1;
    jit_mov_imm(as, HOST_RDX, 64 - __builtin_ctz(align));
    jit_shlx(as, have_rcx ? HOST_RDX : HOST_RCX, HOST_RAX, HOST_RDX);
    if (have_rcx) {
        jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RDX, 0, 0 });
    }
}

/* Where a table's array is from RBP. */
static int32_t table_place(const JitTranslation *t, bool is_write, size_t array)
{
    size_t tables = emu_tlb_kind(t->block->mode) * sizeof(EmuTlbTables);
    size_t table = is_write ? offsetof(EmuTlbTables, write) : offsetof(EmuTlbTables, read);

    return (int32_t)(offsetof(EmuCpu, tlb.kind) + tables + table + array) - JIT_BIAS;
}

/* RDX = page % EMU_TLB_SIZE. RCX is lost. */
static void put_page_index(JitTranslation *t, HostReg linear)
{
    if (t->jit->slow_pext) {
        jit_field(t->as, HOST_RDX, linear, EMU_PAGE_BITS, EMU_TLB_BITS, HOST_RCX, true);
    } else {
        jit_pext_mem(t->as, HOST_RDX, linear, JIT_MEM(HOST_RBP, JIT_CPU(jit_page_mask)));
    }
}

/*
 * d = linear + size - 1 + table.negated[page % EMU_TLB_SIZE]; a hit if d < 4096; t->mem = linear +
 * table.addend[same] + move (and aligned). `slot` keeps what it needs of that.
 */
static void look_up(JitTranslation *t, HostReg linear, unsigned size, bool is_write,
                    unsigned align, const JitSlot *slot, int32_t move)
{
    JitAsm *as = t->as;
    unsigned n = slot ? slot - t->slots : 0;

    t->cached[JIT_CACHE_RCX] = t->cached[JIT_CACHE_RDX] = -1;
    if (linear == HOST_RAX) {
        t->cached[JIT_CACHE_RAX] = -1;
    }
    put_page_index(t, linear);
    if (slot) {
        jit_forget_copies(t, JIT_CACHED_SLOT(n));
        jit_store64(as, HOST_RBP, JIT_CPU(jit_slot_linear) + (int32_t)(n * sizeof(uint64_t)),
                    linear);
    }
    jit_op_mem(as, true, 0x8b, HOST_RCX,
               &(JitMem) { HOST_RBP, HOST_RDX, 3,
                           table_place(t, is_write, offsetof(EmuTlbTable, negated)) });
    jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, linear, 0, size - 1 });
    jit_op_mem(as, true, 0x8b, HOST_RDX,
               &(JitMem) { HOST_RBP, HOST_RDX, 3,
                           table_place(t, is_write, offsetof(EmuTlbTable, addend)) });
    t->mem = (JitMem) { linear, HOST_RDX, 0, 0 };
    if (slot && slot->host) {
        jit_settle_address(t);
        jit_store64(as, HOST_RBP, jit_slot_value(n), HOST_RAX);
        t->cached[JIT_CACHE_RAX] = JIT_CACHED_SLOT(n);
    } else if (slot) {
        jit_store64(as, HOST_RBP, jit_slot_value(n), HOST_RDX);
        t->cached[JIT_CACHE_RDX] = JIT_CACHED_SLOT(n);
    }
    t->mem.disp = move;
    jit_shrx(as, HOST_RCX, HOST_RCX, HOST_RBP); /* by EMU_PAGE_BITS */
    if (align > 1) {
        jit_settle_address(t);
        check_alignment(t, align, true);
    }
    jit_slow_unless_zero(t);
}

void jit_access_linear(JitTranslation *t, unsigned size, bool is_write, unsigned align)
{
    look_up(t, HOST_RAX, size, is_write, align, NULL, 0);
}

/* ---- Several accesses, one look ---- */

void jit_forget_slots(JitTranslation *t)
{
    for (unsigned i = 0; i < JIT_SLOTS; i++) {
        t->slots[i].used = false;
    }
}

static const JitSlot *find_slot(const JitTranslation *t, const JitPlace *place, unsigned size,
                                bool is_write)
{
    for (unsigned i = 0; i < JIT_SLOTS; i++) {
        const JitSlot *slot = &t->slots[i];
        uint64_t in_slot = (uint64_t)place->plus - (uint64_t)slot->place.plus;

        if (slot->used && slot->last >= t->index && jit_same_unknowns(&slot->place, place) &&
            in_slot < slot->size && in_slot + size <= slot->size && (slot->write || !is_write)) {
            return slot;
        }
    }
    return NULL;
}

/* The slot with the least use to come. */
static JitSlot *choose_slot(JitTranslation *t)
{
    JitSlot *best = &t->slots[0];

    for (unsigned i = 0; i < JIT_SLOTS; i++) {
        if (!is_live(t, &t->slots[i])) {
            return &t->slots[i];
        }
        if (t->slots[i].last < best->last) {
            best = &t->slots[i];
        }
    }
    return best;
}

/* What this access and those expected behind it make together; false: it is alone. */
static bool plan_slot(const JitTranslation *t, const JitPlace *place, unsigned size, bool is_write,
                      JitSlot *plan)
{
    int64_t low = 0, high = size; /* from the access's first byte */
    bool any = false;

    *plan = (JitSlot) { .used = true, .place = *place, .write = is_write, .last = t->index };
    for (unsigned i = 0; i < t->expected_count; i++) {
        const JitAccess *next = &t->expected[i];
        int64_t first = (int64_t)((uint64_t)next->place.plus - (uint64_t)place->plus);

        if (next->op <= t->index || !jit_same_unknowns(&next->place, place) ||
            first < -MAX_SPAN || first > MAX_SPAN ||
            MAX(high, first + next->size) - MIN(low, first) > MAX_SPAN) {
            continue;
        }
        low = MIN(low, first);
        high = MAX(high, first + next->size);
        plan->write |= next->write;
        plan->last = next->op;
        any = true;
    }
    plan->place.plus = (int64_t)((uint64_t)place->plus + (uint64_t)low);
    plan->size = high - low;
    return any;
}

/*
 * Not the second access of an op, nor one whose segment must be looked at: behind the slow path
 * before it its slot would be empty.
 */
static bool may_have_slot(const JitTranslation *t, const JitWhere *where)
{
    return !t->info->plain && t->slow_count == t->slow_before && !(t->narrow && where->seg);
}

static bool has_base_alone(const JitWhere *where)
{
    return where->index == EMU_REG_ZERO && !where->seg && where->base < EMU_REG_ZERO &&
           jit_host_reg[where->base] != HOST_NONE;
}

/* The slot's value in RAX or RDX. */
static HostReg load_slot(JitTranslation *t, unsigned n)
{
    if (t->cached[JIT_CACHE_RDX] == JIT_CACHED_SLOT(n)) {
        return HOST_RDX;
    }
    if (t->cached[JIT_CACHE_RAX] != JIT_CACHED_SLOT(n)) {
        jit_load64(t->as, HOST_RAX, HOST_RBP, jit_slot_value(n));
        t->cached[JIT_CACHE_RAX] = JIT_CACHED_SLOT(n);
    }
    return HOST_RAX;
}

static void follow(JitTranslation *t, const JitSlot *slot, const JitWhere *where,
                   const JitPlace *place, unsigned align)
{
    unsigned n = slot - t->slots;

    if (slot->host) {
        t->mem = *JIT_MEM(load_slot(t, n), (int32_t)(place->plus - slot->place.plus));
    } else if (has_base_alone(where)) {
        t->mem = (JitMem) { load_slot(t, n), jit_host_reg[where->base], 0, where->disp };
    } else {
        t->mem = (JitMem) { jit_linear(t, where), HOST_RDX, 0, 0 };
        if (t->cached[JIT_CACHE_RDX] != JIT_CACHED_SLOT(n)) {
            jit_load64(t->as, HOST_RDX, HOST_RBP, jit_slot_value(n));
        }
        t->cached[JIT_CACHE_RDX] = JIT_CACHED_SLOT(n);
        t->cached[JIT_CACHE_RCX] = t->cached[JIT_CACHE_RAX] = -1;
    }
    if (align > 1) {
        jit_forget_cached(t);
        jit_settle_address(t);
        check_alignment(t, align, false);
        jit_slow_unless_zero(t);
    }
}

void jit_access(JitTranslation *t, const JitWhere *where, unsigned size, bool is_write,
                unsigned align)
{
    JitWhere first = *where;
    JitPlace place;
    JitSlot plan;
    const JitSlot *slot;
    bool plain = jit_place_of(&t->track, where, &place);
    int64_t back;

    slot = plain ? find_slot(t, &place, size, is_write) : NULL;
    if (slot) {
        follow(t, slot, where, &place, align);
        return;
    }
    if (plain && may_have_slot(t, where) && plan_slot(t, &place, size, is_write, &plan)) {
        JitSlot *chosen = choose_slot(t);

        back = (int64_t)((uint64_t)plan.place.plus - (uint64_t)place.plus);
        if (where->disp + back == (int32_t)(where->disp + back)) {
            first.disp += back;
            plan.host = t->narrow || !has_base_alone(where);
            *chosen = plan;
            look_up(t, jit_linear(t, &first), plan.size, plan.write, align, chosen, -back);
            return;
        }
    }
    look_up(t, jit_linear(t, where), size, is_write, align, NULL, 0);
}

void jit_settle_address(JitTranslation *t)
{
    if (t->mem.base != HOST_RAX || t->mem.index != HOST_NONE || t->mem.disp) {
        t->cached[JIT_CACHE_RAX] = -1;
        jit_lea(t->as, true, HOST_RAX, &t->mem);
        t->mem = *JIT_MEM(HOST_RAX, 0);
    }
}

void jit_operand_address(JitTranslation *t, unsigned size, bool is_write, unsigned align)
{
    JitWhere where = jit_op_where(t->op);

    jit_access(t, &where, size, is_write, align);
    jit_settle_address(t);
}
