/* SPDX-License-Identifier: Apache-2.0 */
/* Letting CPUs go on, and what is told when they have stopped. */
#include <inttypes.h>

#include "gdbstub/internal.h"
#include "util/error.h"

unsigned gdb_cpu_slots(void)
{
    unsigned slots = 0;

    for (const VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        slots = cpu->index + 1;
    }
    return slots;
}

/* ---- What CPUs stop at ---- */

typedef struct Wanted {
    bool step, holds_interrupts, patched, changed;
} Wanted;

static void apply_to_cpu(GdbStub *stub, VCpu *cpu, const Wanted *wanted)
{
    VCpuDebug *debug = &cpu->debug;
    g_autoptr(GError) error = NULL;
    bool same = debug->single_step == wanted->step &&
                debug->holds_interrupts == wanted->holds_interrupts &&
                debug->software_breakpoints == wanted->patched &&
                debug->count == stub->points->len && !wanted->changed;

    if (same) {
        return;
    }
    debug->single_step = wanted->step;
    debug->holds_interrupts = wanted->holds_interrupts;
    debug->software_breakpoints = wanted->patched;
    debug->count = stub->points->len;
    debug->points = (const VCpuBreakpoint *)(void *)stub->points->data;
    if (accel_ops()->update_debug && !accel_ops()->update_debug(cpu, &error)) {
        warn_report("gdbstub: CPU %u: %s", cpu->index, error->message);
    }
}

static void apply(GdbStub *stub, const uint8_t *actions, unsigned count)
{
    Wanted wanted = { .patched = gdb_breakpoints_patched(stub), .changed = stub->points_changed };
    unsigned slots = gdb_cpu_slots();

    if (wanted.changed) {
        gdb_breakpoints_publish(stub);
        stub->points_changed = false;
    }
    for (unsigned i = 0; i < slots; i++) {
        VCpu *cpu = vcpu_get(i);
        GdbAction action = !actions ? GDB_ACTION_CONTINUE :
                           i < count ? actions[i] : GDB_ACTION_HOLD;

        if (cpu) {
            cpu->debug.hold = action == GDB_ACTION_HOLD;
            wanted.step = action == GDB_ACTION_STEP;
            wanted.holds_interrupts = wanted.step && (stub->sstep & GDB_STEP_NO_IRQ);
            apply_to_cpu(stub, cpu, &wanted);
        }
    }
}

void gdb_run_all(GdbStub *stub)
{
    apply(stub, NULL, 0);
}

/* ---- Stops ---- */

static const char *point_reason(GdbPointType type)
{
    static const char *const reasons[] = {
        [GDB_POINT_SOFTWARE] = "swbreak", [GDB_POINT_HARDWARE] = "hwbreak",
        [GDB_POINT_WRITE] = "watch", [GDB_POINT_READ] = "rwatch", [GDB_POINT_ACCESS] = "awatch",
    };

    return reasons[type];
}

static void set_reason(GdbStub *stub, GdbPointType type, uint64_t address)
{
    bool told = type == GDB_POINT_SOFTWARE ? stub->swbreak :
                type == GDB_POINT_HARDWARE ? stub->hwbreak : true;

    stub->stop_reason[0] = 0;
    if (type > GDB_POINT_HARDWARE) {
        g_snprintf(stub->stop_reason, sizeof(stub->stop_reason), "%s:%" PRIx64 ";",
                   point_reason(type), address);
    } else if (told) {
        g_snprintf(stub->stop_reason, sizeof(stub->stop_reason), "%s:;", point_reason(type));
    }
}

static void report_cpu(GdbStub *stub, const VCpu *cpu)
{
    const VCpuDebug *debug = &cpu->debug;

    stub->general_cpu = stub->run_cpu = cpu->index;
    stub->stop_reason[0] = 0;
    if (debug->stop == VCPU_STOP_INT3) {
        set_reason(stub, GDB_POINT_SOFTWARE, 0);
    } else if (debug->stop == VCPU_STOP_POINT && debug->hit_point < stub->points->len) {
        set_reason(stub, g_array_index(stub->point_types, GdbPointType, debug->hit_point),
                   g_array_index(stub->points, VCpuBreakpoint, debug->hit_point).address);
    }
}

