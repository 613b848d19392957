/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding one instruction: Zydis takes the bytes apart; here they are put together again in the
 * form that handlers read.
 */
#include "accel/emu/decode.h"

#include <string.h>

#include "accel/emu/vendor.h"
#include "cpu/x86/cpu-model.h"

#define MAX_INSN_BYTES 15

static const EmuInsnTable *const tables[] = {
    &emu_insns_alu, &emu_insns_move, &emu_insns_shift, &emu_insns_muldiv, &emu_insns_bit,
    &emu_insns_bmi, &emu_insns_bcd, &emu_insns_string, &emu_insns_stack, &emu_insns_branch,
    &emu_insns_atomic, &emu_insns_far, &emu_insns_system, &emu_insns_io, &emu_insns_segment,
    &emu_insns_x87, &emu_insns_xsave, &emu_insns_vec_move, &emu_insns_vec_int,
    &emu_insns_vec_shuffle, &emu_insns_vec_float, &emu_insns_vec_convert, &emu_insns_vec_misc,
    &emu_insns_vec_fma, &emu_insns_vec_avx, &emu_insns_vec_crypto,
};

/* No mnemonic is shared by more groups than this (MOV: general, segment, control). */
#define MAX_ROWS 4

typedef const EmuInsn *EmuInsnIndex[ZYDIS_MNEMONIC_MAX_VALUE + 1][MAX_ROWS];

static void add_row(EmuInsnIndex *index, const EmuInsn *row)
{
    unsigned i = 0;

    g_assert(row->mnemonic && row->mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE && row->bind);
    while ((*index)[row->mnemonic][i]) {
        i++;
        g_assert(i < MAX_ROWS);
    }
    (*index)[row->mnemonic][i] = row;
}

static void *build_index(void *unused)
{
    EmuInsnIndex *index = g_new0(EmuInsnIndex, 1);

    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        for (unsigned j = 0; j < tables[i]->count; j++) {
            add_row(index, &tables[i]->rows[j]);
        }
    }
    return index;
}

/* The rows of a mnemonic, up to the first NULL. */
static const EmuInsn *const *insn_rows(unsigned mnemonic)
{
    static GOnce once = G_ONCE_INIT;
    const EmuInsnIndex *index = g_once(&once, build_index, NULL);

    return (*index)[MIN(mnemonic, ZYDIS_MNEMONIC_MAX_VALUE)];
}

const EmuInsn *emu_insn_find(unsigned mnemonic)
{
    return insn_rows(mnemonic)[0];
}

/* ---- Ops that only raise ---- */

void emu_op_undefined(EmuCpu *cpu, const EmuOp *op)
{
    emu_raise_plain(cpu, X86_UD);
}

void emu_op_not_available(EmuCpu *cpu, const EmuOp *op)
{
    emu_raise_plain(cpu, X86_NM);
}

static void op_too_long(EmuCpu *cpu, const EmuOp *op)
{
    emu_raise(cpu, X86_GP, 0);
}

bool emu_op_only_raises(const EmuOp *op)
{
    return op->fn == emu_op_undefined || op->fn == emu_op_not_available || op->fn == op_too_long;
}

void emu_op_stop(EmuCpu *cpu, const EmuOp *op)
{
    cpu->rip = emu_mask_ip(cpu, emu_op_rip(cpu, op));
}

/* ---- Operands ---- */

static unsigned register_number(ZydisRegister reg)
{
    unsigned id = ZydisRegisterGetId(reg) & 0xff;

    if (ZydisRegisterGetClass(reg) != ZYDIS_REGCLASS_GPR8) {
        return id;
    }
    /* Zydis numbers AL..BL 0-3, AH..BH 4-7, SPL..R15B 8-19. */
    return id < 4 ? id * 8 : id < 8 ? (id - 4) * 8 + 1 : (id - 4) * 8;
}

