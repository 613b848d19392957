/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases on accel/emu, by its own run loop: code at CPL 3, in long mode, under page tables that give
 * the case's memory the linear addresses it has natively. Every vector leads to a HLT of its own at
 * CPL 0, where emu_run() returns; what the case was at the exception is read from the frame that
 * delivery pushed.
 */
#include "tests/emu-diff/diff.h"

#include <cpuid.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "accel/emu/block.h"
#include "accel/emu/emu-accel.h"
#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/jit/jit.h"
#include "accel/emu/segment.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/tests/emu-harness.h"

/* Physical addresses; the case's parts, then what belongs to the supervisor. */
enum {
    P_CODE = 0x100000, P_RO = 0x110000, P_DATA = 0x111000, P_STACK = 0x120000,
    P_GDT = 0x200000, P_LDT = P_GDT + 0x400, P_IDT = 0x201000, P_HANDLERS = 0x202000,
    P_TSS = 0x203000, P_KSTACK = 0x204000, P_TABLES = 0x300000,
};
#define SUPER_AT 0xffff800000000000ull /* linear address of P_GDT */
#define SUPER_PAGES 5
#define SUPER(physical) (SUPER_AT + ((physical) - P_GDT))
#define KSTACK_TOP (P_KSTACK + PAGE)

/* As Linux has them, since code can read them. */
enum { SEL_KERNEL_CS = 0x10, SEL_KERNEL_SS = 0x18, SEL_TSS = 0x40 };

struct Guest {
    EmuHarness *h;
    EmuCpu *cpu;
    EmuJit *jit;
    Image image;
    timer_t timer;
    uint64_t runs, last_tick;
};

/* ---- Tables ---- */

static void put64(Guest *g, uint64_t at, uint64_t value)
{
    memcpy(g->h->bytes + at, &value, sizeof(value));
}

static uint64_t get64(Guest *g, uint64_t at)
{
    uint64_t value;

    memcpy(&value, g->h->bytes + at, sizeof(value));
    return value;
}

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40 };
#define PTE_NX (1ull << 63)

/* The tables are given out one after the other. */
static void map_page(Guest *g, uint64_t *free_table, uint64_t linear, uint64_t physical,
                     uint64_t bits)
{
    uint64_t table = P_TABLES;

    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t at = table + (linear >> shift & 511) * 8;

        if (!get64(g, at)) {
            put64(g, at, *free_table | PTE_P | PTE_W | PTE_U);
            *free_table += PAGE;
        }
        table = get64(g, at) & ~(uint64_t)(PAGE - 1);
    }
    put64(g, table + (linear >> 12 & 511) * 8, physical | bits | PTE_P | PTE_A | PTE_D);
}

static void make_page_tables(Guest *g)
{
    uint64_t free_table = P_TABLES + PAGE;

    for (unsigned i = 0; i < CODE_SIZE / PAGE; i++) {
        map_page(g, &free_table, CODE_AT + i * PAGE, P_CODE + i * PAGE, PTE_U);
    }
    map_page(g, &free_table, RO_AT, P_RO, PTE_U | PTE_NX);
    for (unsigned i = 0; i < DATA_SIZE / PAGE; i++) {
        map_page(g, &free_table, DATA_AT + i * PAGE, P_DATA + i * PAGE, PTE_U | PTE_W | PTE_NX);
    }
    for (unsigned i = 0; i < STACK_SIZE / PAGE; i++) {
        map_page(g, &free_table, STACK_AT + i * PAGE, P_STACK + i * PAGE, PTE_U | PTE_W | PTE_NX);
    }
    for (unsigned i = 0; i < SUPER_PAGES; i++) {
        map_page(g, &free_table, SUPER_AT + i * PAGE, P_GDT + i * PAGE, PTE_W);
    }
}

