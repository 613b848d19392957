/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS/2 keyboard and mouse controller, Intel 8042 with IBM's program (IBM Personal System/2 Hardware
 * Interface Technical Reference, "Keyboard and Auxiliary Device Controller").
 *
 *   port 0x60  ro  output buffer: a byte from keyboard, mouse or the controller itself
 *              wo  to the keyboard, or the argument of a controller command
 *   port 0x64  ro  status: 5 byte is from the mouse, 4 not locked, 3 last write was to 0x64,
 *                          2 self-test passed, 0 output buffer full
 *              wo  controller command
 *
 *   command byte: 6 translate keyboard codes to set 1, 5 mouse off, 4 keyboard off, 2 system flag,
 *                 1 mouse interrupt, 0 keyboard interrupt
 *   output port:  5 mouse byte waits, 4 keyboard byte waits, 1 A20 gate, 0 not reset
 *
 * Bytes wait in the devices until the output buffer is free; then the controller's own answers go
 * first, the keyboard's next. IRQ outputs: unnamed 0 keyboard, 1 mouse; "a20".
 */
#include "accel/vm-events.h"
#include "hw/input/ps2.h"
#include "hw/isa/isa.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/timer.h"

#define PORT_DATA 0x60
#define PORT_COMMAND 0x64
#define RAM_SIZE 32
#define THROTTLE_NS NS_PER_MS

enum { STATUS_OUTPUT_FULL = 0x01, STATUS_SYSTEM = 0x04, STATUS_COMMAND = 0x08,
       STATUS_UNLOCKED = 0x10, STATUS_AUX = 0x20 };
enum { MODE_KBD_IRQ = 0x01, MODE_AUX_IRQ = 0x02, MODE_SYSTEM = 0x04, MODE_KBD_OFF = 0x10,
       MODE_AUX_OFF = 0x20, MODE_TRANSLATE = 0x40, MODE_RESET = MODE_KBD_IRQ | MODE_AUX_IRQ };
enum { OUT_NOT_RESET = 0x01, OUT_A20 = 0x02, OUT_KBD_FULL = 0x10, OUT_AUX_FULL = 0x20,
       OUT_WRITABLE = 0xcf };
enum Command {
    CMD_READ_RAM = 0x20, CMD_READ_RAM_END = 0x3f, CMD_WRITE_RAM = 0x60, CMD_WRITE_RAM_END = 0x7f,
    CMD_AUX_OFF = 0xa7, CMD_AUX_ON = 0xa8, CMD_AUX_TEST = 0xa9, CMD_SELF_TEST = 0xaa,
    CMD_KBD_TEST = 0xab, CMD_KBD_OFF = 0xad, CMD_KBD_ON = 0xae, CMD_READ_INPUT = 0xc0,
    CMD_READ_OUTPUT = 0xd0, CMD_WRITE_OUTPUT = 0xd1, CMD_FAKE_KBD = 0xd2, CMD_FAKE_AUX = 0xd3,
    CMD_WRITE_AUX = 0xd4, CMD_A20_OFF = 0xdd, CMD_A20_ON = 0xdf, CMD_PULSE = 0xf0,
};
#define SELF_TEST_OK 0x55
#define INPUT_PORT 0x80 /* keyboard not locked */
#define BREAK_PREFIX 0xf0

typedef struct I8042 {
    IsaDevice parent_obj;
    uint8_t kbd_irq_number, aux_irq_number;
    bool throttle;
    bool extended_state; /* accepted for compatibility: all state is always saved */
    MemoryRegion *data_port, *command_port;
    Irq irqs[2]; /* keyboard, mouse */
    Irq a20;
    Timer *timer;
    Ps2Keyboard kbd;
    Ps2Mouse mouse;
    uint8_t mode, status, out_port, data;
    uint8_t ram[RAM_SIZE]; /* byte 0 is the mode */
    uint8_t command;       /* waits for its argument at 0x60, 0: none */
    uint8_t answer, answer_aux;
    bool answer_full;
    bool saw_break;        /* the translator swallowed a break prefix */
} I8042;

static void update_lines(I8042 *ctl)
{
    bool full = ctl->status & STATUS_OUTPUT_FULL, aux = ctl->status & STATUS_AUX;

    ctl->out_port &= ~(OUT_KBD_FULL | OUT_AUX_FULL);
    if (full) {
        ctl->out_port |= aux ? OUT_AUX_FULL : OUT_KBD_FULL;
    }
    irq_set(ctl->irqs[0], full && !aux && (ctl->mode & MODE_KBD_IRQ) &&
            !(ctl->mode & MODE_KBD_OFF));
    irq_set(ctl->irqs[1], full && aux && (ctl->mode & MODE_AUX_IRQ));
}

