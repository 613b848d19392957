/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of the vector groups, in every form that Zydis can encode, against the host's
 * processor: random operands and edge values, aligned and misaligned memory, page faults, pending
 * x87 exceptions. All registers, flags, memory and the fault must be equal. VEC_TEST=NAME runs one
 * mnemonic, VEC_ROUNDS=N sets how often each form runs, VEC_SEED=N what is random.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/emu/flags.h"
#include "accel/emu/tests/native.h"
#include "accel/emu/tests/random-float.h"
#include "accel/emu/vec.h"
#include "accel/emu/vendor.h"
#include "accel/emu/x87.h"
#include "cpu/x86/features.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* ---- The rest of the software CPU, as far as vectors need it ---- */

#define NO_INSNS(name) const EmuInsnTable emu_insns_##name = { .rows = NULL };
NO_INSNS(alu) NO_INSNS(move) NO_INSNS(shift) NO_INSNS(muldiv) NO_INSNS(bit) NO_INSNS(bmi)
NO_INSNS(bcd) NO_INSNS(string) NO_INSNS(stack) NO_INSNS(branch) NO_INSNS(atomic) NO_INSNS(far)
NO_INSNS(system) NO_INSNS(io) NO_INSNS(segment) NO_INSNS(x87) NO_INSNS(xsave)

const EmuVendor *emu_vendor(const EmuCpu *cpu)
{
    static const EmuVendor vendor = { .far_pointers64 = true };

    return &vendor;
}

bool emu_has(const EmuCpu *cpu, X86FeatureWord word, unsigned bit)
{
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;

    if (X86_FEATURE_ID(word, bit) == F_SHA_NI && cpu->dr[1]) {
        return true;
    }
    __get_cpuid_count(word == X86_FEAT_7_0_EBX || word == X86_FEAT_7_0_ECX ? 7 : 1, 0, &eax, &ebx,
                      &ecx, &edx);
    switch (word) {
    case X86_FEAT_1_EDX:
        return edx >> bit & 1;
    case X86_FEAT_1_ECX:
    case X86_FEAT_7_0_ECX:
        return ecx >> bit & 1;
    case X86_FEAT_7_0_EBX:
        return ebx >> bit & 1;
    default:
        return false;
    }
}

static G_NORETURN void raise_fault(EmuCpu *cpu, unsigned vector)
{
    cpu->fault = (EmuFault) { .vector = vector };
    siglongjmp(cpu->escape, 1);
}

void emu_raise(EmuCpu *cpu, unsigned vector, uint32_t error)
{
    raise_fault(cpu, vector);
}

void emu_raise_plain(EmuCpu *cpu, unsigned vector)
{
    raise_fault(cpu, vector);
}

void emu_x87_pending(EmuCpu *cpu)
{
    raise_fault(cpu, X86_MF);
}

uint64_t emu_segment_address(EmuCpu *cpu, unsigned seg, uint64_t offset, unsigned size,
                             EmuAccess access)
{
    g_assert_not_reached();
}

/* Two pages of memory, and a third that is not there; linear addresses are the host's. */
#define MEMORY_SIZE (2 * EMU_PAGE_SIZE)

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static void check_access(EmuCpu *cpu, uint64_t linear, unsigned len)
{
    uint64_t start = cpu->dr[0], end = start + MEMORY_SIZE;

    if (!is_canonical(linear) || !is_canonical(linear + len - 1)) {
        raise_fault(cpu, X86_GP);
    }
    if (linear < start || linear >= end || linear + len > end) {
        cpu->cr2 = linear < start || linear >= end ? linear : end;
        raise_fault(cpu, X86_PF);
    }
}

void emu_read_bytes_slow(EmuCpu *cpu, uint64_t linear, void *buf, unsigned len)
{
    check_access(cpu, linear, len);
    memcpy(buf, (const void *)linear, len);
}

void emu_write_bytes_slow(EmuCpu *cpu, uint64_t linear, const void *buf, unsigned len)
{
    check_access(cpu, linear, len);
    memcpy((void *)linear, buf, len);
}

uint64_t emu_read_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind)
{
    uint64_t value = 0;

    emu_read_bytes_slow(cpu, linear, &value, size);
    return value;
}

uint64_t emu_read_for_write_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind)
{
    return emu_read_slow(cpu, linear, size, kind);
}

void emu_write_slow(EmuCpu *cpu, uint64_t linear, uint64_t value, unsigned size, EmuTlbKind kind)
{
    emu_write_bytes_slow(cpu, linear, &value, size);
}

void emu_probe_write(EmuCpu *cpu, uint64_t linear, unsigned len)
{
    check_access(cpu, linear, len);
}

