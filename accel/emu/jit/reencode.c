/* SPDX-License-Identifier: Apache-2.0 */
/* An instruction again, with other registers: only prefixes, REX or VEX, and ModRM change. */
#include "accel/emu/jit/internal.h"

/* REX bits by the encoding that asks for them. */
typedef struct Places {
    unsigned reg, rm;       /* full numbers for ModRM (or the opcode's low bits) */
    bool memory;
} Places;

static bool is_byte_register(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_GPR8;
}

static bool is_high_byte(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           operand->reg.value >= ZYDIS_REGISTER_AH && operand->reg.value <= ZYDIS_REGISTER_BH;
}

static bool names_high_byte(const JitTranslation *t)
{
    bool any = false;

    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        any |= is_high_byte(&t->decoded.operands[i]);
    }
    return any;
}

/* SPL, BPL, SIL and DIL exist only with REX, AH to BH only without. */
static bool needs_rex(const JitTranslation *t)
{
    if (names_high_byte(t)) {
        return false;
    }
    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        if (is_byte_register(&t->decoded.operands[i])) {
            return true;
        }
    }
    return false;
}

static void copy_legacy_prefixes(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;

    for (unsigned i = 0; i < insn->raw.prefix_count; i++) {
        uint8_t byte = insn->raw.prefixes[i].value;

        if (byte == 0x66 || byte == 0xf2 || byte == 0xf3 || byte == 0xf0) {
            jit_u8(t->as, byte);
        }
    }
}

static void put_modrm(JitTranslation *t, const Places *places)
{
    if (places->memory) {
        jit_modrm_mem(t->as, places->reg, &t->mem);
    } else {
        jit_u8(t->as, 0xc0 | (places->reg & 7) << 3 | (places->rm & 7));
    }
}

/* 82 is 80 once more in 32-bit code, and nothing in 64-bit code. */
static uint8_t host_opcode(const ZydisDecodedInstruction *insn)
{
    return insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && insn->opcode == 0x82 ? 0x80
                                                                                : insn->opcode;
}

static void put_legacy_opcode(JitTranslation *t, const JitRename *rename)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    bool in_opcode = !(insn->attributes & ZYDIS_ATTRIB_HAS_MODRM);
    uint8_t opcode = host_opcode(insn);

    if (insn->opcode_map >= ZYDIS_OPCODE_MAP_0F) {
        jit_u8(t->as, 0x0f);
    }
    if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F38) {
        jit_u8(t->as, 0x38);
    } else if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F3A) {
        jit_u8(t->as, 0x3a);
    }
    jit_u8(t->as, in_opcode && rename->rm != HOST_NONE ? (opcode & 0xf8) | (rename->rm & 7)
                                                       : opcode);
}

/* The memory operand's index register, 0 if it has none. */
static unsigned index_of(const JitTranslation *t, const Places *places)
{
    return places->memory && t->mem.index != HOST_NONE ? t->mem.index : 0;
}

static void put_vex(JitTranslation *t, const Places *places, unsigned vvvv)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    unsigned base = places->memory ? (unsigned)t->mem.base : places->rm;
    unsigned index = index_of(t, places);

    jit_u8(t->as, 0xc4);
    jit_u8(t->as, (~places->reg >> 3 & 1) << 7 | (~index >> 3 & 1) << 6 | (~base >> 3 & 1) << 5 |
                  insn->raw.vex.m_mmmm);
    jit_u8(t->as, insn->raw.vex.W << 7 | (~vvvv & 15) << 3 | insn->raw.vex.L << 2 |
                  insn->raw.vex.pp);
    jit_u8(t->as, insn->opcode);
}

static Places find_places(const JitTranslation *t, const JitRename *rename)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    bool vex = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    unsigned r = vex ? insn->raw.vex.R ^ 1 : insn->raw.rex.R;
    unsigned b = vex ? insn->raw.vex.B ^ 1 : insn->raw.rex.B;

    if (vex) {
        /* Zydis gives the bits as they are or inverted, by version: the operands know better. */
        r = b = 0;
        for (unsigned i = 0; i < insn->operand_count; i++) {
            const ZydisDecodedOperand *operand = &t->decoded.operands[i];
            unsigned id;

            if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
                continue;
            }
            id = ZydisRegisterGetId(operand->reg.value);
            r |= operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG ? id >> 3 & 1 : 0;
            b |= operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ? id >> 3 & 1 : 0;
        }
    }
    return (Places) {
        .reg = rename->reg != HOST_NONE ? (unsigned)rename->reg : insn->raw.modrm.reg | r << 3,
        .rm = rename->rm != HOST_NONE ? (unsigned)rename->rm : insn->raw.modrm.rm | b << 3,
        .memory = rename->memory,
    };
}

