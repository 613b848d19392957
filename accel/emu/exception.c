/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events through the interrupt descriptor table (SDM vol. 3, chapter 6; vol. 2, INT n).
 */
#include "accel/emu/exec.h"

#include "accel/emu/system-internal.h"
#include "accel/emu/transfer.h"
#include "util/log.h"

#define ERROR_IDT 2u

/* Classes of SDM vol. 3, table 6-4, in EmuCpu.delivering. */
enum { CLASS_NONE = -1, CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

typedef struct Event {
    unsigned vector;
    EmuEventKind kind;
    bool has_error;
    uint32_t error;
    uint64_t flags; /* as the handler finds them in its frame */
} Event;

static int fault_class(unsigned vector)
{
    switch (vector) {
    case X86_DE:
    case X86_TS:
    case X86_NP:
    case X86_SS_FAULT:
    case X86_GP:
        return CLASS_CONTRIBUTORY;
    case X86_PF:
        return CLASS_PAGE_FAULT;
    case X86_DF:
        return CLASS_DOUBLE_FAULT;
    default:
        return CLASS_BENIGN;
    }
}

static void log_event(const EmuCpu *cpu, const Event *event)
{
    static const char *const kinds[] = { "fault", "trap", "int", "int1", "irq" };

    log_printf(LOG_INT, "cpu %u: %s v=%02x e=%04x cpl=%u pc=%04x:%016" PRIx64
               " sp=%04x:%016" PRIx64 " cr2=%016" PRIx64 " flags=%08" PRIx64,
               cpu->vcpu->index, kinds[event->kind], event->vector, event->error, emu_cpl(cpu),
               cpu->segs[X86_CS].selector, cpu->rip, cpu->segs[X86_SS].selector,
               cpu->regs[X86_RSP], cpu->cr2, event->flags);
}

/* So many triple faults, each within this time of the one before, are a loop. */
#define LOOP_FAULTS 3
#define LOOP_SECONDS 10

static bool is_loop_going_on(const EmuCpu *cpu)
{
    int64_t since = g_get_monotonic_time() - cpu->sys->triple_fault_us;

    return cpu->sys->triple_faults && since < LOOP_SECONDS * G_USEC_PER_SEC;
}

bool emu_log_events(const EmuCpu *cpu)
{
    return log_enabled(LOG_INT) &&
           (cpu->sys->triple_faults < LOOP_FAULTS || !is_loop_going_on(cpu));
}

void emu_log_triple_fault(EmuCpu *cpu)
{
    EmuSystem *sys = cpu->sys;

    if (emu_log_events(cpu)) {
        log_printf(LOG_INT, "cpu %u: triple fault", cpu->vcpu->index);
    }
    sys->triple_faults = is_loop_going_on(cpu) ? MIN(sys->triple_faults + 1, LOOP_FAULTS + 1) : 1;
    sys->triple_fault_us = g_get_monotonic_time();
    if (sys->triple_faults == LOOP_FAULTS) {
        log_printf(LOG_INT, "cpu %u: triple faults reset the guest again and again; no interrupts "
                   "are logged until %u seconds have passed without one (-no-reboot ends the VM at "
                   "the first)", cpu->vcpu->index, LOOP_SECONDS);
    }
}

/* The value for the frame: faults let the instruction be resumed past its own breakpoint. */
static uint64_t frame_flags(const EmuCpu *cpu, unsigned vector, EmuEventKind kind)
{
    const uint64_t dr6_bd = BIT_ULL(13);
    uint64_t flags = emu_rflags(cpu);

    if (kind == EMU_EVENT_FAULT && vector != X86_DF &&
        (vector != X86_DB || (cpu->dr[6] & dr6_bd))) {
        flags |= FLAG_RF;
    }
    return flags;
}

/* ---- Real mode ---- */

static void deliver_real(EmuCpu *cpu, const Event *event)
{
    EmuStack stack;
    EmuFrame frame;
    uint32_t target;

    if (event->vector * 4 + 3 > cpu->idt.limit) {
        emu_raise_selector(cpu, X86_GP, 0);
    }
    target = emu_implicit_read_u32(cpu, emu_table_address(cpu, cpu->idt.base + event->vector * 4));
    emu_current_stack(cpu, false, &stack);
    emu_frame_init(&frame, &stack, 0, 0, 2);
    emu_frame_push(&frame, emu_rflags(cpu));
    emu_frame_push(&frame, cpu->segs[X86_CS].selector);
    emu_frame_push(&frame, cpu->rip);
    emu_frame_check(cpu, &frame);
    if ((target & 0xffff) > cpu->segs[X86_CS].limit) {
        emu_raise_gp(cpu);
    }
    emu_frame_write(cpu, &frame);
    emu_set_stack(cpu, &stack, frame.sp);
    emu_load_segment_real(cpu, X86_CS, target >> 16);
    cpu->rip = target & 0xffff;
    cpu->rflags &= ~(uint64_t)(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
}

/* ---- Gates ---- */

G_NORETURN static void raise_idt(EmuCpu *cpu, unsigned vector, const Event *event)
{
    emu_raise(cpu, vector, event->vector * 8 | ERROR_IDT | cpu->delivering_ext);
}

static bool gate_type_refused(const EmuCpu *cpu, unsigned type)
{
    switch (type) {
    case TYPE_INT32:
    case TYPE_TRAP32:
        return false;
    case TYPE_INT16:
    case TYPE_TRAP16:
    case TYPE_TASK_GATE:
        return emu_in_long_mode(cpu);
    default:
        return true;
    }
}

static void read_gate(EmuCpu *cpu, const Event *event, EmuDescriptor *gate)
{
    unsigned size = emu_in_long_mode(cpu) ? 16 : 8, offset = event->vector * size;

    if (offset + size - 1 > cpu->idt.limit) {
        raise_idt(cpu, X86_GP, event);
    }
    gate->address = emu_table_address(cpu, cpu->idt.base + offset);
    gate->raw = emu_implicit_read_u64(cpu, gate->address);
    gate->high = size == 16 ? emu_implicit_read_u64(cpu, gate->address + 8) : 0;
    emu_parse_descriptor(gate);
    if (gate_type_refused(cpu, emu_type(gate)) ||
        (event->kind == EMU_EVENT_SOFT && emu_dpl(gate) < emu_cpl(cpu))) {
        raise_idt(cpu, X86_GP, event);
    }
    if (!(gate->attr & SEG_P)) {
        raise_idt(cpu, X86_NP, event);
    }
}

static void deliver_task(EmuCpu *cpu, const Event *event, const EmuDescriptor *gate)
{
    EmuTaskSwitch change = {
        .cause = EMU_TASK_EVENT,
        .selector = gate->selector,
        .rip = cpu->rip,
        .rflags = event->flags,
        .has_error = event->has_error,
        .error = event->error,
    };

    emu_read_available_tss(cpu, gate->selector, &change.tss);
    emu_task_switch(cpu, &change);
}

static void read_handler(EmuCpu *cpu, const EmuDescriptor *gate, EmuDescriptor *code)
{
    bool from_v86 = cpu->mode & EMU_MODE_VM86;
    unsigned dpl;

    emu_read_code(cpu, gate->selector, code);
    dpl = emu_dpl(code);
    if (!emu_is_code(code) || dpl > emu_cpl(cpu) ||
        (emu_in_long_mode(cpu) && (code->attr & (SEG_L | SEG_DB)) != SEG_L) ||
        (from_v86 && (emu_is_conforming(code) || dpl != 0))) {
        emu_raise_selector(cpu, X86_GP, gate->selector);
    }
    if (!(code->attr & SEG_P)) {
        emu_raise_selector(cpu, X86_NP, gate->selector);
    }
}

/* ---- Frames ---- */

static void push_v86_segments(EmuCpu *cpu, EmuFrame *frame)
{
    emu_frame_push(frame, cpu->segs[X86_GS].selector);
    emu_frame_push(frame, cpu->segs[X86_FS].selector);
    emu_frame_push(frame, cpu->segs[X86_DS].selector);
    emu_frame_push(frame, cpu->segs[X86_ES].selector);
}

static void leave_v86(EmuCpu *cpu)
{
    emu_set_null_segment(cpu, X86_GS, 0, 0);
    emu_set_null_segment(cpu, X86_FS, 0, 0);
    emu_set_null_segment(cpu, X86_DS, 0, 0);
    emu_set_null_segment(cpu, X86_ES, 0, 0);
}

/* The stack of a 64-bit handler: IST, inner level's or the present one, aligned. */
static void choose_stack64(EmuCpu *cpu, const EmuDescriptor *gate, unsigned level, bool inner,
                           EmuStack *stack)
{
    unsigned ist = gate->count & 7;

    emu_current_stack(cpu, true, stack);
    if (ist) {
        stack->sp = emu_tss_ist(cpu, ist);
    } else if (inner) {
        uint16_t unused;

        emu_tss_stack(cpu, level, &unused, &stack->sp);
    }
    if (inner) {
        stack->ss = (X86Segment) {
            .attr = SEG_UNUSABLE | level << SEG_DPL_SHIFT,
            .selector = level,
        };
    }
    stack->sp &= ~15ull;
}

static void push_frame(EmuCpu *cpu, const Event *event, EmuFrame *frame, bool with_stack)
{
    if (with_stack) {
        emu_frame_push(frame, cpu->segs[X86_SS].selector);
        emu_frame_push(frame, cpu->regs[X86_RSP]); /* all of it, also of a 16-bit stack */
    }
    emu_frame_push(frame, event->flags);
    emu_frame_push(frame, cpu->segs[X86_CS].selector);
    emu_frame_push(frame, cpu->rip);
    if (event->has_error) {
        emu_frame_push(frame, event->error);
    }
}

static void deliver_gate(EmuCpu *cpu, const Event *event, const EmuDescriptor *gate)
{
    bool long_mode = emu_in_long_mode(cpu), from_v86 = cpu->mode & EMU_MODE_VM86, inner;
    unsigned size = long_mode ? 8 : gate->attr & 8 ? 4 : 2, level;
    EmuDescriptor code;
    EmuStack stack;
    EmuFrame frame;
    uint64_t ip;

    read_handler(cpu, gate, &code);
    inner = !emu_is_conforming(&code) && emu_dpl(&code) < emu_cpl(cpu);
    level = inner ? emu_dpl(&code) : emu_cpl(cpu);
    if (long_mode) {
        choose_stack64(cpu, gate, level, inner, &stack);
    } else if (inner) {
        emu_inner_stack(cpu, level, &stack);
    } else {
        emu_current_stack(cpu, false, &stack);
    }
    emu_frame_init(&frame, &stack, level, inner && !long_mode ? stack.ss.selector : 0, size);
    if (from_v86) {
        push_v86_segments(cpu, &frame);
    }
    push_frame(cpu, event, &frame, inner || long_mode);
    emu_frame_check(cpu, &frame);
    ip = emu_check_ip(cpu, &code, gate->offset);
    emu_mark_accessed(cpu, &code);
    if (inner && !long_mode) {
        emu_mark_accessed(cpu, &stack.descriptor);
    }
    emu_frame_write(cpu, &frame);

    if (from_v86) {
        leave_v86(cpu);
    }
    emu_set_stack(cpu, &stack, frame.sp);
    emu_set_code(cpu, gate->selector, level, &code, ip);
    cpu->rflags &= ~(uint64_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
    if (!(gate->attr & 1)) {
        cpu->rflags &= ~(uint64_t)FLAG_IF;
    }
}

static void deliver_protected(EmuCpu *cpu, const Event *event)
{
    EmuDescriptor gate;

    read_gate(cpu, event, &gate);
    if (emu_type(&gate) == TYPE_TASK_GATE) {
        deliver_task(cpu, event, &gate);
    } else {
        deliver_gate(cpu, event, &gate);
    }
}

/* ---- The whole ---- */

void emu_delivery_ends(EmuCpu *cpu)
{
    cpu->delivering = CLASS_NONE;
    cpu->delivering_ext = false;
}

void emu_deliver(EmuCpu *cpu, unsigned vector, EmuEventKind kind, bool has_error, uint32_t error)
{
    Event event = {
        .vector = vector,
        .kind = kind,
        .has_error = has_error,
        .error = error,
        .flags = frame_flags(cpu, vector, kind),
    };

    if (emu_log_events(cpu)) {
        log_event(cpu, &event);
    }
    cpu->delivering = kind == EMU_EVENT_FAULT ? fault_class(vector) : CLASS_BENIGN;
    cpu->delivering_ext = kind != EMU_EVENT_SOFT;
    emu_debug_drop_step(cpu);
    if (cpu->mode & EMU_MODE_PROT) {
        deliver_protected(cpu, &event);
    } else {
        deliver_real(cpu, &event);
    }
    emu_delivery_ends(cpu);
    cpu->shadow = 0;
    emu_update_mode(cpu);
}

/* SDM vol. 3, table 6-5. */
static bool makes_double_fault(int first, int second)
{
    return (first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY) ||
           (first == CLASS_PAGE_FAULT && second >= CLASS_CONTRIBUTORY);
}

void emu_deliver_fault(EmuCpu *cpu)
{
    EmuFault fault = cpu->fault;
    int first = cpu->delivering, second = fault_class(fault.vector);

    if (first == CLASS_DOUBLE_FAULT && second != CLASS_BENIGN) {
        emu_log_triple_fault(cpu);
        cpu->triple_fault = true;
        emu_escape(cpu, EMU_EXIT_LEAVE);
    }
    if (makes_double_fault(first, second)) {
        fault = (EmuFault) { .vector = X86_DF, .has_error = true };
    }
    emu_deliver(cpu, fault.vector, EMU_EVENT_FAULT, fault.has_error, fault.error);
}
