/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between the interpreter and host code, in words. */
#include <inttypes.h>
#include <string.h>

#include "accel/emu/jit/check.h"

#define FIELD_BYTES_MAX 32

static const uint8_t *code_of(const EmuBlock *block, const EmuOp *op)
{
    /* A block is known by its bytes' address in the host (EmuFetch.physical). */
    return (const uint8_t *)(uintptr_t)(block->physical & EMU_PAGE_MASK) + op->page_offset;
}

static ZydisMachineMode machine_of(const EmuBlock *block)
{
    return block->mode & EMU_MODE_CS64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32;
}

/*
 * Flags that the last instructions leave undefined: the interpreter gives what Intel's processors
 * do, host code what this one does.
 */
static uint32_t undefined_flags(const EmuBlock *block)
{
    uint32_t undefined = 0;
    ZydisDecodedInstruction insn;
    ZydisDecoder decoder;

    if (__builtin_cpu_is("intel")) {
        return 0;
    }
    ZydisDecoderInit(&decoder, machine_of(block), block->mode & EMU_MODE_CS64
                                                      ? ZYDIS_STACK_WIDTH_64
                                                      : ZYDIS_STACK_WIDTH_32);
    for (unsigned i = 0; i < block->op_count; i++) {
        const EmuOp *op = &block->ops[i];

        if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code_of(block, op),
                                                       op->length, &insn)) && insn.cpu_flags) {
            undefined &= ~(insn.cpu_flags->modified | insn.cpu_flags->set_0 |
                           insn.cpu_flags->set_1);
            undefined |= insn.cpu_flags->undefined;
        }
    }
    return undefined & FLAG_ARITH;
}

static void describe_bytes(GString *text, const uint8_t *bytes, size_t len)
{
    for (size_t i = len; i-- > 0;) {
        g_string_append_printf(text, "%02x", bytes[i]);
    }
}

static bool field(GString *text, const char *name, unsigned index, const void *expected,
                  const void *got, size_t len)
{
    if (!memcmp(expected, got, len)) {
        return false;
    }
    if (text) {
        g_string_append_printf(text, "  %s", name);
        if (index != UINT32_MAX) {
            g_string_append_printf(text, "%u", index);
        }
        g_string_append(text, ": interpreter ");
        describe_bytes(text, expected, MIN(len, FIELD_BYTES_MAX));
        g_string_append(text, ", host code ");
        describe_bytes(text, got, MIN(len, FIELD_BYTES_MAX));
        g_string_append_c(text, '\n');
    }
    return true;
}

static bool flags_differ(const EmuBlock *block, const JitState *expected, const JitState *got,
                         GString *text)
{
    uint64_t want, have, mask;

    if (expected->rflags == got->rflags) {
        return false;
    }
    mask = ~(uint64_t)undefined_flags(block);
    want = expected->rflags & mask;
    have = got->rflags & mask;
    return field(text, "rflags", UINT32_MAX, &want, &have, sizeof(want));
}

static bool state_differs(const EmuBlock *block, const JitState *expected, const JitState *got,
                          GString *text)
{
    bool differs;

    if (!memcmp(expected, got, offsetof(JitState, flag_result))) {
        return false; /* nearly always; padding that differs costs time only */
    }
    differs = flags_differ(block, expected, got, text);
#define SCALAR(name) \
    differs |= field(text, #name, UINT32_MAX, &expected->name, &got->name, sizeof(got->name))
    SCALAR(rip);
    SCALAR(mode);
    SCALAR(mxcsr);
    SCALAR(shadow);
    SCALAR(halted);
    SCALAR(fpu.fcw);
    SCALAR(fpu.fsw);
    SCALAR(fpu.top);
    SCALAR(fpu.valid);
    SCALAR(fpu.fop);
    SCALAR(fpu.fip);
    SCALAR(fpu.fdp);
    SCALAR(fpu.fcs);
    SCALAR(fpu.fds);
#undef SCALAR
    for (unsigned i = 0; i < 16; i++) {
        differs |= field(text, "register ", i, &expected->regs[i], &got->regs[i], 8);
        differs |= field(text, "vector ", i, &expected->vec[i], &got->vec[i], 32);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(got->fpu.fpr); i++) {
        differs |= field(text, "x87 register ", i, &expected->fpu.fpr[i], &got->fpu.fpr[i], 10);
    }
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        differs |= field(text, "segment ", i, &expected->segs[i], &got->segs[i],
                         sizeof(X86Segment));
    }
    return differs;
}