static unsigned find_vvvv(const JitTranslation *t, const JitRename *rename)
{
    if (rename->vvvv != HOST_NONE) {
        return rename->vvvv;
    }
    for (unsigned i = 0; i < t->decoded.insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &t->decoded.operands[i];

        if (operand->encoding == ZYDIS_OPERAND_ENCODING_NDSNDD &&
            operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            return ZydisRegisterGetId(operand->reg.value) & 15;
        }
    }
    return 0; /* unused: encoded as 1111b */
}

/* Does an immediate's upper half name a register? */
static bool has_register_immediate(const JitTranslation *t)
{
    for (unsigned i = 0; i < t->decoded.insn.operand_count; i++) {
        if (t->decoded.operands[i].encoding == ZYDIS_OPERAND_ENCODING_IS4) {
            return true;
        }
    }
    return false;
}

/* Outside 64-bit code a register number has three bits, and the fourth may be anything. */
static void put_immediates(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    uint64_t mask = t->narrow && has_register_immediate(t) ? 0x7f : UINT64_MAX;

    for (unsigned i = 0; i < G_N_ELEMENTS(insn->raw.imm); i++) {
        if (insn->raw.imm[i].size) {
            uint64_t value = insn->raw.imm[i].value.u & mask;

            jit_bytes(t->as, &value, insn->raw.imm[i].size / 8);
        }
    }
}

void jit_copy_bytes(JitTranslation *t, const JitRename *rename)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    bool has_modrm = insn->attributes & ZYDIS_ATTRIB_HAS_MODRM;
    Places places = find_places(t, rename);

    if (insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        put_vex(t, &places, find_vvvv(t, rename));
    } else {
        bool rexw = insn->raw.rex.W;
        unsigned rm = has_modrm || rename->rm != HOST_NONE ? places.rm : 0;
        unsigned base = places.memory ? (unsigned)t->mem.base : rm;

        copy_legacy_prefixes(t);
        jit_rex(t->as, rexw, has_modrm ? places.reg : 0, index_of(t, &places), base,
                needs_rex(t));
        put_legacy_opcode(t, rename);
    }
    if (has_modrm) {
        put_modrm(t, &places);
    }
    put_immediates(t);
}

/* ---- Choosing registers ---- */

/*
 * A general register operand that lives in the EmuCpu and works in a scratch register meanwhile.
 * What was written is stored at once, and stays in the scratch register for the next instructions.
 */
typedef struct Borrowed {
    uint8_t guest;
    HostReg host;
    bool write;
} Borrowed;

static const HostReg scratch[] = { HOST_RCX, HOST_RDX, HOST_RAX };

typedef struct Renaming {
    JitRename rename;
    Borrowed borrowed[3];
    unsigned count;
    bool all;               /* AH..BH are about: borrow all, for RAX, RCX and RDX have such bytes */
} Renaming;

static unsigned general_number(const ZydisDecodedOperand *operand)
{
    unsigned id = ZydisRegisterGetId(operand->reg.value) & 0xff;

    return is_byte_register(operand) && id >= 8 ? id - 4 : id;
}

static HostReg *place_of(JitRename *rename, const ZydisDecodedOperand *operand)
{
    switch (operand->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        return &rename->reg;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
    case ZYDIS_OPERAND_ENCODING_OPCODE:
        return &rename->rm;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        return &rename->vvvv;
    default:
        return NULL;
    }
}

static unsigned guest_of(const ZydisDecodedOperand *operand)
{
    return general_number(operand) - (is_high_byte(operand) ? 4 : 0);
}

/* Is the register's old value of no account? Narrow writes keep the rest, BSF and BSR may all. */
static bool is_overwritten(const JitTranslation *t, unsigned guest)
{
    bool any = false;

    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &t->decoded.operands[i];

        if (jit_is_general(operand) && guest_of(operand) == guest) {
            any = true;
            if (operand->actions != ZYDIS_OPERAND_ACTION_WRITE || operand->size < 32) {
                return false;
            }
        }
    }
    return any && t->op->mnemonic != ZYDIS_MNEMONIC_BSF && t->op->mnemonic != ZYDIS_MNEMONIC_BSR;
}

