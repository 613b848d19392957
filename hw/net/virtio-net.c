/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (VIRTIO 1.2, section 5.1): pairs of a receive and a transmit queue, and behind those
 * that the driver knows of a control queue.
 *
 * Offloads cost nothing to offer: what the backend cannot do is done in software on the way
 * (net/offload.h).
 */
#include <errno.h>
#include <string.h>

#include "hw/net/virtio-net-internal.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-pci.h"
#include "net/frame.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

#define MIN_QUEUE_SIZE 256
#define CONTROL_QUEUE_SIZE 64
/* Frames in one round, so that a queue does not keep the machine to itself. */
#define FRAMES_PER_ROUND 256
#define NUM_BUFFERS_AT 10
#define HASH_VALUE_AT 12
#define HASH_REPORT_AT 16
#define MIN_MTU 68
#define BITS(f) BIT_ULL(VIRTIO_NET_F_##f)

unsigned virtio_net_header_len(const VirtioNet *net)
{
    if (virtio_has_feature(&net->dev, VIRTIO_NET_F_HASH_REPORT)) {
        return VIRTIO_NET_HEADER_MAX;
    }
    return virtio_has_feature(&net->dev, VIRTIO_NET_F_MRG_RXBUF) ||
           virtio_has_feature(&net->dev, VIRTIO_F_VERSION_1) ? NET_VNET_HEADER_MAX
                                                             : NET_VNET_HEADER;
}

static VirtioQueue *rx_queue(VirtioNet *net, unsigned pair)
{
    return net->dev.queues[2 * pair];
}

static VirtioQueue *tx_queue(VirtioNet *net, unsigned pair)
{
    return net->dev.queues[2 * pair + 1];
}

/* Drivers that do not know of several pairs find it behind the first. */
static unsigned control_index(const VirtioNet *net)
{
    return net->dev.features & (BITS(MQ) | BITS(RSS)) ? 2u * net->max_pairs : 2;
}

/* ---- Sending ---- */

/* True: the backend has to catch up. */
static bool send_element(VirtioNet *net, VirtioQueue *queue, VirtQueueElement *element)
{
    NetClient *nc = net->nic.clients[queue->index / 2 % net->nic.queues];
    unsigned header_len = virtio_net_header_len(net);
    uint8_t header[VIRTIO_NET_HEADER_MAX] = { 0 };
    g_autofree struct iovec *iov = g_new(struct iovec, element->n_out + 1);
    size_t size = iov_size(element->out, element->n_out);
    NetPacket packet = { .iov = iov };

    iov_to_buf(element->out, element->n_out, 0, header, header_len);
    packet.size = size - header_len;
    packet.n = iov_slice(iov, element->n_out, element->out, element->n_out, header_len,
                         packet.size);
    net_vnet_header_read(header, &packet.offload);
    return packet.size >= NET_ETH_HEADER && !net_send(nc, &packet);
}

static void transmit(VirtioNet *net, VirtioQueue *queue)
{
    unsigned header_len = virtio_net_header_len(net), n = 0;
    bool full = false;
    VirtQueueElement *element;

    do {
        while (!full && n < FRAMES_PER_ROUND &&
               (element = virtqueue_pop(&queue->vq, sizeof(*element)))) {
            if (iov_size(element->out, element->n_out) < header_len || element->n_in) {
                virtqueue_drop(&queue->vq, element);
                virtio_queue_error(queue, "a frame to send without a whole header");
                return;
            }
            full = send_element(net, queue, element);
            virtqueue_push(&queue->vq, element, 0);
            n++;
        }
    } while (!full && n < FRAMES_PER_ROUND && virtqueue_enable_kicks(&queue->vq));
    if (n) {
        virtio_queue_notify(queue);
    }
    if (!full && n >= FRAMES_PER_ROUND) {
        virtio_queue_schedule(queue);
    }
}

static void nic_peer_ready(NetClient *nc)
{
    VirtioNet *net = nc->opaque;

    for (unsigned pair = nc->queue_index; pair < net->max_pairs; pair += net->nic.queues) {
        if (virtio_queue_is_running(tx_queue(net, pair))) {
            virtio_queue_schedule(tx_queue(net, pair));
        }
    }
}

/* ---- Receiving ---- */

/* Where frames of this client go; the driver may use fewer pairs than there are. */
static VirtioQueue *queue_of(NetClient *nc)
{
    VirtioNet *net = nc->opaque;

    return rx_queue(net, nc->queue_index % net->pairs);
}

