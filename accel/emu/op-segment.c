/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions on segment registers, descriptors and descriptor tables.
 */
#include "accel/emu/decode.h"
#include "accel/emu/transfer.h"
#include "accel/emu/vendor.h"
#include "cpu/x86/cpu-model.h"

/* ---- Moving to and from segment registers ---- */

/* Does loading this register change EMU_MODE? In 64-bit code and paragraphs only SS matters. */
static bool load_changes_mode(uint32_t mode, unsigned seg)
{
    return seg == X86_SS ||
           ((mode & EMU_MODE_PROT) && !(mode & (EMU_MODE_VM86 | EMU_MODE_CS64)));
}

/* Every form has two handlers: one goes on, the other ends the block. */
static void load_register(EmuCpu *cpu, const EmuOp *op)
{
    emu_load_segment(cpu, op->r[0], *emu_r16(cpu, op->r[1]));
}

static void load_memory(EmuCpu *cpu, const EmuOp *op)
{
    emu_load_segment(cpu, op->r[0], emu_read_u16(cpu, emu_operand(cpu, op, 2, EMU_READ)));
}

/* Of a slot of four bytes only two are read, as with PUSH. */
static void pop_segment(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t sp = emu_stack_pointer(cpu);
    EmuPops pops = { .sp = sp, .size = op->size == 4 ? 2 : op->size };
    uint16_t selector = emu_pop_word(cpu, &pops);

    pops.sp = sp + op->size;
    emu_load_segment(cpu, op->r[0], selector);
    if (cpu->mode & EMU_MODE_CS64) {
        cpu->regs[X86_RSP] = pops.sp;
    } else if (cpu->mode & EMU_MODE_SS32) {
        cpu->regs[X86_RSP] = (uint32_t)pops.sp;
    } else {
        *emu_r16(cpu, X86_RSP) = pops.sp;
    }
}

/* LDS, LES, LFS, LGS, LSS: r[0] is the general register, imm2 the segment register. */
static void load_pointer(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t linear = emu_operand(cpu, op, op->size, EMU_READ);
    uint64_t offset = op->size == 2   ? emu_read_u16(cpu, linear)
                      : op->size == 4 ? emu_read_u32(cpu, linear)
                                      : emu_read_u64(cpu, linear);
    uint64_t behind = (emu_effective(cpu, op) + op->size) << op->addr_shift >> op->addr_shift;

    linear = emu_linear(cpu, op->seg, behind, 2, EMU_READ);
    emu_load_segment(cpu, op->imm2, emu_read_u16(cpu, linear));
    emu_set_reg(cpu, op->r[0], op->size, offset);
}

#define DEFINE_LOAD(name) \
    static void op_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        name(cpu, op); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_##name##_ends(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t next = emu_next_rip(cpu, op); \
        name(cpu, op); \
        emu_update_mode(cpu); \
        cpu->rip = next; \
    } \
    static void op_##name##_stack(EmuCpu *cpu, const EmuOp *op) \
    { \
        op_##name##_ends(cpu, op); \
        cpu->shadow |= EMU_SHADOW_MOV_SS; \
    }

DEFINE_LOAD(load_register)
DEFINE_LOAD(load_memory)
DEFINE_LOAD(pop_segment)

static void op_load_pointer(EmuCpu *cpu, const EmuOp *op)
{
    load_pointer(cpu, op);
    EMU_NEXT(cpu, op);
}

static void op_load_pointer_ends(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t next = emu_next_rip(cpu, op);

    load_pointer(cpu, op);
    emu_update_mode(cpu);
    cpu->rip = next;
}

static void op_store_register(EmuCpu *cpu, const EmuOp *op)
{
    emu_set_reg(cpu, op->r[0], op->size, cpu->segs[op->r[1]].selector);
    EMU_NEXT(cpu, op);
}

static void op_store_memory(EmuCpu *cpu, const EmuOp *op)
{
    emu_write_u16(cpu, emu_operand(cpu, op, 2, EMU_WRITE), cpu->segs[op->r[0]].selector);
    EMU_NEXT(cpu, op);
}

