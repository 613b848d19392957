/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that configure or ask the processor, and those that mean nothing to it. */
#include <sched.h>
#include <sys/random.h>

#include "accel/emu/decode.h"
#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/mem.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/x87.h"

/* So many PAUSEs in a row without letting the host run somebody else. */
#define PAUSES_PER_YIELD 64

static G_NORETURN void general_protection(EmuCpu *cpu)
{
    emu_raise(cpu, X86_GP, 0);
}

static void require_cpl0(EmuCpu *cpu)
{
    if (emu_cpl(cpu)) {
        general_protection(cpu);
    }
}

static void set_pair(EmuCpu *cpu, uint64_t value)
{
    cpu->regs[X86_RAX] = (uint32_t)value;
    cpu->regs[X86_RDX] = value >> 32;
}

static uint64_t get_pair(const EmuCpu *cpu)
{
    return (uint32_t)cpu->regs[X86_RAX] | cpu->regs[X86_RDX] << 32;
}

/* ---- Control registers ---- */

static void op_mov_from_cr(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t value;

    require_cpl0(cpu);
    switch (op->r[1]) {
    case 0:
        value = cpu->cr0;
        break;
    case 2:
        value = cpu->cr2;
        break;
    case 3:
        value = cpu->cr3;
        break;
    case 4:
        value = cpu->cr4;
        break;
    default:
        value = emu_read_cr8(cpu);
        break;
    }
    emu_set_reg(cpu, op->r[0], op->size, value);
    EMU_NEXT(cpu, op);
}

static void op_mov_to_cr(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t value = op->size == 8 ? cpu->regs[op->r[1]] : (uint32_t)cpu->regs[op->r[1]];
    uint64_t next = emu_next_rip(cpu, op);

    require_cpl0(cpu);
    switch (op->r[0]) {
    case 0:
        emu_write_cr0(cpu, value);
        break;
    case 2:
        cpu->cr2 = value;
        break;
    case 3:
        emu_write_cr3(cpu, value);
        break;
    case 4:
        emu_write_cr4(cpu, value);
        break;
    default:
        emu_write_cr8(cpu, value);
        break;
    }
    cpu->rip = next;
}

static void op_clts(EmuCpu *cpu, const EmuOp *op)
{
    require_cpl0(cpu);
    cpu->cr0 &= ~(uint64_t)CR0_TS;
    emu_update_mode(cpu);
    EMU_END(cpu, op);
}

/* PE can be set, not cleared. */
static void load_msw(EmuCpu *cpu, uint16_t value)
{
    const uint64_t mask = CR0_PE | CR0_MP | CR0_EM | CR0_TS;

    emu_write_cr0(cpu, (cpu->cr0 & ~mask) | (value & mask) | (cpu->cr0 & CR0_PE));
}

static void op_lmsw(EmuCpu *cpu, const EmuOp *op)
{
    require_cpl0(cpu);
    load_msw(cpu, op->flags & EMU_OP_MEM ? emu_read_u16(cpu, emu_operand(cpu, op, 2, EMU_READ))
                                         : (uint16_t)cpu->regs[op->r[0]]);
    EMU_END(cpu, op);
}

static void op_smsw(EmuCpu *cpu, const EmuOp *op)
{
    if ((cpu->cr4 & CR4_UMIP) && emu_cpl(cpu)) {
        general_protection(cpu);
    }
    if (op->flags & EMU_OP_MEM) {
        emu_write_u16(cpu, emu_operand(cpu, op, 2, EMU_WRITE), (uint16_t)cpu->cr0);
    } else {
        emu_set_reg(cpu, op->r[0], op->size, cpu->cr0);
    }
    EMU_NEXT(cpu, op);
}

/* ---- Debug registers ---- */

