/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE, AVX, F16C and FMA3 arithmetic: every row of the tables, in every form that the assembler
 * knows, by both back ends, against the same instruction run by the host's processor: edge values
 * and seeded random ones under all roundings, DAZ, FTZ and exception masks.
 */
#include <glib.h>
#include <math.h>
#include <string.h>

#include "accel/emu/flags.h"
#include "accel/emu/tests/native.h"
#include "accel/emu/tests/random-float.h"
#include "accel/emu/vec-float.h"

/* ---- Operands ---- */

/* What the forms use: 1 is the destination, 2 the last source, 3 the one between. */
typedef struct State {
    EmuVec vec[4];
    uint64_t regs[4], mm[4];
    uint32_t rflags, mxcsr;
    unsigned trap;
} State;

static void random_vector(uint64_t *r, uint64_t *out, RandomKind kind, bool tame)
{
    for (unsigned i = 0; i < 4; i++) {
        out[i] = random_elements(r, kind, tame);
    }
}

/* The kinds of elements that a mnemonic's letters promise, most often. */
static RandomKind choose_kind(uint64_t *r, const char *name)
{
    unsigned x = random_bits(r) % 8;

    if (x == 0) {
        return random_bits(r) % 4;
    }
    if (strstr(name, "ph2") || strstr(name, "dq2") || strstr(name, "si2") || strstr(name, "pi2")) {
        return strstr(name, "ph2") ? RANDOM_F16 : RANDOM_I32;
    }
    if (strstr(name, "2dq") || strstr(name, "2pi") || strstr(name, "2si") || strstr(name, "2p") ||
        strstr(name, "2s")) {
        return strstr(name, "pd2") || strstr(name, "sd2") ? RANDOM_F64 : RANDOM_F32;
    }
    return name[strlen(name) - 1] == 'd' ? RANDOM_F64 : RANDOM_F32;
}

static void random_state(uint64_t *r, State *state, const char *name, bool unmasked)
{
    RandomKind kind = choose_kind(r, name);
    bool tame = unmasked && random_bits(r) & 1;

    for (unsigned i = 0; i < 4; i++) {
        random_vector(r, state->vec[i].u64, kind, tame && random_bits(r) & 3);
        state->mm[i] = random_integer(r) << 32 | (uint32_t)random_integer(r);
        state->regs[i] = random_integer(r);
    }
    if (random_bits(r) % 8 == 0) { /* equal operands, and sums that cancel */
        state->vec[2] = state->vec[random_bits(r) & 1 ? 1 : 3];
    }
    state->mxcsr = (random_bits(r) & (MXCSR_RC | MXCSR_FTZ | MXCSR_DAZ)) | MXCSR_MASKS;
    if (random_bits(r) % 4 == 0) {
        state->mxcsr |= random_bits(r) & MXCSR_FLAGS;
    }
    if (unmasked) {
        state->mxcsr &= ~(uint32_t)(random_bits(r) & MXCSR_MASKS);
    }
    state->rflags = random_bits(r) & FLAG_ARITH;
}

/* ---- Forms ---- */

/* Operands: x, y: XMM, YMM; m: MM; d, q: general registers; i: immediate. */
static const char *const forms[] = {
    "xx", "xxi", "xxx", "xxxi", "yy", "yyi", "yyy", "yyyi", "xy", "yx", "xyi", "dx", "qx", "xd",
    "xq", "xxd", "xxq", "mx", "xm",
};

typedef struct Form {
    const EmuInsn *insn;
    const EmuVecRow *row;
    const char *name;      /* of the mnemonic */
    const char *operands;
    bool vex, fma;
    uint8_t code[15];
    unsigned length;
    unsigned imm_at;       /* offset of the immediate in code; 0: none */
} Form;

