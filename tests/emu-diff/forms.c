/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which instructions there are: every opcode in every map with every prefix that selects another
 * instruction is offered to the decoder, and what accel/emu implements is kept, once for each shape
 * of its operands.
 */
#include "tests/emu-diff/diff.h"

#include <cpuid.h>
#include <glib.h>
#include <string.h>

#include "accel/emu/decode.h"

/* ---- What is left out ---- */

typedef struct LeftOut {
    uint16_t mnemonic;
    const char *why;
} LeftOut;

#define M(name) ZYDIS_MNEMONIC_##name
static const LeftOut left_out[] = {
#define SYSTEM "enters the kernel"
    { M(SYSCALL), SYSTEM }, { M(SYSENTER), SYSTEM },
#define MACHINE "tells about the machine"
    { M(CPUID), MACHINE }, { M(XGETBV), MACHINE }, { M(RDPID), MACHINE }, { M(RDPMC), MACHINE },
    { M(SGDT), MACHINE }, { M(SIDT), MACHINE }, { M(SLDT), MACHINE }, { M(STR), MACHINE },
    { M(SMSW), MACHINE }, { M(RDPKRU), MACHINE }, { M(WRPKRU), MACHINE },
#define RANDOM "random result"
    { M(RDRAND), RANDOM }, { M(RDSEED), RANDOM },
#define DESCRIPTORS "depends on the descriptor tables"
    { M(IRET), DESCRIPTORS }, { M(IRETD), DESCRIPTORS }, { M(IRETQ), DESCRIPTORS },
#define AREA "the area depends on the host's XCR0 (emu-xsave tests it)"
    { M(XSAVE), AREA }, { M(XSAVE64), AREA }, { M(XSAVEOPT), AREA }, { M(XSAVEOPT64), AREA },
    { M(XSAVEC), AREA }, { M(XSAVEC64), AREA }, { M(XRSTOR), AREA }, { M(XRSTOR64), AREA },
    { M(XSAVES), AREA }, { M(XSAVES64), AREA }, { M(XRSTORS), AREA }, { M(XRSTORS64), AREA },
#define HYPERVISOR "reaches the host's hypervisor"
    { M(VMCALL), HYPERVISOR }, { M(VMMCALL), HYPERVISOR }, { M(VMFUNC), HYPERVISOR },
    { M(INT1), "a debugger's" },
};

static const uint16_t not_64[] = {
    M(AAA), M(AAS), M(AAD), M(AAM), M(DAA), M(DAS), M(BOUND), M(INTO), M(PUSHA), M(PUSHAD), M(POPA),
    M(POPAD), M(LDS), M(LES), M(SALC), M(ARPL), M(JCXZ), M(PUSHFD), M(POPFD),
};

static const uint16_t only_64[] = {
    M(MOVSXD), M(CDQE), M(CQO), M(SWAPGS), M(SYSRET), M(JRCXZ), M(PUSHFQ), M(POPFQ), M(LODSQ),
    M(MOVSQ), M(STOSQ), M(CMPSQ), M(SCASQ), M(CMPXCHG16B), M(FXSAVE64), M(FXRSTOR64), M(PEXTRQ),
    M(PINSRQ), M(VPEXTRQ), M(VPINSRQ), M(RDFSBASE), M(RDGSBASE), M(WRFSBASE), M(WRGSBASE),
};
#undef M

void init_decoder(CodeMode mode, ZydisDecoder *decoder)
{
    static const struct {
        ZydisMachineMode machine;
        ZydisStackWidth stack;
    } modes[CODE_MODES] = {
        [CODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
        [CODE_32] = { ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32 },
        [CODE_16] = { ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16 },
    };

    ZydisDecoderInit(decoder, modes[mode].machine, modes[mode].stack);
}

static bool is_listed(const uint16_t *list, unsigned count, ZydisMnemonic mnemonic)
{
    for (unsigned i = 0; i < count; i++) {
        if (list[i] == mnemonic) {
            return true;
        }
    }
    return false;
}

const char *not_tested(CodeMode mode, ZydisMnemonic mnemonic)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(left_out); i++) {
        if (left_out[i].mnemonic == mnemonic) {
            return left_out[i].why;
        }
    }
    if (mode == CODE_64) {
        return is_listed(not_64, G_N_ELEMENTS(not_64), mnemonic) ? "not in 64-bit code" : NULL;
    }
    return is_listed(only_64, G_N_ELEMENTS(only_64), mnemonic) ? "in 64-bit code only" : NULL;
}

/* ---- What the host has ---- */

static bool cpuid_bit(unsigned leaf, unsigned reg, unsigned bit)
{
    unsigned r[4] = { 0 };

    __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]);
    return r[reg] >> bit & 1;
}

enum { EAX, EBX, ECX, EDX };

