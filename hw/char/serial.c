/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A UART (PC16550D data sheet, National Semiconductor, 1995).
 *
 *   0  RBR ro / THR wo   received byte, byte to send        (DLAB: DLL, divisor bits 7:0)
 *   1  IER rw            3 EDSSI, 2 ELSI, 1 ETBEI, 0 ERBFI   (DLAB: DLM, divisor bits 15:8)
 *   2  IIR ro            7:6 FIFOs on, 3:1 source, 0 nothing pending
 *      FCR wo            7:6 receive trigger, 2 clear tx, 1 clear rx, 0 FIFOs on
 *   3  LCR rw            7 DLAB, 6 break, 5:3 parity, 2 two stop bits, 1:0 data bits - 5
 *   4  MCR rw            4 loop, 3 OUT2, 2 OUT1, 1 RTS, 0 DTR
 *   5  LSR ro            7 error in FIFO, 6 TEMT, 5 THRE, 4 BI, 3 FE, 2 PE, 1 OE, 0 DR
 *   6  MSR ro            7 DCD, 6 RI, 5 DSR, 4 CTS, 3:0 their changes since the last read
 *   7  SCR rw            scratch
 *
 * Sending takes no virtual time: a byte is gone once the backend took it, and THRE stays clear only
 * while the backend is full. Character time counts for the receive FIFO's time-out. In loop mode
 * the transmitter feeds the receiver and the modem outputs feed the modem inputs; bytes from the
 * backend wait outside meanwhile. A backend without modem lines looks like a connected, ready
 * peer.
 */
#include "hw/char/serial.h"

#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "accel/vm-events.h"
#include "util/bits.h"
#include "util/error.h"

enum Register { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };
enum { IER_RX = 0x01, IER_THRE = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08, IER_ALL = 0x0f };
enum { IIR_MODEM = 0x00, IIR_NONE = 0x01, IIR_THRE = 0x02, IIR_RX = 0x04, IIR_LINE = 0x06,
       IIR_TIMEOUT = 0x0c, IIR_SOURCE = 0x0f, IIR_FIFOS = 0xc0 };
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_KEPT = 0xc9 };
enum { LCR_TWO_STOP = 0x04, LCR_PARITY = 0x08, LCR_EVEN = 0x10, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10,
       MCR_ALL = 0x1f };
enum { LSR_DR = 0x01, LSR_OE = 0x02, LSR_PE = 0x04, LSR_FE = 0x08, LSR_BI = 0x10, LSR_THRE = 0x20,
       LSR_TEMT = 0x40, LSR_FIFO_ERROR = 0x80, LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI };
enum { MSR_DCTS = 0x01, MSR_DDSR = 0x02, MSR_TERI = 0x04, MSR_DDCD = 0x08, MSR_CTS = 0x10,
       MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_DELTAS = 0x0f, MSR_LINES = 0xf0 };

#define DEFAULT_DIVISOR 12 /* 9600 baud, as firmware leaves it */
#define TIMEOUT_CHARS 4    /* data sheet, "FIFO interrupt mode operation" */
#define MODEM_POLL_NS (10 * NS_PER_MS)

static const uint8_t rx_trigger_levels[] = { 1, 4, 8, 14 };

/* FIFOs. */

static bool fifos_on(const SerialCore *serial)
{
    return serial->fcr & FCR_ENABLE;
}

static void fifo_clear(SerialFifo *fifo)
{
    fifo->head = fifo->count = 0;
}

static bool fifo_push(SerialFifo *fifo, uint8_t byte, uint8_t flags)
{
    unsigned at = (fifo->head + fifo->count) % SERIAL_FIFO_SIZE;

    if (fifo->count == SERIAL_FIFO_SIZE) {
        return false;
    }
    fifo->data[at] = byte;
    fifo->flags[at] = flags;
    fifo->count++;
    return true;
}

static uint8_t fifo_pop(SerialFifo *fifo)
{
    uint8_t byte = fifo->data[fifo->head];

    fifo->head = (fifo->head + 1) % SERIAL_FIFO_SIZE;
    fifo->count--;
    return byte;
}

