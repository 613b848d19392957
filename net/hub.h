/* SPDX-License-Identifier: Apache-2.0 */
/* Hubs: what comes in at one port goes out at all others. VM lock held. */
#ifndef VIREO_NET_HUB_H
#define VIREO_NET_HUB_H

#include "net/net.h"

/* A new port without peer; name NULL: one is made up. */
NetClient *net_hub_port_new(int hub_id, const char *name);
/* -1: nc is no port of a hub, and has no such port as its peer. */
int net_hub_id(const NetClient *nc);
/*
 * False, with the error set: wiring these two would join hubs in a circle, in which each frame
 * would go round for ever.
 */
bool net_hub_may_connect(const NetClient *a, const NetClient *b, GError **error);
/* Warn of hubs that lead nowhere: once, when all devices are there. */
void net_hub_check(void);
/* "hub 0\n \\ ...", for `info network`. */
void net_hub_describe(GString *out, void (*line)(GString *out, NetClient *nc));

#endif
