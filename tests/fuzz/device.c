/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest: what the records of an input do (device.h). */
#include <string.h>

#include "system/runstate.h"
#include "tests/fuzz/device.h"
#include "tests/fuzz/target.h"
#include "util/timer.h"

typedef struct Input {
    const uint8_t *data;
    size_t len, at;
} Input;

/* The next n bytes, or fewer; the input goes on at the next multiple of 8. */
static const uint8_t *take(Input *in, size_t *n)
{
    const uint8_t *data = in->data + in->at;

    *n = MIN(*n, in->len - in->at);
    in->at = MIN(in->at + (*n + 7) / 8 * 8, in->len);
    return data;
}

/* ---- Operations. Data, if any, is taken once for all repetitions. ---- */

typedef struct Data {
    const uint8_t *bytes;
    size_t len;
} Data;

static uint64_t address(const FuzzMachine *machine, const FuzzRecord *record, unsigned *size,
                        AddressSpace **as)
{
    const FuzzArea *area = &machine->areas[(record->arg >> 2 & 31) % machine->n_areas];
    uint64_t offset = record->at;

    /* Of a large area both ends, and a little of the rest. */
    if (area->size > UINT16_MAX && (record->arg & 0x80)) {
        offset = area->size - 1 - offset;
    } else {
        offset %= area->size + 2u;
    }
    *size = 1u << (record->arg & 3);
    *as = area->io ? address_space_io() : address_space_memory();
    if (area->io) {
        *size = MIN(*size, 4);
    }
    return area->base + offset;
}

static void op_write(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    unsigned size;
    AddressSpace *as;
    uint64_t at = address(machine, record, &size, &as);

    address_space_store(as, at, size, record->value | (uint64_t)record->value << 32);
}

static void op_read(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    unsigned size;
    AddressSpace *as;
    uint64_t value, at = address(machine, record, &size, &as);

    address_space_load(as, at, size, &value);
}

static void op_config_write(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    unsigned size = MIN(1u << (record->arg & 3), 4);

    if (machine->pci) {
        fuzz_config_write(machine->pci, record->at & 0xff & ~(size - 1), size, record->value);
    }
}

static void op_config_read(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    uint64_t value;

    if (machine->pci) {
        address_space_store(address_space_io(), 0xcf8, 4,
                            0x80000000u | (uint32_t)machine->pci->devfn << 8 | (record->at & 0xfc));
        address_space_load(address_space_io(), 0xcfc + (record->at & 3),
                           MIN(1u << (record->arg & 3), 4), &value);
    }
}

static void op_fill(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    uint64_t at = (uint64_t)record->at * 8 + (record->value & 7);

    memcpy(machine->ram + at, data->bytes, data->len);
}

static void op_pattern(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    fuzz_dma_set_pattern(data->bytes, data->len);
}

static void op_pump(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    fuzz_pump(record->arg + 1u);
}

static void op_clock(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    int64_t step = MIN(record->value & 0x1ffffff, machine->ns);

    machine->ns -= step;
    vm_clock_advance_to(vm_clock_ns(VM_CLOCK_VIRTUAL) + step);
}

static void op_reset(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    if (record->arg == 0) {
        device_reset_tree(machine->dev);
    } else {
        fuzz_machine_reset(machine);
    }
    fuzz_machine_map(machine);
}

static void op_state(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    if (device_vmstate(machine->dev)) {
        fuzz_machine_save_and_load(machine);
    }
}

static void op_go_on(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    if (record->arg & 1) {
        runstate_stop(RUN_STATE_PAUSED);
    } else {
        fuzz_machine_go_on();
    }
}

static void op_frame(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    NetOffload offload = { 0 };
    struct iovec iov = { (void *)data->bytes, data->len };

    if ((record->value & 2) && data->len > sizeof(offload)) {
        memcpy(&offload, data->bytes, sizeof(offload));
        iov.iov_base = (uint8_t *)iov.iov_base + sizeof(offload);
        iov.iov_len -= sizeof(offload);
    }
    if (iov.iov_len) {
        net_send(machine->wires[record->value & 1],
                 &(NetPacket) { .iov = &iov, .n = 1, .size = iov.iov_len, .offload = offload });
    }
}

