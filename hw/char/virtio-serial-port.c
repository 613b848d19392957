/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of a virtio-serial adapter: virtconsole and virtserialport; see virtio-serial.h. */
#include "hw/char/virtio-serial.h"

#include "qapi/qapi-events-misc.h"
#include "util/error.h"
#include "util/iov.h"

#define BYTES_PER_ROUND (64u << 10)
#define PIECE_COST 64u /* of a round, at least */
#define READ_MAX (64u << 10)
/*
 * A kernel waits for its console with everything else standing still, so a chardev that takes
 * nothing for so long loses what is written to it, until it takes some again.
 */
#define CONSOLE_PATIENCE_NS NS_PER_SEC

bool virtio_serial_port_is_console(const VirtioSerialPort *port)
{
    return object_is_a(port, TYPE_VIRTIO_CONSOLE_PORT);
}

static bool take(VirtioQueue *queue, VirtQueueElement **element)
{
    if (!*element && virtio_queue_is_running(queue)) {
        do {
            *element = virtqueue_pop(&queue->vq, sizeof(**element));
        } while (!*element && virtqueue_enable_kicks(&queue->vq));
    }
    return *element != NULL;
}

/* ---- From the guest ---- */

static void on_room(void *opaque)
{
    VirtioSerialPort *port = opaque;

    port->watch = 0;
    port->losing = false;
    timer_del(port->patience);
    virtio_serial_port_send(port);
}

static void stop_waiting(VirtioSerialPort *port)
{
    if (port->watch) {
        char_frontend_unwatch(&port->chr, port->watch);
        port->watch = 0;
    }
    port->losing = false;
    timer_del(port->patience);
}

static void on_impatience(void *opaque)
{
    VirtioSerialPort *port = opaque;

    port->losing = true;
    virtio_serial_port_send(port);
}

/* Bytes that are done with: written, or lost because nobody is there. */
static size_t give_host(VirtioSerialPort *port, const uint8_t *data, size_t len)
{
    int taken = char_frontend_write(&port->chr, data, (int)len);

    if (taken < 0 || (size_t)taken == len || port->losing) {
        return len;
    }
    port->watch = char_frontend_watch_writable(&port->chr, on_room, port);
    if (!port->watch) {
        return len;
    }
    if (virtio_serial_port_is_console(port)) {
        timer_mod(port->patience, vm_clock_ns(VM_CLOCK_REALTIME) + CONSOLE_PATIENCE_NS);
    }
    return taken;
}

static bool must_wait(const VirtioSerialPort *port)
{
    return port->watch && !port->losing;
}

/* Go on with the buffer that is out, from where it stands. True: it is done. */
static bool send_element(VirtioSerialPort *port, unsigned *budget)
{
    const VirtQueueElement *element = port->out_element;
    uint64_t at = 0;

    for (unsigned i = 0; i < element->n_out; i++) {
        const struct iovec *piece = &element->out[i];

        while (port->out_done < at + piece->iov_len) {
            size_t skip = port->out_done - at;
            size_t len = MIN(piece->iov_len - skip, *budget);

            if (!*budget || must_wait(port)) {
                return false;
            }
            *budget -= MIN(*budget, MAX(len, PIECE_COST));
            port->out_done += give_host(port, (uint8_t *)piece->iov_base + skip, len);
        }
        at += piece->iov_len;
    }
    *budget -= MIN(*budget, PIECE_COST);
    return true;
}

void virtio_serial_port_send(VirtioSerialPort *port)
{
    unsigned budget = BYTES_PER_ROUND;
    bool any = false;

    while (budget && !must_wait(port) && take(port->out, &port->out_element)) {
        if (send_element(port, &budget)) {
            virtqueue_push(&port->out->vq, g_steal_pointer(&port->out_element), 0);
            port->out_done = 0;
            any = true;
        }
    }
    if (any) {
        virtio_queue_notify(port->out);
    }
    if (!budget) {
        virtio_queue_schedule(port->out);
    }
}

/* ---- To the guest ---- */

