/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints, watchpoints and single steps (SDM vol. 3, chapter 18), the guest's by DR0-7 and
 * RFLAGS.TF, and a debugger's by VCpu.debug. While any of the guest's is armed, or a debugger
 * steps, every instruction is a block of its own, between emu_debug_before() and
 * emu_debug_after().
 *
 * A debugger's breakpoints cost less: only the pages that hold some run so (no block of theirs is
 * ever remembered by linear address, so each entry is a lookup, which turns back here), and so do
 * instructions that are about to hit a watchpoint (pages that hold some are in no first-level TLB).
 */
#include "accel/emu/exec.h"
#include "accel/emu/mem.h"
#include "accel/emu/mmu.h"
#include "accel/emu/system-internal.h"
#include "accel/vm-events.h"

/* DR7's R/W fields; those of VCpuBreakpointKind are the same. */
enum { BREAK_EXECUTE = 0, BREAK_WRITE = 1, BREAK_IO = 2, BREAK_ACCESS = 3 };

typedef struct Point {
    uint64_t address;
    unsigned kind, length;
} Point;

/* Breakpoint n of DR7; false: not enabled. */
static bool guest_point(const EmuCpu *cpu, unsigned n, Point *point)
{
    static const uint8_t lengths[] = { 1, 2, 8, 4 };
    uint64_t dr7 = cpu->dr[7];

    point->kind = (unsigned)extract64(dr7, 16 + 4 * n, 2);
    point->length = lengths[extract64(dr7, 18 + 4 * n, 2)];
    point->address = cpu->dr[n] & ~(uint64_t)(point->length - 1);
    return extract64(dr7, 2 * n, 2);
}

static bool overlaps(uint64_t linear, unsigned size, uint64_t address, unsigned length)
{
    return linear - address + size - 1 < (uint64_t)length + size - 1;
}

static unsigned execute_hits(const EmuCpu *cpu, uint64_t linear)
{
    unsigned hits = 0;
    Point point;

    for (unsigned n = 0; n < 4; n++) {
        if (guest_point(cpu, n, &point) && point.kind == BREAK_EXECUTE &&
            point.address == linear) {
            hits |= BIT(n);
        }
    }
    return hits;
}

static unsigned data_hits(const EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write)
{
    unsigned hits = 0;
    Point point;

    for (unsigned n = 0; n < 4; n++) {
        if (guest_point(cpu, n, &point) &&
            (point.kind == BREAK_ACCESS || (point.kind == BREAK_WRITE && is_write)) &&
            overlaps(linear, size, point.address, point.length)) {
            hits |= BIT(n);
        }
    }
    return hits;
}

static bool is_data(const Point *point)
{
    return point->kind == BREAK_WRITE || point->kind == BREAK_ACCESS;
}

/* ---- A debugger's points ---- */

/* The first execute point at linear; -1: none. */
static int breakpoint_at(const VCpuDebug *debug, uint64_t linear)
{
    for (unsigned i = 0; i < debug->count; i++) {
        if (debug->points[i].kind == VCPU_BREAK_EXECUTE && debug->points[i].address == linear) {
            return (int)i;
        }
    }
    return -1;
}

/* The first watchpoint that an access hits; -1: none. */
static int watchpoint_at(const VCpuDebug *debug, uint64_t linear, unsigned size, bool is_write)
{
    for (unsigned i = 0; i < debug->count; i++) {
        const VCpuBreakpoint *point = &debug->points[i];
        bool wanted = point->kind == VCPU_BREAK_ACCESS ||
                      point->kind == (is_write ? VCPU_BREAK_WRITE : VCPU_BREAK_READ);

        if (wanted && overlaps(linear, size, point->address, point->length)) {
            return (int)i;
        }
    }
    return -1;
}

/* Has the page a debugger's breakpoint, or (data) a watchpoint? */
static bool debugger_has_page(const VCpuDebug *debug, uint64_t linear, bool data)
{
    for (unsigned i = 0; i < debug->count; i++) {
        const VCpuBreakpoint *point = &debug->points[i];

        if ((point->kind != VCPU_BREAK_EXECUTE) == data &&
            overlaps(linear & EMU_PAGE_MASK, EMU_PAGE_SIZE, point->address, point->length)) {
            return true;
        }
    }
    return false;
}

/* The next instruction is a block of its own, whatever the mode is. */
static void step_next(EmuCpu *cpu)
{
    cpu->step_once = true;
    cpu->mode |= EMU_MODE_STEP;
}

void emu_debug_before_lookup(EmuCpu *cpu, uint64_t linear)
{
    if (debugger_has_page(&cpu->vcpu->debug, linear, false)) {
        step_next(cpu);
        emu_escape(cpu, EMU_EXIT_AGAIN);
    }
}