static ZydisRegister form_register(char kind, unsigned n)
{
    static const struct {
        char kind;
        ZydisRegisterClass class;
    } classes[] = {
        { 'x', ZYDIS_REGCLASS_XMM }, { 'y', ZYDIS_REGCLASS_YMM }, { 'm', ZYDIS_REGCLASS_MMX },
        { 'd', ZYDIS_REGCLASS_GPR32 }, { 'q', ZYDIS_REGCLASS_GPR64 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(classes); i++) {
        if (classes[i].kind == kind) {
            return ZydisRegisterEncode(classes[i].class, n);
        }
    }
    g_assert_not_reached();
}

static bool encode_form(Form *form)
{
    ZydisEncoderRequest request = {
        .machine_mode = ZYDIS_MACHINE_MODE_LONG_64, .mnemonic = form->insn->mnemonic,
        .allowed_encodings = ZYDIS_ENCODABLE_ENCODING_LEGACY | ZYDIS_ENCODABLE_ENCODING_VEX,
    };
    unsigned registers = strlen(form->operands), at = 0;
    ZyanUSize length = sizeof(form->code);

    registers -= form->operands[registers - 1] == 'i';
    for (; form->operands[at]; at++) {
        ZydisEncoderOperand *operand = &request.operands[at];

        if (form->operands[at] == 'i') {
            operand->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
            operand->imm.u = 0x7f;
        } else {
            operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
            operand->reg.value = form_register(form->operands[at],
                                               at == 0 ? 1 : at == registers - 1 ? 2 : 3);
        }
    }
    request.operand_count = at;
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, form->code, &length))) {
        return false;
    }
    form->length = length;
    form->imm_at = registers < at ? length - 1 : 0;
    return true;
}

/* ---- Running ---- */

typedef struct Pair {
    EmuVecFn *host, *soft;
} Pair;
#define PAIR(op) { emu_host_##op, emu_soft_##op },
#define PAIR_PACKED(order, op) PAIR(op##order##_ps) PAIR(op##order##_pd)
#define PAIR_SCALAR(order, op) PAIR(op##order##_ss) PAIR(op##order##_sd)
#define PAIR_PACKED_OP(op) EMU_FMA_ORDERS(PAIR_PACKED, op)
#define PAIR_SCALAR_OP(op) EMU_FMA_ORDERS(PAIR_SCALAR, op)
static const Pair pairs[] = {
    EMU_FLOAT_OPS(PAIR)
    EMU_FMA_PACKED_OPS(PAIR_PACKED_OP)
    EMU_FMA_SCALAR_OPS(PAIR_SCALAR_OP)
};

static EmuVecFn *find_twin(EmuVecFn *fn)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (pairs[i].host == fn) {
            return pairs[i].soft;
        }
    }
    return NULL;
}

/* False: it raised. */
static bool call_function(EmuCpu *cpu, EmuVecFn *fn, EmuVec *dst, const EmuVec *a, const EmuVec *b,
                          const EmuVec *c, unsigned imm, unsigned bytes)
{
    if (sigsetjmp(cpu->escape, 0) != 0) {
        return false;
    }
    fn(EMU_FLOAT_ARGS);
    return true;
}

/* What the frame of vec.c does for this form. */
static void run_function(EmuCpu *cpu, const Form *form, EmuVecFn *fn, State *state)
{
    unsigned registers = strlen(form->operands) - (form->imm_at != 0);
    bool wide = strchr(form->operands, 'y') != NULL;
    char to = form->operands[0], from = form->operands[registers - 1];
    unsigned bytes = to == 'm' ? 8 : form->row->scalar && to == 'x' ? form->row->scalar
                                                                    : wide ? 32 : 16;
    unsigned imm = form->imm_at ? form->code[form->imm_at] & (form->vex ? 31 : 7)
                                : to == 'q' || from == 'q' ? 8 : 4;
    EmuVec source = { .u64[0] = from == 'm' ? state->mm[2] : from == 'q' ? state->regs[2]
                                                           : (uint32_t)state->regs[2] };
    const EmuVec *a = &state->vec[registers == 3 && !form->fma ? 3 : 1];
    const EmuVec *b = from == 'x' || from == 'y' ? &state->vec[2] : &source;
    EmuVec result = { .u64[0] = 0 };
    bool done;

    if (form->imm_at && !strstr(form->name, "cmp")) {
        imm = form->code[form->imm_at];
    }
    cpu->mxcsr = state->mxcsr;
    emu_flags_set(cpu, state->rflags);
    done = call_function(cpu, fn, &result, a, b, &state->vec[3], imm, bytes);
    state->mxcsr = cpu->mxcsr;
    state->rflags = emu_flags_get(cpu);
    if (!done) {
        state->trap = cpu->fault.vector;
        return;
    }
    state->trap = 0;
    if (form->row->flags & EMU_VEC_FLAGS) {
        return;
    } else if (to == 'd' || to == 'q') {
        state->regs[1] = to == 'q' ? result.u64[0] : result.u32[0];
    } else if (to == 'm') {
        state->mm[1] = result.u64[0];
    } else {
        EmuVec old = state->vec[1], merged = form->row->scalar ? *a : result;

        memcpy(&merged, &result, form->row->scalar ? form->row->scalar : to == 'y' ? 32 : 16);
        if (to == 'x') {
            memcpy(merged.u64 + 2, old.u64 + 2, 16);
            if (form->vex) {
                memset(merged.u64 + 2, 0, 16);
            }
        }
        state->vec[1] = merged;
    }
}

