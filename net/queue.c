/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on their way from one client to its peer, and those that have to wait.
 *
 * A client that is receiving is not entered again: what arrives meanwhile waits until it is done.
 */
#include <errno.h>
#include <string.h>

#include "net/net-internal.h"
#include "net/offload.h"
#include "util/iov.h"

typedef struct Waiting {
    size_t size;
    NetOffload offload;
    uint8_t data[];
} Waiting;

static void keep(NetClient *nc, const NetPacket *packet)
{
    Waiting *waiting;

    nc->sender_waits = true;
    if (packet->size > NET_QUEUE_MAX - nc->waiting_bytes) {
        return;
    }
    waiting = g_malloc(sizeof(*waiting) + packet->size);
    waiting->size = iov_to_buf(packet->iov, packet->n, 0, waiting->data, packet->size);
    waiting->offload = packet->offload;
    g_queue_push_tail(&nc->waiting, waiting);
    nc->waiting_bytes += waiting->size;
}

void net_queue_clear(NetClient *nc)
{
    g_queue_clear_full(&nc->waiting, g_free);
    nc->waiting_bytes = 0;
    nc->sender_waits = false;
}

/* 0 or -EAGAIN. */
static int receive(NetClient *nc, const NetPacket *packet)
{
    int result;

    if (nc->link_down) {
        return 0;
    }
    if (nc->ops->can_receive && !nc->ops->can_receive(nc)) {
        return -EAGAIN;
    }
    nc->delivering = true;
    result = nc->ops->receive(nc, packet);
    nc->delivering = false;
    return result == -EAGAIN ? -EAGAIN : 0;
}

static void deliver(const NetPacket *packet, void *opaque)
{
    NetClient *to = opaque;

    if (to->delivering || !g_queue_is_empty(&to->waiting) || receive(to, packet) == -EAGAIN) {
        keep(to, packet);
    }
}

static bool send_unfiltered(NetClient *from, const NetPacket *packet)
{
    NetClient *to = from->peer;

    if (!to) {
        return true;
    }
    if (net_offload_needed(packet, net_peer_features(from))) {
        net_offload_finish(packet, deliver, to);
    } else {
        deliver(packet, to);
    }
    /* What came while it was receiving can be delivered now. */
    if (!to->delivering && !g_queue_is_empty(&to->waiting)) {
        net_ready(to);
    }
    return !to->sender_waits;
}

bool net_send(NetClient *from, const NetPacket *packet)
{
    if (from->link_down || !from->peer || packet->size == 0 || packet->size > NET_MAX_FRAME) {
        return true;
    }
    if (!net_filters_pass(from, packet, NULL)) {
        return true;
    }
    return send_unfiltered(from, packet);
}

void net_filter_pass_on(NetFilter *filter, NetClient *from, const NetPacket *packet)
{
    if (!from->link_down && from->peer && net_filters_pass(from, packet, filter)) {
        send_unfiltered(from, packet);
    }
}

bool net_send_buf(NetClient *from, const void *buf, size_t size)
{
    const struct iovec iov = { (void *)buf, size };
    const NetPacket packet = { .iov = &iov, .n = 1, .size = size };

    return net_send(from, &packet);
}

static void tell_sender(NetClient *nc)
{
    nc->sender_waits = false;
    if (nc->peer && nc->peer->ops->peer_ready) {
        nc->peer->ops->peer_ready(nc->peer);
    }
}

void net_ready(NetClient *nc)
{
    if (nc->delivering) {
        return;
    }
    while (!g_queue_is_empty(&nc->waiting)) {
        Waiting *waiting = g_queue_pop_head(&nc->waiting);
        const struct iovec iov = { waiting->data, waiting->size };
        const NetPacket packet = { .iov = &iov, .n = 1, .size = waiting->size,
                                   .offload = waiting->offload };

        /* Not in the queue meanwhile, for the receiver may drop all that waits. */
        nc->waiting_bytes -= waiting->size;
        if (receive(nc, &packet) == -EAGAIN) {
            g_queue_push_head(&nc->waiting, waiting);
            nc->waiting_bytes += waiting->size;
            return;
        }
        g_free(waiting);
    }
    if (nc->sender_waits) {
        tell_sender(nc);
    }
}

bool net_peer_can_receive(NetClient *nc)
{
    NetClient *to = nc->peer;

    return !to || nc->link_down ||
           (g_queue_is_empty(&to->waiting) &&
            (!to->ops->can_receive || to->ops->can_receive(to)));
}

void net_purge(NetClient *nc)
{
    g_queue_clear_full(&nc->waiting, g_free);
    nc->waiting_bytes = 0;
    if (nc->sender_waits && !nc->delivering) {
        tell_sender(nc);
    }
}
