/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints, watchpoints and single steps (SDM vol. 3, chapter 18), the guest's by DR0-7 and
 * RFLAGS.TF, and a debugger's by VCpu.debug. While any is armed every instruction is a block of its
 * own, between emu_debug_before() and emu_debug_after().
 */
#include "accel/emu/exec.h"
#include "accel/emu/mem.h"
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

static bool debugger_point(const EmuCpu *cpu, unsigned n, Point *point)
{
    const VCpuDebug *debug = &cpu->vcpu->debug;

    if (n >= debug->count) {
        return false;
    }
    point->kind = debug->points[n].kind;
    point->length = MAX(debug->points[n].length, 1);
    point->address = debug->points[n].address;
    return true;
}

typedef bool PointFn(const EmuCpu *cpu, unsigned n, Point *point);

static unsigned execute_hits(const EmuCpu *cpu, PointFn *get, uint64_t linear)
{
    unsigned hits = 0;
    Point point;

    for (unsigned n = 0; n < 4; n++) {
        if (get(cpu, n, &point) && point.kind == BREAK_EXECUTE && point.address == linear) {
            hits |= BIT(n);
        }
    }
    return hits;
}

static unsigned data_hits(const EmuCpu *cpu, PointFn *get, uint64_t linear, unsigned size,
                          bool is_write)
{
    unsigned hits = 0;
    Point point;

    for (unsigned n = 0; n < 4; n++) {
        if (get(cpu, n, &point) &&
            (point.kind == BREAK_ACCESS || (point.kind == BREAK_WRITE && is_write)) &&
            linear - point.address + size - 1 < (uint64_t)point.length + size - 1) {
            hits |= BIT(n);
        }
    }
    return hits;
}

static bool is_data(const Point *point)
{
    return point->kind == BREAK_WRITE || point->kind == BREAK_ACCESS;
}

/* ---- What is armed ---- */

bool emu_debug_armed(const EmuCpu *cpu)
{
    const X86Events *injected = &cpu->sys->injected;

    return (cpu->dr[7] & DR7_ENABLES) || cpu->vcpu->debug.count ||
           injected->exception_injected || injected->interrupt_injected;
}

bool emu_debug_watches_page(const EmuCpu *cpu, uint64_t linear)
{
    uint64_t page = linear / EMU_PAGE_SIZE;
    Point point;

    if (!(cpu->dr[7] & DR7_ENABLES) && !cpu->vcpu->debug.count) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        if ((guest_point(cpu, n, &point) && is_data(&point) &&
             point.address / EMU_PAGE_SIZE == page) ||
            (debugger_point(cpu, n, &point) && is_data(&point) &&
             point.address / EMU_PAGE_SIZE <= page &&
             (point.address + point.length - 1) / EMU_PAGE_SIZE >= page)) {
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
static G_NORETURN void stop_for_debugger(EmuCpu *cpu, uint64_t dr6, uint64_t address)
{
    VCpu *vcpu = cpu->vcpu;
    bool taken = emu_lock_vm(cpu);

    vcpu->debug.hit_address = address;
    vcpu->debug.hit_dr6 = dr6;
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
        stop_for_debugger(cpu, DR6_FIXED, linear_rip(cpu));
    }
}

/* DR6 as a #DB leaves it; general detection is off in the handler. */
static void set_dr6(EmuCpu *cpu, uint32_t bits)
{
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

void emu_debug_before(EmuCpu *cpu)
{
    EmuSystem *sys = cpu->sys;
    uint64_t linear = linear_rip(cpu);
    unsigned hits;

    if (sys->injected.exception_injected || sys->injected.interrupt_injected) {
        deliver_injected(cpu);
    }
    sys->traced = cpu->rflags & FLAG_TF;
    if (cpu->vcpu->debug.count) {
        hits = execute_hits(cpu, debugger_point, linear);
        if (hits && sys->resumed_at != linear) {
            sys->resumed_at = linear;
            stop_for_debugger(cpu, DR6_FIXED | hits, linear);
        }
    }
    sys->resumed_at = UINT64_MAX;
    if ((cpu->dr[7] & DR7_ENABLES) && !(cpu->rflags & FLAG_RF) &&
        !(cpu->shadow & EMU_SHADOW_MOV_SS)) {
        hits = execute_hits(cpu, guest_point, linear);
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
    const VCpuDebug *debug = &cpu->vcpu->debug;
    uint32_t pending = sys->debug_pending | (sys->traced ? DR6_BS : 0);
    uint32_t debugger = sys->debugger_pending;

    sys->traced = false;
    sys->debugger_pending = 0;
    /* After MOV SS a trap waits for the next instruction, and a step is lost. */
    sys->debug_pending = cpu->shadow & EMU_SHADOW_MOV_SS ? pending & ~(uint32_t)DR6_BS : 0;
    if (pending && !(cpu->shadow & EMU_SHADOW_MOV_SS)) {
        set_dr6(cpu, pending);
        emu_deliver(cpu, X86_DB, EMU_EVENT_TRAP, false, 0);
    }
    if (debug->single_step || debugger) {
        stop_for_debugger(cpu, DR6_FIXED | debugger | (debug->single_step ? DR6_BS : 0),
                          linear_rip(cpu));
    }
}

void emu_debug_drop_step(EmuCpu *cpu)
{
    cpu->sys->traced = false;
}

void emu_debug_data_access(EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write)
{
    cpu->sys->debug_pending |= data_hits(cpu, guest_point, linear, size, is_write);
    cpu->sys->debugger_pending |= data_hits(cpu, debugger_point, linear, size, is_write);
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
