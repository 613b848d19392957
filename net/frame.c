/* SPDX-License-Identifier: Apache-2.0 */
#include "net/frame.h"

#include <string.h>

#include "util/bits.h"

void net_vnet_header_write(uint8_t *header, const NetOffload *offload)
{
    header[0] = offload->flags;
    header[1] = offload->gso_type;
    stw_le(header + 2, offload->hdr_len);
    stw_le(header + 4, offload->gso_size);
    stw_le(header + 6, offload->csum_start);
    stw_le(header + 8, offload->csum_offset);
}

void net_vnet_header_read(const uint8_t *header, NetOffload *offload)
{
    offload->flags = header[0] & (NET_OFFLOAD_NEEDS_CSUM | NET_OFFLOAD_DATA_VALID);
    offload->gso_type = header[1];
    offload->hdr_len = ldw_le(header + 2);
    offload->gso_size = ldw_le(header + 4);
    offload->csum_start = ldw_le(header + 6);
    offload->csum_offset = ldw_le(header + 8);
}

void net_frame_reader_init(NetFrameReader *reader, bool vnet_headers)
{
    *reader = (NetFrameReader){ .vnet_headers = vnet_headers };
}

void net_frame_reader_clear(NetFrameReader *reader)
{
    g_free(reader->data);
    net_frame_reader_init(reader, reader->vnet_headers);
}

unsigned net_frame_header(uint8_t header[8 + NET_VNET_HEADER], bool vnet_headers,
                          const NetPacket *packet)
{
    if (!vnet_headers) {
        stl_be(header, packet->size);
        return 4;
    }
    stl_be(header, packet->size + NET_VNET_HEADER);
    stl_be(header + 4, NET_VNET_HEADER);
    net_vnet_header_write(header + 8, &packet->offload);
    return 8 + NET_VNET_HEADER;
}

/* The lengths are complete: what do they say? */
static bool begin_frame(NetFrameReader *reader)
{
    uint32_t size = ldl_be(reader->header);
    uint32_t vnet_len = reader->vnet_headers ? ldl_be(reader->header + 4) : 0;

    if ((vnet_len && vnet_len != NET_VNET_HEADER && vnet_len != NET_VNET_HEADER_MAX) ||
        size < vnet_len || size - vnet_len > NET_MAX_FRAME) {
        return false;
    }
    reader->size = size;
    reader->vnet_len = vnet_len;
    reader->data = g_malloc(MAX(size, 1));
    reader->have = 0;
    return true;
}

static void finish_frame(NetFrameReader *reader, NetFrameFn *fn, void *opaque)
{
    g_autofree uint8_t *data = g_steal_pointer(&reader->data);
    unsigned skip = reader->vnet_len;
    size_t size = reader->size - skip;
    NetOffload offload = { 0 };

    if (skip) {
        net_vnet_header_read(data, &offload);
    }
    reader->header_have = 0;
    if (size) {
        fn(data + skip, size, &offload, opaque);
    }
}

bool net_frame_feed(NetFrameReader *reader, const uint8_t *bytes, size_t len, NetFrameFn *fn,
                    void *opaque)
{
    const unsigned header_size = reader->vnet_headers ? 8 : 4;

    while (len) {
        size_t take;

        if (reader->header_have < header_size) {
            take = MIN(len, header_size - reader->header_have);
            memcpy(reader->header + reader->header_have, bytes, take);
            reader->header_have += take;
            if (reader->header_have == header_size && !begin_frame(reader)) {
                return false;
            }
        } else {
            take = MIN(len, reader->size - reader->have);
            memcpy(reader->data + reader->have, bytes, take);
            reader->have += take;
        }
        bytes += take;
        len -= take;
        if (reader->header_have == header_size && reader->have == reader->size) {
            finish_frame(reader, fn, opaque);
        }
    }
    return true;
}