/* The pushes of a delivery are not begun anew: emu_debug_before() reports what they hit. */
void emu_debug_before_access(EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write)
{
    if ((cpu->mode & EMU_MODE_STEP) ||
        watchpoint_at(&cpu->vcpu->debug, linear, size, is_write) < 0) {
        return;
    }
    step_next(cpu);
    if (cpu->op && cpu->delivering < 0) {
        emu_escape(cpu, EMU_EXIT_AGAIN);
    }
}

/* ---- What is armed ---- */

bool emu_debug_armed(const EmuCpu *cpu)
{
    const X86Events *injected = &cpu->sys->injected;

    return (cpu->dr[7] & DR7_ENABLES) || injected->exception_injected ||
           injected->interrupt_injected;
}

bool emu_debug_watches_page(const EmuCpu *cpu, uint64_t linear)
{
    uint64_t page = linear / EMU_PAGE_SIZE;
    Point point;

    if (cpu->vcpu->debug.count && debugger_has_page(&cpu->vcpu->debug, linear, true)) {
        return true;
    }
    if (!(cpu->dr[7] & DR7_ENABLES)) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (guest_point(cpu, n, &point) && is_data(&point) &&
            point.address / EMU_PAGE_SIZE == page) {
            return true;
        }
    }
    return false;
}

void emu_debug_changed(EmuCpu *cpu)
{
    emu_tlb_flush_first(cpu);
    emu_update_mode(cpu);
}

static void update_here(VCpu *vcpu, void *opaque)
{
    emu_debug_changed(emu_cpu(vcpu));
}

bool emu_update_debug(VCpu *vcpu, GError **error)
{
    vcpu_run_on(vcpu, update_here, NULL);
    return true;
}

/* ---- Stops ---- */

static uint64_t linear_rip(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_CS64 ? cpu->rip
                                     : (uint32_t)(cpu->segs[X86_CS].base + cpu->rip);
}

/* The debugger's; cpu->rip is whole, or that of the running op. */
static G_NORETURN void stop_for_debugger(EmuCpu *cpu, VCpuStop stop)
{
    VCpu *vcpu = cpu->vcpu;
    bool taken = emu_lock_vm(cpu);

    vcpu->debug.stop = stop;
    vcpu->debug.passes = true;
    vcpu->debug.hit_address = linear_rip(cpu);
    vcpu->stop_requested = true;
    vm_report_debug_stop(vcpu->index);
    emu_unlock_vm(cpu, taken);
    emu_set_attention(cpu);
    emu_escape(cpu, EMU_EXIT_LEAVE);
}

void emu_debug_int3(EmuCpu *cpu)
{
    if (cpu->vcpu->debug.software_breakpoints) {
        if (cpu->op) {
            cpu->rip = emu_mask_ip(cpu, emu_op_rip(cpu, cpu->op));
            cpu->op = NULL;
        }
        stop_for_debugger(cpu, VCPU_STOP_INT3);
    }
}

/* DR6 as a #DB leaves it; general detection and stepping on branches are off in the handler. */
static void set_dr6(EmuCpu *cpu, uint32_t bits)
{
    cpu->sys->plain.debugctl &= ~(uint64_t)DEBUGCTL_BTF;
    cpu->dr[6] = (cpu->dr[6] & ~(uint64_t)DR6_HIT) | bits;
    cpu->dr[7] &= ~(uint64_t)DR7_GD;
}

G_NORETURN void emu_debug_general_detect(EmuCpu *cpu)
{
    set_dr6(cpu, DR6_BD);
    emu_raise_plain(cpu, X86_DB);
}

/* ---- Around an instruction ---- */

static void deliver_injected(EmuCpu *cpu)
{
    X86Events injected = cpu->sys->injected;
    EmuEventKind kind = EMU_EVENT_EXTERNAL;

    cpu->sys->injected = (X86Events) { 0 };
    emu_update_mode(cpu);
    if (injected.interrupt_injected) {
        kind = injected.interrupt_soft ? EMU_EVENT_SOFT : EMU_EVENT_EXTERNAL;
        emu_deliver(cpu, injected.interrupt_vector, kind, false, 0);
    } else {
        kind = injected.exception_vector == X86_BP || injected.exception_vector == X86_OF
                   ? EMU_EVENT_TRAP : EMU_EVENT_FAULT;
        emu_deliver(cpu, injected.exception_vector, kind, injected.exception_has_error,
                    injected.exception_error);
    }
    emu_escape(cpu, EMU_EXIT_AGAIN);
}

/* An access of the last instruction, or of a delivery since. */
static void stop_if_hit(EmuCpu *cpu)
{
    if (cpu->sys->debugger_pending) {
        cpu->sys->debugger_pending = false;
        stop_for_debugger(cpu, VCPU_STOP_POINT);
    }
}