/* Data watchpoints are told later; what stopped before an instruction stops there again. */
static void put_off(GdbStub *stub, VCpu *cpu)
{
    VCpuDebug *debug = &cpu->debug;
    GdbPending pending = { .cpu = cpu->index };

    if (debug->stop == VCPU_STOP_POINT && debug->hit_point < stub->points->len) {
        pending.type = g_array_index(stub->point_types, GdbPointType, debug->hit_point);
        pending.address = g_array_index(stub->points, VCpuBreakpoint, debug->hit_point).address;
        if (pending.type > GDB_POINT_HARDWARE) {
            g_array_append_val(stub->pending, pending);
        }
    }
    debug->passes = false;
}

/* Who is told: the CPU that stepped before one that ran on. */
static const VCpu *choose_stopped(void)
{
    const VCpu *chosen = NULL;
    unsigned slots = gdb_cpu_slots();

    for (unsigned i = 0; i < slots; i++) {
        const VCpu *cpu = vcpu_get(i);

        if (cpu && cpu->debug.stop != VCPU_STOP_NONE &&
            (!chosen || (cpu->debug.single_step && !chosen->debug.single_step))) {
            chosen = cpu;
        }
    }
    return chosen;
}

bool gdb_note_stop(GdbStub *stub)
{
    const VCpu *chosen = choose_stopped();
    unsigned slots = gdb_cpu_slots();

    stub->stop_reason[0] = 0;
    if (chosen) {
        report_cpu(stub, chosen);
    }
    for (unsigned i = 0; i < slots; i++) {
        VCpu *cpu = vcpu_get(i);

        if (cpu && cpu != chosen && cpu->debug.stop != VCPU_STOP_NONE) {
            put_off(stub, cpu);
        }
        if (cpu) {
            cpu->debug.stop = VCPU_STOP_NONE;
        }
    }
    return chosen != NULL;
}

static void put_expedited(GdbStub *stub, VCpu *cpu)
{
    unsigned numbers[3] = { 0 };
    uint8_t bytes[GDB_REGISTER_BYTES];

    gdb_layout_expedited(&stub->layout, numbers);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        unsigned size = gdb_register_read(&stub->layout, numbers[i], &cpu->state, bytes);

        g_string_append_printf(stub->reply, "%x:", numbers[i]);
        gdb_put_hex(stub->reply, bytes, size);
        g_string_append_c(stub->reply, ';');
    }
}

void gdb_put_stop(GdbStub *stub, GdbSignal signal)
{
    VCpu *cpu = gdb_cpu(stub->general_cpu);

    g_string_append_printf(stub->reply, "T%02x", signal);
    if (cpu && vcpu_sync_state(cpu, NULL)) {
        put_expedited(stub, cpu);
    }
    g_string_append(stub->reply, "thread:");
    gdb_put_thread(stub, cpu ? cpu->index : 0);
    g_string_append_printf(stub->reply, ";%s", stub->stop_reason);
}

/* ---- Going on ---- */

/* A watchpoint that was hit before, on a CPU that is now to run? Then that is told first. */
static bool tell_pending(GdbStub *stub, const uint8_t *actions, unsigned count)
{
    for (unsigned i = 0; i < stub->pending->len; i++) {
        GdbPending pending = g_array_index(stub->pending, GdbPending, i);

        if (pending.cpu >= count || actions[pending.cpu] == GDB_ACTION_HOLD) {
            continue;
        }
        g_array_remove_index(stub->pending, i--);
        if (gdb_breakpoint_exists(stub, pending.type, pending.address) && vcpu_get(pending.cpu)) {
            stub->general_cpu = stub->run_cpu = pending.cpu;
            set_reason(stub, pending.type, pending.address);
            gdb_put_stop(stub, GDB_SIGNAL_TRAP);
            gdb_send(stub);
            return true;
        }
    }
    return false;
}

/* Passing over a reported breakpoint is for as long as it is there. */
static void settle_passes(GdbStub *stub)
{
    unsigned slots = gdb_cpu_slots();

    for (unsigned i = 0; i < slots; i++) {
        VCpu *cpu = vcpu_get(i);

        if (cpu && cpu->debug.passes) {
            cpu->debug.passes = gdb_breakpoint_is_at(stub, cpu->debug.hit_address);
        }
    }
}

void gdb_resume(GdbStub *stub, const uint8_t *actions, unsigned count)
{
    g_autoptr(GError) error = NULL;

    if (tell_pending(stub, actions, count)) {
        return;
    }
    settle_passes(stub);
    apply(stub, actions, count);
    stub->waiting = true;
    stub->resuming = true;
    if (!stub->host->start(&error)) {
        stub->waiting = false;
        warn_report("gdbstub: %s", error->message);
        gdb_send_error(stub, GDB_E_PERM);
    }
    stub->resuming = false;
}