static unsigned address_register(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_NONE:
        return EMU_REG_ZERO;
    case ZYDIS_REGISTER_RIP:
    case ZYDIS_REGISTER_EIP:
        return EMU_REG_PAGE_RIP;
    default:
        return ZydisRegisterGetId(reg) & 0xff;
    }
}

/* A SIB without base: Zydis 4.0 takes R13 for it if REX.B or VEX.B is set, and no displacement. */
static bool has_no_base(const ZydisDecodedInstruction *insn)
{
    return (insn->attributes & ZYDIS_ATTRIB_HAS_SIB) && insn->raw.modrm.mod == 0 &&
           insn->raw.sib.base == 5;
}

static void set_memory(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operand,
                       EmuOp *op)
{
    int64_t disp = operand->mem.disp.has_displacement ? operand->mem.disp.value : 0;

    if (has_no_base(insn)) {
        disp = insn->raw.disp.value;
    }
    op->flags |= EMU_OP_MEM;
    op->base = has_no_base(insn) ? EMU_REG_ZERO : address_register(operand->mem.base);
    op->index = address_register(operand->mem.index);
    op->scale = operand->mem.scale ? __builtin_ctz(operand->mem.scale) : 0;
    op->seg = ZydisRegisterGetId(operand->mem.segment) & 7;
    if ((insn->attributes & ZYDIS_ATTRIB_HAS_NOTRACK) &&
        insn->machine_mode != ZYDIS_MACHINE_MODE_LONG_64) {
        op->seg = X86_DS; /* 3Eh is that prefix as well */
    }
    op->mem_size = MIN(operand->size / 8, 0xff);
    if (op->base == EMU_REG_PAGE_RIP) {
        disp += op->page_offset + op->length;
    }
    op->disp = disp;
    if (operand->mem.disp.has_displacement && op->disp != disp) {
        op->imm = disp; /* a 64-bit offset: MOV moffs, see op.h */
    }
}

static void set_immediate(const ZydisDecodedOperand *operand, bool first, EmuOp *op)
{
    if (first) {
        op->imm = operand->imm.value.u;
    } else {
        op->imm2 = operand->imm.value.u;
    }
}

static void set_operands(const EmuDecoded *decoded, EmuOp *op)
{
    unsigned registers = 0, immediates = 0;

    for (unsigned i = 0; i < decoded->insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &decoded->operands[i];

        switch (operand->type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            if (registers < G_N_ELEMENTS(op->r)) {
                op->r[registers++] = register_number(operand->reg.value);
            }
            break;
        case ZYDIS_OPERAND_TYPE_MEMORY:
            op->mem_at = i;
            set_memory(&decoded->insn, operand, op);
            break;
        case ZYDIS_OPERAND_TYPE_POINTER:
            op->imm = operand->ptr.offset;
            op->imm2 = operand->ptr.segment;
            break;
        default:
            set_immediate(operand, immediates++ == 0, op);
            break;
        }
    }
}

/* ---- Prefixes ---- */

static const struct {
    ZydisInstructionAttributes attribute;
    uint8_t flag;
} prefix_flags[] = {
    { ZYDIS_ATTRIB_HAS_LOCK, EMU_OP_LOCK },
    { ZYDIS_ATTRIB_HAS_REP, EMU_OP_REP },
    { ZYDIS_ATTRIB_HAS_REPE, EMU_OP_REP },
    { ZYDIS_ATTRIB_HAS_REPNE, EMU_OP_REPNE },
};

static const struct {
    ZydisInstructionAttributes attribute;
    X86SegReg seg;
} segment_prefixes[] = {
    { ZYDIS_ATTRIB_HAS_SEGMENT_ES, X86_ES }, { ZYDIS_ATTRIB_HAS_SEGMENT_CS, X86_CS },
    { ZYDIS_ATTRIB_HAS_SEGMENT_SS, X86_SS }, { ZYDIS_ATTRIB_HAS_SEGMENT_DS, X86_DS },
    { ZYDIS_ATTRIB_HAS_SEGMENT_FS, X86_FS }, { ZYDIS_ATTRIB_HAS_SEGMENT_GS, X86_GS },
};

