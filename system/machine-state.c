/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine as a list of sections: the clock, CPUs, devices in the order in which the board made
 * them, which is the same wherever the command line is. RAM is migration/'s own.
 */
#include "system/machine-state.h"

#include <string.h>

#include "accel/accel.h"
#include "block/snapshot.h"
#include "cpu/x86/cpu-vmstate.h"
#include "hw/core/machine.h"
#include "migration/stream.h"
#include "system/hmp-snapshot.h"
#include "system/runstate.h"
#include "util/error.h"
#include "util/timer.h"

/* ---- The clock and the A20 gate ---- */

typedef struct BoardState {
    int64_t clock_ns;
    bool a20_open;
} BoardState;

static BoardState board_state;

static void board_pre_save(void *opaque)
{
    BoardState *state = opaque;

    state->clock_ns = vm_clock_ns(VM_CLOCK_VIRTUAL);
    state->a20_open = accel_a20_mask() == UINT64_MAX;
}

/* First of all: timers and time stamp counters follow the clock. */
static bool board_post_load(void *opaque, int version, GError **error)
{
    const BoardState *state = opaque;

    if (state->clock_ns < 0) {
        error_setf(error, "the clock stands before its beginning");
        return false;
    }
    vm_clock_set_ns(state->clock_ns);
    accel_set_a20(state->a20_open);
    return true;
}

static const VmStateField board_fields[] = {
    VMSTATE_I64(BoardState, clock_ns),
    VMSTATE_BOOL(BoardState, a20_open),
    VMSTATE_END,
};

static const VmState board_vmstate = {
    .name = "board", .version = 1, .fields = board_fields, .pre_save = board_pre_save,
    .post_load = board_post_load,
};

/* ---- CPUs ---- */

static bool cpu_pre_load(void *opaque, GError **error)
{
    return vcpu_sync_state(opaque, error);
}

static bool cpu_post_load(void *opaque, int version, GError **error)
{
    vcpu_state_changed(opaque);
    return true;
}

static const VmStateField cpu_fields[] = {
    VMSTATE_U32(VCpu, apic_id),
    VMSTATE_STRUCT(VCpu, state, x86_cpu_vmstate),
    VMSTATE_BOOL(VCpu, halted),
    VMSTATE_U32(VCpu, irq_lines),
    VMSTATE_U8(VCpu, sipi_vector),
    VMSTATE_END,
};

static const VmState cpu_vmstate = {
    .name = "cpu", .version = 1, .fields = cpu_fields, .pre_load = cpu_pre_load,
    .post_load = cpu_post_load,
};

static bool add_cpus(MachineStream *stream, GError **error)
{
    for (unsigned i = 0; i < MAX_CPUS; i++) {
        VCpu *cpu = vcpu_get(i);

        if (!cpu) {
            continue;
        }
        if (!vcpu_sync_state(cpu, error)) {
            return false;
        }
        machine_stream_add(stream, cpu_vmstate.name, &cpu_vmstate, cpu);
    }
    return true;
}

/* ---- Devices ---- */

/* They have no state but the command line's, or have it in a CPU's or their adapter's. */
static const char *const stateless[] = {
    "x86_64-cpu", "isabus-bridge", "isa-debugcon", "isa-debug-exit", "pvpanic",
    "virtio-serial-port", NULL,
};

typedef struct Collect {
    MachineStream *stream;
    Device *lacking;
} Collect;

static bool is_stateless(const Device *dev)
{
    for (unsigned i = 0; stateless[i]; i++) {
        if (object_is_a(dev, stateless[i])) {
            return true;
        }
    }
    return false;
}

static bool add_device(Device *dev, void *opaque)
{
    Collect *collect = opaque;
    const VmState *state = device_vmstate(dev);

    if (state) {
        machine_stream_add(collect->stream, state->name, state, dev);
    } else if (!is_stateless(dev)) {
        collect->lacking = dev;
    }
    return !collect->lacking;
}

bool machine_state_collect(MachineStream *stream, GError **error)
{
    Machine *machine = machine_current();
    Collect collect = { .stream = stream };

    machine_stream_init(stream, machine ? ((Object *)machine)->type->name : "none");
    machine_stream_add(stream, board_vmstate.name, &board_vmstate, &board_state);
    if (!add_cpus(stream, error)) {
        return false;
    }
    device_foreach(add_device, &collect);
    if (collect.lacking) {
        error_setf(error, "The machine cannot be saved: device '%s' does not say what its state is",
                   collect.lacking->id ? collect.lacking->id
                                       : ((Object *)collect.lacking)->type->name);
    }
    return !collect.lacking;
}

bool machine_state_save(const StreamIo *io, uint64_t *size, GError **error)
{
    MachineStream stream;
    bool ok = machine_state_collect(&stream, error) &&
              machine_stream_save(&stream, io, size, error);

    machine_stream_cleanup(&stream);
    return ok;
}

bool machine_state_load(const StreamIo *io, uint64_t size, GError **error)
{
    MachineStream stream;
    bool ok;

    runstate_reset_machine(VM_CAUSE_SNAPSHOT_LOAD);
    ok = machine_state_collect(&stream, error) && machine_stream_load(&stream, io, size, error);
    machine_stream_cleanup(&stream);
    if (!ok) {
        runstate_stop(RUN_STATE_INTERNAL_ERROR);
    }
    return ok;
}

/* ---- In an image ---- */

static int write_state(void *opaque, int64_t pos, const void *buf, size_t len)
{
    return block_vmstate_write(opaque, pos, buf, len);
}

static ssize_t read_state(void *opaque, int64_t pos, void *buf, size_t len)
{
    int ret = block_vmstate_read(opaque, pos, buf, len);

    return ret < 0 ? ret : (ssize_t)len;
}

static bool save_to(BlockNode *node, uint64_t *size, GError **error)
{
    StreamIo io = { .write = write_state, .opaque = node };

    return machine_state_save(&io, size, error);
}

static bool load_from(BlockNode *node, uint64_t size, GError **error)
{
    StreamIo io = { .read = read_state, .opaque = node };

    return machine_state_load(&io, size, error);
}

static bool pause_machine(void)
{
    bool running = runstate_is_running();

    if (running) {
        runstate_stop(RUN_STATE_SAVE_VM);
    }
    return running;
}

static void resume_machine(void)
{
    g_autoptr(GError) error = NULL;

    if (!runstate_start(&error)) {
        error_report("The machine does not go on: %s", error->message);
    }
}

void machine_state_register(void)
{
    static const BlockSnapshotMachine machine = {
        .pause = pause_machine, .resume = resume_machine, .save = save_to, .load = load_from,
    };

    block_snapshot_set_machine(&machine);
    hmp_snapshot_register();
}
