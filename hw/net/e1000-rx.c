/* SPDX-License-Identifier: Apache-2.0 */
/* Reception: filters, checksums, and the ring of buffers (manual, sections 3.2 and 10). */
#include <errno.h>
#include <string.h>

#include "hw/net/e1000-internal.h"
#include "memory/guard.h"
#include "net/offload.h"
#include "util/bits.h"
#include "util/iov.h"
#include "util/log.h"

#define FCS_LEN 4
#define VLAN_TAG 4
#define MAX_STANDARD 1522 /* with tag and FCS */
#define MAX_LONG 16384
#define IP_PROTOCOL_TCP 6
#define IP_PROTOCOL_UDP 17
#define RA_ENTRIES 16

/* ---- Filters ---- */

static bool multicast_hash_matches(E1000 *s, const uint8_t *mac)
{
    static const uint8_t shifts[] = { 4, 3, 2, 0 };
    unsigned shift = shifts[RCTL_MO(*e1000_reg(s, E1000_RCTL))];
    unsigned hash = ((mac[5] << 8 | mac[4]) >> shift) & 0xfff;

    return *e1000_reg(s, E1000_MTA + (hash >> 5) * 4) >> (hash & 31) & 1;
}

static bool exact_match(E1000 *s, const uint8_t *mac)
{
    for (unsigned i = 0; i < RA_ENTRIES; i++) {
        uint32_t low = *e1000_reg(s, E1000_RA + 8 * i), high = *e1000_reg(s, E1000_RA + 8 * i + 4);

        if ((high & RAH_AV) && RAH_ASEL(high) == 0 && ldl_le(mac) == low &&
            ldw_le(mac + 4) == (high & 0xffff)) {
            return true;
        }
    }
    return false;
}

