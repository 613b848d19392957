/* SPDX-License-Identifier: Apache-2.0 */
/* Translating a block: instruction by instruction, then the slow paths behind it. */
#include "accel/emu/jit/internal.h"

#include <string.h>

/* Which emitter an integer instruction has; what is missing is done by its handler. */
static const struct {
    uint16_t mnemonic;
    JitEmit *emit;
} emitters[] = {
#define COPY(name) { ZYDIS_MNEMONIC_##name, jit_emit_copy }
    COPY(ADD), COPY(ADC), COPY(SUB), COPY(SBB), COPY(AND), COPY(OR), COPY(XOR), COPY(CMP),
    COPY(TEST), COPY(MOVZX), COPY(MOVSX), COPY(MOVSXD), COPY(NEG),
    COPY(NOT), COPY(BSWAP), COPY(LZCNT), COPY(TZCNT), COPY(POPCNT),
    COPY(MOVBE), COPY(CRC32), COPY(XADD), COPY(SHLD), COPY(SHRD), COPY(RORX), COPY(SARX),
    COPY(SHLX), COPY(SHRX), COPY(ANDN), COPY(BEXTR), COPY(BLSI), COPY(BLSMSK), COPY(BLSR),
    COPY(BZHI), COPY(PDEP), COPY(PEXT), COPY(MOVNTI), COPY(CLC), COPY(STC),
    COPY(CMC),
    COPY(CMOVB), COPY(CMOVBE), COPY(CMOVL), COPY(CMOVLE), COPY(CMOVNB), COPY(CMOVNBE), COPY(CMOVNL),
    COPY(CMOVNLE), COPY(CMOVNO), COPY(CMOVNP), COPY(CMOVNS), COPY(CMOVNZ), COPY(CMOVO), COPY(CMOVP),
    COPY(CMOVS), COPY(CMOVZ),
    COPY(SETB), COPY(SETBE), COPY(SETL), COPY(SETLE), COPY(SETNB), COPY(SETNBE), COPY(SETNL),
    COPY(SETNLE), COPY(SETNO), COPY(SETNP), COPY(SETNS), COPY(SETNZ), COPY(SETO), COPY(SETP),
    COPY(SETS), COPY(SETZ),
#undef COPY
    { ZYDIS_MNEMONIC_MOV, jit_emit_mov },
    { ZYDIS_MNEMONIC_INC, jit_emit_inc_dec }, { ZYDIS_MNEMONIC_DEC, jit_emit_inc_dec },
    { ZYDIS_MNEMONIC_BSF, jit_emit_bit_scan }, { ZYDIS_MNEMONIC_BSR, jit_emit_bit_scan },
    { ZYDIS_MNEMONIC_BT, jit_emit_bit_test }, { ZYDIS_MNEMONIC_BTC, jit_emit_bit_test },
    { ZYDIS_MNEMONIC_BTR, jit_emit_bit_test }, { ZYDIS_MNEMONIC_BTS, jit_emit_bit_test },
    { ZYDIS_MNEMONIC_SHL, jit_emit_shift_cl }, { ZYDIS_MNEMONIC_SHR, jit_emit_shift_cl },
    { ZYDIS_MNEMONIC_SAR, jit_emit_shift_cl }, { ZYDIS_MNEMONIC_ROL, jit_emit_shift_cl },
    { ZYDIS_MNEMONIC_ROR, jit_emit_shift_cl }, { ZYDIS_MNEMONIC_RCL, jit_emit_shift_cl },
    { ZYDIS_MNEMONIC_RCR, jit_emit_shift_cl },
    { ZYDIS_MNEMONIC_LEA, jit_emit_lea }, { ZYDIS_MNEMONIC_NOP, jit_emit_nop },
    { ZYDIS_MNEMONIC_ENDBR64, jit_emit_nop }, { ZYDIS_MNEMONIC_ENDBR32, jit_emit_nop },
    { ZYDIS_MNEMONIC_PREFETCHNTA, jit_emit_nop }, { ZYDIS_MNEMONIC_PREFETCHT0, jit_emit_nop },
    { ZYDIS_MNEMONIC_PREFETCHT1, jit_emit_nop }, { ZYDIS_MNEMONIC_PREFETCHT2, jit_emit_nop },
    { ZYDIS_MNEMONIC_PREFETCHW, jit_emit_nop }, { ZYDIS_MNEMONIC_PREFETCH, jit_emit_nop },
    { ZYDIS_MNEMONIC_IMUL, jit_emit_muldiv }, { ZYDIS_MNEMONIC_MUL, jit_emit_muldiv },
    { ZYDIS_MNEMONIC_DIV, jit_emit_div }, { ZYDIS_MNEMONIC_IDIV, jit_emit_div },
    { ZYDIS_MNEMONIC_MULX, jit_emit_mulx },
    { ZYDIS_MNEMONIC_CBW, jit_emit_extend_acc }, { ZYDIS_MNEMONIC_CWDE, jit_emit_extend_acc },
    { ZYDIS_MNEMONIC_CDQE, jit_emit_extend_acc }, { ZYDIS_MNEMONIC_CWD, jit_emit_extend_acc },
    { ZYDIS_MNEMONIC_CDQ, jit_emit_extend_acc }, { ZYDIS_MNEMONIC_CQO, jit_emit_extend_acc },
    { ZYDIS_MNEMONIC_CMPXCHG, jit_emit_cmpxchg }, { ZYDIS_MNEMONIC_XCHG, jit_emit_xchg_acc },
    { ZYDIS_MNEMONIC_PUSH, jit_emit_push }, { ZYDIS_MNEMONIC_POP, jit_emit_pop },
    { ZYDIS_MNEMONIC_CMPXCHG8B, jit_emit_cmpxchg_pair },
    { ZYDIS_MNEMONIC_CMPXCHG16B, jit_emit_cmpxchg_pair },
    { ZYDIS_MNEMONIC_SAHF, jit_emit_ah_flags }, { ZYDIS_MNEMONIC_LAHF, jit_emit_ah_flags },
    { ZYDIS_MNEMONIC_LEAVE, jit_emit_leave },
    { ZYDIS_MNEMONIC_PUSHFQ, jit_emit_pushf }, { ZYDIS_MNEMONIC_POPFQ, jit_emit_popf },
    { ZYDIS_MNEMONIC_PUSHFD, jit_emit_pushf }, { ZYDIS_MNEMONIC_POPFD, jit_emit_popf },
    { ZYDIS_MNEMONIC_SWAPGS, jit_emit_swapgs }, { ZYDIS_MNEMONIC_CLI, jit_emit_cli },
    { ZYDIS_MNEMONIC_CLD, jit_emit_cld }, { ZYDIS_MNEMONIC_STI, jit_emit_sti },
    { ZYDIS_MNEMONIC_LFENCE, jit_emit_fence },
    { ZYDIS_MNEMONIC_MFENCE, jit_emit_fence }, { ZYDIS_MNEMONIC_SFENCE, jit_emit_fence },
    { ZYDIS_MNEMONIC_JMP, jit_emit_jmp }, { ZYDIS_MNEMONIC_CALL, jit_emit_call },
    { ZYDIS_MNEMONIC_RET, jit_emit_ret },
#define JCC(name) { ZYDIS_MNEMONIC_J##name, jit_emit_jcc }
    JCC(B), JCC(BE), JCC(L), JCC(LE), JCC(NB), JCC(NBE), JCC(NL), JCC(NLE), JCC(NO), JCC(NP),
    JCC(NS), JCC(NZ), JCC(O), JCC(P), JCC(S), JCC(Z),
#undef JCC
};

