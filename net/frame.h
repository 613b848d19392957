/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on a byte stream, as QEMU's socket and stream backends and its filters exchange them: the
 * length in 32 bits, most significant byte first, then the frame. With a vnet header the length of
 * that header follows in 32 bits, and the header counts as part of the frame.
 *
 * The stream's other end is hostile: a length above the bound ends the stream.
 */
#ifndef VIREO_NET_FRAME_H
#define VIREO_NET_FRAME_H

#include "net/net.h"

/* struct virtio_net_hdr without and with num_buffers; nobody's is longer. */
#define NET_VNET_HEADER 10
#define NET_VNET_HEADER_MAX 12

/* data: the frame, behind its vnet header (NULL if there is none). */
typedef void NetFrameFn(const uint8_t *data, size_t size, const NetOffload *offload, void *opaque);

typedef struct NetFrameReader {
    bool vnet_headers;
    uint8_t header[8];
    unsigned header_have;
    uint8_t *data;     /* of the frame so far */
    size_t size, have;
    unsigned vnet_len;
} NetFrameReader;

void net_frame_reader_init(NetFrameReader *reader, bool vnet_headers);
/* Also forgets half a frame. */
void net_frame_reader_clear(NetFrameReader *reader);
/* fn is called for each complete frame. False: the stream is damaged. */
bool net_frame_feed(NetFrameReader *reader, const uint8_t *bytes, size_t len, NetFrameFn *fn,
                    void *opaque);
/* What goes before a frame's data; returns its length. */
unsigned net_frame_header(uint8_t header[8 + NET_VNET_HEADER], bool vnet_headers,
                          const NetPacket *packet);

/* struct virtio_net_hdr, little-endian, of at least NET_VNET_HEADER bytes. */
void net_vnet_header_write(uint8_t *header, const NetOffload *offload);
void net_vnet_header_read(const uint8_t *header, NetOffload *offload);

#endif