/* Instruction sets that an x86-64-v3 processor may lack. */
static const struct {
    uint16_t isa_ext;
    uint32_t leaf;
    uint8_t reg, bit;
} optional[] = {
    { ZYDIS_ISA_EXT_SHA, 7, EBX, 29 }, { ZYDIS_ISA_EXT_AES, 1, ECX, 25 },
    { ZYDIS_ISA_EXT_AVXAES, 1, ECX, 25 }, { ZYDIS_ISA_EXT_PCLMULQDQ, 1, ECX, 1 },
    { ZYDIS_ISA_EXT_VAES, 7, ECX, 9 }, { ZYDIS_ISA_EXT_VPCLMULQDQ, 7, ECX, 10 },
    { ZYDIS_ISA_EXT_GFNI, 7, ECX, 8 }, { ZYDIS_ISA_EXT_ADOX_ADCX, 7, EBX, 19 },
    { ZYDIS_ISA_EXT_CLFLUSHOPT, 7, EBX, 23 }, { ZYDIS_ISA_EXT_CLWB, 7, EBX, 24 },
    { ZYDIS_ISA_EXT_RDWRFSGS, 7, EBX, 0 }, { ZYDIS_ISA_EXT_SSE4A, 0x80000001, ECX, 6 },
    { ZYDIS_ISA_EXT_TBM, 0x80000001, ECX, 21 }, { ZYDIS_ISA_EXT_XOP, 0x80000001, ECX, 11 },
    { ZYDIS_ISA_EXT_FMA4, 0x80000001, ECX, 16 },
    { ZYDIS_ISA_EXT_MOVDIR, 7, ECX, 27 }, { ZYDIS_ISA_EXT_MPX, 1, EAX, 31 },
    { ZYDIS_ISA_EXT_RTM, 1, EAX, 31 },
    { ZYDIS_ISA_EXT_PKU, 1, EAX, 31 }, { ZYDIS_ISA_EXT_WAITPKG, 1, EAX, 31 },
    { ZYDIS_ISA_EXT_SGX, 1, EAX, 31 }, { ZYDIS_ISA_EXT_VTX, 1, EAX, 31 },
    { ZYDIS_ISA_EXT_SVM, 1, EAX, 31 }, { ZYDIS_ISA_EXT_MONITOR, 1, EAX, 31 },
    { ZYDIS_ISA_EXT_AMD3DNOW, 1, EAX, 31 }, { ZYDIS_ISA_EXT_SERIALIZE, 7, EDX, 14 },
};

typedef bool HostSets[ZYDIS_ISA_EXT_MAX_VALUE + 1];

/* Asked once: CPUID is slow in virtual machines. */
static void *find_host_sets(void *unused)
{
    HostSets *sets = g_new(HostSets, 1);

    memset(sets, true, sizeof(*sets));
    for (unsigned i = 0; i < G_N_ELEMENTS(optional); i++) {
        (*sets)[optional[i].isa_ext] = cpuid_bit(optional[i].leaf, optional[i].reg,
                                                 optional[i].bit);
    }
    return sets;
}

bool host_has(const ZydisDecodedInstruction *insn)
{
    static GOnce once = G_ONCE_INIT;
    const HostSets *sets = g_once(&once, find_host_sets, NULL);

    return (*sets)[insn->meta.isa_ext];
}

/* In 64-bit code segment registers are only read; branches are near. */
static bool is_harmless(CodeMode mode, const ZydisDecodedInstruction *insn,
                        const ZydisDecodedOperand *operands)
{
    for (unsigned i = 0; i < insn->operand_count; i++) {
        if (mode == CODE_64 && operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(operands[i].reg.value) == ZYDIS_REGCLASS_SEGMENT &&
            operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
            return false;
        }
        if (operands[i].type == ZYDIS_OPERAND_TYPE_POINTER) {
            return false;
        }
    }
    if (insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR &&
        insn->mnemonic != ZYDIS_MNEMONIC_SYSRET) {
        return false;
    }
    /* Only vectors that this and every kernel forbid. */
    if (insn->mnemonic == ZYDIS_MNEMONIC_INT) {
        uint8_t vector = insn->raw.imm[0].value.u;

        return vector >= 0x90;
    }
    return true;
}

bool is_testable(CodeMode mode, const ZydisDecodedInstruction *insn,
                 const ZydisDecodedOperand *operands)
{
    return (insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
            insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) &&
           emu_insn_find(insn->mnemonic) && !not_tested(mode, insn->mnemonic) &&
           host_has(insn) && is_harmless(mode, insn, operands);
}

/* ---- Enumeration ---- */

typedef struct Collector {
    CodeMode mode;
    ZydisDecoder decoder;
    GArray *rows;
    GHashTable *seen;
} Collector;

static uint8_t vex_pp(uint8_t prefix)
{
    return prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
}

