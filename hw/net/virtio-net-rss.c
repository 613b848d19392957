/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive-side scaling and hash reports (VIRTIO 1.2, sections 5.1.6.4.3 and 5.1.6.5.6): the driver
 * gives a key, the kinds of flows that are hashed, and (with VIRTIO_NET_F_RSS) a table of queues.
 */
#include <string.h>

#include "hw/net/virtio-net-internal.h"
#include "util/bits.h"
#include "util/iov.h"

/* What follows an indirection table: transmit queues in use, and the key's length. */
#define TABLE_TAIL 3
#define TABLE_HEAD 8
#define HASH_HEAD 13

void virtio_net_rss_reset(VirtioNet *net)
{
    net->rss = (VirtioNetRss){ 0 };
}

void virtio_net_rss_config(struct virtio_net_config *view)
{
    view->rss_max_key_size = NET_RSS_KEY;
    stw_le(&view->rss_max_indirection_table_length, VIRTIO_NET_RSS_TABLE);
    stl_le(&view->supported_hash_types, NET_RSS_ALL);
}

/* The rest of a command is the key. */
static bool read_key(VirtioNetRss *rss, const uint8_t *key, size_t len, size_t said)
{
    if (len != said || len > NET_RSS_KEY) {
        return false;
    }
    memcpy(rss->key, key, len);
    return true;
}

static bool read_table(const VirtioNet *net, VirtioNetRss *rss, const uint8_t *data,
                       unsigned entries)
{
    for (unsigned i = 0; i < entries; i++) {
        rss->table[i] = ldw_le(data + 2 * i);
        if (rss->table[i] >= net->max_pairs) {
            return false;
        }
    }
    return rss->unclassified < net->max_pairs;
}

bool virtio_net_set_rss(VirtioNet *net, const uint8_t *data, size_t len)
{
    VirtioNetRss rss = { .redirect = true };
    size_t table;
    unsigned entries, pairs;

    if (!virtio_has_feature(&net->dev, VIRTIO_NET_F_RSS) || len < TABLE_HEAD) {
        return false;
    }
    rss.types = ldl_le(data);
    rss.mask = ldw_le(data + 4);
    rss.unclassified = ldw_le(data + 6);
    entries = rss.mask + 1u;
    table = 2u * entries;
    if ((rss.types & ~NET_RSS_ALL) || entries > VIRTIO_NET_RSS_TABLE ||
        (entries & (entries - 1)) || len < TABLE_HEAD + table + TABLE_TAIL ||
        !read_table(net, &rss, data + TABLE_HEAD, entries)) {
        return false;
    }
    data += TABLE_HEAD + table;
    len -= TABLE_HEAD + table;
    pairs = ldw_le(data);
    if (pairs < 1 || pairs > net->max_pairs ||
        !read_key(&rss, data + TABLE_TAIL, len - TABLE_TAIL, data[2])) {
        return false;
    }
    net->rss = rss;
    net->pairs = pairs;
    return true;
}

bool virtio_net_set_hash(VirtioNet *net, const uint8_t *data, size_t len)
{
    VirtioNetRss rss = { .redirect = false };

    if (!virtio_has_feature(&net->dev, VIRTIO_NET_F_HASH_REPORT) || len < HASH_HEAD) {
        return false;
    }
    rss.types = ldl_le(data);
    if ((rss.types & ~NET_RSS_ALL) ||
        !read_key(&rss, data + HASH_HEAD, len - HASH_HEAD, data[HASH_HEAD - 1])) {
        return false;
    }
    net->rss = rss;
    return true;
}

unsigned virtio_net_rss_hash(const VirtioNet *net, const NetPacket *packet, uint32_t *hash)
{
    uint8_t start[NET_RSS_HEADERS];

    if (!net->rss.types) {
        return 0;
    }
    return net_rss_hash(net->rss.types, net->rss.key, start,
                        iov_to_buf(packet->iov, packet->n, 0, start, sizeof(start)), hash);
}

/* ---- Saved state ---- */

static bool rss_valid(void *opaque, int version, GError **error)
{
    VirtioNetRss *rss = opaque;
    unsigned entries = rss->mask + 1u;

    if (entries > VIRTIO_NET_RSS_TABLE || (entries & (entries - 1)) ||
        (rss->types & ~NET_RSS_ALL)) {
        *rss = (VirtioNetRss){ 0 };
    }
    return true;
}

const VmState virtio_net_rss_vmstate = {
    .name = "virtio-net-rss",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_BOOL(VirtioNetRss, redirect), VMSTATE_U32(VirtioNetRss, types),
        VMSTATE_U16(VirtioNetRss, mask), VMSTATE_U16(VirtioNetRss, unclassified),
        VMSTATE_U16_ARRAY(VirtioNetRss, table), VMSTATE_BUFFER(VirtioNetRss, key),
        VMSTATE_END
    },
    .post_load = rss_valid,
};
