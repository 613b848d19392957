/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transmission. A frame is gathered from data descriptors up to the one that ends it; context
 * descriptors say how those after them are checksummed and segmented (manual, section 3.3).
 *
 * What the guest says about lengths and offsets is looked at before anything is written; a ring is
 * walked at most once a turn.
 */
#include <string.h>

#include "hw/net/e1000-internal.h"
#include "net/offload.h"
#include "util/bits.h"
#include "util/log.h"

#define IP_PROTOCOL_TCP 6
#define VLAN_TAG 4
#define MAC_BYTES 12

typedef struct TxDesc {
    uint64_t addr;
    uint32_t lower, upper;
    uint8_t command;
} TxDesc;

static bool is_extended(const TxDesc *desc)
{
    return desc->command & TXD_DEXT;
}

static unsigned type_of(const TxDesc *desc)
{
    return (desc->lower >> 20) & 0xf;
}

static void read_context(E1000 *s, const uint8_t *raw)
{
    uint32_t lower = ldl_le(raw + 8);

    s->context = (E1000Context){
        .ip_start = raw[0],
        .ip_at = raw[1],
        .ip_end = ldw_le(raw + 2),
        .tu_start = raw[4],
        .tu_at = raw[5],
        .tu_end = ldw_le(raw + 6),
        .payload = lower & 0xfffff,
        .command = lower >> 24,
        .header_len = raw[13],
        .mss = ldw_le(raw + 14),
    };
}

/* ---- Finishing a frame ---- */

/* The sum of [start, end] goes to at; end 0: to the last byte. What does not fit is not done. */
static void insert_sum(E1000 *s, unsigned start, unsigned at, unsigned end)
{
    unsigned len = end && end + 1 < s->frame_len ? end + 1 : s->frame_len;

    if (start < len && at + 2 <= s->frame_len) {
        stw_be(s->frame + at, net_sum_finish(net_sum(0, s->frame + start, len - start)));
    }
}

static void insert_vlan(E1000 *s, uint16_t tag)
{
    if (s->frame_len < NET_ETH_HEADER || s->frame_len + VLAN_TAG > NET_MAX_FRAME) {
        return;
    }
    memmove(s->frame + MAC_BYTES + VLAN_TAG, s->frame + MAC_BYTES, s->frame_len - MAC_BYTES);
    stw_be(s->frame + MAC_BYTES, *e1000_reg(s, E1000_VET));
    stw_be(s->frame + MAC_BYTES + 2, tag);
    s->frame_len += VLAN_TAG;
}

static void count_sent(E1000 *s, size_t size, const uint8_t *mac)
{
    unsigned bucket = size <= 64 ? 0 : size <= 127 ? 1 : size <= 255 ? 2 : size <= 511 ? 3
                      : size <= 1023 ? 4 : 5;

    e1000_count(s, E1000_TPT);
    e1000_count(s, E1000_GPTC);
    e1000_count(s, E1000_PTC64 + 4 * bucket);
    e1000_count64(s, E1000_TOTL, size);
    e1000_count64(s, E1000_GOTCL, size);
    if (mac[0] & 1) {
        e1000_count(s, mac[0] == 0xff ? E1000_BPTC : E1000_MPTC);
    }
}

static void receive_own(const NetPacket *packet, void *opaque)
{
    if (e1000_can_receive(opaque)) {
        e1000_receive(opaque, packet);
    }
}

static void send(E1000 *s, NetOffload offload)
{
    const struct iovec iov = { s->frame, s->frame_len };
    const NetPacket packet = { .iov = &iov, .n = 1, .size = s->frame_len, .offload = offload };

    count_sent(s, s->frame_len + 4, s->frame);
    if (s->phy[PHY_CTRL] & PHY_CTRL_LOOPBACK || RCTL_LBM(*e1000_reg(s, E1000_RCTL)) == 3) {
        net_offload_finish(&packet, receive_own, s);
    } else {
        net_send(s->nic.clients[0], &packet);
    }
}