static void check_dr(EmuCpu *cpu, unsigned n)
{
    if ((cpu->cr4 & CR4_DE) && (n == 4 || n == 5)) {
        emu_raise_plain(cpu, X86_UD);
    }
    require_cpl0(cpu);
    if (cpu->dr[7] & DR7_GD) {
        emu_debug_general_detect(cpu);
    }
}

static void op_mov_from_dr(EmuCpu *cpu, const EmuOp *op)
{
    unsigned n = op->r[1];

    check_dr(cpu, n);
    emu_set_reg(cpu, op->r[0], op->size, cpu->dr[n >= 4 ? n | 2 : n]);
    EMU_NEXT(cpu, op);
}

static void op_mov_to_dr(EmuCpu *cpu, const EmuOp *op)
{
    check_dr(cpu, op->r[0]);
    emu_write_dr(cpu, op->r[0],
                 op->size == 8 ? cpu->regs[op->r[1]] : (uint32_t)cpu->regs[op->r[1]]);
    EMU_END(cpu, op);
}

/* ---- MSRs, CPUID, counters ---- */

static void op_cpuid(EmuCpu *cpu, const EmuOp *op)
{
    uint32_t out[4];

    emu_cpuid(cpu, (uint32_t)cpu->regs[X86_RAX], (uint32_t)cpu->regs[X86_RCX], out);
    cpu->regs[X86_RAX] = out[0];
    cpu->regs[X86_RBX] = out[1];
    cpu->regs[X86_RCX] = out[2];
    cpu->regs[X86_RDX] = out[3];
    EMU_NEXT(cpu, op);
}

static void op_rdmsr(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t value = 0;

    require_cpl0(cpu);
    if (!emu_read_msr(cpu, (uint32_t)cpu->regs[X86_RCX], &value)) {
        general_protection(cpu);
    }
    set_pair(cpu, value);
    EMU_NEXT(cpu, op);
}

static void op_wrmsr(EmuCpu *cpu, const EmuOp *op)
{
    require_cpl0(cpu);
    if (!emu_write_msr(cpu, (uint32_t)cpu->regs[X86_RCX], get_pair(cpu))) {
        general_protection(cpu);
    }
    EMU_END(cpu, op);
}

static void check_tsc(EmuCpu *cpu)
{
    if ((cpu->cr4 & CR4_TSD) && emu_cpl(cpu)) {
        general_protection(cpu);
    }
}

static void op_rdtsc(EmuCpu *cpu, const EmuOp *op)
{
    check_tsc(cpu);
    set_pair(cpu, emu_read_tsc(cpu));
    EMU_NEXT(cpu, op);
}

static void op_rdtscp(EmuCpu *cpu, const EmuOp *op)
{
    check_tsc(cpu);
    set_pair(cpu, emu_read_tsc(cpu));
    cpu->regs[X86_RCX] = (uint32_t)emu_msrs(cpu)->tsc_aux;
    EMU_NEXT(cpu, op);
}

static void op_rdpid(EmuCpu *cpu, const EmuOp *op)
{
    cpu->regs[op->r[0]] = emu_msrs(cpu)->tsc_aux;
    EMU_NEXT(cpu, op);
}

/* There are no counters. */
static void op_rdpmc(EmuCpu *cpu, const EmuOp *op)
{
    general_protection(cpu);
}

/* ---- XCR0 ---- */

static void op_xgetbv(EmuCpu *cpu, const EmuOp *op)
{
    uint32_t index = (uint32_t)cpu->regs[X86_RCX];

    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        emu_raise_plain(cpu, X86_UD);
    }
    if (index == 1 && emu_sys_has(cpu->sys, F_XGETBV1)) {
        set_pair(cpu, cpu->xcr0 & emu_xinuse(cpu));
    } else if (index == 0) {
        set_pair(cpu, cpu->xcr0);
    } else {
        general_protection(cpu);
    }
    EMU_NEXT(cpu, op);
}

