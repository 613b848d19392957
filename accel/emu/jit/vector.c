/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE and AVX instructions run as themselves on the same registers. A block loads a vector register
 * from the EmuCpu when it first needs it and stores those that it changed before it leaves or calls
 * a handler. A block with any VEX instruction moves all 32 bytes, else the low 16: legacy SSE does
 * not touch the upper half.
 */
#include "accel/emu/jit/internal.h"

static void move(JitTranslation *t, unsigned reg, bool store)
{
    const JitMem mem = { HOST_RBP, HOST_NONE, 0, JIT_CPU(vec) + (int)(reg * sizeof(EmuVec)) };

    if (t->wide) {
        /* VMOVDQU ymm, m256 / m256, ymm */
        jit_u8(t->as, 0xc5);
        jit_u8(t->as, (reg < 8) << 7 | 15 << 3 | 1 << 2 | 2);
        jit_u8(t->as, store ? 0x7f : 0x6f);
    } else {
        /* MOVUPS */
        jit_rex(t->as, false, reg, 0, 0, false);
        jit_u8(t->as, 0x0f);
        jit_u8(t->as, store ? 0x11 : 0x10);
    }
    jit_modrm_mem(t->as, reg, &mem);
}

void jit_vec_spill(JitTranslation *t, uint32_t mask)
{
    for (; mask; mask &= mask - 1) {
        move(t, __builtin_ctz(mask), true);
    }
}

void jit_vec_load(JitTranslation *t, uint32_t mask)
{
    for (; mask; mask &= mask - 1) {
        move(t, __builtin_ctz(mask), false);
    }
}

/* What the instruction's operands are. */
typedef struct VecUse {
    uint32_t regs, written;
    const ZydisDecodedOperand *memory;
    bool strange;           /* something that is not handled here */
} VecUse;

static void note_register(VecUse *use, const ZydisDecodedOperand *operand)
{
    unsigned id = ZydisRegisterGetId(operand->reg.value) & 0xff;

    switch (ZydisRegisterGetClass(operand->reg.value)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
        use->strange |= id > 15;
        use->regs |= 1u << (id & 15);
        if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
            use->written |= 1u << (id & 15);
        }
        break;
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR8:
        /* One that the opcode implies (PCMPESTRI) has no place to be renamed. */
        use->strange |= operand->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
        break;
    case ZYDIS_REGCLASS_FLAGS:
        break;
    default:
        /* MXCSR as an operand of arithmetic is hidden; of LDMXCSR it matters. */
        use->strange |= operand->reg.value != ZYDIS_REGISTER_MXCSR;
        break;
    }
}

static VecUse find_use(const JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    VecUse use = { 0 };

    for (unsigned i = 0; i < insn->operand_count; i++) {
        const ZydisDecodedOperand *operand = &t->decoded.operands[i];

        if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            note_register(&use, operand);
        } else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            use.strange |= use.memory || operand->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT ||
                           operand->mem.type != ZYDIS_MEMOP_TYPE_MEM;
            use.memory = operand;
        }
    }
    use.strange |= !use.regs;
    return use;
}

/* The instruction sets whose bits this kind of host (x86-64-v3) has, or was found to have. */
static bool host_can(ZydisISAExt ext)
{
    switch (ext) {
    case ZYDIS_ISA_EXT_SSE: case ZYDIS_ISA_EXT_SSE2: case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3: case ZYDIS_ISA_EXT_SSE4: case ZYDIS_ISA_EXT_AVX:
    case ZYDIS_ISA_EXT_AVX2: case ZYDIS_ISA_EXT_FMA: case ZYDIS_ISA_EXT_F16C:
        return true;
    case ZYDIS_ISA_EXT_AES: case ZYDIS_ISA_EXT_AVXAES:
        return __builtin_cpu_supports("aes");
    case ZYDIS_ISA_EXT_PCLMULQDQ:
        return __builtin_cpu_supports("pclmul");
    default:
        return false;
    }
}

/*
 * Conditional stores, what faults by element, and what enters the host's MMX state: the
 * handlers'.
 */
static bool is_masked(ZydisMnemonic mnemonic)
{
    static const ZydisMnemonic masked[] = {
        ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_VMASKMOVDQU, ZYDIS_MNEMONIC_VMASKMOVPS,
        ZYDIS_MNEMONIC_VMASKMOVPD, ZYDIS_MNEMONIC_VPMASKMOVD, ZYDIS_MNEMONIC_VPMASKMOVQ,
        ZYDIS_MNEMONIC_VZEROALL, ZYDIS_MNEMONIC_VZEROUPPER, ZYDIS_MNEMONIC_CVTPI2PS,
        ZYDIS_MNEMONIC_CVTPI2PD,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(masked); i++) {
        if (masked[i] == mnemonic) {
            return true;
        }
    }
    return false;
}

/* The alignment that the memory operand must have. */
static unsigned alignment(const JitTranslation *t, unsigned size)
{
    static const ZydisMnemonic unaligned[] = {
        ZYDIS_MNEMONIC_MOVUPS, ZYDIS_MNEMONIC_MOVUPD, ZYDIS_MNEMONIC_MOVDQU, ZYDIS_MNEMONIC_LDDQU,
    };
    static const ZydisMnemonic vex_aligned[] = {
        ZYDIS_MNEMONIC_VMOVAPS, ZYDIS_MNEMONIC_VMOVAPD, ZYDIS_MNEMONIC_VMOVDQA,
        ZYDIS_MNEMONIC_VMOVNTDQ, ZYDIS_MNEMONIC_VMOVNTPS, ZYDIS_MNEMONIC_VMOVNTPD,
        ZYDIS_MNEMONIC_VMOVNTDQA,
    };
    bool vex = t->op->flags & EMU_OP_VEX, listed = false;
    const ZydisMnemonic *list = vex ? vex_aligned : unaligned;
    size_t count = vex ? G_N_ELEMENTS(vex_aligned) : G_N_ELEMENTS(unaligned);

    for (size_t i = 0; i < count; i++) {
        listed |= list[i] == t->decoded.insn.mnemonic;
    }
    return size >= 16 && listed == vex ? size : 1;
}

bool jit_emit_vector(JitTranslation *t)
{
    VecUse use;
    unsigned dirty;

    if (!host_can(t->decoded.insn.meta.isa_ext) || is_masked(t->decoded.insn.mnemonic)) {
        return false;
    }
    use = find_use(t);
    if (use.strange) {
        return false;
    }
    jit_vec_load(t, use.regs & ~t->vec_loaded);
    t->vec_loaded |= use.regs;
    dirty = t->vec_dirty | use.written;
    if (!jit_emit_aligned_copy(t, use.memory ? alignment(t, use.memory->size / 8) : 1)) {
        return false;
    }
    t->vec_dirty = dirty;
    return true;
}
