/* SPDX-License-Identifier: Apache-2.0 */
/* Equal or not, and what to print if not. */
#include "tests/emu-diff/diff.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * Outside of the case's own pages the process has pages where the guest has none, and for addresses
 * that no user page can have, the host's kernel says what it likes: the P bit is not compared.
 */
static uint32_t error_mask(const Result *native)
{
    bool own = native->cr2 >= CODE_AT && native->cr2 < STACK_AT + STACK_SIZE;

    return native->vector == 14 && !own ? ~1u : ~0u;
}

/* What processors may do in one way or another when it faults (docs/devel/emu-testing.md). */
static const struct {
    uint16_t mnemonic;
    bool any_fault; /* else #AC only */
} open_to_choice[] = {
#define ALIGN(name) { ZYDIS_MNEMONIC_##name, false }
    ALIGN(MASKMOVDQU), ALIGN(VMASKMOVDQU), ALIGN(MASKMOVQ), ALIGN(VMASKMOVPS), ALIGN(VMASKMOVPD),
    ALIGN(VPMASKMOVD), ALIGN(VPMASKMOVQ), ALIGN(VGATHERDPD), ALIGN(VGATHERDPS), ALIGN(VGATHERQPD),
    ALIGN(VGATHERQPS), ALIGN(VPGATHERDD), ALIGN(VPGATHERDQ), ALIGN(VPGATHERQD), ALIGN(VPGATHERQQ),
    ALIGN(VCVTPH2PS), ALIGN(VCVTPS2PH),
    ALIGN(FXSAVE), ALIGN(FXRSTOR),
    { ZYDIS_MNEMONIC_MOVBE, true }, { ZYDIS_MNEMONIC_FBSTP, true },
#undef ALIGN
};

/* What is read or written in pieces: one may be missing, another beyond the segment's limit. */
static const uint16_t in_pieces[] = {
    ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR,
    ZYDIS_MNEMONIC_FBLD, ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXRSTOR,
    ZYDIS_MNEMONIC_VMASKMOVPS, ZYDIS_MNEMONIC_VMASKMOVPD, ZYDIS_MNEMONIC_VPMASKMOVD,
    ZYDIS_MNEMONIC_VPMASKMOVQ,
};

static bool is_memory_fault(unsigned vector)
{
    return vector >= 12 && vector <= 14;
}

static bool is_excepted(const Case *test, const Result *native, const Result *guest)
{
    bool align = native->vector == 17 || guest->vector == 17;
    bool fault = is_memory_fault(native->vector) && is_memory_fault(guest->vector);
    bool wraps = (native->cr2 ^ guest->cr2) == 0x10000; /* 16-bit addresses */
    bool limit = fault && test->mode != CODE_64 && (native->vector != guest->vector || wraps);

    if (!align && !fault) {
        return false;
    }
    for (unsigned i = 0; i < test->insns; i++) {
        for (unsigned j = 0; limit && j < G_N_ELEMENTS(in_pieces); j++) {
            if (test->insn[i].mnemonic == in_pieces[j]) {
                return true;
            }
        }
        for (unsigned j = 0; j < G_N_ELEMENTS(open_to_choice); j++) {
            if (test->insn[i].mnemonic == open_to_choice[j].mnemonic &&
                (align || open_to_choice[j].any_fault)) {
                return true;
            }
        }
    }
    return false;
}

bool results_equal(const Case *test, const Result *native, const Result *guest)
{
    const State *a = &native->end, *b = &guest->end;

    return is_excepted(test, native, guest) ||
           (native->vector == guest->vector &&
            !((native->error ^ guest->error) & error_mask(native)) && native->cr2 == guest->cr2 &&
            !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && a->rip == b->rip &&
            a->rflags == b->rflags && a->fs_base == b->fs_base && a->gs_base == b->gs_base &&
            !memcmp(a->selector, b->selector, sizeof(a->selector)) &&
            !memcmp(a->x, b->x, XS_SIZE) && native->steps == guest->steps &&
            native->trace == guest->trace && native->line_count == guest->line_count &&
            native->line_hash == guest->line_hash);
}

static const char *const names[] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static const char *const segment_names[DIFF_SEGS] = { "es", "cs", "ss", "ds", "fs", "gs" };