/* ---- Random states ---- */

typedef struct Test {
    uint64_t random;
    Native *native;
    EmuCpu *cpu;
    uint8_t *memory;          /* MEMORY_SIZE, and a page that faults */
    uint8_t before[MEMORY_SIZE], after[MEMORY_SIZE];
    unsigned rounds;
    unsigned failures;
    bool floats;              /* operands are floating-point numbers */
} Test;

static uint64_t random_next(Test *t)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random * 0x2545f4914f6cdd1dULL;
}

static unsigned random_below(Test *t, unsigned limit)
{
    return (random_next(t) >> 32) % limit;
}

static void random_bytes(Test *t, void *buf, size_t len)
{
    static const uint8_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff };
    uint8_t *bytes = buf;
    unsigned kind = random_below(t, 6);

    if (t->floats) {
        for (size_t i = 0; i < len; i += 8) {
            stq_le(bytes + i, random_elements(&t->random, kind < 4 ? kind : kind - 4, false));
        }
        return;
    }
    for (size_t i = 0; i < len; i++) {
        switch (kind) {
        case 0:
            bytes[i] = edges[random_below(t, 8)];
            break;
        case 1:
            bytes[i] = random_below(t, 4) ? 0 : random_below(t, 70);
            break;
        case 2:
            bytes[i] = random_below(t, 5);
            break;
        case 3: /* elements that are often small numbers */
            bytes[i] = i & 7 ? 0 : random_below(t, 80);
            break;
        default:
            bytes[i] = random_next(t) >> 32;
            break;
        }
    }
}

static void random_state(Test *t, NativeState *s)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < 16; i++) {
        unsigned kind = random_below(t, 3);

        s->regs[i] = kind == 0 ? random_next(t) : (uint64_t)(int)random_below(t, 48) - 24;
        random_bytes(t, s->fpu.xmm[i], 16);
        random_bytes(t, s->fpu.ymm[i], 16);
        if (i > 0 && random_below(t, 4) == 0) {
            memcpy(s->fpu.xmm[i], s->fpu.xmm[i - 1], 16);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        random_bytes(t, &s->fpu.st[i].significand, 8);
        s->fpu.st[i].sign_exponent = random_next(t);
    }
    s->rflags = random_next(t) & FLAG_ARITH;
    s->fpu.fcw = 0x37f;
    s->fpu.fsw = random_below(t, 8) << 11;
    s->fpu.valid = random_next(t);
    s->fpu.mxcsr = 0x1f80;
    if (t->floats && random_below(t, 2)) {
        s->fpu.mxcsr |= random_next(t) & 0xe07f;
        s->fpu.mxcsr &= random_below(t, 3) ? 0xffff : ~(random_next(t) & 0x1f80);
    }
    if (random_below(t, 32) == 0) {
        s->fpu.fcw = 0x37e;
        s->fpu.fsw |= X87_IE | X87_ES | X87_BUSY;
    }
}

/* ---- The software CPU's side ---- */

static void fill_tlb(EmuCpu *cpu, uint64_t linear)
{
    unsigned index = emu_tlb_index(linear);

    cpu->tlb.kind[0].read.negated[index] = cpu->tlb.kind[0].write.negated[index] = -linear;
}

static EmuCpu *new_cpu(const uint8_t *memory)
{
    EmuCpu *cpu = aligned_alloc(64, ROUND_UP(sizeof(EmuCpu), 64));

    memset(cpu, 0, sizeof(*cpu));
    for (unsigned i = 0; i < EMU_TLB_SIZE; i++) {
        cpu->tlb.kind[0].read.negated[i] = EMU_TLB_NONE(i);
        cpu->tlb.kind[0].write.negated[i] = EMU_TLB_NONE(i);
    }
    fill_tlb(cpu, (uintptr_t)memory);
    fill_tlb(cpu, (uintptr_t)memory + EMU_PAGE_SIZE);
    cpu->dr[0] = (uintptr_t)memory;
    cpu->mode = 3 | EMU_MODE_CS64 | EMU_MODE_PROT | EMU_MODE_LONG | EMU_MODE_FLAT |
                EMU_MODE_OSFXSR | EMU_MODE_OSXSAVE | EMU_MODE_AVX;
    cpu->cr0 = CR0_NE | CR0_PE;
    cpu->cr4 = CR4_OSXMMEXCPT;
    return cpu;
}