static void make_descriptors(Guest *g)
{
    const uint64_t handlers = SUPER(P_HANDLERS), kstack = SUPER(KSTACK_TOP);

    for (unsigned i = 0; i < GDT_BYTES; i += 8) {
        put64(g, P_GDT + i, descriptor_of(i));
    }
    for (unsigned i = 0; i < LDT_COUNT; i++) {
        put64(g, P_LDT + i * 8, descriptor_of(LDT_SELECTOR(i)));
    }
    put64(g, P_GDT + SEL_KERNEL_CS, 0x00af9b000000ffffull);
    put64(g, P_GDT + SEL_KERNEL_SS, 0x00cf93000000ffffull);
    put64(g, P_GDT + SEL_TSS, 0x00008b0000000067ull);
    for (unsigned i = 0; i < 256; i++) {
        uint64_t to = handlers + 16 * i;
        uint64_t type = i == 3 || i == 4 ? 0xee : 0x8e; /* DPL 3 for INT3 and INTO */

        put64(g, P_IDT + 16 * i, (to & 0xffff) | SEL_KERNEL_CS << 16 | type << 40 |
                                 (to >> 16 & 0xffff) << 48);
        put64(g, P_IDT + 16 * i + 8, to >> 32);
        g->h->bytes[P_HANDLERS + 16 * i] = 0xf4;
    }
    memcpy(g->h->bytes + P_TSS + 4, &kstack, 8);
    g->h->bytes[P_TSS + 0x66] = 0x68;
    g->cpu->gdt = (X86Table) { .base = SUPER(P_GDT), .limit = GDT_BYTES - 1 };
    g->cpu->idt = (X86Table) { .base = SUPER(P_IDT), .limit = 0xfff };
    g->cpu->segs[X86_TR] = (X86Segment) {
        .base = SUPER(P_TSS), .limit = 0x67, .attr = 0x8b, .selector = SEL_TSS,
    };
    g->cpu->segs[X86_LDTR] = (X86Segment) {
        .base = SUPER(P_LDT), .limit = LDT_COUNT * 8 - 1, .attr = 0x82, .selector = 0x50,
    };
}

static void set_control_registers(EmuCpu *cpu)
{
    cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    cpu->cr3 = P_TABLES;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_TSD;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->xcr0 = 7;
}

/* ---- State ---- */

static void set_segment(X86Segment *segment, uint16_t selector)
{
    uint64_t descriptor = descriptor_of(selector);
    uint32_t limit = (descriptor & 0xffff) | (descriptor >> 32 & 0xf0000);

    *segment = (X86Segment) { .selector = selector, .base = descriptor_base(descriptor),
                              .attr = descriptor >> 40 & 0xf0ff };
    segment->limit = segment->attr & SEG_G ? limit << 12 | 0xfff : limit;
    if (!(selector & ~3)) {
        segment->attr = SEG_UNUSABLE;
    }
}

static void set_segments(EmuCpu *cpu, const State *state)
{
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        set_segment(&cpu->segs[i], state->selector[i]);
    }
    cpu->segs[X86_FS].base = state->fs_base;
    cpu->segs[X86_GS].base = state->gs_base;
}

