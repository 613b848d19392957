/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of net/ that move frames share. */
#ifndef VIREO_NET_NET_INTERNAL_H
#define VIREO_NET_NET_INTERNAL_H

#include "net/net.h"

/* queue.c: forget what waits for nc; nobody is told. */
void net_queue_clear(NetClient *nc);

/*
 * filter.c: the frame on its way through the filters of from and of its peer. False: a filter took
 * it. after: go on behind this one; NULL: all of them.
 */
bool net_filters_pass(NetClient *from, const NetPacket *packet, NetFilter *after);
/* nc goes away: its filters stay, and do nothing any more. */
void net_filters_detach(NetClient *nc);

#endif