static int port_can_read(void *opaque)
{
    VirtioSerialPort *port = opaque;
    size_t room;

    if (!port->guest_open || !take(port->in, &port->in_element)) {
        return 0;
    }
    room = iov_size(port->in_element->in, port->in_element->n_in);
    if (!room) {
        virtqueue_drop(&port->in->vq, g_steal_pointer(&port->in_element));
        virtio_queue_error(port->in, "a buffer that cannot be written to");
    }
    return MIN(room, READ_MAX);
}

static void port_read(void *opaque, const uint8_t *data, int len)
{
    VirtioSerialPort *port = opaque;

    while (len > 0 && take(port->in, &port->in_element)) {
        VirtQueueElement *element = g_steal_pointer(&port->in_element);
        size_t n = iov_from_buf(element->in, element->n_in, 0, data, len);

        virtqueue_push(&port->in->vq, element, (uint32_t)n);
        data += n;
        len -= (int)n;
        if (!n) {
            break;
        }
    }
    virtio_queue_notify(port->in);
}

void virtio_serial_port_accept(VirtioSerialPort *port)
{
    char_frontend_accept_input(&port->chr);
}

/* ---- Open and closed ---- */

static void set_host_open(VirtioSerialPort *port, bool open)
{
    if (port->host_open != open) {
        port->host_open = open;
        virtio_serial_send(port->serial, port->nr, VIRTIO_CONSOLE_PORT_OPEN, open, NULL);
    }
}

void virtio_serial_port_set_open(VirtioSerialPort *port, bool open)
{
    if (port->guest_open == open) {
        return;
    }
    port->guest_open = open;
    if (!virtio_serial_port_is_console(port)) {
        char_frontend_set_open(&port->chr, open);
    }
    if (port->parent_obj.id) {
        qapi_event_send_vserport_change(port->parent_obj.id, open);
    }
    if (open) {
        virtio_serial_port_accept(port);
    }
}

static void port_event(void *opaque, CharEvent event)
{
    VirtioSerialPort *port = opaque;

    if (event != CHAR_EVENT_OPENED && event != CHAR_EVENT_CLOSED) {
        return;
    }
    /* A console is there whether somebody reads it or not. */
    if (!virtio_serial_port_is_console(port)) {
        set_host_open(port, event == CHAR_EVENT_OPENED);
    }
    if (event == CHAR_EVENT_CLOSED) {
        stop_waiting(port);
        virtio_serial_port_send(port); /* into nothing */
    }
}

static bool port_backend_changed(void *opaque)
{
    VirtioSerialPort *port = opaque;

    port->watch = 0; /* it went with the old backend */
    port->losing = false;
    if (!virtio_serial_port_is_console(port)) {
        set_host_open(port, port->chr.opened);
    }
    virtio_queue_schedule(port->out);
    return true;
}

static const CharFrontendOps port_chr_ops = {
    .can_read = port_can_read,
    .read = port_read,
    .event = port_event,
    .backend_changed = port_backend_changed,
    .read_ahead = true,
};

/* ---- Life ---- */

static void put_back(VirtioQueue *queue, VirtQueueElement **element)
{
    if (*element) {
        virtqueue_unpop(&queue->vq, g_steal_pointer(element));
    }
}

void virtio_serial_port_pause(VirtioSerialPort *port)
{
    put_back(port->in, &port->in_element);
    put_back(port->out, &port->out_element);
}

void virtio_serial_port_forget(VirtioSerialPort *port)
{
    virtio_serial_port_pause(port);
    port->out_done = 0;
}

static bool name_is_taken(const VirtioSerial *serial, const char *name)
{
    for (uint32_t i = 0; name && i < serial->max_ports; i++) {
        if (serial->ports[i] && !g_strcmp0(serial->ports[i]->name, name)) {
            return true;
        }
    }
    return false;
}

/* Port 0 is the console of drivers that know of no other port. */
static void choose_number(VirtioSerialPort *port, const VirtioSerial *serial)
{
    uint32_t nr = virtio_serial_port_is_console(port) ? 0 : 1;

    while (nr < serial->max_ports && serial->ports[nr]) {
        nr++;
    }
    port->nr = nr;
}