typedef JitEmit *EmitterIndex[ZYDIS_MNEMONIC_MAX_VALUE + 1];

static void *build_index(void *unused)
{
    EmitterIndex *index = g_new0(EmitterIndex, 1);

    for (size_t i = 0; i < G_N_ELEMENTS(emitters); i++) {
        (*index)[emitters[i].mnemonic] = emitters[i].emit;
    }
    return index;
}

JitEmit *jit_find_emitter(const EmuDecoded *decoded, const EmuOp *op)
{
    static GOnce once = G_ONCE_INIT;
    const EmitterIndex *index = g_once(&once, build_index, NULL);
    JitEmit *emit = (*index)[decoded->insn.mnemonic];

    return emit ? emit : jit_emit_vector;
}

/* ---- Handlers ---- */

static bool in_table(const EmuInsnTable *table, unsigned mnemonic)
{
    for (unsigned i = 0; i < table->count; i++) {
        if (table->rows[i].mnemonic == mnemonic) {
            return true;
        }
    }
    return false;
}

/* Can a handler run twice and do the same, as far as registers and memory tell? */
static bool is_repeatable(const EmuOp *op)
{
    static const ZydisMnemonic changing[] = {
        ZYDIS_MNEMONIC_SWAPGS, ZYDIS_MNEMONIC_LGDT, ZYDIS_MNEMONIC_LIDT, ZYDIS_MNEMONIC_LLDT,
        ZYDIS_MNEMONIC_LTR,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(changing); i++) {
        if (changing[i] == op->mnemonic) {
            return false;
        }
    }
    return !(op->flags & (EMU_OP_ENDS | EMU_OP_FORKS | EMU_OP_REP | EMU_OP_REPNE)) &&
           !in_table(&emu_insns_io, op->mnemonic) &&
           (op->mnemonic == ZYDIS_MNEMONIC_MOV || !in_table(&emu_insns_system, op->mnemonic));
}