static void set_x(EmuCpu *cpu, const uint8_t *x)
{
    EmuFpu *fpu = &cpu->fpu;
    uint16_t fsw;

    memcpy(&fpu->fcw, x + XS_FCW, 2);
    memcpy(&fsw, x + XS_FSW, 2);
    fpu->top = fsw >> 11 & 7;
    fpu->fsw = fsw & ~(7u << 11);
    fpu->valid = x[XS_FTW];
    memcpy(&fpu->fop, x + XS_FOP, 2);
    memcpy(&fpu->fip, x + XS_FIP, 8);
    memcpy(&fpu->fdp, x + XS_FDP, 8);
    fpu->fcs = fpu->fds = 0;
    memcpy(&cpu->mxcsr, x + XS_MXCSR, 4);
    for (unsigned i = 0; i < 8; i++) {
        EmuF80 *reg = &fpu->fpr[(fpu->top + i) & 7];

        memcpy(&reg->significand, x + XS_ST + i * 16, 8);
        memcpy(&reg->sign_exponent, x + XS_ST + i * 16 + 8, 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(&cpu->vec[i].u8[0], x + XS_XMM + i * 16, 16);
        memcpy(&cpu->vec[i].u8[16], x + XS_YMM + i * 16, 16);
    }
}

static void get_x(const EmuCpu *cpu, uint8_t *x)
{
    const EmuFpu *fpu = &cpu->fpu;
    uint16_t fsw = fpu->fsw | fpu->top << 11;

    memset(x, 0, XS_SIZE);
    memcpy(x + XS_FCW, &fpu->fcw, 2);
    memcpy(x + XS_FSW, &fsw, 2);
    x[XS_FTW] = fpu->valid;
    memcpy(x + XS_FOP, &fpu->fop, 2);
    memcpy(x + XS_FIP, &fpu->fip, 8);
    memcpy(x + XS_FDP, &fpu->fdp, 8);
    memcpy(x + XS_MXCSR, &cpu->mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        const EmuF80 *reg = &fpu->fpr[(fpu->top + i) & 7];

        memcpy(x + XS_ST + i * 16, &reg->significand, 8);
        memcpy(x + XS_ST + i * 16 + 8, &reg->sign_exponent, 2);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(x + XS_XMM + i * 16, &cpu->vec[i].u8[0], 16);
        memcpy(x + XS_YMM + i * 16, &cpu->vec[i].u8[16], 16);
    }
}

static void set_integer_state(EmuCpu *cpu, const State *state)
{
    memcpy(cpu->regs, state->gpr, sizeof(state->gpr));
    cpu->rip = state->rip;
    cpu->rflags = (state->rflags & ~(uint64_t)FLAG_ARITH) | FLAG_ONE;
    emu_flags_set(cpu, state->rflags);
    set_segments(cpu, state);
    emu_update_mode(cpu);
}

static void set_state(EmuCpu *cpu, const State *state)
{
    set_x(cpu, state->x);
    cpu->halted = cpu->vcpu->halted = false;
    cpu->triple_fault = false;
    cpu->delivering = -1;
    cpu->shadow = 0;
    cpu->step_once = false;
    cpu->cr2 = 0;
    cpu->sys->debug_pending = 0;
    cpu->sys->traced = false;
    set_integer_state(cpu, state);
}

/* As the frame on the supervisor's stack and the registers have it. */
static void get_state(Guest *g, State *state, bool has_error, uint32_t *error)
{
    uint64_t frame = KSTACK_TOP - 40;

    *error = has_error ? get64(g, frame - 8) : 0;
    memcpy(state->gpr, g->cpu->regs, sizeof(state->gpr));
    state->rip = get64(g, frame);
    state->rflags = get64(g, frame + 16);
    state->gpr[DIFF_RSP] = get64(g, frame + 24);
    for (unsigned i = X86_ES; i <= X86_GS; i++) {
        state->selector[i] = settled_selector(g->cpu->segs[i].selector);
    }
    state->selector[DIFF_CS] = get64(g, frame + 8);
    state->selector[DIFF_SS] = get64(g, frame + 32);
    state->fs_base = g->cpu->segs[X86_FS].base;
    state->gs_base = g->cpu->segs[X86_GS].base;
    get_x(g->cpu, state->x);
}

/* ---- Running ---- */

/* A run that the timer meets twice is endless. */
static void on_alarm(int sig, siginfo_t *info, void *opaque)
{
    Guest *g = info->si_value.sival_ptr;

    if (g->last_tick == g->runs) {
        __atomic_store_n(&g->cpu->vcpu->exit_request, true, __ATOMIC_SEQ_CST);
        emu_set_attention(g->cpu);
    }
    g->last_tick = g->runs;
}

static void start_timer(Guest *g)
{
    struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_RESTART | SA_SIGINFO };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM,
                              .sigev_value.sival_ptr = g };
    struct itimerspec often = { { 0, 100 * 1000 * 1000 }, { 0, 100 * 1000 * 1000 } };

    sigaction(SIGALRM, &action, NULL);
    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &g->timer) ||
        timer_settime(g->timer, 0, &often, NULL)) {
        g_error("no timer");
    }
}

static void put_code(Guest *g, const Case *test, bool present)
{
    uint8_t *code = g->h->bytes + P_CODE + test->code_offset;

    if (present) {
        memcpy(code, test->code, test->code_len);
    } else {
        memset(code, 0xcc, test->code_len);
    }
}