/* Zero stands for more than the field can say. */
static uint16_t length_field(uint32_t len)
{
    return len <= UINT16_MAX ? len : 0;
}

/*
 * One TCP packet of any length: the lengths in its headers, which drivers leave open, are set, and
 * the pseudo header's sum with its length; then it can be cut by whoever comes next.
 */
static bool prepare_segments(E1000 *s, NetOffload *offload)
{
    const E1000Context *context = &s->context;
    NetLayout layout;
    uint8_t *ip;
    uint32_t len;

    if (!net_layout(s->frame, s->frame_len, &layout) || layout.protocol != IP_PROTOCOL_TCP ||
        !layout.payload || !(context->command & TXD_TU_TCP) || !context->mss) {
        return false;
    }
    /* Short frames may have been padded, but not those that are to be cut. */
    ip = s->frame + layout.l3;
    len = s->frame_len - layout.l3;
    if (layout.ip_version == 6) {
        stw_be(ip + 4, length_field(len - 40));
    } else {
        stw_be(ip + 2, length_field(len));
        stw_be(ip + 10, 0);
        stw_be(ip + 10, net_sum_finish(net_sum(0, ip, layout.l4 - layout.l3)));
    }
    len = s->frame_len - layout.l4;
    stw_be(s->frame + layout.l4 + 16,
           ~net_sum_finish(net_sum_pseudo(ip + (layout.ip_version == 6 ? 8 : 12),
                                          layout.ip_version == 6 ? 32 : 8, IP_PROTOCOL_TCP, len)));
    *offload = (NetOffload){
        .flags = NET_OFFLOAD_NEEDS_CSUM,
        .gso_type = layout.ip_version == 6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4,
        .gso_size = context->mss,
        .hdr_len = layout.payload,
        .csum_start = layout.l4,
        .csum_offset = 16,
    };
    return true;
}

static NetOffload finish_checksums(E1000 *s)
{
    const E1000Context *context = &s->context;
    NetOffload offload = { 0 };

    if (s->frame_popts & TXD_POPT_IXSM) {
        insert_sum(s, context->ip_start, context->ip_at, context->ip_end);
    }
    if (!(s->frame_popts & TXD_POPT_TXSM)) {
        return offload;
    }
    /* The usual sum is the next one's if he wants it. */
    if (!context->tu_end && context->tu_at >= context->tu_start &&
        (net_peer_features(s->nic.clients[0]) & NET_FEATURE_CSUM)) {
        offload.flags = NET_OFFLOAD_NEEDS_CSUM;
        offload.csum_start = context->tu_start;
        offload.csum_offset = context->tu_at - context->tu_start;
    } else {
        insert_sum(s, context->tu_start, context->tu_at, context->tu_end);
    }
    return offload;
}

static void finish_frame(E1000 *s, const TxDesc *desc)
{
    NetOffload offload = { 0 };
    unsigned shift = 0;

    if (s->frame_bad || s->frame_len < NET_ETH_HEADER) {
        log_guest_error("e1000: a frame of impossible length is dropped");
        return;
    }
    if (s->frame_tse && s->frame_len > s->context.header_len) {
        if (!prepare_segments(s, &offload)) {
            log_guest_error("e1000: cannot segment what is no TCP packet");
            return;
        }
        e1000_count(s, E1000_TSCTC);
    } else if (is_extended(desc)) {
        offload = finish_checksums(s);
    } else if (desc->command & TXD_IC) {
        insert_sum(s, (desc->upper >> 8) & 0xff, (desc->lower >> 16) & 0xff, 0);
    }
    if ((desc->command & TXD_VLE) && (*e1000_reg(s, E1000_CTRL) & CTRL_VME)) {
        shift = VLAN_TAG;
        insert_vlan(s, desc->upper >> 16);
    }
    if (offload.flags & NET_OFFLOAD_NEEDS_CSUM) {
        offload.csum_start += shift;
        offload.hdr_len += offload.hdr_len ? shift : 0;
    }
    if (s->frame_len < NET_MIN_FRAME && (*e1000_reg(s, E1000_TCTL) & TCTL_PSP)) {
        memset(s->frame + s->frame_len, 0, NET_MIN_FRAME - s->frame_len);
        s->frame_len = NET_MIN_FRAME;
    }
    send(s, offload);
}

