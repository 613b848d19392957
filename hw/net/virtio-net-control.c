/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue (VIRTIO 1.2, section 5.1.6.5), and the filter that it sets. */
#include <string.h>

#include "hw/net/virtio-net-internal.h"
#include "util/bits.h"
#include "util/iov.h"
#include "util/log.h"

/* More than any command has: a class, a number, and two tables of addresses. */
#define MAX_COMMAND 65536
#define GUEST_OFFLOADS (BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | \
                        BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) | BIT_ULL(VIRTIO_NET_F_GUEST_ECN) |  \
                        BIT_ULL(VIRTIO_NET_F_GUEST_UFO))

/* ---- The filter ---- */

void virtio_net_filter_reset(VirtioNet *net)
{
    net->filter = (VirtioNetFilter){ .promiscuous = true };
}

static bool has_mac(const VirtioNetMacs *table, const uint8_t *mac)
{
    for (uint32_t i = 0; i < table->n; i++) {
        if (memcmp(table->macs + i * NET_MAC_LEN, mac, NET_MAC_LEN) == 0) {
            return true;
        }
    }
    return table->overflow;
}

static bool vlan_wanted(const VirtioNet *net, const uint8_t *start, size_t len)
{
    unsigned id;

    if (!virtio_has_feature(&net->dev, VIRTIO_NET_F_CTRL_VLAN) || len < 16 ||
        ldw_be(start + 12) != 0x8100) {
        return true;
    }
    id = ldw_be(start + 14) & (VIRTIO_NET_VLANS - 1);
    return net->filter.vlans[id / 32] >> (id % 32) & 1;
}

