/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine's state that comes in. The machine has two blocks of memory and a device with every
 * kind of field. What it takes it must be able to save, and that must load again and be the same.
 */
#include <errno.h>
#include <string.h>

#include "memory/ram-block.h"
#include "migration/stream.h"
#include "tests/fuzz/target.h"
#include "util/error.h"
#include "util/timer.h"
#include "util/vm-lock.h"

#define RAM_BYTES (2 * RAM_PAGE_SIZE)
#define BUFFER_MAX 64

typedef struct Part {
    uint16_t kind;
    int32_t value;
} Part;

typedef struct Gadget {
    bool on;
    uint8_t level, newer;
    uint16_t colours[3];
    uint32_t n, n_parts, filled;
    uint8_t fifo[8];
    uint32_t queue[4];
    Part part, parts[2];
    uint8_t *buffer; /* BUFFER_MAX bytes */
    uint64_t serial;
    Timer *timer;
    uint32_t extra;
} Gadget;

static bool level_is_valid(void *opaque, const VmStateField *field, GError **error)
{
    const Gadget *gadget = opaque;

    if (gadget->level > 100) {
        error_setf(error, "level %u", gadget->level);
        return false;
    }
    return true;
}

static bool when_on(void *opaque, int version)
{
    return ((Gadget *)opaque)->on;
}

static bool has_extra(void *opaque)
{
    return ((Gadget *)opaque)->extra != 0;
}

static const VmStateField part_fields[] = {
    VMSTATE_U16(Part, kind), VMSTATE_I32(Part, value), VMSTATE_END,
};
static const VmState part_state = { .name = "part", .version = 1, .fields = part_fields };

static const VmStateField extra_fields[] = { VMSTATE_U32(Gadget, extra), VMSTATE_END };
static const VmState extra_state = {
    .name = "gadget/extra", .version = 1, .fields = extra_fields, .needed = has_extra,
};
static const VmState *const subsections[] = { &extra_state, NULL };

static const VmStateField gadget_fields[] = {
    VMSTATE_BOOL(Gadget, on),
    VMSTATE_U8_VALID(Gadget, level, level_is_valid),
    VMSTATE_U8_SINCE(Gadget, newer, 2),
    VMSTATE_U16_ARRAY(Gadget, colours),
    VMSTATE_U32(Gadget, n),
    VMSTATE_U32_VARRAY(Gadget, queue, n),
    VMSTATE_BUFFER(Gadget, fifo),
    VMSTATE_UNUSED(3),
    VMSTATE_STRUCT(Gadget, part, part_state),
    VMSTATE_U32(Gadget, n_parts),
    VMSTATE_STRUCT_VARRAY(Gadget, parts, n_parts, part_state),
    VMSTATE_U32(Gadget, filled),
    VMSTATE_VBUFFER(Gadget, buffer, filled, BUFFER_MAX),
    { .name = "serial", .kind = VMS_U64, .offset = offsetof(Gadget, serial), .size = 8,
      .exists = when_on },
    VMSTATE_TIMER(Gadget, timer),
    VMSTATE_END,
};
static const VmState gadget_state = {
    .name = "gadget", .version = 2, .minimum_version = 1, .fields = gadget_fields,
    .subsections = subsections,
};

typedef struct Machine {
    MachineStream stream;
    Gadget gadget[2];
    GByteArray *bytes;
} Machine;

static int put(void *opaque, int64_t pos, const void *buf, size_t len)
{
    Machine *machine = opaque;

    g_assert_cmpint(pos, ==, machine->bytes->len);
    g_byte_array_append(machine->bytes, buf, (guint)len);
    return 0;
}

static ssize_t get(void *opaque, int64_t pos, void *buf, size_t len)
{
    Machine *machine = opaque;

    g_assert_cmpint(pos + (int64_t)len, <=, machine->bytes->len);
    memcpy(buf, machine->bytes->data + pos, len);
    return (ssize_t)len;
}

static bool load(Machine *machine)
{
    StreamIo io = { .read = get, .opaque = machine };
    g_autoptr(GError) error = NULL;
    bool ok = machine_stream_load(&machine->stream, &io, machine->bytes->len, &error);

    g_assert_true(ok == !error);
    g_assert_true(ok || g_utf8_validate(error->message, -1, NULL));
    return ok;
}

static void save(Machine *machine)
{
    StreamIo io = { .write = put, .opaque = machine };
    g_autoptr(GError) error = NULL;
    uint64_t size;

    g_byte_array_set_size(machine->bytes, 0);
    machine_stream_save(&machine->stream, &io, &size, &error);
    g_assert_no_error(error);
}

static void save_and_load_again(Machine *machine)
{
    g_autoptr(GByteArray) first = NULL;

    save(machine);
    first = machine->bytes;
    machine->bytes = g_byte_array_new();
    g_byte_array_append(machine->bytes, first->data, first->len);
    g_assert_true(load(machine));
    save(machine);
    g_assert_cmpmem(first->data, first->len, machine->bytes->data, machine->bytes->len);
}

static void clear_memory(const char *name)
{
    RamBlock *block = ram_block_find(name);
    g_autoptr(GError) error = NULL;

    /* Regions live as long as the program. */
    if (!block) {
        block = memory_region_ram_block(memory_region_new_ram(NULL, name, RAM_BYTES, &error));
        g_assert_no_error(error);
    }
    memset(ram_block_host(block), 0, RAM_BYTES);
}

static void nothing(void *opaque)
{
}

static void set_up(Machine *machine, const uint8_t *data, size_t size)
{
    if (!vm_lock_held()) {
        vm_lock();
        memory_init();
    }
    *machine = (Machine) { .bytes = g_byte_array_new() };
    g_byte_array_append(machine->bytes, data, (guint)size);
    clear_memory("ram");
    clear_memory("rom");
    machine_stream_init(&machine->stream, "board");
    for (unsigned i = 0; i < G_N_ELEMENTS(machine->gadget); i++) {
        machine->gadget[i].timer = timer_new_virtual(nothing, NULL);
        machine_stream_add(&machine->stream, "gadget", &gadget_state, &machine->gadget[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Machine machine;

    set_up(&machine, data, size);
    if (load(&machine)) {
        save_and_load_again(&machine);
    }
    machine_stream_cleanup(&machine.stream);
    for (unsigned i = 0; i < G_N_ELEMENTS(machine.gadget); i++) {
        timer_free(machine.gadget[i].timer);
        g_free(machine.gadget[i].buffer);
    }
    g_byte_array_unref(machine.bytes);
    return 0;
}