static void put_state(const NativeState *s, EmuCpu *cpu)
{
    memcpy(cpu->regs, s->regs, sizeof(s->regs));
    cpu->regs[EMU_REG_ZERO] = 0;
    emu_flags_set(cpu, s->rflags);
    cpu->rflags = 0x202;
    cpu->mxcsr = s->fpu.mxcsr;
    cpu->fpu.fcw = s->fpu.fcw;
    cpu->fpu.fsw = s->fpu.fsw & ~(7 << 11);
    cpu->fpu.top = s->fpu.fsw >> 11 & 7;
    cpu->fpu.valid = s->fpu.valid;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(&cpu->vec[i].u64[0], s->fpu.xmm[i], 16);
        memcpy(&cpu->vec[i].u64[2], s->fpu.ymm[i], 16);
    }
    for (unsigned i = 0; i < 8; i++) {
        EmuF80 *reg = &cpu->fpu.fpr[(cpu->fpu.top + i) & 7];

        reg->significand = s->fpu.st[i].significand;
        reg->sign_exponent = s->fpu.st[i].sign_exponent;
    }
}

static void get_state(const EmuCpu *cpu, NativeState *s)
{
    memcpy(s->regs, cpu->regs, sizeof(s->regs));
    s->rflags = emu_flags_get(cpu);
    s->fpu.mxcsr = cpu->mxcsr;
    s->fpu.fcw = cpu->fpu.fcw;
    s->fpu.fsw = cpu->fpu.fsw | cpu->fpu.top << 11;
    s->fpu.valid = cpu->fpu.valid;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(s->fpu.xmm[i], &cpu->vec[i].u64[0], 16);
        memcpy(s->fpu.ymm[i], &cpu->vec[i].u64[2], 16);
    }
    for (unsigned i = 0; i < 8; i++) {
        const EmuF80 *reg = &cpu->fpu.fpr[(cpu->fpu.top + i) & 7];

        s->fpu.st[i].significand = reg->significand;
        s->fpu.st[i].sign_exponent = reg->sign_exponent;
    }
}

static void emu_run_one(EmuCpu *cpu, const uint8_t *code, unsigned length, NativeState *s)
{
    EmuOp ops[2] = { { .fn = NULL } };
    uint8_t padded[ZYDIS_MAX_INSTRUCTION_LENGTH] = { 0 };

    memcpy(padded, code, length);
    put_state(s, cpu);
    g_assert_true(emu_decode(cpu, padded, sizeof(padded), 0, &ops[0]));
    ops[1].fn = emu_op_stop;
    cpu->op = ops;
    s->trap = 0;
    if (sigsetjmp(cpu->escape, 0) == 0) {
        ops[0].fn(cpu, &ops[0]);
    } else {
        s->trap = cpu->fault.vector;
        s->address = cpu->cr2;
    }
    get_state(cpu, s);
}

/* ---- Comparing ---- */