bool virtio_net_wants(const VirtioNet *net, const uint8_t *start, size_t len)
{
    static const uint8_t broadcast[NET_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const VirtioNetFilter *filter = &net->filter;

    if (filter->promiscuous) {
        return true;
    }
    if (len < NET_ETH_HEADER || !vlan_wanted(net, start, len)) {
        return false;
    }
    if (memcmp(start, broadcast, NET_MAC_LEN) == 0) {
        return !filter->no_broadcast;
    }
    if (start[0] & 1) {
        return !filter->no_multicast &&
               (filter->all_multicast || has_mac(&filter->multicast, start));
    }
    return !filter->no_unicast &&
           (filter->all_unicast || memcmp(start, net->mac, NET_MAC_LEN) == 0 ||
            has_mac(&filter->unicast, start));
}

/* ---- Commands: data is what follows class and number; false: refused ---- */

static bool set_rx_mode(VirtioNet *net, uint8_t number, const uint8_t *data, size_t len)
{
    uint8_t *const modes[] = {
        [VIRTIO_NET_CTRL_RX_PROMISC] = &net->filter.promiscuous,
        [VIRTIO_NET_CTRL_RX_ALLMULTI] = &net->filter.all_multicast,
        [VIRTIO_NET_CTRL_RX_ALLUNI] = &net->filter.all_unicast,
        [VIRTIO_NET_CTRL_RX_NOMULTI] = &net->filter.no_multicast,
        [VIRTIO_NET_CTRL_RX_NOUNI] = &net->filter.no_unicast,
        [VIRTIO_NET_CTRL_RX_NOBCAST] = &net->filter.no_broadcast,
    };

    if (number >= G_N_ELEMENTS(modes) || len != 1) {
        return false;
    }
    *modes[number] = data[0] != 0;
    nic_rx_filter_changed(&net->nic, OBJECT(net->dev.owner));
    return true;
}

/* A number of addresses in 32 bits, then those. */
static bool read_table(VirtioNetMacs *table, const uint8_t **data, size_t *len)
{
    uint32_t n;

    if (*len < 4) {
        return false;
    }
    n = ldl_le(*data);
    *data += 4;
    *len -= 4;
    if (n > *len / NET_MAC_LEN) {
        return false;
    }
    table->overflow = n > VIRTIO_NET_MAX_MACS;
    table->n = table->overflow ? 0 : n;
    memcpy(table->macs, *data, table->n * NET_MAC_LEN);
    *data += n * NET_MAC_LEN;
    *len -= n * NET_MAC_LEN;
    return true;
}

static bool set_macs(VirtioNet *net, uint8_t number, const uint8_t *data, size_t len)
{
    VirtioNetMacs unicast = { 0 }, multicast = { 0 };

    if (number == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        if (len != NET_MAC_LEN) {
            return false;
        }
        memcpy(net->mac, data, NET_MAC_LEN);
        nic_set_mac(&net->nic, net->mac);
    } else {
        if (number != VIRTIO_NET_CTRL_MAC_TABLE_SET || !read_table(&unicast, &data, &len) ||
            !read_table(&multicast, &data, &len) || len) {
            return false;
        }
        net->filter.unicast = unicast;
        net->filter.multicast = multicast;
    }
    nic_rx_filter_changed(&net->nic, OBJECT(net->dev.owner));
    return true;
}

static bool set_vlan(VirtioNet *net, uint8_t number, const uint8_t *data, size_t len)
{
    unsigned id = len == 2 ? ldw_le(data) : VIRTIO_NET_VLANS;

    if (id >= VIRTIO_NET_VLANS || number > VIRTIO_NET_CTRL_VLAN_DEL) {
        return false;
    }
    if (number == VIRTIO_NET_CTRL_VLAN_ADD) {
        net->filter.vlans[id / 32] |= 1u << id % 32;
    } else {
        net->filter.vlans[id / 32] &= ~(1u << id % 32);
    }
    nic_rx_filter_changed(&net->nic, OBJECT(net->dev.owner));
    return true;
}

static bool acknowledge(VirtioNet *net, uint8_t number, const uint8_t *data, size_t len)
{
    bool was = net->announcing;

    net->announcing = false;
    return number == VIRTIO_NET_CTRL_ANNOUNCE_ACK && was;
}

static bool set_pairs(VirtioNet *net, uint8_t number, const uint8_t *data, size_t len)
{
    unsigned pairs = len == 2 ? ldw_le(data) : 0;

    if (number == VIRTIO_NET_CTRL_MQ_RSS_CONFIG) {
        return virtio_net_set_rss(net, data, len);
    }
    if (number == VIRTIO_NET_CTRL_MQ_HASH_CONFIG) {
        return virtio_net_set_hash(net, data, len);
    }
    if (number != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || pairs < 1 || pairs > net->max_pairs ||
        !virtio_has_feature(&net->dev, VIRTIO_NET_F_MQ)) {
        return false;
    }
    net->pairs = pairs;
    net->rss.redirect = false;
    virtio_net_vhost_pairs_changed(net);
    return true;
}

static bool set_offloads(VirtioNet *net, uint8_t number, const uint8_t *data, size_t len)
{
    uint64_t offloads = len == 8 ? ldq_le(data) : UINT64_MAX;

    if (number != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
        (offloads & ~(net->dev.features & GUEST_OFFLOADS))) {
        return false;
    }
    net->guest_offloads = offloads;
    for (unsigned i = 0; i < net->nic.queues; i++) {
        net_features_changed(net->nic.clients[i]);
    }
    return true;
}

static const struct {
    uint8_t class;
    uint64_t features; /* without any of these the class is refused */
    bool (*run)(VirtioNet *net, uint8_t number, const uint8_t *data, size_t len);
} classes[] = {
    { VIRTIO_NET_CTRL_RX, BIT_ULL(VIRTIO_NET_F_CTRL_RX), set_rx_mode },
    { VIRTIO_NET_CTRL_MAC, BIT_ULL(VIRTIO_NET_F_CTRL_VQ), set_macs },
    { VIRTIO_NET_CTRL_VLAN, BIT_ULL(VIRTIO_NET_F_CTRL_VLAN), set_vlan },
    { VIRTIO_NET_CTRL_ANNOUNCE, BIT_ULL(VIRTIO_NET_F_GUEST_ANNOUNCE), acknowledge },
    { VIRTIO_NET_CTRL_MQ, BIT_ULL(VIRTIO_NET_F_MQ) | BIT_ULL(VIRTIO_NET_F_RSS) |
                          BIT_ULL(VIRTIO_NET_F_HASH_REPORT), set_pairs },
    { VIRTIO_NET_CTRL_GUEST_OFFLOADS, BIT_ULL(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS), set_offloads },
};

static bool run_command(VirtioNet *net, const uint8_t *command, size_t len)
{
    for (size_t i = 0; len >= 2 && i < G_N_ELEMENTS(classes); i++) {
        if (classes[i].class == command[0]) {
            return (net->dev.features & classes[i].features) &&
                   classes[i].run(net, command[1], command + 2, len - 2);
        }
    }
    return false;
}

static bool run_element(VirtioNet *net, VirtioQueue *queue, VirtQueueElement *element)
{
    size_t len = iov_size(element->out, element->n_out);
    g_autofree uint8_t *command = NULL;
    uint8_t ack = VIRTIO_NET_ERR;

    if (iov_size(element->in, element->n_in) < sizeof(ack) || len < 2) {
        virtqueue_drop(&queue->vq, element);
        virtio_queue_error(queue, "a control command without place for its answer");
        return false;
    }
    if (len <= MAX_COMMAND) {
        command = g_malloc(len);
        iov_to_buf(element->out, element->n_out, 0, command, len);
        ack = run_command(net, command, len) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
    }
    iov_from_buf(element->in, element->n_in, 0, &ack, sizeof(ack));
    virtqueue_push(&queue->vq, element, sizeof(ack));
    return true;
}

void virtio_net_control(VirtioNet *net, VirtioQueue *queue)
{
    VirtQueueElement *element;

    do {
        while ((element = virtqueue_pop(&queue->vq, sizeof(*element)))) {
            if (!run_element(net, queue, element)) {
                return;
            }
        }
    } while (virtqueue_enable_kicks(&queue->vq));
    virtio_queue_notify(queue);
}

/* ---- query-rx-filter ---- */

static GPtrArray *mac_list(const VirtioNetMacs *table)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);

    for (uint32_t i = 0; i < table->n; i++) {
        g_ptr_array_add(list, g_strdup_printf(NET_MAC_FORMAT,
                                              NET_MAC_ARGS(table->macs + i * NET_MAC_LEN)));
    }
    return list;
}