/* The page's blocks are the last case's, or another flavour's. */
static void drop_blocks(Guest *g)
{
    /* EmuFetch.physical of RAM. */
    uintptr_t ram = (uintptr_t)g->h->bytes;

    for (unsigned i = 0; i < CODE_SIZE / PAGE; i++) {
        emu_blocks_invalidate(g->cpu, ram + P_CODE + i * PAGE, 0, PAGE);
    }
    emu_blocks_invalidate(g->cpu, ram + P_HANDLERS, 0, PAGE);
}

static bool has_error_code(unsigned vector)
{
    const uint32_t mask = 1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21;

    return vector < 32 && mask >> vector & 1;
}

/* Until an exception that ends the case. */
static void run(Guest *g, const Case *test, Result *result)
{
    EmuCpu *cpu = g->cpu;

    for (;;) {
        emu_run(cpu->vcpu);
        if (!cpu->halted) {
            result->status = STATUS_TIMEOUT;
            return;
        }
        result->vector = (cpu->rip - SUPER(P_HANDLERS)) / 16;
        get_state(g, &result->end, has_error_code(result->vector), &result->error);
        if (result->vector != X86_DB || !test->step || result->steps == MAX_STEPS) {
            result->status = STATUS_FAULT;
            return;
        }
        note_step(result, &result->end);
        cpu->halted = cpu->vcpu->halted = false;
        set_integer_state(cpu, &result->end);
    }
}

void guest_run(Guest *g, const Case *test, Flavour flavour, Result *result)
{
    EmuCpu *cpu = g->cpu;

    g->runs++;
    result->status = STATUS_NONE;
    result->steps = 0;
    result->trace = 0;
    put_code(g, test, true);
    if (flavour != FLAVOUR_AGAIN) {
        drop_blocks(g);
    }
    cpu->jit = flavour >= FLAVOUR_TRANSLATED ? g->jit : NULL;
    emu_accel()->one_insn = flavour == FLAVOUR_SINGLE;
    cpu->vcpu->exit_request = false;
    set_state(cpu, &test->start);
    run(g, test, result);
    emu_accel()->one_insn = false;
    cpu->jit = g->jit;
    result->cr2 = result->vector == X86_PF ? cpu->cr2 : 0;
    collect_lines(&g->image, g->h->bytes + P_DATA, g->h->bytes + P_STACK, result);
    put_code(g, test, false);
    if (flavour != FLAVOUR_TRANSLATED) {
        drop_blocks(g);
    }
}

/* ---- For the test ---- */

/* x87 pointers, as this host has them: FDP only at exceptions, no FCS and FDS. */
static void follow_host(EmuCpu *cpu)
{
    const uint32_t bits = 1u << 6 | 1u << 13;
    unsigned a, b = 0, c, d;

    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    cpu->sys->features[X86_FEAT_7_0_EBX] &= ~(uint64_t)bits;
    cpu->sys->features[X86_FEAT_7_0_EBX] |= b & bits;
}

Guest *guest_new(void)
{
    Guest *g = g_new0(Guest, 1);

    g->h = emu_harness_new(1, NULL);
    g->cpu = g->h->cpu;
    g->jit = g->cpu->jit;
    g->cpu->jit_hot = 0;
    emu_harness_set_mode(g->cpu, EMU_HARNESS_USER64);
    follow_host(g->cpu);
    make_page_tables(g);
    make_descriptors(g);
    set_control_registers(g->cpu);
    memset(g->h->bytes + P_CODE, 0xcc, CODE_SIZE);
    emu_update_mode(g->cpu);
    emu_tlb_flush_all(g->cpu);
    start_timer(g);
    return g;
}

void guest_free(Guest *g)
{
    timer_delete(g->timer);
    emu_harness_free(g->h);
    g_free(g);
}

bool guest_translates(const Guest *g)
{
    return g->jit;
}

void guest_set_image(Guest *g, const Image *image)
{
    g->image = *image;
    memcpy(g->h->bytes + P_RO, image->ro, RO_SIZE);
    memcpy(g->h->bytes + P_DATA, image->data, DATA_SIZE);
    memcpy(g->h->bytes + P_STACK, image->stack, STACK_SIZE);
}
