/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs of queues that the host's kernel or another process runs, because the backend has such a
 * thing (NetClientOps.vhost). The control queue stays here.
 */
#include "hw/net/virtio-net-internal.h"
#include "util/bits.h"
#include "util/error.h"

#define BITS(f) BIT_ULL(VIRTIO_NET_F_##f)
/* What whoever walks the rings has to know. */
#define RING_FEATURES                                                                              \
    (BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |                     \
     BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT_ULL(VIRTIO_F_ANY_LAYOUT) |                            \
     BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | BITS(MRG_RXBUF))
#define OFFLOAD_FEATURES                                                                           \
    (BITS(CSUM) | BITS(HOST_TSO4) | BITS(HOST_TSO6) | BITS(HOST_ECN) | BITS(HOST_UFO) |            \
     BITS(GUEST_CSUM) | BITS(GUEST_TSO4) | BITS(GUEST_TSO6) | BITS(GUEST_ECN) | BITS(GUEST_UFO))
/* Rings of these kinds cannot be taken back and handed over; hashes are made here. */
#define NEVER                                                                                      \
    (BIT_ULL(VIRTIO_F_RING_PACKED) | BIT_ULL(VIRTIO_F_IN_ORDER) | BIT_ULL(VIRTIO_F_RING_RESET) |   \
     BITS(RSS) | BITS(HASH_REPORT))

static bool get_vhost(const VirtioNet *net, unsigned pair, NetVhost *vhost)
{
    NetClient *peer = pair < net->nic.queues ? net->nic.clients[pair]->peer : NULL;

    *vhost = (NetVhost){ 0 };
    return peer && peer->ops->vhost && peer->ops->vhost(peer, vhost);
}

static uint64_t needed_features(const NetVhost *vhost)
{
    return RING_FEATURES | (vhost->does_offloads ? OFFLOAD_FEATURES : 0);
}

static void vhost_failed(void *opaque, GError *error)
{
    NetClient *nc = opaque;

    if (nc->peer) {
        nc->peer->ops->vhost_failed(nc->peer, error);
    } else {
        g_error_free(error);
    }
}

bool virtio_net_vhost_realize(VirtioNet *net, GError **error)
{
    NetVhost vhost;

    if (!get_vhost(net, 0, &vhost)) {
        return true;
    }
    if (vhost.vhost && vhost.vhost->needs_fds && !vhost_memory_is_shared(error)) {
        return false;
    }
    net->dev.withheld = NEVER | (vhost.does_offloads ? BITS(CTRL_GUEST_OFFLOADS) : BITS(HOST_UFO));
    if (vhost.vhost) {
        net->dev.withheld |= needed_features(&vhost) & ~vhost.vhost->features;
    }
    net->vhosts = g_new0(VhostDevice, net->max_pairs);
    for (unsigned i = 0; i < net->max_pairs; i++) {
        VhostDevice *vd = &net->vhosts[i];

        vd->dev = &net->dev;
        vd->first = 2 * i;
        vd->n = 2;
        vd->features = UINT64_MAX;
        vd->failed = vhost_failed;
        vd->opaque = net->nic.clients[i];
        vhost_device_init(vd);
    }
    return true;
}

void virtio_net_vhost_unrealize(VirtioNet *net)
{
    for (unsigned i = 0; net->vhosts && i < net->max_pairs; i++) {
        vhost_device_cleanup(&net->vhosts[i]);
    }
    g_clear_pointer(&net->vhosts, g_free);
}

/* Pairs that the driver knows of. */
static unsigned known_pairs(const VirtioNet *net)
{
    return virtio_has_feature(&net->dev, VIRTIO_NET_F_MQ) ? net->max_pairs : 1;
}

void virtio_net_vhost_choose(VirtioNet *net)
{
    NetVhost vhost;
    bool external = net->vhosts && get_vhost(net, 0, &vhost);

    for (unsigned i = 0; i < net->dev.n_queues; i++) {
        net->dev.queues[i]->external = external && i < 2 * known_pairs(net);
    }
}

static bool start_pair(VirtioNet *net, unsigned pair, GError **error)
{
    VhostDevice *vd = &net->vhosts[pair];
    NetClient *peer = net->nic.clients[pair]->peer;
    NetVhost vhost;
    uint64_t missing;

    if (!get_vhost(net, pair, &vhost) || !vhost.vhost) {
        return true;
    }
    missing = net->dev.features & needed_features(&vhost) & ~vhost.vhost->features;
    if (missing) {
        error_setf(error, "the vhost backend lacks features that the guest uses: 0x%"
                   G_GINT64_MODIFIER "x", missing);
        return false;
    }
    vd->vhost = vhost.vhost;
    vd->vhost_first = vhost.first;
    vd->shares_memory = vhost.shares_memory;
    if (peer->ops->vhost_running) {
        peer->ops->vhost_running(peer, virtio_net_header_len(net));
    }
    return vhost_device_start(vd, error);
}

static bool enable_pairs(VirtioNet *net, GError **error)
{
    for (unsigned i = 0; i < known_pairs(net); i++) {
        VhostDevice *vd = &net->vhosts[i];

        if (vd->running && !vhost_device_enable(vd, i < net->pairs, error)) {
            return false;
        }
    }
    return true;
}

static bool start_all(VirtioNet *net, GError **error)
{
    for (unsigned i = 0; i < known_pairs(net); i++) {
        if (!start_pair(net, i, error)) {
            return false;
        }
    }
    return enable_pairs(net, error);
}

void virtio_net_vhost_pairs_changed(VirtioNet *net)
{
    GError *error = NULL;

    if (net->vhosts && !enable_pairs(net, &error)) {
        vhost_failed(net->nic.clients[0], error);
    }
}

void virtio_net_vhost_run(VirtioNet *net, bool run)
{
    GError *error = NULL;

    for (unsigned i = 0; !run && net->vhosts && i < net->max_pairs; i++) {
        NetClient *peer = net->nic.clients[i]->peer;
        bool was_running = net->vhosts[i].running;

        vhost_device_stop(&net->vhosts[i]);
        if (was_running && peer && peer->ops->vhost_running) {
            peer->ops->vhost_running(peer, 0);
        }
    }
    if (run && net->vhosts && net->dev.queues[0]->external && !start_all(net, &error)) {
        vhost_failed(net->nic.clients[0], error);
    }
}