static bool nic_can_receive(NetClient *nc)
{
    VirtioNet *net = nc->opaque;

    return net->run.running && virtio_is_started(&net->dev) &&
           (net->rss.redirect || virtio_queue_is_running(queue_of(nc)));
}

typedef struct HashReport {
    uint32_t hash;
    unsigned type; /* 0: there is no hash */
} HashReport;

/* NULL: the driver's table leads to a queue that does not run. */
static VirtioQueue *choose_queue(NetClient *nc, const NetPacket *packet, HashReport *report)
{
    VirtioNet *net = nc->opaque;
    VirtioQueue *queue;

    report->type = virtio_net_rss_hash(net, packet, &report->hash);
    if (!net->rss.redirect) {
        return queue_of(nc);
    }
    queue = rx_queue(net, report->type ? net->rss.table[report->hash & net->rss.mask]
                                       : net->rss.unclassified);
    return virtio_queue_is_running(queue) ? queue : NULL;
}

/* The next buffer, or NULL: the driver will kick when there is one. */
static VirtQueueElement *next_buffer(VirtioQueue *queue)
{
    VirtQueueElement *element;

    do {
        element = virtqueue_pop(&queue->vq, sizeof(*element));
    } while (!element && !queue->vq.broken && virtqueue_enable_kicks(&queue->vq));
    return element;
}

static void write_header(VirtioNet *net, const NetPacket *packet, const HashReport *report,
                         uint8_t header[VIRTIO_NET_HEADER_MAX], uint16_t buffers)
{
    memset(header, 0, VIRTIO_NET_HEADER_MAX);
    if (net->guest_offloads & BITS(GUEST_CSUM)) {
        net_vnet_header_write(header, &packet->offload);
    }
    stw_le(header + NUM_BUFFERS_AT, buffers);
    if (report->type) {
        stl_le(header + HASH_VALUE_AT, report->hash);
        stw_le(header + HASH_REPORT_AT, report->type);
    }
}

/* Gives back what was taken for a frame that did not fit, the last first. */
static void give_back(VirtioQueue *queue, GPtrArray *taken)
{
    for (guint i = taken->len; i > 0; i--) {
        virtqueue_unpop(&queue->vq, g_ptr_array_index(taken, i - 1));
    }
}

/* Buffers for len bytes: 0, -EAGAIN when there are too few, or -EINVAL when it is the driver's. */
static int take_buffers(VirtioNet *net, VirtioQueue *queue, size_t len, GPtrArray *taken)
{
    bool mergeable = virtio_has_feature(&net->dev, VIRTIO_NET_F_MRG_RXBUF);
    size_t room = 0;

    while (room < len) {
        VirtQueueElement *element = next_buffer(queue);
        size_t size = element ? iov_size(element->in, element->n_in) : 0;

        if (!element) {
            return queue->vq.broken ? -EINVAL : -EAGAIN;
        }
        g_ptr_array_add(taken, element);
        if (!size || (!room && size < virtio_net_header_len(net))) {
            return -EINVAL;
        }
        room += size;
        if (!mergeable && room < len) {
            return -EMSGSIZE;
        }
    }
    return 0;
}

static void fill(VirtioQueue *queue, GPtrArray *taken, const uint8_t *header, unsigned header_len,
                 const NetPacket *packet)
{
    size_t total = header_len + packet->size, done = 0;
    g_autofree struct iovec *iov = g_new(struct iovec, packet->n + 1);

    iov[0] = (struct iovec){ (void *)header, header_len };
    memcpy(iov + 1, packet->iov, packet->n * sizeof(*iov));
    for (guint i = 0; i < taken->len; i++) {
        VirtQueueElement *element = g_ptr_array_index(taken, i);
        size_t len = MIN(iov_size(element->in, element->n_in), total - done), at = 0;
        unsigned part = 0;

        while (at < len && part < element->n_in) {
            size_t bytes = MIN(element->in[part].iov_len, len - at);

            iov_to_buf(iov, packet->n + 1, done + at, element->in[part].iov_base, bytes);
            at += bytes;
            part++;
        }
        done += len;
        virtqueue_fill(&queue->vq, element, len);
    }
    virtqueue_publish(&queue->vq);
}