/* Unless it stopped here last and has been told to go on. */
static void stop_at_breakpoint(EmuCpu *cpu, uint64_t linear)
{
    VCpuDebug *debug = &cpu->vcpu->debug;
    int point = breakpoint_at(debug, linear);

    if (point >= 0 && !(debug->passes && debug->hit_address == linear)) {
        debug->hit_point = (unsigned)point;
        stop_for_debugger(cpu, VCPU_STOP_POINT);
    }
}

void emu_debug_before(EmuCpu *cpu)
{
    EmuSystem *sys = cpu->sys;
    VCpuDebug *debug = &cpu->vcpu->debug;
    uint64_t linear = linear_rip(cpu);
    unsigned hits;

    stop_if_hit(cpu);
    if (sys->injected.exception_injected || sys->injected.interrupt_injected) {
        deliver_injected(cpu);
    }
    sys->traced = cpu->rflags & FLAG_TF;
    if (debug->count) {
        stop_at_breakpoint(cpu, linear);
    }
    debug->passes = false;
    if ((cpu->dr[7] & DR7_ENABLES) && !(cpu->rflags & FLAG_RF) &&
        !(cpu->shadow & EMU_SHADOW_MOV_SS)) {
        hits = execute_hits(cpu, linear);
        if (hits) {
            set_dr6(cpu, hits);
            emu_raise_plain(cpu, X86_DB);
        }
    }
    cpu->rflags &= ~(uint64_t)FLAG_RF;
}

void emu_debug_after(EmuCpu *cpu)
{
    EmuSystem *sys = cpu->sys;
    bool stepped = sys->traced && (sys->branched || !(sys->plain.debugctl & DEBUGCTL_BTF));
    uint32_t pending = sys->debug_pending | (stepped ? DR6_BS : 0);

    sys->traced = false;
    /* After MOV SS a trap waits for the next instruction, and a step is lost. */
    sys->debug_pending = cpu->shadow & EMU_SHADOW_MOV_SS ? pending & ~(uint32_t)DR6_BS : 0;
    if (pending && !(cpu->shadow & EMU_SHADOW_MOV_SS)) {
        set_dr6(cpu, pending);
        emu_deliver(cpu, X86_DB, EMU_EVENT_TRAP, false, 0);
    }
    stop_if_hit(cpu);
    emu_debug_delivered(cpu);
}

bool emu_debug_trap_first(EmuCpu *cpu)
{
    bool in_pieces = cpu->in_pieces;

    cpu->in_pieces = false;
    cpu->sys->branched = false;
    if (!in_pieces || (!cpu->sys->debug_pending &&
                       (!cpu->sys->traced || (cpu->sys->plain.debugctl & DEBUGCTL_BTF)))) {
        return false;
    }
    cpu->rflags |= FLAG_RF; /* its own breakpoint is not met again */
    emu_debug_after(cpu);
    return true;
}

void emu_debug_delivered(EmuCpu *cpu)
{
    if (EMU_UNLIKELY(cpu->vcpu->debug.single_step)) {
        stop_for_debugger(cpu, VCPU_STOP_STEP);
    }
}

/* What wakes a halted CPU does so, but the handler has to wait. */
void emu_debug_hold_interrupts(EmuCpu *cpu)
{
    EmuBoundaryEvent event = emu_next_event(cpu);

    if (!cpu->vcpu->debug.holds_interrupts || cpu->sys->wait_for_sipi || event == EMU_TAKE_INIT) {
        emu_take_interrupts(cpu);
    } else if (event != EMU_TAKE_NOTHING && cpu->halted) {
        emu_set_halted(cpu, false);
    }
}

void emu_debug_drop_step(EmuCpu *cpu)
{
    cpu->sys->traced = false;
}

void emu_debug_data_access(EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write)
{
    VCpuDebug *debug = &cpu->vcpu->debug;
    int point = debug->count ? watchpoint_at(debug, linear, size, is_write) : -1;

    cpu->sys->debug_pending |= data_hits(cpu, linear, size, is_write);
    if (point >= 0 && !cpu->sys->debugger_pending) {
        debug->hit_point = (unsigned)point;
        cpu->sys->debugger_pending = true;
    }
}

void emu_debug_io_access(EmuCpu *cpu, uint16_t port, unsigned size)
{
    Point point;

    if (!(cpu->dr[7] & DR7_ENABLES) || !(cpu->cr4 & CR4_DE)) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (guest_point(cpu, n, &point) && point.kind == BREAK_IO &&
            ranges_overlap(port, size, point.address, point.length)) {
            cpu->sys->debug_pending |= BIT(n);
        }
    }
}