/* Of a slot of four bytes only two are written, as Intel's processors have it since long ago. */
static void op_push_segment(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t sp = cpu->regs[X86_RSP] - op->size, linear;
    uint16_t selector = cpu->segs[op->r[0]].selector;

    if (!(cpu->mode & EMU_MODE_CS64)) {
        sp = cpu->mode & EMU_MODE_SS32 ? (uint32_t)sp : (uint16_t)sp;
    } else if (!emu_is_canonical(cpu, sp)) {
        emu_raise(cpu, X86_SS_FAULT, 0);
    }
    linear = emu_linear(cpu, X86_SS, sp, op->size, EMU_WRITE);
    if (op->size == 8) {
        emu_write_u64(cpu, linear, selector);
    } else {
        emu_write_u16(cpu, linear, selector);
    }
    if (cpu->mode & (EMU_MODE_CS64 | EMU_MODE_SS32)) {
        cpu->regs[X86_RSP] = sp;
    } else {
        *emu_r16(cpu, X86_RSP) = sp;
    }
    EMU_NEXT(cpu, op);
}

typedef struct LoadForms {
    EmuOpFn *next, *ends, *stack;
} LoadForms;

static EmuOpFn *choose_load(const EmuDecoded *decoded, EmuOp *op, unsigned seg,
                            const LoadForms *forms)
{
    if (!load_changes_mode(decoded->mode, seg)) {
        return forms->next;
    }
    op->flags |= EMU_OP_ENDS;
    return seg == X86_SS ? forms->stack : forms->ends;
}