static bool is_borrowed(const Renaming *renaming, HostReg host)
{
    for (unsigned i = 0; i < renaming->count; i++) {
        if (renaming->borrowed[i].host == host) {
            return true;
        }
    }
    return false;
}

/* One that holds the register already, one that holds none, or any that is not the address's. */
static unsigned choose_scratch(const JitTranslation *t, const Renaming *renaming, unsigned guest)
{
    unsigned chosen = 3;

    for (unsigned i = 0; i < 3; i++) {
        bool taken = is_borrowed(renaming, scratch[i]) ||
                     (renaming->rename.memory &&
                      (t->mem.base == scratch[i] || t->mem.index == scratch[i]));

        if (!taken && t->cached[i] == (int)guest) {
            return i;
        }
        if (!taken && (chosen == 3 || t->cached[i] < 0)) {
            chosen = i;
        }
    }
    g_assert(chosen < 3);
    return chosen;
}

static HostReg host_for(JitTranslation *t, Renaming *renaming, unsigned guest)
{
    Borrowed *borrowed;
    unsigned n;

    if (jit_host_reg[guest] != HOST_NONE && !renaming->all) {
        return jit_host_reg[guest];
    }
    for (unsigned i = 0; i < renaming->count; i++) {
        if (renaming->borrowed[i].guest == guest) {
            return renaming->borrowed[i].host;
        }
    }
    n = choose_scratch(t, renaming, guest);
    borrowed = &renaming->borrowed[renaming->count];
    *borrowed = (Borrowed) { .guest = guest, .host = scratch[n] };
    renaming->count++;
    if (t->cached[n] != (int)guest && !is_overwritten(t, guest)) {
        jit_mov(t->as, borrowed->host, jit_get_reg(t, guest, borrowed->host));
    }
    t->cached[n] = guest;
    return borrowed->host;
}

/* ---- Registers in the EmuCpu as memory operands ---- */

static bool is_cached(const JitTranslation *t, unsigned guest)
{
    return t->cached[0] == (int)guest || t->cached[1] == (int)guest || t->cached[2] == (int)guest;
}

static bool is_in_memory(const JitTranslation *t, const ZydisDecodedOperand *operand)
{
    return jit_is_general(operand) && !is_high_byte(operand) &&
           jit_host_reg[general_number(operand)] == HOST_NONE &&
           !is_cached(t, general_number(operand));
}

/*
 * MOV and arithmetic of two registers have two encodings: take the one whose ModRM.rm, which may be
 * memory, is the source.
 */
static void put_source_in_rm(JitTranslation *t)
{
    ZydisDecodedInstruction *insn = &t->decoded.insn;
    ZydisDecodedOperand *operands = t->decoded.operands;
    bool arithmetic = insn->opcode < 0x40 && (insn->opcode & 7) < 2;
    bool move = (insn->opcode & 0xfe) == 0x88;

    if (insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (arithmetic || move) &&
        operands[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM &&
        operands[1].encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG && is_in_memory(t, &operands[1])) {
        insn->opcode |= 2;
        operands[0].encoding = ZYDIS_OPERAND_ENCODING_MODRM_REG;
        operands[1].encoding = ZYDIS_OPERAND_ENCODING_MODRM_RM;
    }
}

/* A source in the EmuCpu that the instruction can take from there; NULL: none. */
static const ZydisDecodedOperand *find_direct_source(const JitTranslation *t)
{
    const ZydisDecodedOperand *source = NULL;

    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &t->decoded.operands[i];

        if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE && !jit_is_general(operand)) {
            return NULL;
        }
        if (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM && is_in_memory(t, operand) &&
            !(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            source = operand;
        }
    }
    /* Bit offsets would reach beyond a memory operand. */
    return t->op->mnemonic == ZYDIS_MNEMONIC_BT ? NULL : source;
}

static void rename_operand(JitTranslation *t, Renaming *renaming,
                           const ZydisDecodedOperand *operand)
{
    bool high = is_high_byte(operand);
    unsigned guest = guest_of(operand);
    HostReg host = host_for(t, renaming, guest);

    *place_of(&renaming->rename, operand) = high ? host + 4 : host;
    for (unsigned i = 0; i < renaming->count; i++) {
        if (renaming->borrowed[i].guest == guest &&
            (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            renaming->borrowed[i].write = true;
        }
    }
}

/* The host's segment, control and debug registers are not the guest's. */
static bool is_privileged_register(const ZydisDecodedOperand *operand)
{
    ZydisRegisterClass class;

    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
        return false;
    }
    class = ZydisRegisterGetClass(operand->reg.value);
    return class == ZYDIS_REGCLASS_SEGMENT || class == ZYDIS_REGCLASS_CONTROL ||
           class == ZYDIS_REGCLASS_DEBUG;
}