static void op_xsetbv(EmuCpu *cpu, const EmuOp *op)
{
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        emu_raise_plain(cpu, X86_UD);
    }
    require_cpl0(cpu);
    if ((uint32_t)cpu->regs[X86_RCX] || !emu_write_xcr0(cpu, get_pair(cpu))) {
        general_protection(cpu);
    }
    EMU_END(cpu, op);
}

/* ---- Caches and TLB ---- */

static void op_invlpg(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t linear = emu_effective(cpu, op);

    require_cpl0(cpu);
    if (!(cpu->mode & EMU_MODE_CS64)) {
        linear = (uint32_t)(linear + cpu->segs[op->seg].base);
    } else if (op->seg >= X86_FS) {
        linear += cpu->segs[op->seg].base;
    }
    if (emu_is_canonical(cpu, linear)) {
        emu_tlb_flush_page(cpu, linear);
    }
    EMU_END(cpu, op);
}

static void op_invpcid(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t type = cpu->mode & EMU_MODE_CS64 ? cpu->regs[op->r[0]]
                                              : (uint32_t)cpu->regs[op->r[0]];
    uint64_t descriptor[2], pcid;

    require_cpl0(cpu);
    emu_read_bytes(cpu, emu_operand(cpu, op, 16, EMU_READ), descriptor, sizeof(descriptor));
    pcid = descriptor[0];
    if (type > 3 || pcid >> 12 || (type < 2 && pcid && !(cpu->cr4 & CR4_PCIDE)) ||
        (type == 0 && !emu_is_canonical(cpu, descriptor[1]))) {
        general_protection(cpu);
    }
    emu_tlb_invpcid(cpu, (unsigned)type, (unsigned)pcid, descriptor[1]);
    EMU_END(cpu, op);
}

static void op_wbinvd(EmuCpu *cpu, const EmuOp *op)
{
    require_cpl0(cpu);
    EMU_NEXT(cpu, op);
}

/* Of a cache line: faults as a load of a byte does. */
static void op_clflush(EmuCpu *cpu, const EmuOp *op)
{
    /* A read for pages; but code that cannot be read may be flushed. */
    emu_probe_read(cpu, emu_operand(cpu, op, 1, EMU_EXEC), 1);
    EMU_NEXT(cpu, op);
}

/* ---- Flags and waiting ---- */

typedef enum FlagRight { MAY_IF, MAY_VIF, MAY_NOT } FlagRight;

/* Which of IF and VIF do CLI and STI change? (SDM vol. 2, tables of both) */
static FlagRight flag_right(const EmuCpu *cpu)
{
    unsigned iopl = cpu->rflags >> 12 & 3, cpl = emu_cpl(cpu);

    if (!(cpu->mode & EMU_MODE_PROT)) {
        return MAY_IF;
    }
    if (cpu->mode & EMU_MODE_VM86) {
        return iopl == 3 ? MAY_IF : cpu->cr4 & CR4_VME ? MAY_VIF : MAY_NOT;
    }
    if (cpl <= iopl) {
        return MAY_IF;
    }
    return cpl == 3 && (cpu->cr4 & CR4_PVI) ? MAY_VIF : MAY_NOT;
}

static void op_cli(EmuCpu *cpu, const EmuOp *op)
{
    switch (flag_right(cpu)) {
    case MAY_IF:
        cpu->rflags &= ~(uint64_t)FLAG_IF;
        break;
    case MAY_VIF:
        cpu->rflags &= ~(uint64_t)FLAG_VIF;
        break;
    default:
        general_protection(cpu);
    }
    EMU_NEXT(cpu, op);
}

static void op_sti(EmuCpu *cpu, const EmuOp *op)
{
    FlagRight right = flag_right(cpu);

    if (right == MAY_NOT || (right == MAY_VIF && (cpu->rflags & FLAG_VIP))) {
        general_protection(cpu);
    }
    if (right == MAY_VIF) {
        cpu->rflags |= FLAG_VIF;
    } else if (!(cpu->rflags & FLAG_IF)) {
        cpu->rflags |= FLAG_IF;
        /* The next instruction is protected: by being in the same block, or else by a shadow. */
        if (emu_irq_lines(cpu) || op[1].fn == emu_op_stop) {
            cpu->shadow |= EMU_SHADOW_STI;
            emu_check_lines(cpu);
            EMU_END(cpu, op);
        }
    }
    EMU_NEXT(cpu, op);
}