static int nic_receive(NetClient *nc, const NetPacket *packet)
{
    VirtioNet *net = nc->opaque;
    unsigned header_len = virtio_net_header_len(net);
    g_autoptr(GPtrArray) taken = g_ptr_array_new();
    uint8_t header[VIRTIO_NET_HEADER_MAX], start[18];
    size_t n = iov_to_buf(packet->iov, packet->n, 0, start, sizeof(start));
    HashReport report;
    VirtioQueue *queue;
    int result;

    if (queue_of(nc)->external || !virtio_net_wants(net, start, n)) {
        return 0;
    }
    queue = choose_queue(nc, packet, &report);
    if (!queue) {
        return 0;
    }
    result = take_buffers(net, queue, header_len + packet->size, taken);
    if (result < 0) {
        give_back(queue, taken);
        if (result == -EINVAL && !queue->vq.broken) {
            virtio_queue_error(queue, "a receive buffer that has no room for a header");
        }
        return result == -EAGAIN ? -EAGAIN : 0;
    }
    write_header(net, packet, &report, header, taken->len);
    fill(queue, taken, header, header_len, packet);
    virtio_queue_notify(queue);
    return 0;
}

static void rx_kicked(VirtioNet *net, VirtioQueue *queue)
{
    unsigned pair = queue->index / 2;

    virtqueue_disable_kicks(&queue->vq);
    for (unsigned i = 0; i < net->nic.queues; i++) {
        if (net->rss.redirect || i % net->pairs == pair) {
            net_ready(net->nic.clients[i]);
        }
    }
}

static void handle(VirtioDevice *dev, VirtioQueue *queue)
{
    VirtioNet *net = (VirtioNet *)dev;

    if (queue->index == control_index(net)) {
        virtio_net_control(net, queue);
    } else if (queue->index & 1) {
        transmit(net, queue);
    } else {
        rx_kicked(net, queue);
    }
}

/* ---- The network's side ---- */

uint32_t virtio_net_rx_features(const VirtioNet *net)
{
    static const struct {
        uint64_t guest;
        uint32_t feature;
    } table[] = {
        { BITS(GUEST_CSUM), NET_FEATURE_CSUM }, { BITS(GUEST_TSO4), NET_FEATURE_TSO4 },
        { BITS(GUEST_TSO6), NET_FEATURE_TSO6 }, { BITS(GUEST_ECN), NET_FEATURE_ECN },
        { BITS(GUEST_UFO), NET_FEATURE_UFO },
    };
    uint32_t features = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        features |= net->guest_offloads & table[i].guest ? table[i].feature : 0;
    }
    return features & NET_FEATURE_CSUM ? features : 0;
}

static uint32_t nic_features(NetClient *nc)
{
    return virtio_net_rx_features(nc->opaque);
}

static void nic_link_changed(NetClient *nc)
{
    VirtioNet *net = nc->opaque;

    if (nc->queue_index == 0 && net->dev.owner) {
        virtio_notify_config(&net->dev);
    }
}

static void nic_announce(NetClient *nc)
{
    VirtioNet *net = nc->opaque;

    if (virtio_has_feature(&net->dev, VIRTIO_NET_F_GUEST_ANNOUNCE) &&
        virtio_has_feature(&net->dev, VIRTIO_NET_F_CTRL_VQ)) {
        net->announcing = true;
        virtio_notify_config(&net->dev);
    }
}

/* A vhost came, or went. */
static void nic_peer_changed(NetClient *nc)
{
    VirtioNet *net = nc->opaque;

    if (net->vhosts) {
        virtio_restart(&net->dev);
    }
}

static RxFilterInfo *nic_rx_filter(NetClient *nc)
{
    return virtio_net_rx_filter(nc->opaque);
}

static const NetClientOps nic_ops = {
    .kind = NET_CLIENT_DRIVER_NIC,
    .features = nic_features,
    .can_receive = nic_can_receive,
    .receive = nic_receive,
    .peer_ready = nic_peer_ready,
    .link_changed = nic_link_changed,
    .peer_changed = nic_peer_changed,
    .rx_filter = nic_rx_filter,
    .announce = nic_announce,
};

/* ---- Configuration ---- */