static bool is_equal(Test *t, const NativeState *a, const NativeState *b)
{
    /* How much of an instruction a fault leaves is each maker's own. */
    if (a->trap && a->trap == b->trap && !__builtin_cpu_is("intel")) {
        return true;
    }
    if (a->trap != b->trap || (a->trap == X86_PF && a->address != b->address) ||
        a->rflags != b->rflags || a->fpu.fcw != b->fpu.fcw || a->fpu.fsw != b->fpu.fsw ||
        a->fpu.valid != b->fpu.valid || a->fpu.mxcsr != b->fpu.mxcsr) {
        return false;
    }
    for (unsigned i = 0; i < 16; i++) {
        if (i != X86_RSP && a->regs[i] != b->regs[i]) {
            return false;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (a->fpu.st[i].significand != b->fpu.st[i].significand ||
            a->fpu.st[i].sign_exponent != b->fpu.st[i].sign_exponent) {
            return false;
        }
    }
    return memcmp(a->fpu.xmm, b->fpu.xmm, sizeof(a->fpu.xmm)) == 0 &&
           memcmp(a->fpu.ymm, b->fpu.ymm, sizeof(a->fpu.ymm)) == 0 &&
           memcmp(t->after, t->memory, MEMORY_SIZE) == 0;
}

static void tell_value(const char *name, unsigned i, uint64_t start, uint64_t host, uint64_t emu)
{
    if (start != host || host != emu) {
        g_test_message("  %s%u: %016" PRIx64 ", host %016" PRIx64 ", emu %016" PRIx64 "%s", name, i,
                       start, host, emu, host == emu ? "" : " <-");
    }
}

static void tell(Test *t, const char *text, const NativeState *s, const NativeState *host,
                 const NativeState *emu)
{
    g_test_message("%s: trap host %u emu %u, address %" PRIx64 " %" PRIx64 " (memory %p)", text,
                   host->trap, emu->trap, host->address, emu->address, (void *)t->memory);
    tell_value("flags", 0, s->rflags, host->rflags, emu->rflags);
    tell_value("fsw", 0, s->fpu.fsw, host->fpu.fsw, emu->fpu.fsw);
    tell_value("mxcsr", 0, s->fpu.mxcsr, host->fpu.mxcsr, emu->fpu.mxcsr);
    tell_value("valid", 0, s->fpu.valid, host->fpu.valid, emu->fpu.valid);
    for (unsigned i = 0; i < 16; i++) {
        tell_value("r", i, s->regs[i], host->regs[i], emu->regs[i]);
        for (unsigned j = 0; j < 2; j++) {
            tell_value(j ? "xmm-high" : "xmm", i, s->fpu.xmm[i][j], host->fpu.xmm[i][j],
                       emu->fpu.xmm[i][j]);
            tell_value(j ? "ymm-top" : "ymm", i, s->fpu.ymm[i][j], host->fpu.ymm[i][j],
                       emu->fpu.ymm[i][j]);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        tell_value("st", i, s->fpu.st[i].significand, host->fpu.st[i].significand,
                   emu->fpu.st[i].significand);
        tell_value("st-exponent", i, s->fpu.st[i].sign_exponent, host->fpu.st[i].sign_exponent,
                   emu->fpu.st[i].sign_exponent);
    }
    for (unsigned i = 0; i < MEMORY_SIZE / 8; i++) {
        tell_value("memory", i * 8, ldq_le(t->before + i * 8), ldq_le(t->after + i * 8),
                   ldq_le(t->memory + i * 8));
    }
}

/* ---- Forms ---- */

typedef enum Kind {
    KIND_XMM, KIND_YMM, KIND_MMX, KIND_R32, KIND_R64, KIND_M8, KIND_M16, KIND_M32, KIND_M64,
    KIND_M128, KIND_M256, KIND_VSIB_XMM, KIND_VSIB_YMM, KIND_IMM, KIND_COUNT
} Kind;

static bool is_memory(Kind kind)
{
    return kind >= KIND_M8 && kind <= KIND_VSIB_YMM;
}

typedef struct Form {
    unsigned mnemonic, count;
    Kind kinds[4];
    unsigned vsib_bytes; /* of an element */
} Form;

static ZydisRegister random_register(Test *t, Kind kind)
{
    static const uint8_t free_regs[] = { 0, 1, 2, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15 };
    unsigned gpr = free_regs[random_below(t, sizeof(free_regs))];
    unsigned vec = random_below(t, 3) ? random_below(t, 4) : random_below(t, 16);

    switch (kind) {
    case KIND_XMM:
        return ZYDIS_REGISTER_XMM0 + vec;
    case KIND_YMM:
        return ZYDIS_REGISTER_YMM0 + vec;
    case KIND_MMX:
        return ZYDIS_REGISTER_MM0 + random_below(t, 8);
    case KIND_R32:
        return ZYDIS_REGISTER_EAX + gpr;
    default:
        return ZYDIS_REGISTER_RAX + gpr;
    }
}

static void make_memory(Test *t, const Form *form, Kind kind, ZydisEncoderOperand *out)
{
    out->type = ZYDIS_OPERAND_TYPE_MEMORY;
    out->mem.base = ZYDIS_REGISTER_RSI;
    out->mem.displacement = random_below(t, 2) ? 0 : 0x40;
    if (kind == KIND_VSIB_XMM || kind == KIND_VSIB_YMM) {
        out->mem.index = random_register(t, kind == KIND_VSIB_XMM ? KIND_XMM : KIND_YMM);
        out->mem.scale = 1u << random_below(t, 4);
        out->mem.size = form->vsib_bytes;
    } else {
        out->mem.size = 1u << (kind - KIND_M8);
    }
}

/* With new registers each time. */
static bool encode(Test *t, const Form *form, uint8_t *code, size_t *length)
{
    ZydisEncoderRequest request = {
        .machine_mode = ZYDIS_MACHINE_MODE_LONG_64,
        .allowed_encodings = ZYDIS_ENCODABLE_ENCODING_LEGACY | ZYDIS_ENCODABLE_ENCODING_VEX,
        .mnemonic = form->mnemonic,
        .operand_count = form->count,
    };
    ZyanUSize size = ZYDIS_MAX_INSTRUCTION_LENGTH;

    for (unsigned i = 0; i < form->count; i++) {
        ZydisEncoderOperand *operand = &request.operands[i];

        if (form->kinds[i] == KIND_IMM) {
            operand->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
            operand->imm.u = random_below(t, 2) ? random_below(t, 256) : random_below(t, 40);
        } else if (is_memory(form->kinds[i])) {
            make_memory(t, form, form->kinds[i], operand);
        } else {
            operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
            operand->reg.value = random_register(t, form->kinds[i]);
            operand->reg.is4 = i == 3;
        }
    }
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, code, &size))) {
        return false;
    }
    *length = size;
    return true;
}