static void set_prefixes(const ZydisDecodedInstruction *insn, EmuOp *op)
{
    op->seg = X86_DS;
    for (size_t i = 0; i < G_N_ELEMENTS(segment_prefixes); i++) {
        if (insn->attributes & segment_prefixes[i].attribute) {
            op->seg = segment_prefixes[i].seg;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(prefix_flags); i++) {
        if (insn->attributes & prefix_flags[i].attribute) {
            op->flags |= prefix_flags[i].flag;
        }
    }
    if (insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        op->flags |= EMU_OP_VEX;
        if (insn->avx.vector_length == 256) {
            op->flags |= EMU_OP_L256;
        }
    }
}

/* ---- What must be enabled ---- */

/* NULL: it may run. */
static EmuOpFn *unit_fault(EmuUnit unit, uint32_t mode)
{
    EmuOpFn *if_switched = mode & EMU_MODE_CR0_TS ? emu_op_not_available : NULL;

    switch (unit) {
    case EMU_UNIT_INTEGER:
        return NULL;
    case EMU_UNIT_X87:
        return mode & EMU_MODE_CR0_EM ? emu_op_not_available : if_switched;
    case EMU_UNIT_WAIT:
        return mode & EMU_MODE_CR0_MP ? if_switched : NULL;
    case EMU_UNIT_MMX:
        return mode & EMU_MODE_CR0_EM ? emu_op_undefined : if_switched;
    case EMU_UNIT_SSE:
        return mode & EMU_MODE_CR0_EM || !(mode & EMU_MODE_OSFXSR) ? emu_op_undefined : if_switched;
    case EMU_UNIT_AVX:
        return mode & EMU_MODE_AVX ? if_switched : emu_op_undefined;
    }
    return emu_op_undefined;
}

/* Does it work on MMX registers and on no XMM register? */
static bool is_mmx_form(const EmuDecoded *decoded)
{
    bool mmx = false;

    for (unsigned i = 0; i < decoded->insn.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &decoded->operands[i];

        if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegisterClass class = ZydisRegisterGetClass(operand->reg.value);

            if (class == ZYDIS_REGCLASS_XMM) {
                return false;
            }
            mmx |= class == ZYDIS_REGCLASS_MMX;
        }
    }
    return mmx;
}

static EmuOpFn *availability_fault(const EmuDecoded *decoded, const EmuInsn *row)
{
    bool protected_mode = (decoded->mode & EMU_MODE_PROT) && !(decoded->mode & EMU_MODE_VM86);
    EmuUnit unit = row->unit;

    if (decoded->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        if (!protected_mode) {
            return emu_op_undefined;
        }
        unit = unit == EMU_UNIT_INTEGER ? EMU_UNIT_INTEGER : EMU_UNIT_AVX;
    } else if (decoded->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        return emu_op_undefined;
    } else if (unit == EMU_UNIT_SSE && is_mmx_form(decoded)) {
        unit = EMU_UNIT_MMX;
    }
    return unit_fault(unit, decoded->mode);
}

/* ---- The whole ---- */