/* The output buffer. */

static void fill(I8042 *ctl, uint8_t byte, bool aux)
{
    ctl->data = byte;
    ctl->status &= ~STATUS_AUX;
    ctl->status |= STATUS_OUTPUT_FULL | (aux ? STATUS_AUX : 0);
}

/* The next byte of the keyboard, translated; false if there was only a prefix to swallow. */
static bool take_kbd(I8042 *ctl, uint8_t *byte)
{
    while (ps2_queue_has_byte(&ctl->kbd.queue)) {
        *byte = ps2_queue_take(&ctl->kbd.queue);
        if (!(ctl->mode & MODE_TRANSLATE)) {
            return true;
        }
        if (*byte != BREAK_PREFIX) {
            *byte = ps2_translate(*byte) | (ctl->saw_break ? 0x80 : 0);
            ctl->saw_break = false;
            return true;
        }
        ctl->saw_break = true;
    }
    return false;
}

static void load(I8042 *ctl)
{
    uint8_t byte;

    if (ctl->status & STATUS_OUTPUT_FULL) {
        return;
    }
    if (ctl->answer_full) {
        ctl->answer_full = false;
        fill(ctl, ctl->answer, ctl->answer_aux);
    } else if (timer_pending(ctl->timer)) {
        return;
    } else if (!(ctl->mode & MODE_KBD_OFF) && take_kbd(ctl, &byte)) {
        fill(ctl, byte, false);
    } else if (!(ctl->mode & MODE_AUX_OFF) && ps2_queue_has_byte(&ctl->mouse.queue)) {
        fill(ctl, ps2_queue_take(&ctl->mouse.queue), true);
    }
    update_lines(ctl);
}

static void on_ready(void *opaque)
{
    load(opaque);
}

/* The controller's own byte: it waits for the buffer like any other, but goes first. */
static void answer(I8042 *ctl, uint8_t byte, bool aux)
{
    ctl->answer = byte;
    ctl->answer_aux = aux;
    ctl->answer_full = true;
    load(ctl);
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    I8042 *ctl = opaque;
    uint8_t byte = ctl->data;
    bool from_mouse = (ctl->status & (STATUS_OUTPUT_FULL | STATUS_AUX)) ==
                      (STATUS_OUTPUT_FULL | STATUS_AUX);

    if (!(ctl->status & STATUS_OUTPUT_FULL)) {
        return byte;
    }
    ctl->status &= ~(STATUS_OUTPUT_FULL | STATUS_AUX);
    update_lines(ctl);
    if (ctl->throttle) {
        timer_mod(ctl->timer, vm_clock_ns(VM_CLOCK_VIRTUAL) + THROTTLE_NS);
    }
    if (from_mouse) {
        ps2_mouse_taken(&ctl->mouse);
    }
    load(ctl);
    return byte;
}

/* Commands. */

static void write_out_port(I8042 *ctl, uint8_t value)
{
    ctl->out_port = (value & OUT_WRITABLE) | (ctl->out_port & ~OUT_WRITABLE);
    irq_set(ctl->a20, value & OUT_A20);
    if (!(value & OUT_NOT_RESET)) {
        vm_request_reset(VM_CAUSE_GUEST_RESET);
    }
}

static void set_mode(I8042 *ctl, uint8_t mode)
{
    ctl->mode = mode;
    ctl->status = (ctl->status & ~STATUS_SYSTEM) | (mode & MODE_SYSTEM);
    update_lines(ctl);
    load(ctl);
}

