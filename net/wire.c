/* SPDX-License-Identifier: Apache-2.0 */
#include "net/wire.h"

#include <errno.h>

#include "util/iov.h"

#define READ_CHUNK 65536
/* Reads in one turn of the loop, so that a flood leaves others their turn. */
#define READS_PER_TURN 4

static void set_watch(NetWire *wire);

static void lost(NetWire *wire)
{
    net_wire_disconnect(wire);
    wire->closed(wire);
}

static void deliver(const uint8_t *data, size_t size, const NetOffload *offload, void *opaque)
{
    NetWire *wire = opaque;
    const struct iovec iov = { (void *)data, size };
    const NetPacket packet = { .iov = &iov, .n = 1, .size = size, .offload = *offload };

    wire->paused |= !net_send(wire->nc, &packet);
}

static void readable(void *opaque)
{
    NetWire *wire = opaque;
    g_autofree uint8_t *buf = g_malloc(READ_CHUNK);

    for (unsigned i = 0; i < READS_PER_TURN && wire->channel && !wire->paused; i++) {
        ssize_t n = channel_read(wire->channel, buf, READ_CHUNK);

        if (n == -EAGAIN) {
            break;
        }
        if (n <= 0 || !net_frame_feed(&wire->reader, buf, n, deliver, wire)) {
            lost(wire);
            return;
        }
    }
    if (wire->channel) {
        set_watch(wire);
    }
}

static void writable(void *opaque)
{
    NetWire *wire = opaque;
    ssize_t n = channel_write(wire->channel, wire->out->data + wire->out_done,
                              wire->out->len - wire->out_done);

    if (n == -EAGAIN) {
        return;
    }
    if (n < 0) {
        lost(wire);
        return;
    }
    wire->out_done += n;
    if (wire->out_done == wire->out->len) {
        g_byte_array_set_size(wire->out, 0);
        wire->out_done = 0;
        set_watch(wire);
        net_ready(wire->nc);
    }
}

static void set_watch(NetWire *wire)
{
    channel_watch(wire->channel, loop_main(), wire->paused ? NULL : readable,
                  wire->out->len ? writable : NULL, wire);
}

void net_wire_init(NetWire *wire, NetClient *nc, void (*closed)(NetWire *wire))
{
    wire->nc = nc;
    wire->closed = closed;
    wire->out = g_byte_array_new();
    net_frame_reader_init(&wire->reader, false);
}

void net_wire_connect(NetWire *wire, Channel *channel)
{
    g_assert(!wire->channel);
    wire->channel = channel;
    wire->paused = false;
    set_watch(wire);
    net_ready(wire->nc);
}

void net_wire_disconnect(NetWire *wire)
{
    if (!wire->channel) {
        return;
    }
    channel_close(wire->channel);
    g_clear_pointer(&wire->channel, channel_unref);
    g_byte_array_set_size(wire->out, 0);
    wire->out_done = 0;
    wire->paused = false;
    net_frame_reader_clear(&wire->reader);
}

void net_wire_cleanup(NetWire *wire)
{
    net_wire_disconnect(wire);
    net_frame_reader_clear(&wire->reader);
    g_byte_array_unref(wire->out);
}

int net_wire_receive(NetWire *wire, const NetPacket *packet)
{
    g_autofree struct iovec *iov = NULL;
    uint8_t header[8 + NET_VNET_HEADER];
    size_t total;
    ssize_t n;

    if (!wire->channel) {
        return 0;
    }
    if (wire->out->len) {
        return -EAGAIN;
    }
    iov = g_new(struct iovec, packet->n + 1);
    iov[0] = (struct iovec){ header, net_frame_header(header, false, packet) };
    memcpy(iov + 1, packet->iov, packet->n * sizeof(*iov));
    total = iov[0].iov_len + packet->size;
    n = packet->n < IOV_MAX ? channel_writev(wire->channel, iov, packet->n + 1) : -EMSGSIZE;
    if (n == -EMSGSIZE) {
        return 0;
    }
    if (n < 0 && n != -EAGAIN) {
        lost(wire);
        return 0;
    }
    n = MAX(n, 0);
    if ((size_t)n < total) {
        g_byte_array_set_size(wire->out, total - n);
        iov_to_buf(iov, packet->n + 1, n, wire->out->data, total - n);
        set_watch(wire);
    }
    return 0;
}

void net_wire_peer_ready(NetWire *wire)
{
    if (wire->paused) {
        wire->paused = false;
        if (wire->channel) {
            set_watch(wire);
        }
    }
}