static void run_native(Native *native, const Form *form, State *state)
{
    NativeState host = { .rflags = state->rflags };

    host.fpu.fcw = 0x37f;
    host.fpu.mxcsr = state->mxcsr;
    for (unsigned i = 0; i < 4; i++) {
        memcpy(host.fpu.xmm[i], &state->vec[i].u64[0], 16);
        memcpy(host.fpu.ymm[i], &state->vec[i].u64[2], 16);
        host.regs[i] = state->regs[i];
        host.fpu.st[i].significand = state->mm[i];
    }
    native_run(native, form->code, form->length, &host);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(&state->vec[i].u64[0], host.fpu.xmm[i], 16);
        memcpy(&state->vec[i].u64[2], host.fpu.ymm[i], 16);
        state->regs[i] = host.regs[i];
        state->mm[i] = host.fpu.st[i].significand;
    }
    state->rflags = host.rflags;
    state->mxcsr = host.fpu.mxcsr;
    state->trap = host.trap;
}

static bool states_equal(const State *a, const State *b)
{
    return a->trap == b->trap && a->mxcsr == b->mxcsr && a->rflags == b->rflags &&
           memcmp(&a->vec[1], &b->vec[1], sizeof(EmuVec)) == 0 && a->regs[1] == b->regs[1] &&
           a->mm[1] == b->mm[1];
}

/* RCP and RSQRT of the portable back end: within the architecture's error. */
static bool approximately_equal(const State *a, const State *b)
{
    if (a->mxcsr != b->mxcsr) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        uint32_t x = a->vec[1].u32[i], y = b->vec[1].u32[i];
        bool exact = (x & 0x7f800000) == 0x7f800000 || (y & 0x7f800000) == 0x7f800000 ||
                     !(x & 0x7fffffff) || !(y & 0x7fffffff);
        /* Results at the border of the denormals may be zero. */
        bool border = (x & 0x7fffffff) <= 0x00801000 && (y & 0x7fffffff) <= 0x00801000 &&
                      (x ^ y) >> 31 == 0;

        if (x != y && !border &&
            (exact || fabsf(a->vec[1].f32[i] / b->vec[1].f32[i] - 1) > 3 * ldexpf(1, -12))) {
            return false;
        }
    }
    return true;
}

static void print_vector(const char *label, const EmuVec *v)
{
    g_test_message("%s %016" G_GINT64_MODIFIER "x %016" G_GINT64_MODIFIER "x %016"
                   G_GINT64_MODIFIER "x %016" G_GINT64_MODIFIER "x", label, v->u64[3], v->u64[2],
                   v->u64[1], v->u64[0]);
}

static void report(const Form *form, const char *who, const State *start,
                   const State *host, const State *ours)
{
    g_test_message("%s %s by the %s back end, immediate %02x, MXCSR %04x", form->name,
                   form->operands, who, form->imm_at ? form->code[form->imm_at] : 0, start->mxcsr);
    print_vector("op 1", &start->vec[1]);
    print_vector("op 2", &start->vec[2]);
    print_vector("op 3", &start->vec[3]);
    print_vector("host", &host->vec[1]);
    print_vector("ours", &ours->vec[1]);
    g_test_message("registers %016" G_GINT64_MODIFIER "x: host %016" G_GINT64_MODIFIER
                   "x, ours %016" G_GINT64_MODIFIER "x; MMX host %016" G_GINT64_MODIFIER
                   "x, ours %016" G_GINT64_MODIFIER "x", start->regs[2], host->regs[1],
                   ours->regs[1], host->mm[1], ours->mm[1]);
    g_test_message("MXCSR host %04x, ours %04x; flags %03x, %03x; traps %u, %u",
                   host->mxcsr, ours->mxcsr, host->rflags, ours->rflags,
                   host->trap, ours->trap);
}