bool jit_is_wider_on_host(const JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    bool any = false;

    if (!t->narrow || insn->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX || !insn->raw.vex.W) {
        return false;
    }
    for (unsigned i = 0; i < insn->operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &t->decoded.operands[i];

        any |= jit_is_general(operand) ||
               (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->size <= 64);
    }
    return any;
}

/* Registers that this way of copying cannot give: ones that the opcode implies. */
static bool can_rename(const JitTranslation *t)
{
    if (jit_is_wider_on_host(t)) {
        return false;
    }
    for (unsigned i = 0; i < t->decoded.insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &t->decoded.operands[i];
        JitRename unused;

        if (is_privileged_register(operand)) {
            return false;
        }
        if (!jit_is_general(operand)) {
            continue;
        }
        if (!place_of(&unused, operand)) {
            return false;
        }
    }
    return true;
}

static const ZydisDecodedOperand *memory_operand(const JitTranslation *t)
{
    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        if (t->decoded.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            return &t->decoded.operands[i];
        }
    }
    return NULL;
}

/*
 * Accumulator forms (ADD EAX, imm32 and the like) name RAX without a ModRM; they become the general
 * form of their group: 80/81/C6/C7/F6/F7 with a ModRM.
 */
static bool copy_accumulator_form(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    uint8_t opcode = insn->opcode;
    bool alu = insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && opcode < 0x40 && (opcode & 6) == 4;
    bool test = insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (opcode & 0xfe) == 0xa8;
    HostReg host = jit_host_reg[X86_RAX];
    uint64_t value = insn->raw.imm[0].value.u;

    if (!alu && !test) {
        return false;
    }
    copy_legacy_prefixes(t);
    jit_rex(t->as, insn->raw.rex.W, 0, 0, host, true);
    jit_u8(t->as, (test ? 0xf6 : 0x80) | (opcode & 1));
    jit_u8(t->as, 0xc0 | (test ? 0 : opcode >> 3) << 3 | (host & 7));
    jit_bytes(t->as, &value, insn->raw.imm[0].size / 8);
    return true;
}

unsigned jit_lock_alignment(const JitTranslation *t)
{
    const ZydisDecodedOperand *memory = memory_operand(t);
    bool locked = t->decoded.insn.attributes & ZYDIS_ATTRIB_HAS_LOCK ||
                  t->op->mnemonic == ZYDIS_MNEMONIC_XCHG;

    return memory && locked ? memory->size / 8 : 1;
}

static void rename_operands(JitTranslation *t, Renaming *renaming)
{
    const ZydisDecodedOperand *direct = NULL;

    if (renaming->all) {
        jit_forget_cached(t);
    } else if (!renaming->rename.memory) {
        put_source_in_rm(t);
        direct = find_direct_source(t);
    }
    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &t->decoded.operands[i];

        if (operand == direct) {
            renaming->rename.memory = true;
            t->mem = *JIT_MEM(HOST_RBP, JIT_REG(general_number(operand)));
        } else if (jit_is_general(operand)) {
            rename_operand(t, renaming, operand);
        }
    }
}

/* More than one register in the EmuCpu: the address must do with one scratch register. */
static bool borrows_several(const JitTranslation *t)
{
    unsigned count = 0;

    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        count += is_in_memory(t, &t->decoded.operands[i]);
    }
    return count > 1;
}

bool jit_emit_aligned_copy(JitTranslation *t, unsigned align)
{
    const ZydisDecodedOperand *memory = memory_operand(t);
    Renaming renaming = { .rename = { HOST_NONE, HOST_NONE, HOST_NONE, memory != NULL },
                          .all = names_high_byte(t) };
    JitWhere where = jit_op_where(t->op);

    if (!can_rename(t)) {
        return !memory && copy_accumulator_form(t);
    }
    if (memory) {
        jit_access(t, &where, memory->size / 8,
                   memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE, align);
        if (renaming.all || borrows_several(t)) {
            jit_settle_address(t); /* no REX with AH to BH */
        }
    }
    rename_operands(t, &renaming);
    jit_copy_bytes(t, &renaming.rename);
    for (unsigned i = 0; i < renaming.count; i++) {
        if (renaming.borrowed[i].write) {
            jit_put_reg(t, renaming.borrowed[i].guest, renaming.borrowed[i].host);
        }
    }
    t->keeps_cached = !renaming.all;
    jit_slow_done(t);
    return true;
}