static uint64_t net_offers(VirtioDevice *dev)
{
    VirtioNet *net = (VirtioNet *)dev;
    uint64_t offers = net->offers | BITS(MAC);
    bool control = offers & BITS(CTRL_VQ);

    offers |= net->mtu ? BITS(MTU) : 0;
    offers |= net->speed >= 0 || net->duplex ? BITS(SPEED_DUPLEX) : 0;
    if (net->max_pairs == 1) {
        offers &= ~BITS(MQ);
    }
    if (!control) {
        offers &= ~(BITS(CTRL_RX) | BITS(CTRL_VLAN) | BITS(CTRL_RX_EXTRA) | BITS(MQ) |
                    BITS(CTRL_MAC_ADDR) | BITS(CTRL_GUEST_OFFLOADS) | BITS(GUEST_ANNOUNCE) |
                    BITS(RSS) | BITS(HASH_REPORT));
    }
    if (!(offers & BITS(CSUM))) {
        offers &= ~(BITS(HOST_TSO4) | BITS(HOST_TSO6) | BITS(HOST_ECN) | BITS(HOST_UFO));
    }
    if (!(offers & BITS(GUEST_CSUM))) {
        offers &= ~(BITS(GUEST_TSO4) | BITS(GUEST_TSO6) | BITS(GUEST_ECN) | BITS(GUEST_UFO));
    }
    return offers;
}

/* No more than the offered features have a use for: legacy drivers' windows are small. */
static size_t net_config_len(VirtioDevice *dev, uint64_t features)
{
    static const struct {
        uint64_t feature;
        size_t end;
    } table[] = {
        { BITS(RSS) | BITS(HASH_REPORT),
          offsetof(struct virtio_net_config, supported_hash_types) + 4 },
        { BITS(SPEED_DUPLEX), offsetof(struct virtio_net_config, duplex) + 1 },
        { BITS(MTU), offsetof(struct virtio_net_config, mtu) + 2 },
        { BITS(MQ), offsetof(struct virtio_net_config, max_virtqueue_pairs) + 2 },
        { BITS(STATUS), offsetof(struct virtio_net_config, status) + 2 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        if (features & table[i].feature) {
            return table[i].end;
        }
    }
    return NET_MAC_LEN;
}

static bool link_is_up(const VirtioNet *net)
{
    return net->nic.queues && !net->nic.clients[0]->link_down;
}

static void net_get_config(VirtioDevice *dev, uint8_t *config)
{
    VirtioNet *net = (VirtioNet *)dev;
    struct virtio_net_config *view = (struct virtio_net_config *)config;
    uint16_t status = (link_is_up(net) ? VIRTIO_NET_S_LINK_UP : 0) |
                      (net->announcing ? VIRTIO_NET_S_ANNOUNCE : 0);

    memcpy(view->mac, net->mac, NET_MAC_LEN);
    stw_le(&view->status, status);
    stw_le(&view->max_virtqueue_pairs, net->max_pairs);
    stw_le(&view->mtu, net->mtu);
    stl_le(&view->speed, net->speed);
    view->duplex = g_strcmp0(net->duplex, "half") == 0 ? 0
                   : g_strcmp0(net->duplex, "full") == 0 ? 1 : 0xff;
    virtio_net_rss_config(view);
}

/* Legacy drivers write the address here. */
static void net_set_config(VirtioDevice *dev, const uint8_t *config, size_t offset, size_t len)
{
    VirtioNet *net = (VirtioNet *)dev;

    if (!virtio_has_feature(dev, VIRTIO_F_VERSION_1) &&
        !virtio_has_feature(dev, VIRTIO_NET_F_CTRL_MAC_ADDR) && offset < NET_MAC_LEN) {
        memcpy(net->mac, config, NET_MAC_LEN);
        nic_set_mac(&net->nic, net->mac);
    }
}

static void net_set_features(VirtioDevice *dev)
{
    VirtioNet *net = (VirtioNet *)dev;

    net->guest_offloads = dev->features & (BITS(GUEST_CSUM) | BITS(GUEST_TSO4) |
                                           BITS(GUEST_TSO6) | BITS(GUEST_ECN) | BITS(GUEST_UFO));
    for (unsigned i = 0; i < net->nic.queues; i++) {
        net_features_changed(net->nic.clients[i]);
    }
}

/* ---- Life ---- */

static bool check_properties(const VirtioNet *net, GError **error)
{
    const uint16_t sizes[] = { net->rx_queue_size, net->tx_queue_size };

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (sizes[i] < MIN_QUEUE_SIZE || sizes[i] > VIRTIO_MAX_QUEUE_SIZE ||
            (sizes[i] & (sizes[i] - 1))) {
            error_setf(error, "%s_queue_size %u is no power of two between %d and %d",
                       i ? "tx" : "rx", sizes[i], MIN_QUEUE_SIZE, VIRTIO_MAX_QUEUE_SIZE);
            return false;
        }
    }
    if (net->mtu && net->mtu < MIN_MTU) {
        error_setf(error, "host_mtu %u is below %d", net->mtu, MIN_MTU);
        return false;
    }
    if (net->duplex && !g_str_equal(net->duplex, "half") && !g_str_equal(net->duplex, "full")) {
        error_setf(error, "'duplex' must be 'half' or 'full'");
        return false;
    }
    return true;
}