/* ---- The ring ---- */

static void add_data(E1000 *s, const TxDesc *desc, uint32_t len)
{
    /* A tag may have to be put in. */
    if (s->frame_bad || len > NET_MAX_FRAME - VLAN_TAG - s->frame_len) {
        s->frame_bad = true;
        return;
    }
    pci_dma_read(&s->parent_obj, desc->addr, s->frame + s->frame_len, len);
    s->frame_len += len;
}

static void take_descriptor(E1000 *s, const TxDesc *desc, const uint8_t *raw)
{
    if (is_extended(desc) && type_of(desc) == TXD_TYPE_CONTEXT) {
        read_context(s, raw);
        return;
    }
    if (is_extended(desc)) {
        if (s->frame_len == 0) { /* the first of a frame says what is done to it */
            s->frame_popts = desc->upper >> 8;
            s->frame_tse = desc->command & TXD_TSE;
        }
        add_data(s, desc, desc->lower & 0xfffff);
    } else {
        add_data(s, desc, desc->lower & 0xffff);
    }
    if (desc->command & TXD_EOP) {
        finish_frame(s, desc);
        s->frame_len = 0;
        s->frame_bad = false;
        s->frame_tse = false;
        s->frame_popts = 0;
    }
}

/* Returns the causes that come of it at once. */
static uint32_t write_back(E1000 *s, uint64_t at, const TxDesc *desc)
{
    uint8_t status[4];

    if (!(desc->command & (TXD_RS | TXD_RPS))) {
        return 0;
    }
    stl_le(status, (desc->upper | TXD_STA_DD) & ~0x0eu);
    pci_dma_write(&s->parent_obj, at + 12, status, sizeof(status));
    if (desc->command & TXD_IDE) {
        e1000_delay_raise(s, &s->tx_delay, ICR_TXDW, E1000_TIDV, E1000_TADV);
        return 0;
    }
    return ICR_TXDW;
}

static uint32_t walk_ring(E1000 *s)
{
    uint32_t size = e1000_ring_size(s, E1000_TDBAL);
    uint32_t *head = e1000_reg(s, E1000_TDH), *tail = e1000_reg(s, E1000_TDT);
    uint32_t causes = 0;

    if (*head >= size || *tail >= size) {
        if (size) {
            log_guest_error("e1000: TDH 0x%x or TDT 0x%x is outside of a ring of 0x%x", *head,
                            *tail, size);
        }
        return 0;
    }
    for (uint32_t n = 0; n < size && *head != *tail && *head < size; n++) {
        uint64_t at = e1000_ring_base(s, E1000_TDBAL) + (uint64_t)*head * E1000_DESC_SIZE;
        uint8_t raw[E1000_DESC_SIZE];
        TxDesc desc;

        if (pci_dma_read(&s->parent_obj, at, raw, sizeof(raw)) != MEM_OK) {
            log_guest_error("e1000: no transmit descriptor can be read at 0x%" G_GINT64_MODIFIER
                            "x", at);
            break;
        }
        desc.addr = ldq_le(raw);
        desc.lower = ldl_le(raw + 8);
        desc.upper = ldl_le(raw + 12);
        desc.command = desc.lower >> 24;
        take_descriptor(s, &desc, raw);
        causes |= write_back(s, at, &desc);
        *head = *head + 1 < size ? *head + 1 : 0;
    }
    return causes | ICR_TXQE;
}

void e1000_transmit(E1000 *s)
{
    uint32_t causes;

    if (s->transmitting || !(*e1000_reg(s, E1000_TCTL) & TCTL_EN)) {
        return;
    }
    s->transmitting = true;
    causes = walk_ring(s);
    s->transmitting = false;
    if (causes) {
        e1000_raise(s, causes);
    }
}
