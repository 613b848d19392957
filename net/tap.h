/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces of the host's kernel: what -netdev tap and -netdev bridge share. */
#ifndef VIREO_NET_TAP_H
#define VIREO_NET_TAP_H

#include "net/net.h"

/*
 * A client over an open interface (one queue). Takes fd, also on failure. vnet_header: 1 or 0:
 * frames must or must not have one; -1: as the interface has it.
 */
NetClient *net_tap_new(NetClientDriver kind, const char *name, unsigned queue_index, int fd,
                       int vnet_header, GError **error);
/*
 * Open an interface, made if it does not exist. ifname (at least 16 bytes): its name or "", and
 * afterwards its name. *vnet_header: wanted, and afterwards whether it has one. -1: error set.
 */
int net_tap_open(char *ifname, bool *vnet_header, bool multi_queue, GError **error);
/* Run a script with the interface's name, and wait for it. */
bool net_run_script(const char *script, const char *ifname, GError **error);
/* What runs when the client goes. */
void net_tap_set_down_script(NetClient *nc, const char *script, const char *ifname);
/*
 * Let the kernel run the queues of a device that allows it: vhost_fd is an open vhost-net device,
 * which is taken, also on failure.
 */
bool net_tap_set_vhost(NetClient *nc, int vhost_fd, uint32_t poll_us, GError **error);
/* Have a helper open an interface and join it to a bridge. helper NULL: the distribution's. */
int net_bridge_helper(const char *helper, const char *bridge, GError **error);

#endif