static void net_reset(VirtioDevice *dev)
{
    VirtioNet *net = (VirtioNet *)dev;

    net->pairs = 1;
    net->announcing = false;
    net->guest_offloads = 0;
    memcpy(net->mac, net->nic.mac, NET_MAC_LEN);
    virtio_net_filter_reset(net);
    virtio_net_rss_reset(net);
    nic_set_mac(&net->nic, net->mac);
    for (unsigned i = 0; i < net->nic.queues; i++) {
        net_purge(net->nic.clients[i]);
        net_features_changed(net->nic.clients[i]);
    }
}

static void net_start(VirtioDevice *dev)
{
    virtio_net_vhost_choose((VirtioNet *)dev);
}

static void net_run_external(VirtioDevice *dev, bool run)
{
    virtio_net_vhost_run((VirtioNet *)dev, run);
}

static void net_unrealize(VirtioDevice *dev)
{
    VirtioNet *net = (VirtioNet *)dev;

    virtio_net_vhost_unrealize(net);
    nic_run_cleanup(&net->run);
    nic_stop(&net->nic);
}

static bool net_realize(VirtioDevice *dev, GError **error)
{
    VirtioNet *net = (VirtioNet *)dev;
    unsigned clients = net->nic.netdev ? net_client_queues(net->nic.netdev) : 1;
    bool several = net->offers & (BITS(MQ) | BITS(RSS));

    if (!check_properties(net, error)) {
        return false;
    }
    if (clients > VIRTIO_NET_MAX_PAIRS) {
        error_setf(error, "a device has at most %d pairs of queues", VIRTIO_NET_MAX_PAIRS);
        return false;
    }
    net->max_pairs = several ? clients : 1;
    net->pairs = 1;
    for (unsigned i = 0; i < net->max_pairs; i++) {
        virtio_add_queue(dev, net->rx_queue_size, handle);
        virtio_add_queue(dev, net->tx_queue_size, handle);
    }
    virtio_add_queue(dev, CONTROL_QUEUE_SIZE, handle);
    nic_start(&net->nic, &nic_ops, object_type_name(dev->owner), dev->owner->id, clients, net);
    nic_run_init(&net->run, &net->nic);
    net_reset(dev);
    if (!virtio_net_vhost_realize(net, error)) {
        net_unrealize(dev);
        return false;
    }
    return true;
}

static bool net_post_load(void *opaque, int version, GError **error)
{
    VirtioNet *net = opaque;

    if (net->pairs < 1 || net->pairs > net->max_pairs) {
        error_setf(error, "virtio-net: %u pairs of queues are in use; there are %u", net->pairs,
                   net->max_pairs);
        return false;
    }
    for (unsigned i = 0; i < VIRTIO_NET_RSS_TABLE; i++) {
        net->rss.table[i] %= net->max_pairs;
    }
    net->rss.unclassified %= net->max_pairs;
    net->guest_offloads &= net->dev.features;
    nic_set_mac(&net->nic, net->mac);
    for (unsigned i = 0; i < net->nic.queues; i++) {
        net_features_changed(net->nic.clients[i]);
    }
    return true;
}

static const VmState net_vmstate = {
    .name = "virtio-net-model",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_BUFFER(VirtioNet, mac),
        VMSTATE_U16(VirtioNet, pairs),
        VMSTATE_U64(VirtioNet, guest_offloads),
        VMSTATE_BOOL(VirtioNet, announcing),
        VMSTATE_STRUCT(VirtioNet, filter, virtio_net_filter_vmstate),
        VMSTATE_STRUCT(VirtioNet, rss, virtio_net_rss_vmstate),
        VMSTATE_END
    },
    .post_load = net_post_load,
};