static void run_plain_command(I8042 *ctl, uint8_t command)
{
    switch (command) {
    case CMD_AUX_OFF:
        set_mode(ctl, ctl->mode | MODE_AUX_OFF);
        break;
    case CMD_AUX_ON:
        set_mode(ctl, ctl->mode & ~MODE_AUX_OFF);
        break;
    case CMD_KBD_OFF:
        set_mode(ctl, ctl->mode | MODE_KBD_OFF);
        break;
    case CMD_KBD_ON:
        set_mode(ctl, ctl->mode & ~MODE_KBD_OFF);
        break;
    case CMD_SELF_TEST:
        ctl->status |= STATUS_SYSTEM;
        ctl->mode |= MODE_SYSTEM;
        answer(ctl, SELF_TEST_OK, false);
        break;
    case CMD_AUX_TEST:
    case CMD_KBD_TEST:
        answer(ctl, 0, false);
        break;
    case CMD_READ_INPUT:
        answer(ctl, INPUT_PORT, false);
        break;
    case CMD_READ_OUTPUT:
        answer(ctl, ctl->out_port, false);
        break;
    case CMD_A20_OFF:
        write_out_port(ctl, ctl->out_port & ~OUT_A20);
        break;
    case CMD_A20_ON:
        write_out_port(ctl, ctl->out_port | OUT_A20);
        break;
    default: /* undefined commands are ignored, as the real one does */
        break;
    }
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *ctl = opaque;
    uint8_t command = value;

    ctl->status |= STATUS_COMMAND;
    ctl->command = 0;
    if (command >= CMD_READ_RAM && command <= CMD_READ_RAM_END) {
        answer(ctl, command == CMD_READ_RAM ? ctl->mode : ctl->ram[command - CMD_READ_RAM], false);
    } else if ((command >= CMD_WRITE_RAM && command <= CMD_WRITE_RAM_END) ||
               (command >= CMD_WRITE_OUTPUT && command <= CMD_WRITE_AUX)) {
        ctl->command = command;
    } else if (command >= CMD_PULSE) {
        if (!(command & OUT_NOT_RESET)) {
            vm_request_reset(VM_CAUSE_GUEST_RESET);
        }
    } else {
        run_plain_command(ctl, command);
    }
}

/* A byte for a device turns its clock line on again. */
static void write_kbd(I8042 *ctl, uint8_t byte)
{
    ctl->saw_break = false;
    set_mode(ctl, ctl->mode & ~MODE_KBD_OFF);
    ps2_keyboard_write(&ctl->kbd, byte);
}

static void finish_command(I8042 *ctl, uint8_t command, uint8_t byte)
{
    switch (command) {
    case CMD_WRITE_RAM:
        set_mode(ctl, byte);
        break;
    case CMD_WRITE_OUTPUT:
        write_out_port(ctl, byte);
        break;
    case CMD_FAKE_KBD:
    case CMD_FAKE_AUX:
        answer(ctl, byte, command == CMD_FAKE_AUX);
        break;
    case CMD_WRITE_AUX:
        set_mode(ctl, ctl->mode & ~MODE_AUX_OFF);
        ps2_mouse_write(&ctl->mouse, byte);
        break;
    default:
        ctl->ram[command - CMD_WRITE_RAM] = byte;
        break;
    }
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *ctl = opaque;
    uint8_t command = ctl->command;

    ctl->status &= ~STATUS_COMMAND;
    ctl->command = 0;
    if (command) {
        finish_command(ctl, command, value);
    } else {
        write_kbd(ctl, value);
    }
}

static uint64_t status_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8042 *)opaque)->status;
}

static const MemoryRegionOps data_ops = {
    .read = data_read,
    .write = data_write,
    .impl = { .min = 1, .max = 1 },
};

static const MemoryRegionOps command_ops = {
    .read = status_read,
    .write = command_write,
    .impl = { .min = 1, .max = 1 },
};

/* Life. */

static void i8042_reset(Device *dev)
{
    I8042 *ctl = (I8042 *)dev;

    ctl->mode = MODE_RESET;
    ctl->status = STATUS_COMMAND | STATUS_UNLOCKED;
    ctl->out_port = OUT_WRITABLE; /* not reset, A20 on, the unused pins high */
    ctl->data = ctl->command = 0;
    ctl->answer_full = ctl->saw_break = false;
    timer_del(ctl->timer);
    ps2_keyboard_reset(&ctl->kbd);
    ps2_mouse_reset(&ctl->mouse);
    update_lines(ctl);
}

static void i8042_init(Object *obj)
{
    I8042 *ctl = (I8042 *)obj;

    device_init_irq_out(&ctl->parent_obj.parent_obj, NULL, ctl->irqs, 2);
    device_init_irq_out(&ctl->parent_obj.parent_obj, "a20", &ctl->a20, 1);
}