/* RDX = the callout. */
static void prepare_callout(JitTranslation *t, unsigned count)
{
    JitCallout *callout = jit_make_callout(t, count);

    for (unsigned i = 0; i < count; i++) {
        t->info->repeatable &= is_repeatable(&t->op[i]);
    }
    jit_vec_spill(t, t->vec_dirty);
    t->vec_dirty = t->vec_loaded = 0;
    jit_forget_slots(t);
    jit_mov_imm(t->as, HOST_RDX, (uintptr_t)callout);
}

void jit_emit_ending_callout(JitTranslation *t)
{
    prepare_callout(t, 1);
    jit_jmp_to(t->as, t->jit->stubs.callout_end);
    t->ended = true;
}

static void emit_callout(JitTranslation *t)
{
    if (t->op->flags & (EMU_OP_ENDS | EMU_OP_FORKS)) {
        jit_emit_ending_callout(t);
    } else {
        prepare_callout(t, 1);
        jit_call_to(t->as, t->jit->stubs.callout);
    }
}

/* How many instructions of the x87 and MMX unit follow one another, at `first` and behind? */
static unsigned x87_run(const JitTranslation *t, unsigned first)
{
    unsigned i = first;

    while (i < t->block->op_count && !emu_op_only_raises(&t->block->ops[i]) &&
           !(t->block->ops[i].flags & EMU_OP_ENDS) && jit_is_x87(&t->all_decoded[i])) {
        i++;
    }
    return i - first;
}

static void emit_slow_paths(JitTranslation *t)
{
    for (unsigned i = 0; i < t->slow_count && !t->as->full; i++) {
        const JitSlowPath *slow = &t->slow[i];

        jit_patch(slow->jump, t->as->at);
        jit_vec_spill(t, slow->vec_spill);
        jit_mov_imm(t->as, HOST_RDX, (uintptr_t)slow->callout);
        if (!slow->back || slow->ends) {
            jit_jmp_to(t->as, t->jit->stubs.callout_end);
            continue;
        }
        if (slow->callout->reuse) {
            jit_jmp_to(t->as, t->jit->stubs.callout_reuse);
            slow->callout->reuse->back = jit_run_address(t->as, t->as->at);
        } else {
            jit_call_to(t->as, t->jit->stubs.callout);
        }
        jit_vec_load(t, slow->vec_reload);
        jit_load_cached(t, slow->cached);
        jit_jmp_to(t->as, jit_run_address(t->as, slow->back));
    }
}

/* ---- Blocks ---- */

/*
 * out:           a jump, within reach of JRCXZ
 * far_entry:     EMU_REG_PAGE_RIP = RAX - offset
 * checked_entry: attention? out
 * entry:         at least five bytes to which nothing in the block jumps
 */
static uint8_t *emit_entries(JitTranslation *t)
{
    int32_t offset = t->block->physical & (EMU_PAGE_SIZE - 1);
    JitAsm *as = t->as;
    uint8_t *out = as->at, *leave = jit_jmp(as);

    t->info->far_entry = as->at;
    jit_lea(as, true, HOST_RCX, JIT_MEM(HOST_RAX, -offset));
    jit_store64(as, HOST_RBP, JIT_REG(EMU_REG_PAGE_RIP), HOST_RCX);
    t->info->checked_entry = as->at;
    jit_load32(as, HOST_RCX, HOST_RBP, JIT_CPU(attention));
    jit_not32(as, HOST_RCX); /* all ones where it is set */
    jit_jrcxz_back(as, out);
    t->info->entry = as->at;
    return leave;
}