/* Where RSI and RDI point: mostly aligned, now and then at the end of a page. */
static uint64_t random_address(Test *t)
{
    uint64_t base = (uintptr_t)t->memory;

    switch (random_below(t, 8)) {
    case 0:
        return base + 1024 + random_below(t, 64);
    case 1:
        return base + EMU_PAGE_SIZE - random_below(t, 40);
    case 2:
        return base + MEMORY_SIZE - random_below(t, 40);
    default:
        return base + 1024 + 32 * random_below(t, 8);
    }
}

/* Indexes of gathers are small or lead far away, into nothing. */
static void tame_index(Test *t, const ZydisDecodedOperand *operand, NativeState *s)
{
    ZydisRegister index = operand->mem.index;
    bool wide = ZydisRegisterGetClass(index) == ZYDIS_REGCLASS_YMM;
    unsigned n = ZydisRegisterGetId(index);

    if (operand->mem.type != ZYDIS_MEMOP_TYPE_VSIB) {
        return;
    }
    for (unsigned i = 0; i < (wide ? 8 : 4); i++) {
        uint32_t value = i & 1 && random_below(t, 8) ? 0 : random_below(t, 64);

        stl_le((uint8_t *)(i < 4 ? s->fpu.xmm[n] : s->fpu.ymm[n]) + i % 4 * 4,
               random_below(t, 64) ? value : 0xf8000000);
    }
}

/* `name` NULL: Zydis knows no such instruction; a newer host may. */
static void run_round(Test *t, const uint8_t *code, size_t length, const char *name)
{
    NativeState state, host, emu;
    uint64_t address = random_address(t);
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction insn;
    ZydisDecoder decoder;

    random_state(t, &state);
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, length, &insn, operands))) {
        insn.operand_count_visible = 0;
    }
    state.regs[X86_RSI] = state.regs[X86_RDI] = address;
    for (unsigned i = 0; i < insn.operand_count_visible; i++) {
        if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            state.regs[X86_RSI] -= operands[i].mem.disp.value;
            tame_index(t, &operands[i], &state);
        }
    }
    random_bytes(t, t->before + 1024 - 64, 512);
    random_bytes(t, t->before + EMU_PAGE_SIZE - 64, 128);
    random_bytes(t, t->before + MEMORY_SIZE - 64, 64);
    memcpy(t->memory, t->before, MEMORY_SIZE);
    host = emu = state;
    native_run(t->native, code, length, &host);
    memcpy(t->after, t->memory, MEMORY_SIZE);
    memcpy(t->memory, t->before, MEMORY_SIZE);
    emu_run_one(t->cpu, code, length, &emu);
    if (!is_equal(t, &host, &emu) && (name || host.trap)) {
        if (t->failures++ < 40) {
            g_autoptr(GString) text = g_string_new(name ? name : "undefined");

            for (size_t i = 0; i < length; i++) {
                g_string_append_printf(text, " %02x", code[i]);
            }
            tell(t, text->str, &state, &host, &emu);
        }
    }
}

static bool run_form(Test *t, const Form *form)
{
    const char *name = ZydisMnemonicGetString(form->mnemonic);
    uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH];
    size_t length;

    /* A gather whose registers are not distinct cannot be encoded. */
    for (unsigned i = 0; !encode(t, form, code, &length); i++) {
        if (i == (form->vsib_bytes ? 20 : 1)) {
            return false;
        }
    }
    for (unsigned i = 0; i < t->rounds; i++) {
        if (encode(t, form, code, &length)) {
            run_round(t, code, length, name);
        }
    }
    return true;
}

/* ---- All forms of a mnemonic ---- */

static bool is_plausible(const Form *form)
{
    unsigned memories = 0;

    for (unsigned i = 0; i < form->count; i++) {
        memories += is_memory(form->kinds[i]);
        if (form->kinds[i] == KIND_IMM && (i == 0 || i + 1 < form->count)) {
            return false;
        }
    }
    if (form->count == 4 && (form->kinds[0] > KIND_YMM || form->kinds[1] != form->kinds[0])) {
        return false;
    }
    return memories <= 1;
}