static void print_code(const Case *test)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;

    init_decoder(test->mode, &decoder);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    for (unsigned i = 0; i < test->insns; i++) {
        const uint8_t *code = test->code + test->insn[i].offset;
        ZydisDecodedInstruction insn;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        char text[96];
        bool nop = true;

        for (unsigned j = 0; j < test->insn[i].length; j++) {
            nop &= code[j] == 0x90;
        }
        if (nop) {
            continue;
        }
        printf("  %" PRIx64 ":", test->start.rip + test->insn[i].offset);
        for (unsigned j = 0; j < test->insn[i].length; j++) {
            printf(" %02x", code[j]);
        }
        if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, test->insn[i].length, &insn,
                                                operands)) &&
            ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
                &formatter, &insn, operands, insn.operand_count_visible, text, sizeof(text),
                test->start.rip + test->insn[i].offset, NULL))) {
            printf("  %s", text);
        }
        printf("\n");
    }
}

static uint64_t word(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

static void print_start(const Case *test)
{
    const State *s = &test->start;

    for (unsigned i = 0; i < (test->mode == CODE_64 ? 16 : 8); i++) {
        printf("%s%s=%" PRIx64, i % 8 ? " " : i ? "\n  " : "  ", names[i], s->gpr[i]);
    }
    printf("\n  rflags=%" PRIx64 " fs=%" PRIx64 " gs=%" PRIx64 " mxcsr=%" PRIx64 " fcw=%" PRIx64
           " fsw=%" PRIx64 " ftw=%02x\n", s->rflags, s->fs_base, s->gs_base,
           word(s->x + XS_MXCSR, 4), word(s->x + XS_FCW, 2), word(s->x + XS_FSW, 2), s->x[XS_FTW]);
    for (unsigned i = 0; test->mode != CODE_64 && i < DIFF_SEGS; i++) {
        printf("%s%s=%x", i ? " " : "  ", segment_names[i], s->selector[i]);
    }
    printf("%s", test->mode == CODE_64 ? "" : "\n");
}

static void print_vectors(const State *s, bool st)
{
    for (unsigned i = 0; i < (st ? 8u : 16u); i++) {
        const uint8_t *low = s->x + (st ? XS_ST : XS_XMM) + i * 16;

        if (st) {
            printf("  st%u=%04" PRIx64 ":%016" PRIx64, i, word(low + 8, 2), word(low, 8));
        } else {
            const uint8_t *high = s->x + XS_YMM + i * 16;

            printf("  ymm%u=%016" PRIx64 ":%016" PRIx64 ":%016" PRIx64 ":%016" PRIx64, i,
                   word(high + 8, 8), word(high, 8), word(low + 8, 8), word(low, 8));
        }
        printf(st && i != 7 ? "" : "\n");
    }
}

static void difference(const char *what, uint64_t native, uint64_t guest)
{
    if (native != guest) {
        printf("  %-8s host %016" PRIx64 " emu %016" PRIx64 "\n", what, native, guest);
    }
}

static void print_x_differences(const State *a, const State *b)
{
    static const struct {
        const char *name;
        uint8_t at, size;
    } fields[] = {
        { "fcw", XS_FCW, 2 }, { "fsw", XS_FSW, 2 }, { "ftw", XS_FTW, 1 }, { "fop", XS_FOP, 2 },
        { "fip", XS_FIP, 8 }, { "fdp", XS_FDP, 8 }, { "mxcsr", XS_MXCSR, 4 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        difference(fields[i].name, word(a->x + fields[i].at, fields[i].size),
                   word(b->x + fields[i].at, fields[i].size));
    }
    for (unsigned at = XS_ST; at < XS_SIZE; at += 8) {
        bool st = at < XS_XMM, high = at >= XS_YMM;
        char name[32];

        snprintf(name, sizeof(name), "%s%u.%u", st ? "st" : high ? "ymmh" : "xmm",
                 (at - (st ? XS_ST : high ? XS_YMM : XS_XMM)) / 16, at / 8 % 2);
        difference(name, word(a->x + at, 8), word(b->x + at, 8));
    }
}

static void print_memory_differences(const Image *image, const Result *native, const Result *guest)
{
    for (unsigned i = 0; i < LINES; i++) {
        const uint8_t *base = i < DATA_SIZE / LINE ? image->data + i * LINE
                                                   : image->stack + i * LINE - DATA_SIZE;
        uint64_t at = i < DATA_SIZE / LINE ? DATA_AT + i * LINE : STACK_AT + i * LINE - DATA_SIZE;
        const uint8_t *a = base, *b = base;

        for (unsigned j = 0; j < MIN(native->line_count, MAX_LINES); j++) {
            a = native->line[j] == i ? native->bytes[j] : a;
        }
        for (unsigned j = 0; j < MIN(guest->line_count, MAX_LINES); j++) {
            b = guest->line[j] == i ? guest->bytes[j] : b;
        }
        for (unsigned j = 0; j < LINE; j += 8) {
            if (memcmp(a + j, b + j, 8)) {
                printf("  [%" PRIx64 "] host %016" PRIx64 " emu %016" PRIx64 " was %016" PRIx64
                       "\n", at + j, word(a + j, 8), word(b + j, 8), word(base + j, 8));
            }
        }
    }
}

/* The first step that differs. */
static void print_steps(const Result *native, const Result *guest)
{
    unsigned kept = MIN(MIN(native->steps, guest->steps), KEPT_STEPS);

    for (unsigned i = 0; i < kept; i++) {
        if (native->step[i].hash != guest->step[i].hash) {
            printf("  step %u: host rip %" PRIx64 " rflags %" PRIx64 ", emu rip %" PRIx64
                   " rflags %" PRIx64 "\n", i, native->step[i].rip, native->step[i].rflags,
                   guest->step[i].rip, guest->step[i].rflags);
            return;
        }
    }
}

static void print_differences(const Image *image, const Result *native, const Result *guest)
{
    const State *a = &native->end, *b = &guest->end;

    difference("status", native->status, guest->status);
    difference("vector", native->vector, guest->vector);
    difference("error", native->error, guest->error);
    difference("cr2", native->cr2, guest->cr2);
    difference("steps", native->steps, guest->steps);
    difference("trace", native->trace, guest->trace);
    difference("lines", native->line_count, guest->line_count);
    difference("rip", a->rip, b->rip);
    difference("rflags", a->rflags, b->rflags);
    difference("fs_base", a->fs_base, b->fs_base);
    difference("gs_base", a->gs_base, b->gs_base);
    for (unsigned i = 0; i < DIFF_SEGS; i++) {
        difference(segment_names[i], a->selector[i], b->selector[i]);
    }
    for (unsigned i = 0; i < 16; i++) {
        difference(names[i], a->gpr[i], b->gpr[i]);
    }
    print_steps(native, guest);
    print_x_differences(a, b);
    print_memory_differences(image, native, guest);
}

static bool mentions(const Case *test, ZydisRegisterClass first, ZydisRegisterClass second)
{
    for (unsigned i = 0; i < test->insns; i++) {
        ZydisDecoder decoder;
        ZydisDecodedInstruction insn;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

        init_decoder(test->mode, &decoder);
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, test->code + test->insn[i].offset,
                                                 test->insn[i].length, &insn, operands))) {
            continue;
        }
        for (unsigned j = 0; j < insn.operand_count; j++) {
            ZydisRegisterClass class = operands[j].type == ZYDIS_OPERAND_TYPE_REGISTER
                                           ? ZydisRegisterGetClass(operands[j].reg.value)
                                           : ZYDIS_REGCLASS_INVALID;

            if (class == first || class == second) {
                return true;
            }
        }
    }
    return false;
}

void report_mismatch(const char *where, const Case *test, const Image *image, Flavour flavour,
                     const Result *native, const Result *guest)
{
    static const char *const flavours[] = {
        "interpreted", "interpreted singly", "translated", "translated, again",
    };

    printf("# MISMATCH %s (%u bits, %s%s): vector %u, at %" PRIx64 "\n", where,
           64u >> test->mode, flavours[flavour], test->step ? ", stepped" : "", native->vector,
           native->end.rip);
    print_code(test);
    print_start(test);
    if (mentions(test, ZYDIS_REGCLASS_X87, ZYDIS_REGCLASS_MMX)) {
        print_vectors(&test->start, true);
    }
    if (mentions(test, ZYDIS_REGCLASS_XMM, ZYDIS_REGCLASS_YMM)) {
        print_vectors(&test->start, false);
    }
    print_differences(image, native, guest);
    fflush(stdout);
}