/* cpu->rip = the block's first byte, then out: for attention, and once the block has retired. */
static void emit_leave(JitTranslation *t, uint8_t *leave)
{
    int32_t offset = t->block->physical & (EMU_PAGE_SIZE - 1);

    if (t->as->full) {
        return;
    }
    t->info->leave = t->as->at;
    jit_patch(leave, t->as->at);
    jit_load64(t->as, HOST_RAX, HOST_RBP, JIT_REG(EMU_REG_PAGE_RIP));
    jit_lea(t->as, true, HOST_RAX, JIT_MEM(HOST_RAX, offset));
    jit_store64(t->as, HOST_RBP, JIT_CPU(rip), HOST_RAX);
    jit_jmp_to(t->as, t->jit->stubs.leave);
}

/* A JCC that follows runs as one with its comparison, if nothing lies between them. */
static void keep_fusible(JitTranslation *t)
{
    static const uint8_t nop3[] = { 0x0f, 0x1f, 0x00 };
    const EmuOp *next = t->op + 1;

    if (!(t->op->flags & EMU_OP_MEM) && t->index + 1 < t->block->op_count &&
        !emu_op_only_raises(next) &&
        jit_find_emitter(&t->all_decoded[t->index + 1], next) == jit_emit_jcc) {
        if (t->index == 0) {
            jit_bytes(t->as, nop3, sizeof(nop3)); /* or pad_entry() would lie between them */
        }
        jit_pad_jump(t->as, t->op->length + 1 + JIT_JCC_BYTES);
    }
}

/* What is rare: 16-bit addresses; data in the code segment, which must not be written. */
static bool has_odd_address(const JitTranslation *t)
{
    return t->op->addr_shift > 32 ||
           (t->narrow && (t->op->flags & EMU_OP_MEM) && t->op->seg == X86_CS);
}

static void emit_op(JitTranslation *t)
{
    JitEmit *emit = has_odd_address(t) ? NULL : jit_find_emitter(&t->decoded, t->op);

    t->vec_dirty_before = t->vec_dirty;
    t->slow_before = t->slow_count;
    t->keeps_cached = false;
    t->info->repeatable &= t->op->mnemonic != ZYDIS_MNEMONIC_SWAPGS;
    keep_fusible(t);
    if (!emit || !emit(t)) {
        emit_callout(t);
    }
    if (!t->keeps_cached) {
        jit_forget_cached(t);
    }
    for (unsigned i = t->slow_before; i < t->slow_count; i++) {
        memcpy(t->slow[i].cached, t->cached, sizeof(t->cached));
    }
}

/*
 * The emitters trust that op and decoded instruction are the same. But the page may have been
 * written meanwhile by others, or another may be mapped: then nothing may come of it.
 */
static bool decode_again(const JitTranslation *t, const EmuOp *op, EmuDecoded *decoded)
{
    unsigned at = op->page_offset - t->block->ops[0].page_offset;
    EmuOp again;

    return emu_decode_to(t->cpu, t->code + at, op->length, op->page_offset, &again, decoded) &&
           memcmp(&again, op, sizeof(again)) == 0;
}

/* All ops once more, and what accesses they will probably make. */
static bool decode_all(JitTranslation *t)
{
    JitTrack track;

    jit_track_begin(&track, t->word);
    for (unsigned i = 0; i < t->block->op_count; i++) {
        const EmuOp *op = &t->block->ops[i];
        EmuDecoded *decoded = &t->all_decoded[i];
        JitAccess *expected = &t->expected[t->expected_count];
        unsigned count;

        if (emu_op_only_raises(op)) {
            continue;
        }
        if (!decode_again(t, op, decoded)) {
            return false;
        }
        count = jit_expect_accesses(&track, op, decoded, expected);
        for (unsigned j = 0; j < count; j++) {
            expected[j].op = i;
        }
        t->expected_count += count;
        jit_track_op(&track, op, decoded);
    }
    return true;
}

/* SWAPGS and the like move a segment. (MOV, PUSH and POP of segments are callouts.) */
static bool may_move_segment(const EmuOp *op)
{
    return op->mnemonic != ZYDIS_MNEMONIC_MOV && in_table(&emu_insns_system, op->mnemonic);
}

static bool uses_wide_vectors(const EmuBlock *block)
{
    for (unsigned i = 0; i < block->op_count; i++) {
        if (block->ops[i].flags & EMU_OP_VEX) {
            return true;
        }
    }
    return false;
}

/* One callout for all of them. */
static void emit_x87_run(JitTranslation *t, unsigned count)
{
    prepare_callout(t, count);
    jit_call_to(t->as, t->jit->stubs.callout);
    jit_forget_cached(t);
    for (unsigned i = 0; i < count; i++) {
        jit_track_op(&t->track, &t->op[i], &t->all_decoded[t->index + i]);
    }
}