static bool check_place(VirtioSerialPort *port, const VirtioSerial *serial, GError **error)
{
    if (port->name && strlen(port->name) > VIRTIO_SERIAL_MAX_NAME) {
        error_setf(error, "virtio-serial-bus: A name has at most %u bytes", VIRTIO_SERIAL_MAX_NAME);
        return false;
    }
    if (name_is_taken(serial, port->name)) {
        error_setf(error, "virtio-serial-bus: A port already exists by name %s", port->name);
        return false;
    }
    if (port->nr == VIRTIO_SERIAL_NR_AUTO) {
        choose_number(port, serial);
    }
    if (port->nr < serial->max_ports && serial->ports[port->nr]) {
        error_setf(error, "virtio-serial-bus: A port already exists at id %u", port->nr);
        return false;
    }
    if (port->nr == 0 && !virtio_serial_port_is_console(port)) {
        error_setf(error, "Port number 0 on virtio-serial devices reserved for virtconsole devices "
                   "for backward compatibility.");
        return false;
    }
    if (port->nr >= serial->max_ports) {
        error_setf(error, "virtio-serial-bus: Out-of-range port id specified, max. allowed: %u",
                   serial->max_ports - 1);
        return false;
    }
    return true;
}

static bool port_realize(Device *dev, GError **error)
{
    VirtioSerialPort *port = (VirtioSerialPort *)dev;
    VirtioSerial *serial = ((VirtioSerialBus *)dev->bus)->serial;
    unsigned first;

    if (!check_place(port, serial, error)) {
        return false;
    }
    first = port->nr ? 2 * port->nr + 2 : 0; /* control queues are after port 0's */
    port->serial = serial;
    port->in = serial->dev.queues[first];
    port->out = serial->dev.queues[first + 1];
    port->patience = timer_new(loop_main(), VM_CLOCK_REALTIME, on_impatience, port);
    serial->ports[port->nr] = port;
    virtio_serial_send(serial, port->nr, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    port->host_open = virtio_serial_port_is_console(port) && port->chr.chr;
    port->guest_open = !port->nr && virtio_is_started(&serial->dev) &&
                       !virtio_serial_is_multiport(serial);
    char_frontend_set_open(&port->chr, virtio_serial_port_is_console(port));
    char_frontend_set_handlers(&port->chr, &port_chr_ops, port, NULL);
    return true;
}

static void port_unrealize(Device *dev)
{
    VirtioSerialPort *port = (VirtioSerialPort *)dev;

    stop_waiting(port);
    char_frontend_set_handlers(&port->chr, NULL, NULL, NULL);
    g_clear_pointer(&port->patience, timer_free);
    virtio_serial_port_forget(port);
    port->serial->ports[port->nr] = NULL;
    virtio_serial_send(port->serial, port->nr, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
    port->serial = NULL;
}

static const Property port_properties[] = {
    PROP_CHARDEV("chardev", VirtioSerialPort, chr, "the host's side"),
    PROP_UINT32("nr", VirtioSerialPort, nr, VIRTIO_SERIAL_NR_AUTO, "number of the port"),
    PROP_STRING("name", VirtioSerialPort, name, NULL, "by which the guest finds it"),
    PROP_END,
};

static const DeviceHooks port_hooks = {
    .realize = port_realize,
    .unrealize = port_unrealize,
    .bus_type = TYPE_VIRTIO_SERIAL_BUS,
    .category = DEVICE_CATEGORY_INPUT,
    .hotpluggable = true,
};

static const TypeInfo port_info = {
    .name = TYPE_VIRTIO_SERIAL_PORT,
    .parent = TYPE_DEVICE,
    .description = "any port of a virtio-serial adapter",
    .instance_size = sizeof(VirtioSerialPort),
    .is_abstract = true,
    .properties = port_properties,
    .hooks = &port_hooks,
};
QOM_TYPE(port_info);

static const TypeInfo console_info = {
    .name = TYPE_VIRTIO_CONSOLE_PORT,
    .parent = TYPE_VIRTIO_SERIAL_PORT,
    .description = "console on a virtio-serial adapter",
    .instance_size = sizeof(VirtioSerialPort),
    .user_creatable = true,
};
QOM_TYPE(console_info);

static const TypeInfo channel_info = {
    .name = "virtserialport",
    .parent = TYPE_VIRTIO_SERIAL_PORT,
    .description = "channel with a name on a virtio-serial adapter",
    .instance_size = sizeof(VirtioSerialPort),
    .user_creatable = true,
};
QOM_TYPE(channel_info);