static void op_hlt(EmuCpu *cpu, const EmuOp *op)
{
    require_cpl0(cpu);
    cpu->rip = emu_next_rip(cpu, op);
    cpu->shadow = 0; /* of an STI before it in the same translated block */
    emu_set_halted(cpu, true);
}

static void op_clac(EmuCpu *cpu, const EmuOp *op)
{
    if (emu_cpl(cpu)) {
        emu_raise_plain(cpu, X86_UD);
    }
    emu_write_rflags(cpu, 0, FLAG_AC);
    EMU_END(cpu, op);
}

static void op_stac(EmuCpu *cpu, const EmuOp *op)
{
    if (emu_cpl(cpu)) {
        emu_raise_plain(cpu, X86_UD);
    }
    emu_write_rflags(cpu, FLAG_AC, FLAG_AC);
    EMU_END(cpu, op);
}

static void op_nop(EmuCpu *cpu, const EmuOp *op)
{
    EMU_NEXT(cpu, op);
}

/* A guest that spins may wait for a vCPU whose thread waits for this host processor. */
static void op_pause(EmuCpu *cpu, const EmuOp *op)
{
    if (EMU_UNLIKELY(++cpu->sys->pauses >= PAUSES_PER_YIELD)) {
        cpu->sys->pauses = 0;
        if (cpu->in_guest) {
            emu_guest_leave(cpu);
            sched_yield();
            emu_guest_enter(cpu);
        }
    }
    EMU_END(cpu, op);
}

static void op_fence(EmuCpu *cpu, const EmuOp *op)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    EMU_NEXT(cpu, op);
}

static void op_serialize(EmuCpu *cpu, const EmuOp *op)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    EMU_END(cpu, op);
}

/* ---- Random numbers ---- */

static uint64_t next_random(EmuCpu *cpu, bool *ok)
{
    EmuSystem *sys = cpu->sys;

    *ok = true;
    if (!sys->random_left) {
        *ok = getrandom(sys->random, sizeof(sys->random), 0) == sizeof(sys->random);
        sys->random_left = *ok ? EMU_RANDOM_WORDS : 1;
    }
    return sys->random[--sys->random_left];
}

static void op_rdrand(EmuCpu *cpu, const EmuOp *op)
{
    bool ok;
    uint64_t value = next_random(cpu, &ok);

    emu_set_reg(cpu, op->r[0], op->size, ok ? value : 0);
    emu_flags_set(cpu, ok ? FLAG_CF : 0);
    EMU_NEXT(cpu, op);
}

/* ---- Choosing ---- */

/* Data of a row: a handler and what it takes. */
typedef struct SystemRow {
    EmuOpFn *fn;
    uint16_t needs;  /* X86FeatureId; 0: nothing */
    bool ends;
} SystemRow;

static EmuOpFn *bind_plain(const EmuDecoded *decoded, EmuOp *op)
{
    const SystemRow *row = decoded->row->data;

    if (!emu_sys_has(decoded->cpu->sys, (X86FeatureId)row->needs)) {
        return NULL;
    }
    op->flags |= row->ends ? EMU_OP_ENDS : 0;
    return row->fn;
}

/* Either feature brings the instruction. */
static EmuOpFn *bind_rdtscp(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_sys_has(decoded->cpu->sys, F_RDTSCP) ? op_rdtscp : NULL;
}