static unsigned run_forms(Test *t, Form *form, unsigned position, unsigned count)
{
    unsigned done = 0;

    if (position == count) {
        form->count = count;
        if (!is_plausible(form)) {
            return 0;
        }
        for (form->vsib_bytes = 0; form->vsib_bytes <= 8; form->vsib_bytes += 4) {
            done += run_form(t, form);
            if (count < 2 ||
                (form->kinds[1] != KIND_VSIB_XMM && form->kinds[1] != KIND_VSIB_YMM)) {
                break;
            }
        }
        return done;
    }
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        form->kinds[position] = kind;
        if (position == 0 && (kind == KIND_IMM || kind >= KIND_VSIB_XMM)) {
            continue;
        }
        if (count == 4 && position == 1 && kind != form->kinds[0]) {
            continue;
        }
        done += run_forms(t, form, position + 1, count);
    }
    return done;
}

static unsigned run_mnemonic(Test *t, unsigned mnemonic)
{
    unsigned done = 0;

    bool string = mnemonic == ZYDIS_MNEMONIC_MOVSD || mnemonic == ZYDIS_MNEMONIC_CMPSD;

    /* Without operands they are string instructions. */
    for (unsigned count = string; count <= 4; count++) {
        Form form = { .mnemonic = mnemonic };

        done += run_forms(t, &form, 0, count);
    }
    return done;
}

/* ---- Tests ---- */

static void test_begin(Test *t, bool floats)
{
    const char *rounds = g_getenv("VEC_ROUNDS"), *seed = g_getenv("VEC_SEED");

    *t = (Test) {
        .random = 0x9e3779b97f4a7c15 + (seed ? strtoull(seed, NULL, 0) : 0),
        .floats = floats,
        .rounds = rounds ? atoi(rounds) : g_test_slow() ? 2000 : 40,
    };
    t->memory = mmap(NULL, MEMORY_SIZE + EMU_PAGE_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(t->memory != MAP_FAILED);
    mprotect(t->memory + MEMORY_SIZE, EMU_PAGE_SIZE, PROT_NONE);
    t->native = native_new();
    t->cpu = new_cpu(t->memory);
}

static void test_end(Test *t)
{
    g_assert_cmpuint(t->failures, ==, 0);
    native_free(t->native);
    munmap(t->memory, MEMORY_SIZE + EMU_PAGE_SIZE);
    free(t->cpu);
}

static void test_table(const EmuInsnTable *table, bool floats)
{
    const char *only = g_getenv("VEC_TEST");
    Test t;

    test_begin(&t, floats);
    for (unsigned i = 0; i < table->count; i++) {
        const char *name = ZydisMnemonicGetString(table->rows[i].mnemonic);
        unsigned forms, failures = t.failures;

        if (only && g_ascii_strcasecmp(only, name) != 0) {
            continue;
        }
        forms = run_mnemonic(&t, table->rows[i].mnemonic);
        if (forms == 0 || t.failures != failures || only) {
            g_test_message("%s: %u forms, %u failures", name, forms, t.failures - failures);
        }
        if (forms == 0) {
            g_test_fail();
        }
    }
    test_end(&t);
}

/* ---- All encodings, of which an assembler chooses one ---- */

/* A random instruction of the maps 0F, 0F 38 and 0F 3A. Its memory operand is [RSI]. */
static size_t make_encoding(Test *t, unsigned map, unsigned opcode, uint8_t *code)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
    uint8_t *p = code;
    bool memory = random_below(t, 2);
    unsigned extension = random_below(t, 4) ? random_below(t, 16) & (memory ? 0xe : 0xf) : 0;

    if (random_below(t, 2)) {
        *p++ = 0xc4;
        *p++ = (~extension << 5 & 0xe0) | map;
        *p++ = (random_below(t, 2) << 7) | (random_below(t, 2) ? 0x78 : random_below(t, 16) << 3) |
               random_below(t, 8);
    } else {
        uint8_t prefix = prefixes[random_below(t, 4)];

        if (prefix) {
            *p++ = prefix;
        }
        if (random_below(t, 32) == 0) {
            *p++ = prefixes[1 + random_below(t, 3)];
        }
        if (extension) {
            *p++ = 0x40 | extension;
        }
        *p++ = 0x0f;
        if (map > 1) {
            *p++ = map == 2 ? 0x38 : 0x3a;
        }
    }
    *p++ = opcode;
    if (!memory) {
        *p++ = 0xc0 | random_below(t, 64);
    } else if (random_below(t, 2)) {
        *p++ = random_below(t, 8) << 3 | 6;
    } else {
        *p++ = random_below(t, 8) << 3 | 4;
        *p++ = random_below(t, 4) << 6 | 4 << 3 | 6; /* no index, or (X, VSIB) vector 4 or 12 */
    }
    return p - code;
}

static bool uses_rsp(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
    for (unsigned i = 0; i < insn->operand_count_visible; i++) {
        if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            (operands[i].reg.value == ZYDIS_REGISTER_ESP ||
             operands[i].reg.value == ZYDIS_REGISTER_RSP)) {
            return true;
        }
    }
    return false;
}