static void op_setup(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    fuzz_rings_setup(machine, record);
}

static void op_chain(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    fuzz_rings_chain(machine, record, data->bytes, data->len / sizeof(FuzzDesc));
}

static void op_kick(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    fuzz_rings_kick(machine, record->arg);
}

static void op_wire(FuzzMachine *machine, const FuzzRecord *record, const Data *data)
{
    unsigned wire = record->value & 1;

    machine->wire_takes[wire] = record->arg & 1;
    net_set_link(machine->wires[wire]->name, !(record->arg & 2), NULL);
    if (record->arg & 1) {
        net_ready(machine->wires[wire]);
    }
}

/* How many bytes of data an operation has. */
static size_t no_data(const FuzzRecord *record)
{
    return 0;
}

static size_t data_by_arg(const FuzzRecord *record)
{
    return record->arg * 8u;
}

static size_t data_of_chain(const FuzzRecord *record)
{
    return sizeof(FuzzDesc) * (record->at % 32 + 1);
}

/* What an input may do in all is bounded, or none would ever end. */
#define BUDGET 20000
static const struct {
    void (*run)(FuzzMachine *machine, const FuzzRecord *record, const Data *data);
    size_t (*data)(const FuzzRecord *record);
    unsigned cost;
} operations[] = {
    [FUZZ_WRITE] = { op_write, no_data, 2 },
    [FUZZ_READ] = { op_read, no_data, 1 },
    [FUZZ_CONFIG_WRITE] = { op_config_write, no_data, 50 },
    [FUZZ_CONFIG_READ] = { op_config_read, no_data, 2 },
    [FUZZ_FILL] = { op_fill, data_by_arg, 4 },
    [FUZZ_PATTERN_SET] = { op_pattern, data_by_arg, 4 },
    [FUZZ_PUMP] = { op_pump, no_data, 10 },
    [FUZZ_CLOCK] = { op_clock, no_data, 10 },
    [FUZZ_RESET] = { op_reset, no_data, 3000 },
    [FUZZ_STATE] = { op_state, no_data, 3000 },
    [FUZZ_GO_ON] = { op_go_on, no_data, 300 },
    [FUZZ_FRAME] = { op_frame, data_by_arg, 20 },
    [FUZZ_SETUP] = { op_setup, no_data, 500 },
    [FUZZ_CHAIN] = { op_chain, data_of_chain, 10 },
    [FUZZ_KICK] = { op_kick, no_data, 10 },
    [FUZZ_WIRE] = { op_wire, no_data, 50 },
};

static const FuzzFocus *choose_focus(uint8_t byte)
{
    const char *only = g_getenv("VIREO_FUZZ_DEVICE");

    for (unsigned i = 0; only && i < fuzz_focus_count(); i++) {
        if (g_str_equal(fuzz_focuses[i].name, only)) {
            return &fuzz_focuses[i];
        }
    }
    return &fuzz_focuses[byte % fuzz_focus_count()];
}

/* As often as it says; false: enough was done. */
static bool run_record(FuzzMachine *machine, Input *in, unsigned *budget)
{
    FuzzRecord record;
    unsigned cost;
    Data data;

    memcpy(&record, in->data + in->at, sizeof(record));
    in->at += sizeof(record);
    cost = operations[record.op & 15].cost;
    data.len = operations[record.op & 15].data(&record);
    data.bytes = take(in, &data.len);
    for (unsigned i = 0; i < 1u << (record.op >> 4); i++) {
        if (*budget < cost) {
            return false;
        }
        *budget -= cost;
        operations[record.op & 15].run(machine, &record, &data);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FuzzMachine machine;
    Input in = { data, size, sizeof(FuzzRecord) };
    unsigned budget = BUDGET;

    if (size < sizeof(FuzzRecord)) {
        return 0;
    }
    fuzz_machine_begin(&machine, choose_focus(data[0]));
    while (in.len - in.at >= sizeof(FuzzRecord) && run_record(&machine, &in, &budget)) {
    }
    fuzz_machine_end(&machine);
    return 0;
}