static bool test_form(Native *host, EmuCpu *cpu, Form *form, bool unmasked)
{
    unsigned rounds = g_test_slow() ? 20000 : 300;
    uint64_t r = 0x9e3779b97f4a7c15 + form->insn->mnemonic;
    State start, native, ours;
    EmuVecFn *functions[] = { form->row->fn, find_twin(form->row->fn) };
    bool approximate = strstr(form->name, "rcp") || strstr(form->name, "rsqrt");

    memset(&start, 0, sizeof(start));
    for (unsigned i = 0; i < rounds; i++) {
        random_state(&r, &start, form->name, unmasked);
        if (form->imm_at) {
            form->code[form->imm_at] = random_bits(&r) & (strstr(form->name, "round") ? 15 : 255);
        }
        native = start;
        run_native(host, form, &native);
        for (unsigned j = 0; j < 2 && functions[j]; j++) {
            ours = start;
            run_function(cpu, form, functions[j], &ours);
            if (!(approximate && j ? approximately_equal(&ours, &native)
                                   : states_equal(&ours, &native))) {
                report(form, j ? "portable" : "host's", &start, &native, &ours);
                g_test_fail();
                return false;
            }
        }
    }
    return true;
}

static void test_table(const EmuInsnTable *table, bool unmasked)
{
    Native *host = native_new();
    EmuCpu *cpu = g_aligned_alloc0(1, sizeof(*cpu), 64);
    unsigned tested = 0;

    cpu->cr4 = CR4_OSXMMEXCPT;
    for (unsigned i = 0; i < table->count; i++) {
        unsigned before = tested;

        for (unsigned j = 0; j < G_N_ELEMENTS(forms); j++) {
            Form form = {
                .insn = &table->rows[i], .row = table->rows[i].data, .operands = forms[j],
                .name = ZydisMnemonicGetString(table->rows[i].mnemonic),
            };

            form.vex = form.name[0] == 'v';
            form.fma = form.row->flags & EMU_VEC_FMA;
            if (encode_form(&form)) {
                test_form(host, cpu, &form, unmasked);
                tested++;
            }
        }
        if (tested == before) {
            g_test_message("%s has no form", ZydisMnemonicGetString(table->rows[i].mnemonic));
            g_test_fail();
        }
    }
    g_test_message("%u forms", tested);
    g_aligned_free(cpu);
    native_free(host);
}

static void test_masked(gconstpointer table)
{
    test_table(table, false);
}

static void test_unmasked(gconstpointer table)
{
    test_table(table, true);
}

/* Without CR4.OSXMMEXCPT an unmasked exception is #UD; the flags get set all the same. */
static void test_vector(void)
{
    static EmuVecFn *const functions[] = { emu_host_add_ss, emu_soft_add_ss };
    EmuCpu *cpu = g_aligned_alloc0(1, sizeof(*cpu), 64);
    EmuVec a = { .u32[0] = 0x7f800001 }, b = { .u32[0] = 0x3f800000 }, result;

    for (unsigned i = 0; i < 4; i++) {
        cpu->cr4 = i & 2 ? CR4_OSXMMEXCPT : 0;
        cpu->mxcsr = 0x1f00;
        g_assert_false(call_function(cpu, functions[i & 1], &result, &a, &b, &b, 0, 4));
        g_assert_cmpuint(cpu->fault.vector, ==, i & 2 ? X86_XM : X86_UD);
        g_assert_false(cpu->fault.has_error);
        g_assert_cmpuint(cpu->mxcsr, ==, 0x1f01);
    }
    g_aligned_free(cpu);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        const EmuInsnTable *table;
    } tables[] = {
        { "arithmetic", &emu_insns_vec_float },
        { "convert", &emu_insns_vec_convert },
        { "fma", &emu_insns_vec_fma },
    };

    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    g_test_add_func("/emu/vec/vector", test_vector);
    for (unsigned i = 0; native_usable() && i < G_N_ELEMENTS(tables); i++) {
        g_autofree char *masked = g_strdup_printf("/emu/vec/%s/masked", tables[i].name);
        g_autofree char *unmasked = g_strdup_printf("/emu/vec/%s/unmasked", tables[i].name);

        g_test_add_data_func(masked, tables[i].table, test_masked);
        g_test_add_data_func(unmasked, tables[i].table, test_unmasked);
    }
    return g_test_run();
}
