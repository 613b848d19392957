/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-serial (VIRTIO 1.2, section 5.3, "console device"): an adapter with a bus of ports. A port
 * is a byte pipe between a chardev and the guest: a console (virtconsole: hvc0, ...) or a channel
 * with a name (virtserialport: /dev/virtio-ports/NAME). Guest and host tell each other by control
 * messages which ports there are and which are open.
 *
 * Nothing is copied into memory of ours: what the chardev does not take stays in the guest's
 * buffer, what the guest has no buffer for stays with the chardev.
 *
 * Shared by the adapter's file and the ports'. Everything on the main loop or a vCPU's thread, with
 * the VM lock held.
 */
#ifndef VIREO_HW_CHAR_VIRTIO_SERIAL_H
#define VIREO_HW_CHAR_VIRTIO_SERIAL_H

#include <linux/virtio_console.h>

#include "chardev/chardev.h"
#include "hw/virtio/virtio.h"
#include "util/timer.h"

#define TYPE_VIRTIO_SERIAL_BUS "virtio-serial-bus"
#define TYPE_VIRTIO_SERIAL_PORT "virtio-serial-port"
#define TYPE_VIRTIO_CONSOLE_PORT "virtconsole"
#define VIRTIO_SERIAL_MAX_PORTS ((VIRTIO_MAX_QUEUES - 2) / 2)
#define VIRTIO_SERIAL_NR_AUTO UINT32_MAX
#define VIRTIO_SERIAL_MAX_NAME 1024u /* bytes */

typedef struct VirtioSerial VirtioSerial;

typedef struct VirtioSerialBus {
    Bus parent_obj;
    VirtioSerial *serial;
} VirtioSerialBus;

typedef struct VirtioSerialPort {
    Device parent_obj;
    CharFrontend chr;  /* property */
    char *name;        /* property; NULL: none */
    uint32_t nr;       /* property; VIRTIO_SERIAL_NR_AUTO: the first free */
    VirtioSerial *serial; /* NULL: not realized */
    VirtioQueue *in, *out; /* to the guest, from the guest */
    VirtQueueElement *in_element, *out_element; /* taken, not given back */
    uint64_t out_done; /* bytes of what is first in `out` that the chardev has */
    bool guest_open, host_open;
    unsigned watch;    /* for room in the chardev; 0: none */
    Timer *patience;   /* consoles: how long the guest may wait for the chardev */
    bool losing;       /* consoles: it waited long enough */
} VirtioSerialPort;

struct VirtioSerial {
    VirtioDevice dev;
    uint32_t max_ports;     /* property */
    VirtioSerialBus *bus;
    VirtioSerialPort **ports; /* by number, max_ports of them; borrowed, NULL: none there */
    VirtioQueue *control_in, *control_out; /* to the guest, from the guest */
    bool ready;             /* the driver wants to hear of ports */
    GByteArray *pending;    /* messages that wait for buffers, each after its length (u16) */
    /* Saved state. */
    uint8_t *saved_ports, *saved_pending;
    uint32_t saved_ports_len, saved_pending_len;
};

/* A control message about a port (VIRTIO_CONSOLE_*). text: follows it; or NULL. */
void virtio_serial_send(VirtioSerial *serial, uint32_t nr, uint16_t event, uint16_t value,
                        const char *text);
/* Does the driver know of several ports? Else it only has port 0, which is always open. */
bool virtio_serial_is_multiport(const VirtioSerial *serial);

bool virtio_serial_port_is_console(const VirtioSerialPort *port);
/* The guest opened or closed it. */
void virtio_serial_port_set_open(VirtioSerialPort *port, bool open);
/* Take what the guest has sent, as much as the chardev takes now. */
void virtio_serial_port_send(VirtioSerialPort *port);
/* The guest can take more. */
void virtio_serial_port_accept(VirtioSerialPort *port);
/* Put back what was taken and is not done; later it goes on at the same byte. */
void virtio_serial_port_pause(VirtioSerialPort *port);
/* The queues were stopped; what was in them is gone. */
void virtio_serial_port_forget(VirtioSerialPort *port);

#endif