static RxState state_of(bool none, bool all, bool overflow)
{
    return none ? RX_STATE_NONE : all || overflow ? RX_STATE_ALL : RX_STATE_NORMAL;
}

RxFilterInfo *virtio_net_rx_filter(VirtioNet *net)
{
    const VirtioNetFilter *filter = &net->filter;
    RxFilterInfo *info = g_new0(RxFilterInfo, 1);
    bool vlans = virtio_has_feature(&net->dev, VIRTIO_NET_F_CTRL_VLAN);

    info->name = g_strdup(net->nic.clients[0]->name);
    info->promiscuous = filter->promiscuous;
    info->unicast = state_of(filter->no_unicast, filter->all_unicast, filter->unicast.overflow);
    info->multicast = state_of(filter->no_multicast, filter->all_multicast,
                               filter->multicast.overflow);
    info->broadcast_allowed = !filter->no_broadcast;
    info->unicast_overflow = filter->unicast.overflow;
    info->multicast_overflow = filter->multicast.overflow;
    info->main_mac = g_strdup_printf(NET_MAC_FORMAT, NET_MAC_ARGS(net->mac));
    info->unicast_table = mac_list(&filter->unicast);
    info->multicast_table = mac_list(&filter->multicast);
    info->vlan = vlans ? RX_STATE_NORMAL : RX_STATE_ALL;
    info->vlan_table = g_array_new(false, false, sizeof(int64_t));
    for (int64_t id = 0; vlans && id < VIRTIO_NET_VLANS; id++) {
        if (filter->vlans[id / 32] >> (id % 32) & 1) {
            g_array_append_val(info->vlan_table, id);
        }
    }
    return info;
}

/* ---- Saved state ---- */

static bool macs_valid(void *opaque, int version, GError **error)
{
    VirtioNetMacs *table = opaque;

    if (table->n > VIRTIO_NET_MAX_MACS) { /* as if the guest had given so many */
        table->n = 0;
        table->overflow = true;
    }
    return true;
}

static const VmState macs_vmstate = {
    .name = "virtio-net-macs",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(VirtioNetMacs, n), VMSTATE_U8(VirtioNetMacs, overflow),
        VMSTATE_BUFFER(VirtioNetMacs, macs),
        VMSTATE_END
    },
    .post_load = macs_valid,
};

const VmState virtio_net_filter_vmstate = {
    .name = "virtio-net-filter",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(VirtioNetFilter, promiscuous), VMSTATE_U8(VirtioNetFilter, all_multicast),
        VMSTATE_U8(VirtioNetFilter, all_unicast), VMSTATE_U8(VirtioNetFilter, no_multicast),
        VMSTATE_U8(VirtioNetFilter, no_unicast), VMSTATE_U8(VirtioNetFilter, no_broadcast),
        VMSTATE_STRUCT(VirtioNetFilter, unicast, macs_vmstate),
        VMSTATE_STRUCT(VirtioNetFilter, multicast, macs_vmstate),
        VMSTATE_U32_ARRAY(VirtioNetFilter, vlans),
        VMSTATE_END
    },
};
