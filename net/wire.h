/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client over one connected stream (net/frame.h): what socket, stream and their likes share.
 * Main thread, VM lock held.
 */
#ifndef VIREO_NET_WIRE_H
#define VIREO_NET_WIRE_H

#include "io/channel.h"
#include "net/frame.h"

typedef struct NetWire NetWire;
struct NetWire {
    NetClient *nc;
    Channel *channel;       /* NULL: not connected; frames are dropped */
    NetFrameReader reader;
    GByteArray *out;        /* what the channel has not taken yet, from out_done on */
    size_t out_done;
    bool paused;            /* the peer has to catch up: nothing is read */
    void (*closed)(NetWire *wire); /* the other end has gone; the channel is released already */
};

void net_wire_init(NetWire *wire, NetClient *nc, void (*closed)(NetWire *wire));
/* Takes the channel; there must be none. */
void net_wire_connect(NetWire *wire, Channel *channel);
/* The channel is closed, and what it had not taken is dropped. closed() is not called. */
void net_wire_disconnect(NetWire *wire);
void net_wire_cleanup(NetWire *wire);

/* For NetClientOps. */
int net_wire_receive(NetWire *wire, const NetPacket *packet);
void net_wire_peer_ready(NetWire *wire);

#endif
