/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-serial adapter: queues, control messages, saved state; see virtio-serial.h. */
#include "hw/char/virtio-serial.h"

#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/log.h"

#define PORT_QUEUE_SIZE 128
#define CONTROL_QUEUE_SIZE 32
#define MESSAGE_SIZE sizeof(struct virtio_console_control)
#define MESSAGES_PER_ROUND 32u
#define DISCARDS_PER_ROUND 64u
/* A driver that gives no buffers does not get to hear of everything. */
#define PENDING_MAX (64u * KiB)
/* Of a port in saved state: there, guest_open, host_open; padding; out_done. */
#define SAVED_PORT_SIZE 16u

bool virtio_serial_is_multiport(const VirtioSerial *serial)
{
    return virtio_has_feature(&serial->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* NULL: there is none. */
static VirtioSerialPort *find_port(const VirtioSerial *serial, uint32_t nr)
{
    return nr < serial->max_ports ? serial->ports[nr] : NULL;
}

/* ---- Control messages to the guest ---- */

static VirtQueueElement *pop(VirtioQueue *queue)
{
    VirtQueueElement *element;

    do {
        element = virtqueue_pop(&queue->vq, sizeof(*element));
    } while (!element && virtqueue_enable_kicks(&queue->vq));
    return element;
}

static void flush_control(VirtioSerial *serial)
{
    GByteArray *pending = serial->pending;
    VirtioQueue *queue = serial->control_in;
    bool any = false;

    while (pending->len && virtio_queue_is_running(queue)) {
        uint16_t len = ldw_be(pending->data);
        VirtQueueElement *element = pop(queue);
        size_t n;

        if (!element) {
            break;
        }
        n = iov_from_buf(element->in, element->n_in, 0, pending->data + 2, len);
        virtqueue_push(&queue->vq, element, (uint32_t)n);
        g_byte_array_remove_range(pending, 0, 2 + len);
        any = true;
    }
    if (any) {
        virtio_queue_notify(queue);
    }
}

void virtio_serial_send(VirtioSerial *serial, uint32_t nr, uint16_t event, uint16_t value,
                        const char *text)
{
    const struct virtio_console_control message = {
        .id = GUINT32_TO_LE(nr), .event = GUINT16_TO_LE(event), .value = GUINT16_TO_LE(value),
    };
    size_t text_size = text ? strlen(text) + 1 : 0;
    uint8_t len[2];

    if (!serial->ready || !virtio_serial_is_multiport(serial)) {
        return;
    }
    if (serial->pending->len + 2 + MESSAGE_SIZE + text_size > PENDING_MAX) {
        log_guest_error("virtio-serial: no buffers for control messages");
        return;
    }
    stw_be(len, (uint16_t)(MESSAGE_SIZE + text_size));
    g_byte_array_append(serial->pending, len, sizeof(len));
    g_byte_array_append(serial->pending, (const uint8_t *)&message, MESSAGE_SIZE);
    g_byte_array_append(serial->pending, (const uint8_t *)text, text_size);
    flush_control(serial);
}

static void handle_control_in(VirtioDevice *dev, VirtioQueue *queue)
{
    flush_control((VirtioSerial *)dev);
}

/* ---- and from it ---- */

static void tell_ports(VirtioSerial *serial)
{
    for (uint32_t i = 0; i < serial->max_ports; i++) {
        if (serial->ports[i]) {
            virtio_serial_send(serial, i, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
        }
    }
}

/* The driver knows the port now, and hears what it is. */
static void introduce(VirtioSerial *serial, const VirtioSerialPort *port)
{
    if (virtio_serial_port_is_console(port)) {
        virtio_serial_send(serial, port->nr, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
    }
    if (port->name) {
        virtio_serial_send(serial, port->nr, VIRTIO_CONSOLE_PORT_NAME, 1, port->name);
    }
    if (port->host_open) {
        virtio_serial_send(serial, port->nr, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    }
}

static void take_message(VirtioSerial *serial, const struct virtio_console_control *message)
{
    const uint32_t nr = GUINT32_FROM_LE(message->id);
    const uint16_t event = GUINT16_FROM_LE(message->event);
    const uint16_t value = GUINT16_FROM_LE(message->value);
    VirtioSerialPort *port = find_port(serial, nr);

    if (event == VIRTIO_CONSOLE_DEVICE_READY && value) {
        serial->ready = true;
        tell_ports(serial);
    } else if (event == VIRTIO_CONSOLE_PORT_READY && value && port) {
        introduce(serial, port);
    } else if (event == VIRTIO_CONSOLE_PORT_OPEN && port) {
        virtio_serial_port_set_open(port, value);
    } else {
        log_guest_error("virtio-serial: control message %u (%u) for port %u makes no sense", event,
                        value, nr);
    }
}

static void handle_control_out(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioSerial *serial = (VirtioSerial *)dev;
    unsigned budget = MESSAGES_PER_ROUND;
    VirtQueueElement *element;

    while (budget && virtio_queue_is_running(queue) && (element = pop(queue))) {
        struct virtio_console_control message;
        bool whole = iov_to_buf(element->out, element->n_out, 0, &message, MESSAGE_SIZE) ==
                     MESSAGE_SIZE;

        virtqueue_push(&queue->vq, element, 0);
        if (whole && virtio_serial_is_multiport(serial)) {
            take_message(serial, &message);
        }
        budget--;
    }
    virtio_queue_notify(queue);
    if (!budget) {
        virtio_queue_schedule(queue);
    }
}

/* ---- Ports' queues ---- */

static VirtioSerialPort *port_of(const VirtioSerial *serial, const VirtioQueue *queue)
{
    return find_port(serial, queue->index < 2 ? 0 : (queue->index - 2) / 2);
}

static void handle_in(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioSerialPort *port = port_of((VirtioSerial *)dev, queue);

    if (port) {
        virtio_serial_port_accept(port);
    }
}

/* Nobody takes what is written to a port that does not exist. */
static void discard(VirtioQueue *queue)
{
    unsigned budget = DISCARDS_PER_ROUND;
    VirtQueueElement *element;

    while (budget && (element = pop(queue))) {
        virtqueue_push(&queue->vq, element, 0);
        budget--;
    }
    virtio_queue_notify(queue);
    if (!budget) {
        virtio_queue_schedule(queue);
    }
}

static void handle_out(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioSerialPort *port = port_of((VirtioSerial *)dev, queue);

    if (port) {
        virtio_serial_port_send(port);
    } else {
        discard(queue);
    }
}

static void foreach_port(VirtioSerial *serial, void (*fn)(VirtioSerialPort *port))
{
    for (uint32_t i = 0; i < serial->max_ports; i++) {
        if (serial->ports[i]) {
            fn(serial->ports[i]);
        }
    }
}

/* ---- Configuration ---- */

static uint64_t serial_features(VirtioDevice *dev)
{
    return ((VirtioSerial *)dev)->max_ports > 1 ? BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT) : 0;
}

static size_t serial_config_len(VirtioDevice *dev, uint64_t features)
{
    return features & BIT_ULL(VIRTIO_CONSOLE_F_EMERG_WRITE)
           ? sizeof(struct virtio_console_config)
           : offsetof(struct virtio_console_config, emerg_wr);
}

static void serial_get_config(VirtioDevice *dev, uint8_t *bytes)
{
    const struct virtio_console_config config = {
        .max_nr_ports = GUINT32_TO_LE(((VirtioSerial *)dev)->max_ports),
    };

    memcpy(bytes, &config, sizeof(config));
}

/* A byte for the first console, in need, also before the driver is set up (5.3.6.1). */
static void serial_set_config(VirtioDevice *dev, const uint8_t *config, size_t offset, size_t len)
{
    VirtioSerial *serial = (VirtioSerial *)dev;
    const size_t at = offsetof(struct virtio_console_config, emerg_wr);

    for (uint32_t i = 0; offset + len > at && i < serial->max_ports; i++) {
        VirtioSerialPort *port = serial->ports[i];

        if (port && virtio_serial_port_is_console(port) && port->host_open) {
            char_frontend_write(&port->chr, config + at, 1);
            return;
        }
    }
}

/* ---- Life ---- */

static void serial_start(VirtioDevice *dev)
{
    VirtioSerial *serial = (VirtioSerial *)dev;

    if (!virtio_serial_is_multiport(serial) && serial->ports[0]) {
        virtio_serial_port_set_open(serial->ports[0], true);
    }
}

static void serial_drain(VirtioDevice *dev)
{
    foreach_port((VirtioSerial *)dev, virtio_serial_port_pause);
}

static void serial_stop(VirtioDevice *dev)
{
    foreach_port((VirtioSerial *)dev, virtio_serial_port_forget);
}

static void resume_port(VirtioSerialPort *port)
{
    virtio_queue_schedule(port->in);
    virtio_queue_schedule(port->out);
}

/* The drain before it made all ports pause. */
static void serial_queue_reset(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioSerialPort *port = port_of((VirtioSerial *)dev, queue);

    if (port && port->out == queue) {
        virtio_serial_port_forget(port);
    } else if (port && port->in == queue) {
        virtio_serial_port_pause(port);
    }
    foreach_port((VirtioSerial *)dev, resume_port);
}

static void close_port(VirtioSerialPort *port)
{
    virtio_serial_port_set_open(port, false);
}

static void serial_reset(VirtioDevice *dev)
{
    VirtioSerial *serial = (VirtioSerial *)dev;

    serial->ready = false;
    g_byte_array_set_size(serial->pending, 0);
    foreach_port(serial, close_port);
}

static bool serial_realize(VirtioDevice *dev, GError **error)
{
    VirtioSerial *serial = (VirtioSerial *)dev;
    g_autofree char *name = dev->owner->id ? g_strdup_printf("%s.0", dev->owner->id) : NULL;

    if (!serial->max_ports) {
        error_setf(error, "Maximum number of serial ports not specified");
        return false;
    }
    if (serial->max_ports > VIRTIO_SERIAL_MAX_PORTS) {
        error_setf(error, "maximum ports supported: %u", VIRTIO_SERIAL_MAX_PORTS);
        return false;
    }
    serial->bus = (VirtioSerialBus *)bus_new(TYPE_VIRTIO_SERIAL_BUS, dev->owner,
                                             name ? name : "virtio-serial-bus.0");
    serial->bus->serial = serial;
    serial->bus->parent_obj.allow_hotplug = true;
    serial->ports = g_new0(VirtioSerialPort *, serial->max_ports);
    serial->pending = g_byte_array_new();
    for (uint32_t i = 0; i < serial->max_ports; i++) {
        virtio_add_queue(dev, PORT_QUEUE_SIZE, handle_in);
        virtio_add_queue(dev, PORT_QUEUE_SIZE, handle_out);
        if (i == 0) {
            serial->control_in = virtio_add_queue(dev, CONTROL_QUEUE_SIZE, handle_control_in);
            serial->control_out = virtio_add_queue(dev, CONTROL_QUEUE_SIZE, handle_control_out);
        }
    }
    return true;
}

static void serial_unrealize(VirtioDevice *dev)
{
    VirtioSerial *serial = (VirtioSerial *)dev;

    g_clear_pointer(&serial->ports, g_free);
    g_clear_pointer(&serial->pending, g_byte_array_unref);
    g_clear_pointer(&serial->saved_ports, g_free);
    g_clear_pointer(&serial->saved_pending, g_free);
}

/* ---- Saved state ---- */

static void serial_pre_save(void *opaque)
{
    VirtioSerial *serial = opaque;

    g_free(serial->saved_ports);
    g_free(serial->saved_pending);
    serial->saved_ports_len = serial->max_ports * SAVED_PORT_SIZE;
    serial->saved_ports = g_malloc0(serial->saved_ports_len);
    for (uint32_t i = 0; i < serial->max_ports; i++) {
        const VirtioSerialPort *port = serial->ports[i];
        uint8_t *bytes = serial->saved_ports + i * SAVED_PORT_SIZE;

        if (port) {
            bytes[0] = true;
            bytes[1] = port->guest_open;
            bytes[2] = port->host_open;
            stq_be(bytes + 8, port->out_done);
        }
    }
    serial->saved_pending_len = serial->pending->len;
    serial->saved_pending = g_memdup2(serial->pending->data, MAX(serial->pending->len, 1));
}

static bool serial_pre_load(void *opaque, GError **error)
{
    VirtioSerial *serial = opaque;

    g_clear_pointer(&serial->saved_ports, g_free);
    g_clear_pointer(&serial->saved_pending, g_free);
    return true;
}

static bool load_pending(VirtioSerial *serial, GError **error)
{
    uint32_t at = 0;

    while (at < serial->saved_pending_len) {
        uint32_t left = serial->saved_pending_len - at;

        if (left < 2 || left - 2 < ldw_be(serial->saved_pending + at)) {
            error_setf(error, "virtio-serial: a saved control message is cut off");
            return false;
        }
        at += 2 + ldw_be(serial->saved_pending + at);
    }
    g_byte_array_set_size(serial->pending, 0);
    g_byte_array_append(serial->pending, serial->saved_pending, serial->saved_pending_len);
    return true;
}

/* The guest hears if the host's side was open there and is not here, or the other way round. */
static void load_port(VirtioSerialPort *port, const uint8_t *bytes)
{
    virtio_serial_port_set_open(port, bytes[1]);
    port->out_done = ldq_be(bytes + 8);
    if (port->host_open != (bytes[2] != 0)) {
        virtio_serial_send(port->serial, port->nr, VIRTIO_CONSOLE_PORT_OPEN, port->host_open, NULL);
    }
}

static bool serial_post_load(void *opaque, int version, GError **error)
{
    VirtioSerial *serial = opaque;

    if (serial->saved_ports_len != serial->max_ports * SAVED_PORT_SIZE) {
        error_setf(error, "virtio-serial: the saved adapter has %u ports at most, this one %u",
                   serial->saved_ports_len / SAVED_PORT_SIZE, serial->max_ports);
        return false;
    }
    if (!load_pending(serial, error)) {
        return false;
    }
    for (uint32_t i = 0; i < serial->max_ports; i++) {
        const uint8_t *bytes = serial->saved_ports + i * SAVED_PORT_SIZE;

        if ((bytes[0] != 0) != (serial->ports[i] != NULL)) {
            error_setf(error, "virtio-serial: port %u is only in the saved machine, or only in "
                       "this one", i);
            return false;
        }
        if (serial->ports[i]) {
            load_port(serial->ports[i], bytes);
        }
    }
    return true;
}

static const VmState serial_vmstate = {
    .name = "virtio-serial",
    .version = 1,
    .minimum_version = 1,
    .pre_save = serial_pre_save,
    .pre_load = serial_pre_load,
    .post_load = serial_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_BOOL(VirtioSerial, ready),
        VMSTATE_U32(VirtioSerial, saved_ports_len),
        VMSTATE_VBUFFER(VirtioSerial, saved_ports, saved_ports_len,
                        VIRTIO_SERIAL_MAX_PORTS * SAVED_PORT_SIZE),
        VMSTATE_U32(VirtioSerial, saved_pending_len),
        VMSTATE_VBUFFER(VirtioSerial, saved_pending, saved_pending_len, PENDING_MAX),
        VMSTATE_END
    },
};

static const VirtioDeviceOps serial_ops = {
    .name = "virtio-serial",
    .id = VIRTIO_ID_CONSOLE,
    .config_size = sizeof(struct virtio_console_config),
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .features = serial_features,
    .config_len = serial_config_len,
    .get_config = serial_get_config,
    .set_config = serial_set_config,
    .start = serial_start,
    .stop = serial_stop,
    .drain = serial_drain,
    .reset = serial_reset,
    .queue_reset = serial_queue_reset,
    .vmstate = &serial_vmstate,
};

#define SERIAL_PROPERTIES(S, m)                                                                    \
    VIRTIO_COMMON_PROPERTIES(S, m.dev),                                                            \
    PROP_UINT32("max_ports", S, m.max_ports, 31, "ports that it can have"),                        \
    PROP_BIT64("emergency-write", S, m.dev.host_features, VIRTIO_CONSOLE_F_EMERG_WRITE, true,      \
               "a register through which a console can be written to in need")

VIRTIO_PCI_TYPES(virtio_serial, "virtio-serial", VirtioSerial, SERIAL_PROPERTIES, serial_ops,
                 0x0780, 0x1003, 2, DEVICE_CATEGORY_INPUT,
                 "virtio adapter for consoles and channels");
VIRTIO_MMIO_TYPE(virtio_serial, "virtio-serial", VirtioSerial, SERIAL_PROPERTIES, serial_ops,
                 DEVICE_CATEGORY_INPUT, "virtio adapter for consoles and channels");

/* ---- The bus ---- */

static char *bus_describe(Bus *bus, Device *dev)
{
    const VirtioSerialPort *port = (VirtioSerialPort *)dev;

    return g_strdup_printf("port %u, guest %s, host %s, throttle %s", port->nr,
                           port->guest_open ? "on" : "off", port->host_open ? "on" : "off",
                           port->watch ? "on" : "off");
}

static const BusOps bus_ops_table = {
    .describe = bus_describe,
};

static const TypeInfo bus_info = {
    .name = TYPE_VIRTIO_SERIAL_BUS,
    .parent = TYPE_BUS,
    .description = "ports of a virtio-serial adapter",
    .instance_size = sizeof(VirtioSerialBus),
    .ops = &bus_ops_table,
};
QOM_TYPE(bus_info);