static void init_decoder(const EmuCpu *cpu, ZydisDecoder *decoder)
{
    /* Where a guest lacks a feature, its bytes are another instruction (or a NOP) as on old
       processors. */
    static const struct {
        ZydisDecoderMode mode;
        X86FeatureWord word;
        uint8_t bit;
    } dependent[] = {
        { ZYDIS_DECODER_MODE_LZCNT, X86_FEAT_8000_0001_ECX, 5 },
        { ZYDIS_DECODER_MODE_TZCNT, X86_FEAT_7_0_EBX, 3 },
        { ZYDIS_DECODER_MODE_MPX, X86_FEAT_7_0_EBX, 14 },
        { ZYDIS_DECODER_MODE_CLDEMOTE, X86_FEAT_7_0_ECX, 25 },
        { ZYDIS_DECODER_MODE_WBNOINVD, X86_FEAT_8000_0008_EBX, 9 },
    };
    ZydisMachineMode machine = ZYDIS_MACHINE_MODE_REAL_16;
    ZydisStackWidth stack = cpu->mode & EMU_MODE_SS32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;

    if (cpu->mode & EMU_MODE_CS64) {
        machine = ZYDIS_MACHINE_MODE_LONG_64;
        stack = ZYDIS_STACK_WIDTH_64;
    } else if (cpu->mode & EMU_MODE_CS32) {
        machine = ZYDIS_MACHINE_MODE_LEGACY_32;
    } else if ((cpu->mode & EMU_MODE_PROT) && !(cpu->mode & EMU_MODE_VM86)) {
        machine = ZYDIS_MACHINE_MODE_LEGACY_16;
    }
    ZydisDecoderInit(decoder, machine, stack);
    for (size_t i = 0; i < G_N_ELEMENTS(dependent); i++) {
        ZydisDecoderEnableMode(decoder, dependent[i].mode,
                               emu_has(cpu, dependent[i].word, dependent[i].bit));
    }
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES,
                           emu_vendor(cpu)->near_branches16);
}

/* VEX encodings of Xeon Phi's first generation (TZCNT and others), which no other processor has. */
static bool is_foreign(const ZydisDecodedInstruction *insn)
{
    return insn->meta.isa_ext == ZYDIS_ISA_EXT_KNC || insn->meta.isa_ext == ZYDIS_ISA_EXT_KNCE ||
           insn->meta.isa_ext == ZYDIS_ISA_EXT_KNCV;
}

static EmuOpFn *choose_handler(EmuDecoded *decoded, EmuOp *op)
{
    const EmuInsn *const *rows = insn_rows(decoded->insn.mnemonic);

    if (is_foreign(&decoded->insn)) {
        return emu_op_undefined;
    }
    set_prefixes(&decoded->insn, op);
    set_operands(decoded, op);
    for (unsigned i = 0; i < MAX_ROWS && rows[i]; i++) {
        EmuOpFn *fn, *fault;

        decoded->row = rows[i];
        fn = rows[i]->bind(decoded, op);
        if (fn) {
            fault = availability_fault(decoded, rows[i]);
            return fault ? fault : fn;
        }
    }
    return emu_op_undefined;
}

bool emu_decode_to(EmuCpu *cpu, const uint8_t *code, unsigned available, unsigned page_offset,
                   EmuOp *op, EmuDecoded *decoded)
{
    ZydisDecoder decoder;
    ZyanStatus status;

    decoded->mode = cpu->mode;
    decoded->cpu = cpu;
    init_decoder(cpu, &decoder);
    status = ZydisDecoderDecodeFull(&decoder, code, MIN(available, MAX_INSN_BYTES), &decoded->insn,
                                    decoded->operands);
    memset(op, 0, sizeof(*op));
    op->base = op->index = EMU_REG_ZERO;
    op->mem_at = 0xff;
    op->page_offset = page_offset;
    op->length = 1;
    op->flags = EMU_OP_ENDS;
    if (!ZYAN_SUCCESS(status)) {
        if (status == ZYDIS_STATUS_NO_MORE_DATA && available < MAX_INSN_BYTES) {
            return false;
        }
        op->fn = status == ZYDIS_STATUS_NO_MORE_DATA || status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG
                     ? op_too_long : emu_op_undefined;
        return true;
    }
    op->length = decoded->insn.length;
    op->mnemonic = decoded->insn.mnemonic;
    op->size = decoded->insn.operand_width / 8;
    op->addr_shift = 64 - decoded->insn.address_width;
    op->flags = 0;
    op->fn = choose_handler(decoded, op);
    if (emu_op_only_raises(op)) {
        op->flags |= EMU_OP_ENDS;
    }
    return true;
}

bool emu_decode(EmuCpu *cpu, const uint8_t *code, unsigned available, unsigned page_offset,
                EmuOp *op)
{
    EmuDecoded decoded;

    return emu_decode_to(cpu, code, available, page_offset, op, &decoded);
}