/* MOV of a control or debug register; other forms are op-move.c's and op-segment.c's. */
static EmuOpFn *bind_mov(const EmuDecoded *decoded, EmuOp *op)
{
    const unsigned known_crs = BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(8);

    if (decoded->operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
        decoded->operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER) {
        return NULL;
    }
    op->size = decoded->mode & EMU_MODE_CS64 ? 8 : 4;
    for (unsigned i = 0; i < 2; i++) {
        switch (ZydisRegisterGetClass(decoded->operands[i].reg.value)) {
        case ZYDIS_REGCLASS_CONTROL:
            op->flags |= i == 0 ? EMU_OP_ENDS : 0;
            return !(known_crs & BIT(op->r[i])) ? emu_op_undefined : i == 0 ? op_mov_to_cr
                                                                            : op_mov_from_cr;
        case ZYDIS_REGCLASS_DEBUG:
            op->flags |= i == 0 ? EMU_OP_ENDS : 0;
            return op->r[i] > 7 ? emu_op_undefined : i == 0 ? op_mov_to_dr : op_mov_from_dr;
        default:
            break;
        }
    }
    op->size = decoded->insn.operand_width / 8;
    return NULL;
}

#define ROW(name, ...) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_INTEGER, bind_plain, &(const SystemRow) { __VA_ARGS__ } }
#define NOP(name) ROW(name, op_nop)

static const EmuInsn rows[] = {
    { ZYDIS_MNEMONIC_MOV, EMU_UNIT_INTEGER, bind_mov, NULL },
    ROW(CLTS, op_clts, .ends = true),
    ROW(LMSW, op_lmsw, .ends = true),
    ROW(SMSW, op_smsw),
    ROW(CPUID, op_cpuid),
    ROW(RDMSR, op_rdmsr, F_MSR),
    ROW(WRMSR, op_wrmsr, F_MSR, .ends = true),
    ROW(RDTSC, op_rdtsc, F_TSC),
    { ZYDIS_MNEMONIC_RDTSCP, EMU_UNIT_INTEGER, bind_rdtscp, NULL },
    ROW(RDPID, op_rdpid, F_RDPID),
    ROW(RDPMC, op_rdpmc),
    ROW(XGETBV, op_xgetbv, F_XSAVE),
    ROW(XSETBV, op_xsetbv, F_XSAVE, .ends = true),
    ROW(INVLPG, op_invlpg, .ends = true),
    ROW(INVPCID, op_invpcid, F_INVPCID, .ends = true),
    ROW(WBINVD, op_wbinvd),
    ROW(INVD, op_wbinvd),
    ROW(CLFLUSH, op_clflush, F_CLFLUSH),
    ROW(CLFLUSHOPT, op_clflush, F_CLFLUSHOPT),
    ROW(CLWB, op_clflush, F_CLWB),
    ROW(CLI, op_cli),
    ROW(STI, op_sti),
    ROW(HLT, op_hlt, .ends = true),
    ROW(CLAC, op_clac, F_SMAP, true),
    ROW(STAC, op_stac, F_SMAP, true),
    ROW(RSM, emu_op_rsm, .ends = true),
    ROW(RDRAND, op_rdrand, F_RDRAND),
    ROW(RDSEED, op_rdrand, F_RDSEED),
    ROW(PAUSE, op_pause, .ends = true),
    ROW(LFENCE, op_fence, F_SSE2),
    ROW(MFENCE, op_fence, F_SSE2),
    ROW(SFENCE, op_fence, F_SSE),
    ROW(SERIALIZE, op_serialize, F_SERIALIZE, true),
    NOP(NOP), NOP(ENDBR32), NOP(ENDBR64), NOP(RDSSPD), NOP(RDSSPQ), NOP(CLDEMOTE),
    NOP(PREFETCH), NOP(PREFETCHNTA), NOP(PREFETCHT0), NOP(PREFETCHT1), NOP(PREFETCHT2),
    NOP(PREFETCHW), NOP(PREFETCHWT1),
};

const EmuInsnTable emu_insns_system = { rows, G_N_ELEMENTS(rows) };