static bool i8042_realize(Device *dev, GError **error)
{
    I8042 *ctl = (I8042 *)dev;
    IsaDevice *isa = &ctl->parent_obj;
    Ps2Link link = { .ready = on_ready, .opaque = ctl };

    if (ctl->kbd_irq_number >= ISA_IRQS || ctl->aux_irq_number >= ISA_IRQS) {
        error_setf(error, "i8042: kbd-irq and mouse-irq must be below %d, not %u and %u", ISA_IRQS,
                   ctl->kbd_irq_number, ctl->aux_irq_number);
        return false;
    }
    ctl->data_port = memory_region_new_io(OBJECT(dev), &data_ops, ctl, "i8042-data", 1);
    ctl->command_port = memory_region_new_io(OBJECT(dev), &command_ops, ctl, "i8042-cmd", 1);
    if (!isa_map_ports(isa, ctl->data_port, PORT_DATA, error) ||
        !isa_map_ports(isa, ctl->command_port, PORT_COMMAND, error)) {
        return false;
    }
    device_connect_irq_out(dev, NULL, 0, isa_irq(isa, ctl->kbd_irq_number));
    device_connect_irq_out(dev, NULL, 1, isa_irq(isa, ctl->aux_irq_number));
    ctl->timer = timer_new_virtual(on_ready, ctl);
    ps2_keyboard_init(&ctl->kbd, link);
    ps2_mouse_init(&ctl->mouse, link);
    return true;
}

static void i8042_unrealize(Device *dev)
{
    I8042 *ctl = (I8042 *)dev;

    ps2_mouse_cleanup(&ctl->mouse);
    ps2_keyboard_cleanup(&ctl->kbd);
    timer_del(ctl->timer);
}

static void i8042_finalize(Object *obj)
{
    I8042 *ctl = (I8042 *)obj;

    g_clear_pointer(&ctl->timer, timer_free);
    g_clear_pointer(&ctl->data_port, memory_region_free);
    g_clear_pointer(&ctl->command_port, memory_region_free);
}

static bool i8042_post_load(void *opaque, int version, GError **error)
{
    I8042 *ctl = opaque;
    bool known = ctl->command == 0 ||
                 (ctl->command >= CMD_WRITE_RAM && ctl->command <= CMD_WRITE_RAM_END) ||
                 (ctl->command >= CMD_WRITE_OUTPUT && ctl->command <= CMD_WRITE_AUX);

    if (!known) {
        error_setf(error, "i8042: command 0x%02x takes no argument", ctl->command);
        return false;
    }
    update_lines(ctl);
    return true;
}

static const VmState i8042_vmstate = {
    .name = "i8042",
    .version = 1,
    .minimum_version = 1,
    .post_load = i8042_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT(I8042, kbd, ps2_keyboard_vmstate),
        VMSTATE_STRUCT(I8042, mouse, ps2_mouse_vmstate),
        VMSTATE_U8(I8042, mode),
        VMSTATE_U8(I8042, status),
        VMSTATE_U8(I8042, out_port),
        VMSTATE_U8(I8042, data),
        VMSTATE_BUFFER(I8042, ram),
        VMSTATE_U8(I8042, command),
        VMSTATE_U8(I8042, answer),
        VMSTATE_U8(I8042, answer_aux),
        VMSTATE_BOOL(I8042, answer_full),
        VMSTATE_BOOL(I8042, saw_break),
        VMSTATE_TIMER(I8042, timer),
        VMSTATE_END
    },
};

static const Property i8042_properties[] = {
    PROP_BOOL("extended-state", I8042, extended_state, true, "save all state (always done)"),
    PROP_BOOL("kbd-throttle", I8042, throttle, false, "let a millisecond pass between two bytes"),
    PROP_UINT8("kbd-irq", I8042, kbd_irq_number, 1, "the keyboard's ISA interrupt"),
    PROP_UINT8("mouse-irq", I8042, aux_irq_number, 12, "the mouse's ISA interrupt"),
    PROP_END
};

static const DeviceHooks i8042_hooks = {
    .realize = i8042_realize,
    .unrealize = i8042_unrealize,
    .reset = i8042_reset,
    .vmstate = &i8042_vmstate,
    .category = DEVICE_CATEGORY_INPUT,
};

static const TypeInfo i8042_type = {
    .name = "i8042",
    .parent = TYPE_ISA_DEVICE,
    .description = "PS/2 keyboard and mouse controller",
    .instance_size = sizeof(I8042),
    .user_creatable = true,
    .properties = i8042_properties,
    .instance_init = i8042_init,
    .instance_finalize = i8042_finalize,
    .hooks = &i8042_hooks,
};
QOM_TYPE(i8042_type);