static void translate_ops(JitTranslation *t)
{
    EmuBlock *block = t->block;
    unsigned run;
    uint8_t *leave;

    leave = emit_entries(t);
    jit_forget_cached(t);
    for (unsigned i = 0; i < block->op_count && !t->ended && !t->failed && !t->as->full; i++) {
        t->index = i;
        t->op = &block->ops[i];
        if (emu_op_only_raises(t->op)) {
            emit_callout(t);
            jit_forget_cached(t);
            continue;
        }
        run = x87_run(t, i);
        if (run > 1) {
            emit_x87_run(t, run);
            i += run - 1;
            continue;
        }
        t->decoded = t->all_decoded[i];
        emit_op(t);
        jit_track_op(&t->track, t->op, &t->decoded);
        if (may_move_segment(t->op)) {
            jit_forget_slots(t);
        }
    }
    if (!t->ended) {
        jit_emit_exit(t, block->ops[block->op_count].page_offset);
    }
    jit_emit_forks(t);
    emit_leave(t, leave);
    emit_slow_paths(t);
}

/*
 * Only flat code of 64 or 32 bits; not where every access wants its alignment checked, nor with SSE
 * exceptions unmasked, which would reach this process.
 */
static bool can_translate(const EmuBlock *block)
{
    const uint32_t flat32 = EMU_MODE_FLAT | EMU_MODE_CS32 | EMU_MODE_SS32;

    return block->valid &&
           ((block->mode & EMU_MODE_CS64) || (block->mode & flat32) == flat32) &&
           !(block->mode & (EMU_MODE_STEP | EMU_MODE_ALIGN | EMU_MODE_MXCSR_TRAP));
}

/* What was emitted so far goes. */
static bool give_up(JitTranslation *t, uint8_t *start, size_t data_start)
{
    t->as->at = start;
    t->jit->data_used = data_start;
    if (t->failed || t->as->full) {
        t->as->full = false;
        t->jit->overflow = true;
        t->block->no_code = false;
    } else if (t->stale) {
        t->block->runs = 0;
        t->block->no_code = false;
    }
    return false;
}

bool emu_jit_translate(EmuCpu *cpu, EmuBlock *block)
{
    EmuJit *jit = cpu->jit;
    g_autofree JitTranslation *t = NULL;
    g_autofree EmuDecoded *decoded = NULL;
    JitBlock *before = block->jit;
    uint8_t *start = jit->as.at;
    size_t data_start = jit->data_used;
    unsigned offset = block->physical & (EMU_PAGE_SIZE - 1);
    EmuFetch fetch;

    block->no_code = true;
    if (!can_translate(block)) {
        return false;
    }
    emu_fetch_page(cpu, cpu->rip, &fetch); /* may raise: nothing is allocated yet */
    if (!fetch.host) {
        return false;
    }
    t = g_new0(JitTranslation, 1);
    *t = (JitTranslation) { .jit = jit, .cpu = cpu, .block = block, .as = &jit->as,
                            .narrow = !(block->mode & EMU_MODE_CS64),
                            .word = block->mode & EMU_MODE_CS64 ? 8 : 4,
                            .wide = uses_wide_vectors(block) };
    memcpy(t->code, fetch.host + offset, block->bytes);
    decoded = g_new(EmuDecoded, block->op_count);
    t->all_decoded = decoded;
    t->info = jit_data_take(jit, sizeof(*t->info));
    t->failed = !t->info;
    t->stale = !decode_all(t);
    if (!t->failed && !t->stale) {
        *t->info = (JitBlock) { .repeatable = true, .plain = before && before->plain };
        jit_track_begin(&t->track, t->word);
        translate_ops(t);
    }
    if (t->failed || t->stale || jit->as.full) {
        return give_up(t, start, data_start);
    }
    t->info->end = jit->as.at;
    if (before) {
        jit_patch(before->entry + 1, t->info->entry); /* it has retired to be translated again */
    }
    cpu->stats.translated++;
    cpu->stats.guest_bytes += block->bytes;
    cpu->stats.host_bytes += jit->as.at - start;
    block->jit = t->info;
    block->no_code = false; /* once it retires, it may be translated again */
    block->code = (void *)jit_run_address(&jit->as, t->info->far_entry);
    jit_renew(jit, block);
    return true;
}