static const VirtioDeviceOps net_ops = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NET,
    .config_size = sizeof(struct virtio_net_config),
    .realize = net_realize,
    .unrealize = net_unrealize,
    .features = net_offers,
    .config_len = net_config_len,
    .set_features = net_set_features,
    .start = net_start,
    .run_external = net_run_external,
    .get_config = net_get_config,
    .set_config = net_set_config,
    .reset = net_reset,
    .vmstate = &net_vmstate,
    .boot_unit = "/ethernet-phy@0",
};

#define OFFER(S, m, name, f, on, text) PROP_BIT64(name, S, m.offers, VIRTIO_NET_F_##f, on, text)

#define NET_PROPERTIES(S, m)                                                                       \
    VIRTIO_COMMON_PROPERTIES(S, m.dev), NIC_PROPERTIES(S, m.nic),                                  \
    PROP_BOOTINDEX("bootindex", S, m.bootindex),                                                   \
    OFFER(S, m, "csum", CSUM, true, "the guest may leave checksums to us"),                        \
    OFFER(S, m, "guest_csum", GUEST_CSUM, true, "the guest may take frames without checksums"),    \
    OFFER(S, m, "guest_tso4", GUEST_TSO4, true, "the guest may take long IPv4 TCP packets"),       \
    OFFER(S, m, "guest_tso6", GUEST_TSO6, true, "the guest may take long IPv6 TCP packets"),       \
    OFFER(S, m, "guest_ecn", GUEST_ECN, true, "and those with congestion notification"),           \
    OFFER(S, m, "guest_ufo", GUEST_UFO, true, "the guest may take long UDP packets"),              \
    OFFER(S, m, "guest_announce", GUEST_ANNOUNCE, true, "it can be asked to announce itself"),     \
    OFFER(S, m, "host_tso4", HOST_TSO4, true, "the guest may send long IPv4 TCP packets"),         \
    OFFER(S, m, "host_tso6", HOST_TSO6, true, "the guest may send long IPv6 TCP packets"),         \
    OFFER(S, m, "host_ecn", HOST_ECN, true, "and those with congestion notification"),             \
    OFFER(S, m, "host_ufo", HOST_UFO, true, "the guest may send long UDP packets"),                \
    OFFER(S, m, "mrg_rxbuf", MRG_RXBUF, true, "a frame may take several receive buffers"),         \
    OFFER(S, m, "status", STATUS, true, "the guest sees its link's state"),                        \
    OFFER(S, m, "ctrl_vq", CTRL_VQ, true, "there is a control queue"),                             \
    OFFER(S, m, "ctrl_rx", CTRL_RX, true, "it sets what is received"),                             \
    OFFER(S, m, "ctrl_rx_extra", CTRL_RX_EXTRA, true, "in more detail"),                           \
    OFFER(S, m, "ctrl_vlan", CTRL_VLAN, true, "it sets which VLANs are received"),                 \
    OFFER(S, m, "ctrl_mac_addr", CTRL_MAC_ADDR, true, "it sets the address"),                      \
    OFFER(S, m, "ctrl_guest_offloads", CTRL_GUEST_OFFLOADS, true, "it sets the guest's offloads"), \
    OFFER(S, m, "mq", MQ, false, "as many pairs of queues as the backend has"),                    \
    OFFER(S, m, "rss", RSS, false, "a hash spreads received flows over the queues"),               \
    OFFER(S, m, "hash", HASH_REPORT, false, "the guest sees that hash with each frame"),           \
    PROP_UINT16("rx_queue_size", S, m.rx_queue_size, 256, "receive buffers"),                      \
    PROP_UINT16("tx_queue_size", S, m.tx_queue_size, 256, "frames to send"),                       \
    PROP_UINT16("host_mtu", S, m.mtu, 0, "tell the guest this MTU; 0: nothing"),                   \
    PROP_INT32("speed", S, m.speed, -1, "tell the guest this speed in Mb/s; -1: nothing"),         \
    PROP_STRING("duplex", S, m.duplex, NULL, "tell the guest 'half' or 'full'")

VIRTIO_PCI_TYPES_WITH_ROM(virtio_net, "virtio-net", VirtioNet, NET_PROPERTIES, net_ops, 0x0200,
                          0x1000, VIRTIO_PCI_VECTORS_AUTO, DEVICE_CATEGORY_NETWORK,
                          "virtio network device", "efi-virtio.rom");
VIRTIO_MMIO_TYPE(virtio_net, "virtio-net", VirtioNet, NET_PROPERTIES, net_ops,
                 DEVICE_CATEGORY_NETWORK, "virtio network device");