static void run_encoding(Test *t, unsigned map, unsigned opcode)
{
    uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH] = { 0 };
    size_t length = make_encoding(t, map, opcode, code);
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction insn;
    ZydisDecoder decoder;

    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    code[length] = random_next(t);
    if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, sizeof(code), &insn, operands))) {
        const EmuInsn *row = emu_insn_find(insn.mnemonic);

        if (row && insn.operand_count_visible > 0 && !uses_rsp(&insn, operands)) {
            run_round(t, code, insn.length, ZydisMnemonicGetString(insn.mnemonic));
        }
    } else if (code[0] == 0xc4) {
        code[length] = 0xc3; /* an immediate, or RET */
        run_round(t, code, length + 1, NULL);
    }
}

static void test_encodings(void)
{
    Test t;

    if (!native_usable()) {
        g_test_skip("the host's processor has no AVX2");
        return;
    }
    test_begin(&t, false);
    for (unsigned round = 0; round < t.rounds * 4; round++) {
        for (unsigned opcode = 0; opcode < 768; opcode++) {
            run_encoding(&t, 1 + opcode / 256, opcode % 256);
        }
    }
    test_end(&t);
}

/* ---- SHA, which not every host has: whole digests ---- */

typedef struct Sha {
    EmuCpu *cpu;
    EmuVec w[20]; /* message words in fours */
} Sha;

/* OP dst, src(, imm) of the maps 0F 38 and 0F 3A. */
static EmuVec sha_op(Sha *sha, unsigned map, unsigned opcode, EmuVec dst, EmuVec src, unsigned imm)
{
    uint8_t code[15] = { 0x0f, map, opcode, 0xca, imm }; /* XMM1, XMM2 */
    EmuOp ops[2] = { { .fn = NULL } };

    g_assert_true(emu_decode(sha->cpu, code, sizeof(code), 0, &ops[0]));
    ops[1].fn = emu_op_stop;
    sha->cpu->op = ops;
    sha->cpu->vec[1] = dst;
    sha->cpu->vec[2] = src;
    ops[0].fn(sha->cpu, &ops[0]);
    return sha->cpu->vec[1];
}

static EmuVec words(uint32_t w3, uint32_t w2, uint32_t w1, uint32_t w0)
{
    return (EmuVec) { .u32 = { w0, w1, w2, w3 } };
}

static EmuVec sum(EmuVec p, EmuVec q)
{
    return words(p.u32[3] + q.u32[3], p.u32[2] + q.u32[2], p.u32[1] + q.u32[1],
                 p.u32[0] + q.u32[0]);
}