static unsigned encode(const Form *form, uint8_t *bytes)
{
    unsigned n = 0;

    memset(bytes, 0, 15);
    if (form->vex) {
        bytes[n++] = 0xc4;
        bytes[n++] = 0xe0 | form->map;
        bytes[n++] = form->w << 7 | 0x78 | form->l << 2 | vex_pp(form->prefix);
    } else {
        if (form->prefix) {
            bytes[n++] = form->prefix;
        }
        if (form->w) {
            bytes[n++] = 0x48;
        }
        if (form->map) {
            bytes[n++] = 0x0f;
        }
        if (form->map >= 2) {
            bytes[n++] = form->map == 2 ? 0x38 : 0x3a;
        }
    }
    bytes[n++] = form->opcode;
    bytes[n++] = (form->memory ? 0 : 0xc0) | form->reg << 3 | form->rm;
    bytes[n++] = 1 << 3; /* a SIB's index: gathers want three different registers */
    return 15;
}

static uint64_t shape_of(const Form *form, const ZydisDecodedInstruction *insn,
                         const ZydisDecodedOperand *operands)
{
    uint64_t hash = mix(insn->mnemonic, form->vex << 24 | form->map << 16 | form->opcode << 8);

    hash = mix(hash, form->prefix | form->memory << 8 | form->l << 9);
    for (unsigned i = 0; i < insn->operand_count; i++) {
        const ZydisDecodedOperand *operand = &operands[i];

        hash = mix(hash, operand->type | operand->size << 8 | (uint64_t)operand->visibility << 32);
        if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            hash = mix(hash, ZydisRegisterGetClass(operand->reg.value));
        }
    }
    return hash;
}

static void note_fields(Form *form, const ZydisDecodedInstruction *insn,
                        const ZydisDecodedOperand *operands)
{
    form->has_modrm = insn->attributes & ZYDIS_ATTRIB_HAS_MODRM;
    form->lockable = insn->attributes & ZYDIS_ATTRIB_ACCEPTS_LOCK;
    for (unsigned i = 0; i < insn->operand_count; i++) {
        form->reg_free |= operands[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG;
        form->rm_free |= operands[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM;
        form->vsib |= operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                      operands[i].mem.type == ZYDIS_MEMOP_TYPE_VSIB;
    }
}

static void offer(Collector *c, Form *form)
{
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    uint8_t bytes[16];
    uint64_t *shape;

    encode(form, bytes);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&c->decoder, bytes, 15, &insn, operands)) ||
        !is_testable(c->mode, &insn, operands)) {
        return;
    }
    shape = g_new(uint64_t, 1);
    *shape = shape_of(form, &insn, operands);
    if (g_hash_table_add(c->seen, shape)) {
        form->mnemonic = insn.mnemonic;
        note_fields(form, &insn, operands);
        g_array_append_vals(c->rows, form, 1);
    }
}

static void offer_modrm(Collector *c, const Form *base)
{
    for (unsigned reg = 0; reg < 8; reg++) {
        for (unsigned rm = 0; rm < 8; rm++) {
            Form form = *base;

            form.reg = reg;
            form.rm = rm;
            offer(c, &form);
        }
        Form form = *base;

        form.reg = reg;
        form.memory = true;
        /* With a SIB for gathers; it does for all. */
        form.rm = 4;
        offer(c, &form);
    }
}

static void offer_all(Collector *c)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };

    for (unsigned i = 0; i < 2 * 4 * 256 * 4 * 2 * 2; i++) {
        Form form = { .opcode = i, .prefix = prefixes[i >> 8 & 3], .map = i >> 10 & 3,
                      .w = i >> 12 & 1, .l = i >> 13 & 1, .vex = i >> 14 & 1 };

        if (form.vex ? form.map == 0 : form.l || (form.w && c->mode != CODE_64)) {
            continue;
        }
        offer_modrm(c, &form);
    }
}

static int compare_forms(gconstpointer a, gconstpointer b)
{
    return ((const Form *)a)->mnemonic - ((const Form *)b)->mnemonic;
}

Forms *forms_new(CodeMode mode)
{
    Forms *forms = g_new0(Forms, 1);
    Collector c = { .mode = mode, .rows = g_array_new(false, false, sizeof(Form)),
                    .seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL) };

    init_decoder(mode, &c.decoder);
    offer_all(&c);
    g_hash_table_unref(c.seen);
    g_array_sort(c.rows, compare_forms);
    forms->mode = mode;
    forms->count = c.rows->len;
    forms->rows = (Form *)g_array_free(c.rows, false);
    forms->first = g_new0(uint32_t, forms->count + 1);
    for (unsigned i = 0; i < forms->count; i++) {
        if (i == 0 || forms->rows[i].mnemonic != forms->rows[i - 1].mnemonic) {
            forms->first[forms->mnemonics++] = i;
        }
    }
    forms->first[forms->mnemonics] = forms->count;
    return forms;
}

void forms_free(Forms *forms)
{
    g_free(forms->first);
    g_free(forms->rows);
    g_free(forms);
}