static bool address_wanted(E1000 *s, const uint8_t *mac)
{
    static const uint8_t broadcast[NET_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    uint32_t rctl = *e1000_reg(s, E1000_RCTL);

    if (memcmp(mac, broadcast, NET_MAC_LEN) == 0 && (rctl & RCTL_BAM)) {
        return true;
    }
    if (exact_match(s, mac)) {
        return true;
    }
    if (mac[0] & 1) {
        return (rctl & RCTL_MPE) || multicast_hash_matches(s, mac);
    }
    return rctl & RCTL_UPE;
}

static bool is_tagged(E1000 *s, const uint8_t *frame, size_t size)
{
    return size >= NET_ETH_HEADER + VLAN_TAG &&
           ldw_be(frame + 12) == (*e1000_reg(s, E1000_VET) & 0xffff);
}

static bool vlan_wanted(E1000 *s, const uint8_t *frame, size_t size)
{
    unsigned id;

    if (!(*e1000_reg(s, E1000_RCTL) & RCTL_VFE) || !is_tagged(s, frame, size)) {
        return true;
    }
    id = ldw_be(frame + 14) & 0xfff;
    return *e1000_reg(s, E1000_VFTA + (id >> 5) * 4) >> (id & 31) & 1;
}

static bool size_wanted(E1000 *s, size_t size)
{
    uint32_t rctl = *e1000_reg(s, E1000_RCTL);

    if (size + FCS_LEN > MAX_LONG ||
        (size + FCS_LEN > MAX_STANDARD && !(rctl & (RCTL_LPE | RCTL_SBP)))) {
        e1000_count(s, E1000_ROC);
        return false;
    }
    return true;
}

/* ---- Checksums ---- */

typedef struct RxResult {
    uint8_t status, errors;
    uint16_t checksum, special;
} RxResult;

static bool transport_sum_ok(const uint8_t *frame, const NetLayout *layout)
{
    bool v6 = layout->ip_version == 6;
    uint32_t len = layout->end - layout->l4, sum;

    if (layout->protocol == IP_PROTOCOL_UDP && ldw_be(frame + layout->l4 + 6) == 0) {
        return true;
    }
    sum = net_sum_pseudo(frame + layout->l3 + (v6 ? 8 : 12), v6 ? 32 : 8, layout->protocol, len);
    return net_sum_finish(net_sum(sum, frame + layout->l4, len)) == 0;
}

static void check_sums(E1000 *s, const uint8_t *frame, size_t size, RxResult *result)
{
    uint32_t rxcsum = *e1000_reg(s, E1000_RXCSUM);
    unsigned start = rxcsum & RXCSUM_PCSS;
    NetLayout layout;

    result->checksum = start < size ? ~net_sum_finish(net_sum(0, frame + start, size - start)) : 0;
    result->status |= RXD_IXSM;
    if (!(rxcsum & (RXCSUM_IPOFL | RXCSUM_TUOFL)) || !net_layout(frame, size, &layout)) {
        return;
    }
    if (layout.ip_version == 4 && (rxcsum & RXCSUM_IPOFL)) {
        const uint8_t *ip = frame + layout.l3;

        result->status = (result->status & ~RXD_IXSM) | RXD_IPCS;
        result->errors |= net_sum_finish(net_sum(0, ip, layout.l4 - layout.l3)) ? RXD_ERR_IPE : 0;
    }
    if (layout.payload && (rxcsum & RXCSUM_TUOFL)) {
        result->status = (result->status & ~RXD_IXSM) | RXD_TCPCS;
        result->errors |= transport_sum_ok(frame, &layout) ? 0 : RXD_ERR_TCPE;
    }
}

/* ---- The ring ---- */

static uint32_t buffer_size(uint32_t rctl)
{
    static const uint16_t plain[] = { 2048, 1024, 512, 256 };
    static const uint16_t extended[] = { 2048, 16384, 8192, 4096 };

    return rctl & RCTL_BSEX ? extended[RCTL_BSIZE(rctl)] : plain[RCTL_BSIZE(rctl)];
}

/* Descriptors between head and tail; 0 if the guest's numbers make no sense. */
static uint32_t free_descriptors(E1000 *s)
{
    uint32_t size = e1000_ring_size(s, E1000_RDBAL);
    uint32_t head = *e1000_reg(s, E1000_RDH), tail = *e1000_reg(s, E1000_RDT);

    if (head >= size || tail >= size) {
        return 0;
    }
    return tail >= head ? tail - head : size - head + tail;
}

bool e1000_can_receive(E1000 *s)
{
    return (*e1000_reg(s, E1000_STATUS) & STATUS_LU) && (*e1000_reg(s, E1000_RCTL) & RCTL_EN) &&
           pci_bus_master(&s->parent_obj) && free_descriptors(s) > 0;
}

static void write_status(E1000 *s, uint64_t at, uint16_t length, const RxResult *result,
                         bool last)
{
    uint8_t raw[8];

    stw_le(raw, length);
    stw_le(raw + 2, result->checksum);
    raw[4] = RXD_DD | (last ? RXD_EOP | result->status : result->status & RXD_IXSM);
    raw[5] = last ? result->errors : 0;
    stw_le(raw + 6, result->special);
    pci_dma_write(&s->parent_obj, at + 8, raw, sizeof(raw));
}

/* The frame goes into as many buffers as it takes; there are enough, but for empty descriptors. */
static void fill_ring(E1000 *s, const uint8_t *frame, size_t size, const RxResult *result)
{
    uint32_t rctl = *e1000_reg(s, E1000_RCTL), chunk = buffer_size(rctl);
    uint32_t ring = e1000_ring_size(s, E1000_RDBAL), left = free_descriptors(s);
    size_t total = size + (rctl & RCTL_SECRC ? 0 : FCS_LEN), done = 0;
    uint32_t *head = e1000_reg(s, E1000_RDH);

    while (done < total && left--) {
        uint64_t at = e1000_ring_base(s, E1000_RDBAL) + (uint64_t)*head * E1000_DESC_SIZE;
        uint8_t raw[8];
        uint64_t buffer;
        size_t len = 0;

        if (pci_dma_read(&s->parent_obj, at, raw, sizeof(raw)) != MEM_OK) {
            log_guest_error("e1000: no receive descriptor can be read at 0x%" G_GINT64_MODIFIER
                            "x", at);
            return;
        }
        buffer = ldq_le(raw);
        if (buffer) { /* a null descriptor is passed over */
            len = MIN(total - done, chunk);
            if (done < size) {
                pci_dma_write(&s->parent_obj, buffer, frame + done, MIN(len, size - done));
            }
            done += len;
        }
        write_status(s, at, len, result, done == total);
        *head = *head + 1 < ring ? *head + 1 : 0;
    }
}

static void count_received(E1000 *s, size_t size, const uint8_t *mac)
{
    unsigned bucket = size <= 64 ? 0 : size <= 127 ? 1 : size <= 255 ? 2 : size <= 511 ? 3
                      : size <= 1023 ? 4 : 5;

    e1000_count(s, E1000_TPR);
    e1000_count(s, E1000_GPRC);
    e1000_count(s, E1000_PRC64 + 4 * bucket);
    e1000_count64(s, E1000_TORL, size);
    e1000_count64(s, E1000_GORCL, size);
    if (mac[0] & 1) {
        e1000_count(s, mac[0] == 0xff ? E1000_BPRC : E1000_MPRC);
    }
}

static void raise_received(E1000 *s, size_t size)
{
    uint32_t left = free_descriptors(s), ring = e1000_ring_size(s, E1000_RDBAL);
    uint32_t threshold = ring >> (RCTL_RDMTS(*e1000_reg(s, E1000_RCTL)) + 1);

    uint32_t causes = (left <= threshold ? ICR_RXDMT0 : 0) |
                      (size <= *e1000_reg(s, E1000_RSRPD) ? ICR_SRPD : 0);

    e1000_delay_raise(s, &s->rx_delay, ICR_RXT0, E1000_RDTR, E1000_RADV);
    if (causes) {
        e1000_raise(s, causes);
    }
}

static bool room_for(E1000 *s, uint32_t descriptors, size_t size)
{
    return (uint64_t)descriptors * buffer_size(*e1000_reg(s, E1000_RCTL)) >= size + FCS_LEN;
}

static int receive_guarded(E1000 *s, uint8_t *frame, size_t size)
{
    RxResult result = { 0 };
    size_t full = size;

    if (!size_wanted(s, size) || !address_wanted(s, frame) || !vlan_wanted(s, frame, size)) {
        return 0;
    }
    if ((*e1000_reg(s, E1000_CTRL) & CTRL_VME) && is_tagged(s, frame, size)) {
        result.special = ldw_be(frame + 14);
        result.status |= RXD_VP;
        memmove(frame + 12, frame + 12 + VLAN_TAG, size - 12 - VLAN_TAG);
        size -= VLAN_TAG;
    }
    if (!room_for(s, free_descriptors(s), size)) {
        e1000_count(s, E1000_RNBC);
        e1000_raise(s, ICR_RXO);
        /* Wait for buffers, unless the ring is too short for ever. */
        return room_for(s, e1000_ring_size(s, E1000_RDBAL) - 1, size) ? -EAGAIN : 0;
    }
    if (!exact_match(s, frame)) {
        result.status |= RXD_PIF;
    }
    check_sums(s, frame, size, &result);
    count_received(s, full + FCS_LEN, frame);
    fill_ring(s, frame, size, &result);
    raise_received(s, full + FCS_LEN);
    return 0;
}

int e1000_receive(E1000 *s, const NetPacket *packet)
{
    g_autofree uint8_t *frame = g_malloc(MAX(packet->size, NET_MIN_FRAME));
    size_t size = iov_to_buf(packet->iov, packet->n, 0, frame, packet->size);
    MemoryGuard guard;
    bool entered;
    int result;

    if (size < NET_MIN_FRAME) {
        memset(frame + size, 0, NET_MIN_FRAME - size);
        size = NET_MIN_FRAME;
    }
    /* Not entered: the guest's own access is what sent this frame, and guards already. */
    entered = memory_guard_enter(&guard, OBJECT(s));
    result = receive_guarded(s, frame, size);
    if (entered) {
        memory_guard_exit(&guard);
    }
    return result;
}

/* ---- query-rx-filter ---- */

/* The table of hashes cannot be told as addresses: it lets in more than is listed. */
static bool has_hashes(E1000 *s)
{
    for (uint32_t at = E1000_MTA; at < E1000_RA; at += 4) {
        if (*e1000_reg(s, at)) {
            return true;
        }
    }
    return false;
}

static void list_addresses(E1000 *s, RxFilterInfo *info)
{
    for (unsigned i = 1; i < RA_ENTRIES; i++) {
        uint32_t high = *e1000_reg(s, E1000_RA + 8 * i + 4);
        uint8_t mac[NET_MAC_LEN];

        if (!(high & RAH_AV) || RAH_ASEL(high) != 0) {
            continue;
        }
        stl_le(mac, *e1000_reg(s, E1000_RA + 8 * i));
        stw_le(mac + 4, high);
        g_ptr_array_add(mac[0] & 1 ? info->multicast_table : info->unicast_table,
                        g_strdup_printf(NET_MAC_FORMAT, NET_MAC_ARGS(mac)));
    }
}

RxFilterInfo *e1000_rx_filter(E1000 *s)
{
    RxFilterInfo *info = g_new0(RxFilterInfo, 1);
    uint32_t rctl = *e1000_reg(s, E1000_RCTL);
    bool vlans = rctl & RCTL_VFE;
    const uint8_t *mac = s->nic.clients[0]->mac;

    info->name = g_strdup(s->nic.clients[0]->name);
    info->promiscuous = (rctl & RCTL_UPE) && (rctl & RCTL_MPE);
    info->unicast = rctl & RCTL_UPE ? RX_STATE_ALL : RX_STATE_NORMAL;
    info->multicast = rctl & RCTL_MPE ? RX_STATE_ALL : RX_STATE_NORMAL;
    info->multicast_overflow = has_hashes(s);
    info->broadcast_allowed = rctl & (RCTL_BAM | RCTL_MPE);
    info->main_mac = g_strdup_printf(NET_MAC_FORMAT, NET_MAC_ARGS(mac));
    info->unicast_table = g_ptr_array_new_with_free_func(g_free);
    info->multicast_table = g_ptr_array_new_with_free_func(g_free);
    list_addresses(s, info);
    info->vlan = vlans ? RX_STATE_NORMAL : RX_STATE_ALL;
    info->vlan_table = g_array_new(false, false, sizeof(int64_t));
    for (int64_t id = 0; vlans && id < 4096; id++) {
        if (*e1000_reg(s, E1000_VFTA + (id >> 5) * 4) >> (id & 31) & 1) {
            g_array_append_val(info->vlan_table, id);
        }
    }
    return info;
}