static bool fifo_has_errors(const SerialFifo *fifo)
{
    for (unsigned i = 0; i < fifo->count; i++) {
        if (fifo->flags[(fifo->head + i) % SERIAL_FIFO_SIZE]) {
            return true;
        }
    }
    return false;
}

/* Interrupts. */

static bool rx_triggers(const SerialCore *serial)
{
    return (serial->lsr & LSR_DR) &&
           (!fifos_on(serial) || serial->rx.count >= rx_trigger_levels[serial->fcr >> 6]);
}

/* The highest source that is pending and enabled (data sheet, table V). */
static uint8_t pending_source(const SerialCore *serial)
{
    if ((serial->ier & IER_LINE) && (serial->lsr & LSR_ERRORS)) {
        return IIR_LINE;
    }
    if ((serial->ier & IER_RX) && rx_triggers(serial)) {
        return IIR_RX;
    }
    if ((serial->ier & IER_RX) && serial->timeout_pending) {
        return IIR_TIMEOUT;
    }
    if ((serial->ier & IER_THRE) && serial->thre_pending) {
        return IIR_THRE;
    }
    if ((serial->ier & IER_MODEM) && (serial->msr & MSR_DELTAS)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void update_irq(SerialCore *serial)
{
    uint8_t source = pending_source(serial);

    serial->iir = source | (fifos_on(serial) ? IIR_FIFOS : 0);
    irq_set(serial->irq, source != IIR_NONE);
}

/* Line parameters. */

static int data_bits(const SerialCore *serial)
{
    return 5 + (serial->lcr & 3);
}

static int64_t char_time_ns(const SerialCore *serial)
{
    int bits = 1 + data_bits(serial) + !!(serial->lcr & LCR_PARITY) +
               (serial->lcr & LCR_TWO_STOP ? 2 : 1);

    return muldiv64(NS_PER_SEC, (uint64_t)bits * MAX(serial->divisor, 1),
                    MAX(serial->baudbase, 1));
}

static void tell_params(SerialCore *serial)
{
    CharSerialParams params = {
        .speed = serial->baudbase / MAX(serial->divisor, 1),
        .data_bits = data_bits(serial),
        .stop_bits = serial->lcr & LCR_TWO_STOP ? 2 : 1,
        .parity = !(serial->lcr & LCR_PARITY) ? 'N' : serial->lcr & LCR_EVEN ? 'E' : 'O',
    };

    char_frontend_ioctl(&serial->chr, CHAR_IOCTL_SERIAL_SET_PARAMS, &params);
}

static void tell_break(SerialCore *serial)
{
    int on = !!(serial->lcr & LCR_BREAK);

    if (on != serial->host_break) {
        serial->host_break = on;
        char_frontend_ioctl(&serial->chr, CHAR_IOCTL_SERIAL_SET_BREAK, &on);
    }
}

/* Modem lines. */

static void tell_modem_outputs(SerialCore *serial)
{
    int lines = (serial->mcr & MCR_DTR ? TIOCM_DTR : 0) | (serial->mcr & MCR_RTS ? TIOCM_RTS : 0);

    if (serial->has_modem_lines) {
        char_frontend_ioctl(&serial->chr, CHAR_IOCTL_SERIAL_SET_TIOCM, &lines);
    }
}

static uint8_t modem_inputs(SerialCore *serial)
{
    int lines = 0;

    if (serial->mcr & MCR_LOOP) {
        return (serial->mcr & MCR_RTS ? MSR_CTS : 0) | (serial->mcr & MCR_DTR ? MSR_DSR : 0) |
               (serial->mcr & MCR_OUT1 ? MSR_RI : 0) | (serial->mcr & MCR_OUT2 ? MSR_DCD : 0);
    }
    if (!serial->has_modem_lines ||
        char_frontend_ioctl(&serial->chr, CHAR_IOCTL_SERIAL_GET_TIOCM, &lines) < 0) {
        return MSR_DCD | MSR_DSR | MSR_CTS;
    }
    return (lines & TIOCM_CTS ? MSR_CTS : 0) | (lines & TIOCM_DSR ? MSR_DSR : 0) |
           (lines & TIOCM_RI ? MSR_RI : 0) | (lines & TIOCM_CAR ? MSR_DCD : 0);
}

/* Take the inputs into MSR and note what changed; RI counts when it goes away. */
static void update_modem(SerialCore *serial)
{
    uint8_t now = modem_inputs(serial);
    uint8_t changed = (serial->msr ^ now) & MSR_LINES;
    uint8_t deltas = serial->msr & MSR_DELTAS;

    deltas |= changed & MSR_CTS ? MSR_DCTS : 0;
    deltas |= changed & MSR_DSR ? MSR_DDSR : 0;
    deltas |= changed & MSR_DCD ? MSR_DDCD : 0;
    deltas |= (changed & MSR_RI) && !(now & MSR_RI) ? MSR_TERI : 0;
    serial->msr = now | deltas;
}

/*
 * A host port's lines are looked at when the guest reads MSR; and now and then if it wants
 * interrupts.
 */
static void update_modem_polling(SerialCore *serial)
{
    if (serial->has_modem_lines && (serial->ier & IER_MODEM)) {
        timer_mod(serial->modem_timer, vm_clock_ns(VM_CLOCK_VIRTUAL) + MODEM_POLL_NS);
    } else {
        timer_del(serial->modem_timer);
    }
}

static void on_modem_timer(void *opaque)
{
    SerialCore *serial = opaque;

    update_modem(serial);
    update_irq(serial);
    update_modem_polling(serial);
}

/* Receiving. */

static void restart_timeout(SerialCore *serial)
{
    serial->timeout_pending = false;
    if (fifos_on(serial) && serial->rx.count) {
        timer_mod(serial->timeout_timer,
                  vm_clock_ns(VM_CLOCK_VIRTUAL) + TIMEOUT_CHARS * char_time_ns(serial));
    } else {
        timer_del(serial->timeout_timer);
    }
}

static void on_timeout(void *opaque)
{
    SerialCore *serial = opaque;

    if (serial->rx.count) {
        serial->timeout_pending = true;
        update_irq(serial);
    }
}

/* The error bits of the byte that is read next show in LSR (data sheet, LSR note). */
static void reveal_flags(SerialCore *serial)
{
    if (serial->rx.count) {
        serial->lsr |= serial->rx.flags[serial->rx.head];
        serial->rx.flags[serial->rx.head] = 0;
    }
}

static void receive_byte(SerialCore *serial, uint8_t byte, uint8_t flags)
{
    if (fifos_on(serial)) {
        if (!fifo_push(&serial->rx, byte, flags)) {
            serial->lsr |= LSR_OE;
        }
        if (serial->rx.count == 1) {
            reveal_flags(serial);
        }
        restart_timeout(serial);
    } else {
        if (serial->lsr & LSR_DR) {
            serial->lsr |= LSR_OE;
        }
        serial->rbr = byte;
        serial->lsr |= flags;
    }
    serial->lsr |= LSR_DR;
}

static int serial_can_read(void *opaque)
{
    SerialCore *serial = opaque;

    if (serial->mcr & MCR_LOOP) {
        return 0;
    }
    if (fifos_on(serial)) {
        return SERIAL_FIFO_SIZE - serial->rx.count;
    }
    return serial->lsr & LSR_DR ? 0 : 1;
}

static void serial_read(void *opaque, const uint8_t *buf, int size)
{
    SerialCore *serial = opaque;

    if (serial->wakeup) {
        vm_request_wakeup();
    }
    for (int i = 0; i < size; i++) {
        receive_byte(serial, buf[i], 0);
    }
    update_irq(serial);
}

static void serial_event(void *opaque, CharEvent event)
{
    SerialCore *serial = opaque;

    if (event == CHAR_EVENT_BREAK && !(serial->mcr & MCR_LOOP)) {
        receive_byte(serial, 0, LSR_BI | LSR_FE);
        update_irq(serial);
    }
}

static uint8_t read_rbr(SerialCore *serial)
{
    uint8_t byte = serial->rbr;

    if (fifos_on(serial)) {
        byte = serial->rx.count ? fifo_pop(&serial->rx) : 0;
        if (!serial->rx.count) {
            serial->lsr &= ~LSR_DR;
        }
        reveal_flags(serial);
        restart_timeout(serial);
    } else {
        serial->lsr &= ~LSR_DR;
    }
    update_irq(serial);
    if (!(serial->mcr & MCR_LOOP)) {
        char_frontend_accept_input(&serial->chr);
    }
    return byte;
}

/* Sending. */

static void sent_all(SerialCore *serial)
{
    serial->lsr |= LSR_THRE | LSR_TEMT;
    serial->thre_pending = true;
}

static void on_room(void *opaque);

/* Hand the bytes to the backend; what it does not take waits for room. */
static void send_fifo(SerialCore *serial)
{
    uint8_t bytes[SERIAL_FIFO_SIZE] = { 0 };
    int count = serial->tx.count, taken;

    for (int i = 0; i < count; i++) {
        bytes[i] = serial->tx.data[(serial->tx.head + i) % SERIAL_FIFO_SIZE];
    }
    taken = char_frontend_write(&serial->chr, bytes, count);
    if (taken >= 0 && taken < count) {
        serial->tx.head = (serial->tx.head + taken) % SERIAL_FIFO_SIZE;
        serial->tx.count -= taken;
        serial->watch = char_frontend_watch_writable(&serial->chr, on_room, serial);
        if (serial->watch) {
            return;
        }
    }
    /* Sent; or lost, because the backend is broken. */
    fifo_clear(&serial->tx);
    sent_all(serial);
}

static void on_room(void *opaque)
{
    SerialCore *serial = opaque;

    serial->watch = 0;
    if (serial->tx.count) {
        send_fifo(serial);
        update_irq(serial);
    }
}

static void stop_sending(SerialCore *serial)
{
    if (serial->watch) {
        char_frontend_unwatch(&serial->chr, serial->watch);
        serial->watch = 0;
    }
    fifo_clear(&serial->tx);
}

static void write_thr(SerialCore *serial, uint8_t byte)
{
    serial->thre_pending = false;
    serial->lsr &= ~(LSR_THRE | LSR_TEMT);
    if (serial->mcr & MCR_LOOP) {
        receive_byte(serial, byte, 0);
        sent_all(serial);
    } else {
        if (!fifos_on(serial)) {
            fifo_clear(&serial->tx); /* THR is overwritten */
        }
        /* A byte too many is lost. */
        fifo_push(&serial->tx, byte, 0);
        if (!serial->watch) {
            send_fifo(serial);
        }
    }
    update_irq(serial);
}

/* Control registers. */

static void write_ier(SerialCore *serial, uint8_t value)
{
    uint8_t changed = serial->ier ^ value;

    serial->ier = value & IER_ALL;
    if (changed & IER_THRE) {
        serial->thre_pending = (serial->ier & IER_THRE) && (serial->lsr & LSR_THRE);
    }
    if (changed & IER_MODEM) {
        update_modem(serial);
        update_modem_polling(serial);
    }
    update_irq(serial);
}

static void clear_rx(SerialCore *serial)
{
    fifo_clear(&serial->rx);
    serial->lsr &= ~(LSR_DR | LSR_BI);
    restart_timeout(serial);
}

static void clear_tx(SerialCore *serial)
{
    stop_sending(serial);
    sent_all(serial);
}

/* Turning the FIFOs on or off empties them (data sheet, FCR bit 0). */
static void write_fcr(SerialCore *serial, uint8_t value)
{
    bool toggled = (serial->fcr ^ value) & FCR_ENABLE;

    serial->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    if (toggled || (value & FCR_CLEAR_RX)) {
        clear_rx(serial);
    }
    if (toggled || (value & FCR_CLEAR_TX)) {
        clear_tx(serial);
    }
    update_irq(serial);
    char_frontend_accept_input(&serial->chr);
}

static void write_lcr(SerialCore *serial, uint8_t value)
{
    serial->lcr = value;
    tell_params(serial);
    tell_break(serial);
}

static void write_mcr(SerialCore *serial, uint8_t value)
{
    uint8_t old = serial->mcr;

    serial->mcr = value & MCR_ALL;
    if (!(serial->mcr & MCR_LOOP) && old != serial->mcr) {
        tell_modem_outputs(serial);
    }
    update_modem(serial);
    update_irq(serial);
    if ((old & MCR_LOOP) && !(serial->mcr & MCR_LOOP)) {
        char_frontend_accept_input(&serial->chr);
    }
}

static void set_divisor(SerialCore *serial, unsigned shift, uint8_t value)
{
    serial->divisor = deposit64(serial->divisor, shift, 8, value);
    tell_params(serial);
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    SerialCore *serial = opaque;
    bool dlab = serial->lcr & LCR_DLAB;

    switch ((enum Register)offset) {
    case REG_DATA:
        if (dlab) {
            set_divisor(serial, 0, value);
        } else {
            write_thr(serial, value);
        }
        break;
    case REG_IER:
        if (dlab) {
            set_divisor(serial, 8, value);
        } else {
            write_ier(serial, value);
        }
        break;
    case REG_IIR_FCR:
        write_fcr(serial, value);
        break;
    case REG_LCR:
        write_lcr(serial, value);
        break;
    case REG_MCR:
        write_mcr(serial, value);
        break;
    case REG_SCR:
        serial->scr = value;
        break;
    case REG_LSR: /* factory test */
    case REG_MSR:
        break;
    }
}

static uint8_t read_iir(SerialCore *serial)
{
    uint8_t value = serial->iir;

    if ((value & IIR_SOURCE) == IIR_THRE) {
        serial->thre_pending = false;
        update_irq(serial);
    }
    return value;
}

static uint8_t read_lsr(SerialCore *serial)
{
    uint8_t value = serial->lsr;

    if (fifos_on(serial) && (fifo_has_errors(&serial->rx) ||
                             (value & (LSR_PE | LSR_FE | LSR_BI)))) {
        value |= LSR_FIFO_ERROR;
    }
    if (value & LSR_ERRORS) {
        serial->lsr &= ~LSR_ERRORS;
        update_irq(serial);
    }
    return value;
}

static uint8_t read_msr(SerialCore *serial)
{
    uint8_t value;

    update_modem(serial);
    value = serial->msr;
    if (value & MSR_DELTAS) {
        serial->msr &= ~MSR_DELTAS;
        update_irq(serial);
    }
    return value;
}

static uint64_t serial_region_read(void *opaque, uint64_t offset, unsigned size)
{
    SerialCore *serial = opaque;
    bool dlab = serial->lcr & LCR_DLAB;

    switch ((enum Register)offset) {
    case REG_DATA:
        return dlab ? serial->divisor & 0xff : read_rbr(serial);
    case REG_IER:
        return dlab ? serial->divisor >> 8 : serial->ier;
    case REG_IIR_FCR:
        return read_iir(serial);
    case REG_LCR:
        return serial->lcr;
    case REG_MCR:
        return serial->mcr;
    case REG_LSR:
        return read_lsr(serial);
    case REG_MSR:
        return read_msr(serial);
    case REG_SCR:
        return serial->scr;
    }
    return 0xff;
}

static const MemoryRegionOps serial_region_ops = {
    .read = serial_region_read,
    .write = serial_write,
    .impl = { .min = 1, .max = 1 },
};

/* Life. */

static void look_at_backend(SerialCore *serial)
{
    int lines;

    serial->has_modem_lines =
        char_frontend_ioctl(&serial->chr, CHAR_IOCTL_SERIAL_GET_TIOCM, &lines) == 0;
    serial->host_break = false;
}

static bool serial_backend_changed(void *opaque)
{
    SerialCore *serial = opaque;

    /* The watch went with the old backend. */
    serial->watch = 0;
    look_at_backend(serial);
    tell_params(serial);
    tell_break(serial);
    tell_modem_outputs(serial);
    update_modem(serial);
    update_modem_polling(serial);
    if (serial->tx.count) {
        send_fifo(serial);
    }
    update_irq(serial);
    return true;
}

static const CharFrontendOps serial_frontend_ops = {
    .can_read = serial_can_read,
    .read = serial_read,
    .event = serial_event,
    .backend_changed = serial_backend_changed,
};

void serial_core_realize(SerialCore *serial, Object *owner)
{
    serial->timeout_timer = timer_new_virtual(on_timeout, serial);
    serial->modem_timer = timer_new_virtual(on_modem_timer, serial);
    serial->region = memory_region_new_io(owner, &serial_region_ops, serial, "serial",
                                          SERIAL_PORTS);
    look_at_backend(serial);
    serial_core_reset(serial);
    char_frontend_set_handlers(&serial->chr, &serial_frontend_ops, serial, NULL);
    /* Of those that share a mux, the console is what a person wants to see first. */
    char_frontend_take_focus(&serial->chr);
}

void serial_core_unrealize(SerialCore *serial)
{
    stop_sending(serial);
    char_frontend_detach(&serial->chr);
    timer_del(serial->timeout_timer);
    timer_del(serial->modem_timer);
}

void serial_core_finalize(SerialCore *serial)
{
    g_clear_pointer(&serial->timeout_timer, timer_free);
    g_clear_pointer(&serial->modem_timer, timer_free);
    g_clear_pointer(&serial->region, memory_region_free);
}

void serial_core_reset(SerialCore *serial)
{
    stop_sending(serial);
    fifo_clear(&serial->rx);
    serial->rbr = serial->ier = serial->fcr = serial->lcr = serial->scr = 0;
    serial->mcr = MCR_OUT2;
    serial->lsr = LSR_THRE | LSR_TEMT;
    serial->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    serial->divisor = DEFAULT_DIVISOR;
    serial->thre_pending = serial->timeout_pending = false;
    timer_del(serial->timeout_timer);
    timer_del(serial->modem_timer);
    tell_params(serial);
    tell_break(serial);
    update_modem(serial);
    serial->msr &= MSR_LINES;
    update_irq(serial);
    char_frontend_accept_input(&serial->chr);
}

/* Saved state. */

static bool fifo_valid(const SerialFifo *fifo, GError **error)
{
    if (fifo->head >= SERIAL_FIFO_SIZE || fifo->count > SERIAL_FIFO_SIZE) {
        error_setf(error, "serial: FIFO position %u, count %u out of range", fifo->head,
                   fifo->count);
        return false;
    }
    return true;
}

static bool serial_post_load(void *opaque, int version, GError **error)
{
    SerialCore *serial = opaque;

    if (!fifo_valid(&serial->rx, error) || !fifo_valid(&serial->tx, error)) {
        return false;
    }
    serial->ier &= IER_ALL;
    serial->mcr &= MCR_ALL;
    tell_params(serial);
    tell_break(serial);
    tell_modem_outputs(serial);
    update_modem_polling(serial);
    if (serial->tx.count) {
        send_fifo(serial);
    }
    update_irq(serial);
    return true;
}

static const VmState serial_fifo_vmstate = {
    .name = "serial-fifo",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_BUFFER(SerialFifo, data),
        VMSTATE_BUFFER(SerialFifo, flags),
        VMSTATE_U8(SerialFifo, head),
        VMSTATE_U8(SerialFifo, count),
        VMSTATE_END
    },
};

const VmState serial_core_vmstate = {
    .name = "serial",
    .version = 1,
    .minimum_version = 1,
    .post_load = serial_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U16(SerialCore, divisor),
        VMSTATE_U8(SerialCore, rbr),
        VMSTATE_U8(SerialCore, ier),
        VMSTATE_U8(SerialCore, fcr),
        VMSTATE_U8(SerialCore, lcr),
        VMSTATE_U8(SerialCore, mcr),
        VMSTATE_U8(SerialCore, lsr),
        VMSTATE_U8(SerialCore, msr),
        VMSTATE_U8(SerialCore, scr),
        VMSTATE_STRUCT(SerialCore, rx, serial_fifo_vmstate),
        VMSTATE_STRUCT(SerialCore, tx, serial_fifo_vmstate),
        VMSTATE_BOOL(SerialCore, thre_pending),
        VMSTATE_BOOL(SerialCore, timeout_pending),
        VMSTATE_TIMER(SerialCore, timeout_timer),
        VMSTATE_END
    },
};