static bool memory_differs(const EmuCheck *check, GString *text)
{
    unsigned page, offset;

    if (!emu_check_find_difference(check, &page, &offset)) {
        return false;
    }
    if (text) {
        unsigned len = MIN(16, EMU_PAGE_SIZE - offset);

        g_string_append_printf(text, "  memory at 0x%" PRIx64 ": interpreter ",
                               check->pages[page].linear + offset);
        describe_bytes(text, check->expected[page] + offset, len);
        g_string_append(text, ", host code ");
        describe_bytes(text, check->shadow[page] + offset, len);
        g_string_append_c(text, '\n');
    }
    return true;
}

bool jit_check_differs(const EmuCpu *cpu, const EmuBlock *block, const JitState *expected,
                       const JitOutcome *outcome, GString *text)
{
    bool differs;

    if (outcome->escaped) {
        if (text && outcome->stray == EMU_CHECK_STRAY_WRITE) {
            g_string_append_printf(text, "  host code writes to 0x%" PRIx64 "\n",
                                   outcome->stray_linear);
        } else if (text && outcome->stray == EMU_CHECK_STRAY_IO) {
            g_string_append(text, "  host code does I/O\n");
        } else if (text) {
            g_string_append_printf(text, "  host code raises exception %u (escape %d)\n",
                                   outcome->fault.vector, outcome->escaped);
        }
        return true;
    }
    differs = state_differs(block, expected, &outcome->state, text);
    return memory_differs(cpu->check, text) || differs;
}

/* ---- The story ---- */

static void tell_ops(const EmuBlock *block, const JitState *before, GString *text)
{
    uint64_t page = before->rip & EMU_PAGE_MASK;

    for (unsigned i = 0; i < block->op_count; i++) {
        const EmuOp *op = &block->ops[i];
        uint64_t rip = page + op->page_offset;
        ZydisDisassembledInstruction insn;
        bool ok = ZYAN_SUCCESS(ZydisDisassembleIntel(machine_of(block), rip, code_of(block, op),
                                                     op->length, &insn));

        g_string_append_printf(text, "  0x%" PRIx64 ": %s\n", rip, ok ? insn.text : "(bad)");
    }
}

static void tell_state(const JitState *state, GString *text)
{
    for (unsigned i = 0; i < 16; i++) {
        g_string_append_printf(text, "%sr%u=%" PRIx64, i % 4 ? " " : "\n  ", i, state->regs[i]);
    }
    g_string_append_printf(text, "\n  rflags=%" PRIx64 " mxcsr=%x\n", state->rflags,
                           state->mxcsr);
}

static void tell_host_code(const EmuBlock *block, GString *text)
{
    const JitBlock *info = block->jit;

    for (const uint8_t *at = info->far_entry; at < info->end; at++) {
        g_string_append_printf(text, "%s%02x", (at - info->far_entry) % 32 ? "" : "\n  ", *at);
    }
}

char *jit_check_story(const EmuCpu *cpu, const EmuBlock *block, const JitState *before,
                      const JitState *expected, const JitOutcome *outcome)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "CPU %u: host code of the block at 0x%" PRIx64
                           " does something else than the interpreter:\n",
                           cpu->vcpu->index, before->rip);
    jit_check_differs(cpu, block, expected, outcome, text);
    g_string_append(text, " the block:\n");
    tell_ops(block, before, text);
    g_string_append(text, " before:");
    tell_state(before, text);
    g_string_append(text, " host code:");
    tell_host_code(block, text);
    return g_string_free(text, FALSE);
}
