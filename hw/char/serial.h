/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550A UART core (serial.c), which bus front ends embed: they set irq, map the region of 8
 * bytes and call the functions below in their realize, unrealize and reset. VM lock held
 * throughout.
 */
#ifndef VIREO_HW_CHAR_SERIAL_H
#define VIREO_HW_CHAR_SERIAL_H

#include "chardev/chardev.h"
#include "hw/isa/isa.h"
#include "memory/memory.h"
#include "util/timer.h"
#include "vmstate/vmstate.h"

#define SERIAL_PORTS 8
#define SERIAL_FIFO_SIZE 16

typedef struct SerialFifo {
    uint8_t data[SERIAL_FIFO_SIZE];
    uint8_t flags[SERIAL_FIFO_SIZE]; /* receive: LSR error bits that belong to the byte */
    uint8_t head, count;
} SerialFifo;

typedef struct SerialCore {
    /* set by the front end */
    Irq irq;
    CharFrontend chr;
    uint32_t baudbase; /* bits per second at divisor 1 */
    bool wakeup;       /* input wakes the machine from S3 */
    /* registers */
    uint16_t divisor;
    uint8_t rbr, ier, iir, fcr, lcr, mcr, lsr, msr, scr;
    /* the rest */
    SerialFifo rx, tx;     /* without FIFO mode, tx holds the one byte of THR */
    bool thre_pending;     /* THRE interrupt not acknowledged yet */
    bool timeout_pending;  /* bytes below the trigger level lie idle */
    bool has_modem_lines;  /* the backend knows CTS, DSR, RI, DCD */
    bool host_break;       /* what we told the backend last */
    unsigned watch;        /* of the backend's room, 0: none */
    Timer *timeout_timer;
    Timer *modem_timer;
    MemoryRegion *region;
} SerialCore;

extern const VmState serial_core_vmstate;

void serial_core_realize(SerialCore *serial, Object *owner);
void serial_core_unrealize(SerialCore *serial);
/* After the region is out of its container. */
void serial_core_finalize(SerialCore *serial);
void serial_core_reset(SerialCore *serial);

/* Rows for the front end's property table; S is its struct, f the SerialCore in it. */
#define SERIAL_CORE_PROPERTIES(S, f) \
    PROP_CHARDEV("chardev", S, f.chr, "id of the chardev that it talks to"), \
    PROP_UINT32("baudbase", S, f.baudbase, 115200, "bits per second at divisor 1"), \
    PROP_BOOL("wakeup", S, f.wakeup, false, "input wakes the machine from sleep")

#endif