bool jit_emit_copy(JitTranslation *t)
{
    return jit_emit_aligned_copy(t, jit_lock_alignment(t));
}

/* A bit offset in a register is signed and reaches beyond the memory operand. */
static bool emit_bit_string(JitTranslation *t)
{
    bool wide = t->op->size == 8, is_write = t->op->mnemonic != ZYDIS_MNEMONIC_BT;
    unsigned log2_bits = wide ? 6 : 5;
    JitWhere where = jit_op_where(t->op);
    JitAsm *as = t->as;
    HostReg base, offset;

    if (t->op->size == 2 || where.addr_shift != jit_track_addr_shift(&t->track)) {
        return false;
    }
    base = jit_linear(t, &where);
    offset = jit_get_reg(t, t->op->r[0], HOST_RDX);
    if (!wide) {
        jit_movsxd(as, HOST_RDX, offset);
        offset = HOST_RDX;
    }
    jit_mov_imm(as, HOST_RCX, log2_bits);
    jit_sarx(as, HOST_RCX, offset, HOST_RCX);
    jit_lea(as, !t->narrow, HOST_RAX, &(JitMem) { base, HOST_RCX, wide ? 3 : 2, 0 });
    jit_access_linear(t, t->op->size, is_write, jit_lock_alignment(t));
    jit_settle_address(t);
    /* Its low bits, which stay within the operand. */
    jit_mov(as, HOST_RCX, jit_get_reg(t, t->op->r[0], HOST_RCX));
    jit_mov_imm(as, HOST_RDX, 64 - log2_bits);
    jit_shlx(as, HOST_RCX, HOST_RCX, HOST_RDX);
    jit_shrx(as, HOST_RCX, HOST_RCX, HOST_RDX);
    if (t->decoded.insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) {
        jit_u8(as, 0xf0);
    }
    jit_rex(as, wide, HOST_RCX, 0, HOST_RAX, false);
    jit_u8(as, 0x0f);
    jit_u8(as, t->decoded.insn.opcode);
    jit_modrm_mem(as, HOST_RCX, &t->mem);
    jit_slow_done(t);
    return true;
}

bool jit_emit_bit_test(JitTranslation *t)
{
    return memory_operand(t) && t->decoded.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER
               ? emit_bit_string(t) : jit_emit_copy(t);
}

/* With F3, which a guest without BMI1 or ABM may have put there, the host would count zeros. */
bool jit_emit_bit_scan(JitTranslation *t)
{
    for (unsigned i = 0; i < t->decoded.insn.raw.prefix_count; i++) {
        if (t->decoded.insn.raw.prefixes[i].value == 0xf3) {
            return false;
        }
    }
    return jit_emit_copy(t);
}

/* 40 to 4F, which are REX prefixes in 64-bit code, become FF /0 and /1. */
bool jit_emit_inc_dec(JitTranslation *t)
{
    ZydisDecodedInstruction *insn = &t->decoded.insn;

    if (!(insn->attributes & ZYDIS_ATTRIB_HAS_MODRM)) {
        insn->raw.modrm.reg = insn->opcode >> 3 & 1;
        insn->opcode = 0xff;
        insn->attributes |= ZYDIS_ATTRIB_HAS_MODRM;
        t->decoded.operands[0].encoding = ZYDIS_OPERAND_ENCODING_MODRM_RM;
    }
    return jit_emit_copy(t);
}

/* A0 to A3, the accumulator and an address without registers, become 8A, 8B, 88 and 89. */
static bool emit_mov_offset(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    bool store = insn->opcode & 2, word = insn->opcode & 1;
    JitWhere where = jit_op_where(t->op);

    if (!where.addr_shift && (uint64_t)(int64_t)where.disp != t->op->imm) {
        return false; /* an address of more than 32 bits */
    }
    jit_access(t, &where, t->op->size, store, 1);
    copy_legacy_prefixes(t);
    jit_op_mem(t->as, t->op->size == 8, (store ? 0x88 : 0x8a) | word, jit_host_reg[X86_RAX],
               &t->mem);
    jit_slow_done(t);
    return true;
}

bool jit_emit_mov(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    bool offset = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
                  insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (insn->opcode & 0xfc) == 0xa0;

    return offset ? emit_mov_offset(t) : jit_emit_copy(t);
}