static void sha1_block(Sha *sha, const uint8_t block[64], uint32_t digest[5])
{
    EmuVec abcd = words(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
    EmuVec e = words(0xc3d2e1f0, 0, 0, 0), first = abcd, first_e = e, before = abcd;

    for (unsigned g = 0; g < 20; g++) {
        const uint8_t *p = block + 16 * g;

        if (g < 4) {
            sha->w[g] = words(ldl_be(p), ldl_be(p + 4), ldl_be(p + 8), ldl_be(p + 12));
        } else {
            EmuVec next = sha_op(sha, 0x38, 0xc9, sha->w[g - 4], sha->w[g - 3], 0);

            next.u64[0] ^= sha->w[g - 2].u64[0];
            next.u64[1] ^= sha->w[g - 2].u64[1];
            sha->w[g] = sha_op(sha, 0x38, 0xca, next, sha->w[g - 1], 0);
        }
        e = g ? sha_op(sha, 0x38, 0xc8, before, sha->w[g], 0) : sum(e, sha->w[g]);
        before = abcd;
        abcd = sha_op(sha, 0x3a, 0xcc, abcd, e, g / 5);
    }
    e = sha_op(sha, 0x38, 0xc8, before, first_e, 0);
    abcd = sum(abcd, first);
    for (unsigned i = 0; i < 4; i++) {
        digest[i] = abcd.u32[3 - i];
    }
    digest[4] = e.u32[3];
}

static void sha256_block(Sha *sha, const uint8_t block[64], const uint32_t k[64],
                         uint32_t digest[8])
{
    EmuVec abef = words(0x6a09e667, 0xbb67ae85, 0x510e527f, 0x9b05688c);
    EmuVec cdgh = words(0x3c6ef372, 0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
    const EmuVec first[2] = { abef, cdgh };

    for (unsigned g = 0; g < 16; g++) {
        const uint8_t *p = block + 16 * g;
        EmuVec wk;

        if (g < 4) {
            sha->w[g] = words(ldl_be(p + 12), ldl_be(p + 8), ldl_be(p + 4), ldl_be(p));
        } else {
            const EmuVec *w3 = &sha->w[g - 1], *w2 = &sha->w[g - 2];
            EmuVec next = sha_op(sha, 0x38, 0xcc, sha->w[g - 4], sha->w[g - 3], 0);

            next = sum(next, words(w3->u32[0], w2->u32[3], w2->u32[2], w2->u32[1]));
            sha->w[g] = sha_op(sha, 0x38, 0xcd, next, *w3, 0);
        }
        wk = sum(sha->w[g], words(k[4 * g + 3], k[4 * g + 2], k[4 * g + 1], k[4 * g]));
        sha->cpu->vec[0] = wk;
        cdgh = sha_op(sha, 0x38, 0xcb, cdgh, abef, 0);
        sha->cpu->vec[0].u64[0] = wk.u64[1];
        abef = sha_op(sha, 0x38, 0xcb, abef, cdgh, 0);
    }
    abef = sum(abef, first[0]);
    cdgh = sum(cdgh, first[1]);
    for (unsigned i = 0; i < 2; i++) {
        digest[i] = abef.u32[3 - i];
        digest[2 + i] = cdgh.u32[3 - i];
        digest[4 + i] = abef.u32[1 - i];
        digest[6 + i] = cdgh.u32[1 - i];
    }
}

static void expect_digest(GChecksumType type, const char *text, const uint32_t *digest, unsigned n)
{
    g_autofree char *want = g_compute_checksum_for_string(type, text, -1);
    g_autoptr(GString) got = g_string_new(NULL);

    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(got, "%08x", digest[i]);
    }
    g_assert_cmpstr(got->str, ==, want);
}

/* The first 32 bits of the fractions of the cube roots of primes. */
static void sha256_constants(uint32_t k[64])
{
    unsigned n = 0;

    for (unsigned p = 2; n < 64; p++) {
        unsigned d = 2;
        __uint128_t root = 0;

        while (p % d) {
            d++;
        }
        if (d < p) {
            continue;
        }
        for (int bit = 35; bit >= 0; bit--) { /* root^3 <= p * 2^96 */
            __uint128_t tried = root | (__uint128_t)1 << bit;

            if (tried * tried * tried <= (__uint128_t)p << 96) {
                root = tried;
            }
        }
        k[n++] = (uint32_t)root;
    }
}

static void test_sha(void)
{
    static const char text[] = "What the host cannot do must be proven by digests.";
    uint8_t block[64] = { 0 };
    Sha sha = { .cpu = new_cpu(block) };
    uint32_t digest[8], k[64];

    memcpy(block, text, strlen(text));
    block[strlen(text)] = 0x80;
    block[62] = strlen(text) * 8 >> 8;
    block[63] = (uint8_t)(strlen(text) * 8);
    sha.cpu->dr[1] = 1;
    sha1_block(&sha, block, digest);
    expect_digest(G_CHECKSUM_SHA1, text, digest, 5);
    sha256_constants(k);
    g_assert_cmphex(k[0], ==, 0x428a2f98);
    sha256_block(&sha, block, k, digest);
    expect_digest(G_CHECKSUM_SHA256, text, digest, 8);
    free(sha.cpu);
}

static void test_vec(const void *opaque)
{
    if (!native_usable()) {
        g_test_skip("the host's processor has no AVX2");
        return;
    }
    test_table(opaque, false);
}

static void test_floats(const void *opaque)
{
    if (!native_usable() || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c")) {
        g_test_skip("the host's processor has no FMA or F16C");
        return;
    }
    test_table(opaque, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/emu/vec/move", &emu_insns_vec_move, test_vec);
    g_test_add_data_func("/emu/vec/int", &emu_insns_vec_int, test_vec);
    g_test_add_data_func("/emu/vec/shuffle", &emu_insns_vec_shuffle, test_vec);
    g_test_add_data_func("/emu/vec/misc", &emu_insns_vec_misc, test_vec);
    g_test_add_data_func("/emu/vec/crypto", &emu_insns_vec_crypto, test_vec);
    g_test_add_data_func("/emu/vec/avx", &emu_insns_vec_avx, test_vec);
    g_test_add_data_func("/emu/vec/float", &emu_insns_vec_float, test_floats);
    g_test_add_data_func("/emu/vec/convert", &emu_insns_vec_convert, test_floats);
    g_test_add_data_func("/emu/vec/fma", &emu_insns_vec_fma, test_floats);
    g_test_add_func("/emu/vec/encodings", test_encodings);
    g_test_add_func("/emu/vec/sha", test_sha);
    return g_test_run();
}

#else

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    return g_test_run();
}

#endif