static bool is_segment(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

static EmuOpFn *bind_mov(const EmuDecoded *decoded, EmuOp *op)
{
    static const LoadForms from_register = {
        op_load_register, op_load_register_ends, op_load_register_stack,
    };
    static const LoadForms from_memory = {
        op_load_memory, op_load_memory_ends, op_load_memory_stack,
    };

    if (op->flags & EMU_OP_LOCK) {
        return NULL;
    }
    if (is_segment(&decoded->operands[1])) {
        op->size = decoded->insn.operand_width / 8;
        return op->flags & EMU_OP_MEM ? op_store_memory : op_store_register;
    }
    if (!is_segment(&decoded->operands[0]) || op->r[0] == X86_CS) {
        return NULL;
    }
    return choose_load(decoded, op, op->r[0],
                       op->flags & EMU_OP_MEM ? &from_memory : &from_register);
}

static EmuOpFn *bind_push(const EmuDecoded *decoded, EmuOp *op)
{
    if (!is_segment(&decoded->operands[0])) {
        return NULL;
    }
    op->size = decoded->insn.operand_width / 8;
    return op_push_segment;
}

static EmuOpFn *bind_pop(const EmuDecoded *decoded, EmuOp *op)
{
    static const LoadForms forms = { op_pop_segment, op_pop_segment_ends, op_pop_segment_stack };

    if (!is_segment(&decoded->operands[0])) {
        return NULL;
    }
    op->size = decoded->insn.operand_width / 8;
    return choose_load(decoded, op, op->r[0], &forms);
}

static EmuOpFn *bind_pointer(const EmuDecoded *decoded, EmuOp *op)
{
    static const LoadForms forms = {
        op_load_pointer, op_load_pointer_ends, op_load_pointer_ends,
    };
    static const struct {
        uint16_t mnemonic, seg;
    } segments[] = {
        { ZYDIS_MNEMONIC_LDS, X86_DS }, { ZYDIS_MNEMONIC_LES, X86_ES },
        { ZYDIS_MNEMONIC_LFS, X86_FS }, { ZYDIS_MNEMONIC_LGS, X86_GS },
        { ZYDIS_MNEMONIC_LSS, X86_SS },
    };

    op->size = decoded->insn.operand_width / 8;
    if (op->size == 8 && !emu_vendor(decoded->cpu)->far_pointers64) {
        op->size = 4;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(segments); i++) {
        if (segments[i].mnemonic == decoded->insn.mnemonic) {
            op->imm2 = segments[i].seg;
        }
    }
    return choose_load(decoded, op, op->imm2, &forms);
}

/* ---- FS, GS bases ---- */

static void op_swapgs(EmuCpu *cpu, const EmuOp *op)
{
    EmuMsrs *msrs = emu_msrs(cpu);
    uint64_t base = cpu->segs[X86_GS].base;

    if (emu_cpl(cpu) != 0) {
        emu_raise(cpu, X86_GP, 0);
    }
    cpu->segs[X86_GS].base = msrs->kernel_gs_base;
    msrs->kernel_gs_base = base;
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_swapgs(const EmuDecoded *decoded, EmuOp *op)
{
    return decoded->mode & EMU_MODE_CS64 ? op_swapgs : NULL;
}

static void op_read_base(EmuCpu *cpu, const EmuOp *op)
{
    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        emu_raise_plain(cpu, X86_UD);
    }
    emu_set_reg(cpu, op->r[0], op->size, cpu->segs[op->imm2].base);
    EMU_NEXT(cpu, op);
}

static void op_write_base(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t base = cpu->regs[op->r[0]];

    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        emu_raise_plain(cpu, X86_UD);
    }
    if (op->size == 4) {
        base = (uint32_t)base;
    } else if (!emu_is_canonical(cpu, base)) {
        emu_raise(cpu, X86_GP, 0);
    }
    cpu->segs[op->imm2].base = base;
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_base(const EmuDecoded *decoded, EmuOp *op)
{
    unsigned mnemonic = decoded->insn.mnemonic;
    bool is_read = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_RDGSBASE;
    bool is_fs = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_WRFSBASE;

    if (!(decoded->mode & EMU_MODE_CS64) || !emu_has(decoded->cpu, X86_FEAT_7_0_EBX, 0)) {
        return NULL;
    }
    op->size = decoded->insn.operand_width == 64 ? 8 : 4;
    op->imm2 = is_fs ? X86_FS : X86_GS;
    return is_read ? op_read_base : op_write_base;
}

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

static uint16_t selector_operand(EmuCpu *cpu, const EmuOp *op, unsigned r)
{
    return op->flags & EMU_OP_MEM ? emu_read_u16(cpu, emu_operand(cpu, op, 2, EMU_READ))
                                  : *emu_r16(cpu, op->r[r]);
}

static void set_zf(EmuCpu *cpu, bool zf)
{
    emu_flags_set(cpu, (emu_flags_get(cpu) & ~(uint32_t)FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

/* Is the descriptor visible at CPL and RPL? Conforming code always is. */
static bool is_visible(const EmuCpu *cpu, uint16_t selector, const EmuDescriptor *descriptor)
{
    unsigned dpl = emu_dpl(descriptor);

    return (emu_is_code(descriptor) && emu_is_conforming(descriptor)) ||
           (emu_cpl(cpu) <= dpl && (selector & 3u) <= dpl);
}

/* Bit n: system type n has access rights (LAR) or a limit (LSL) to show. */
static bool type_is_in(const EmuDescriptor *descriptor, unsigned system_types)
{
    return (descriptor->attr & SEG_S) || (system_types >> (descriptor->attr & 15) & 1);
}

static void op_lar(EmuCpu *cpu, const EmuOp *op)
{
    const unsigned legacy = 0x1a3e, in_long = 0x1a04;
    uint16_t selector = selector_operand(cpu, op, 1);
    EmuDescriptor descriptor;
    bool ok = emu_try_descriptor(cpu, selector, &descriptor) &&
              type_is_in(&descriptor, emu_in_long_mode(cpu) ? in_long : legacy) &&
              is_visible(cpu, selector, &descriptor);

    if (ok) {
        emu_set_reg(cpu, op->r[0], op->size, descriptor.raw >> 32 & 0xffff00);
    }
    set_zf(cpu, ok);
    EMU_NEXT(cpu, op);
}

static void op_lsl(EmuCpu *cpu, const EmuOp *op)
{
    const unsigned legacy = 0x0a0e, in_long = 0x0a04;
    uint16_t selector = selector_operand(cpu, op, 1);
    EmuDescriptor descriptor;
    bool ok = emu_try_descriptor(cpu, selector, &descriptor) &&
              type_is_in(&descriptor, emu_in_long_mode(cpu) ? in_long : legacy) &&
              is_visible(cpu, selector, &descriptor);

    if (ok) {
        emu_set_reg(cpu, op->r[0], op->size, descriptor.limit);
    }
    set_zf(cpu, ok);
    EMU_NEXT(cpu, op);
}

static void op_verr(EmuCpu *cpu, const EmuOp *op)
{
    uint16_t selector = selector_operand(cpu, op, 0);
    EmuDescriptor descriptor;
    bool ok = emu_try_descriptor(cpu, selector, &descriptor) && (descriptor.attr & SEG_S) &&
              (descriptor.attr & (SEG_CODE | SEG_READABLE_CODE)) != SEG_CODE &&
              is_visible(cpu, selector, &descriptor);

    set_zf(cpu, ok);
    EMU_NEXT(cpu, op);
}

static void op_verw(EmuCpu *cpu, const EmuOp *op)
{
    uint16_t selector = selector_operand(cpu, op, 0);
    EmuDescriptor descriptor;
    bool ok = emu_try_descriptor(cpu, selector, &descriptor) &&
              emu_is_writable_data(&descriptor) && is_visible(cpu, selector, &descriptor);

    set_zf(cpu, ok);
    EMU_NEXT(cpu, op);
}

/* The destination is r[0] or memory, the source the last register. */
static void op_arpl(EmuCpu *cpu, const EmuOp *op)
{
    bool memory = op->flags & EMU_OP_MEM;
    unsigned source = *emu_r16(cpu, op->r[memory ? 0 : 1]) & 3;
    /* A read as far as faults tell: it is not always written. */
    uint16_t value = memory ? emu_read_u16(cpu, emu_operand(cpu, op, 2, EMU_READ))
                            : *emu_r16(cpu, op->r[0]);
    bool adjust = (value & 3u) < source;

    if (adjust) {
        value = (value & ~3u) | source;
        if (memory) {
            emu_write_u16(cpu, emu_operand(cpu, op, 2, EMU_WRITE), value);
        } else {
            *emu_r16(cpu, op->r[0]) = value;
        }
    }
    set_zf(cpu, adjust);
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_inspect(const EmuDecoded *decoded, EmuOp *op)
{
    if ((decoded->mode & (EMU_MODE_PROT | EMU_MODE_VM86)) != EMU_MODE_PROT ||
        (op->flags & EMU_OP_LOCK)) {
        return NULL;
    }
    op->size = decoded->insn.operand_width / 8;
    switch (decoded->insn.mnemonic) {
    case ZYDIS_MNEMONIC_LAR:
        return op_lar;
    case ZYDIS_MNEMONIC_LSL:
        return op_lsl;
    case ZYDIS_MNEMONIC_VERR:
        return op_verr;
    case ZYDIS_MNEMONIC_VERW:
        return op_verw;
    default:
        return decoded->mode & EMU_MODE_CS64 ? NULL : op_arpl;
    }
}

/* ---- Descriptor tables ---- */

static void need_cpl0(EmuCpu *cpu)
{
    if (emu_cpl(cpu) != 0) {
        emu_raise(cpu, X86_GP, 0);
    }
}

static void need_no_umip(EmuCpu *cpu)
{
    if ((cpu->cr4 & CR4_UMIP) && emu_cpl(cpu) != 0) {
        emu_raise(cpu, X86_GP, 0);
    }
}

static void load_table(EmuCpu *cpu, const EmuOp *op, X86Table *table)
{
    unsigned base_size = cpu->mode & EMU_MODE_CS64 ? 8 : 4;
    uint64_t linear, base;
    uint16_t limit;

    need_cpl0(cpu);
    linear = emu_operand(cpu, op, base_size + 2, EMU_READ);
    limit = emu_read_u16(cpu, linear);
    base = base_size == 8 ? emu_read_u64(cpu, linear + 2) : emu_read_u32(cpu, linear + 2);
    if (base_size == 4 && op->size == 2) {
        base &= 0xffffff;
    }
    if (!emu_is_canonical(cpu, base)) {
        emu_raise(cpu, X86_GP, 0);
    }
    table->base = base;
    table->limit = limit;
}

static void op_lgdt(EmuCpu *cpu, const EmuOp *op)
{
    load_table(cpu, op, &cpu->gdt);
    EMU_NEXT(cpu, op);
}

static void op_lidt(EmuCpu *cpu, const EmuOp *op)
{
    load_table(cpu, op, &cpu->idt);
    EMU_NEXT(cpu, op);
}

static void store_table(EmuCpu *cpu, const EmuOp *op, const X86Table *table)
{
    unsigned base_size = cpu->mode & EMU_MODE_CS64 ? 8 : 4;
    uint8_t image[10];

    need_no_umip(cpu);
    emu_host_store_u16(image, table->limit);
    emu_host_store_u64(image + 2, table->base);
    emu_write_bytes(cpu, emu_operand(cpu, op, base_size + 2, EMU_WRITE), image, base_size + 2);
}

static void op_sgdt(EmuCpu *cpu, const EmuOp *op)
{
    store_table(cpu, op, &cpu->gdt);
    EMU_NEXT(cpu, op);
}

static void op_sidt(EmuCpu *cpu, const EmuOp *op)
{
    store_table(cpu, op, &cpu->idt);
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_table(const EmuDecoded *decoded, EmuOp *op)
{
    if (!(op->flags & EMU_OP_MEM)) {
        return NULL;
    }
    op->size = decoded->insn.operand_width / 8;
    switch (decoded->insn.mnemonic) {
    case ZYDIS_MNEMONIC_LGDT:
        return op_lgdt;
    case ZYDIS_MNEMONIC_LIDT:
        return op_lidt;
    case ZYDIS_MNEMONIC_SGDT:
        return op_sgdt;
    default:
        return op_sidt;
    }
}

/* ---- LLDT, LTR, SLDT, STR ---- */

static void op_lldt(EmuCpu *cpu, const EmuOp *op)
{
    need_cpl0(cpu);
    emu_load_ldtr(cpu, selector_operand(cpu, op, 0), X86_GP, X86_NP);
    EMU_NEXT(cpu, op);
}

static void op_ltr(EmuCpu *cpu, const EmuOp *op)
{
    EmuDescriptor tss;
    uint16_t selector;

    need_cpl0(cpu);
    selector = selector_operand(cpu, op, 0);
    if (emu_is_null(selector)) {
        emu_raise(cpu, X86_GP, 0);
    }
    if (selector & 4) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    emu_read_descriptor(cpu, selector, X86_GP, &tss);
    if (emu_type(&tss) != TYPE_TSS32 &&
        (emu_type(&tss) != TYPE_TSS16 || emu_in_long_mode(cpu))) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    if (!(tss.attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, selector);
    }
    if (emu_in_long_mode(cpu) && !emu_is_canonical(cpu, tss.base)) {
        emu_raise_selector(cpu, X86_GP, selector);
    }
    emu_update_access_byte(cpu, &tss, TYPE_BUSY, 0);
    emu_set_segment(cpu, X86_TR, selector, &tss);
    EMU_NEXT(cpu, op);
}

static void store_selector(EmuCpu *cpu, const EmuOp *op, unsigned seg)
{
    uint16_t selector = cpu->segs[seg].selector;

    need_no_umip(cpu);
    if (op->flags & EMU_OP_MEM) {
        emu_write_u16(cpu, emu_operand(cpu, op, 2, EMU_WRITE), selector);
    } else {
        emu_set_reg(cpu, op->r[0], op->size, selector);
    }
}

static void op_sldt(EmuCpu *cpu, const EmuOp *op)
{
    store_selector(cpu, op, X86_LDTR);
    EMU_NEXT(cpu, op);
}

static void op_str(EmuCpu *cpu, const EmuOp *op)
{
    store_selector(cpu, op, X86_TR);
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_system_segment(const EmuDecoded *decoded, EmuOp *op)
{
    if ((decoded->mode & (EMU_MODE_PROT | EMU_MODE_VM86)) != EMU_MODE_PROT ||
        (op->flags & EMU_OP_LOCK)) {
        return NULL;
    }
    op->size = decoded->insn.operand_width / 8;
    switch (decoded->insn.mnemonic) {
    case ZYDIS_MNEMONIC_LLDT:
        return op_lldt;
    case ZYDIS_MNEMONIC_LTR:
        return op_ltr;
    case ZYDIS_MNEMONIC_SLDT:
        return op_sldt;
    default:
        return op_str;
    }
}

static const EmuInsn rows[] = {
    { ZYDIS_MNEMONIC_MOV, EMU_UNIT_INTEGER, bind_mov, NULL },
    { ZYDIS_MNEMONIC_PUSH, EMU_UNIT_INTEGER, bind_push, NULL },
    { ZYDIS_MNEMONIC_POP, EMU_UNIT_INTEGER, bind_pop, NULL },
    { ZYDIS_MNEMONIC_LDS, EMU_UNIT_INTEGER, bind_pointer, NULL },
    { ZYDIS_MNEMONIC_LES, EMU_UNIT_INTEGER, bind_pointer, NULL },
    { ZYDIS_MNEMONIC_LFS, EMU_UNIT_INTEGER, bind_pointer, NULL },
    { ZYDIS_MNEMONIC_LGS, EMU_UNIT_INTEGER, bind_pointer, NULL },
    { ZYDIS_MNEMONIC_LSS, EMU_UNIT_INTEGER, bind_pointer, NULL },
    { ZYDIS_MNEMONIC_SWAPGS, EMU_UNIT_INTEGER, bind_swapgs, NULL },
    { ZYDIS_MNEMONIC_RDFSBASE, EMU_UNIT_INTEGER, bind_base, NULL },
    { ZYDIS_MNEMONIC_RDGSBASE, EMU_UNIT_INTEGER, bind_base, NULL },
    { ZYDIS_MNEMONIC_WRFSBASE, EMU_UNIT_INTEGER, bind_base, NULL },
    { ZYDIS_MNEMONIC_WRGSBASE, EMU_UNIT_INTEGER, bind_base, NULL },
    { ZYDIS_MNEMONIC_LAR, EMU_UNIT_INTEGER, bind_inspect, NULL },
    { ZYDIS_MNEMONIC_LSL, EMU_UNIT_INTEGER, bind_inspect, NULL },
    { ZYDIS_MNEMONIC_VERR, EMU_UNIT_INTEGER, bind_inspect, NULL },
    { ZYDIS_MNEMONIC_VERW, EMU_UNIT_INTEGER, bind_inspect, NULL },
    { ZYDIS_MNEMONIC_ARPL, EMU_UNIT_INTEGER, bind_inspect, NULL },
    { ZYDIS_MNEMONIC_LGDT, EMU_UNIT_INTEGER, bind_table, NULL },
    { ZYDIS_MNEMONIC_LIDT, EMU_UNIT_INTEGER, bind_table, NULL },
    { ZYDIS_MNEMONIC_SGDT, EMU_UNIT_INTEGER, bind_table, NULL },
    { ZYDIS_MNEMONIC_SIDT, EMU_UNIT_INTEGER, bind_table, NULL },
    { ZYDIS_MNEMONIC_LLDT, EMU_UNIT_INTEGER, bind_system_segment, NULL },
    { ZYDIS_MNEMONIC_LTR, EMU_UNIT_INTEGER, bind_system_segment, NULL },
    { ZYDIS_MNEMONIC_SLDT, EMU_UNIT_INTEGER, bind_system_segment, NULL },
    { ZYDIS_MNEMONIC_STR, EMU_UNIT_INTEGER, bind_system_segment, NULL },
};

const EmuInsnTable emu_insns_segment = { .rows = rows, .count = G_N_ELEMENTS(rows) };
