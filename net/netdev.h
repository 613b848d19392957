/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and removing backends: -netdev, -nic, -net and QMP. Main thread, VM lock held.
 */
#ifndef VIREO_NET_NETDEV_H
#define VIREO_NET_NETDEV_H

#include "net/net.h"

/* Makes the backend; it is removable by netdev_del. */
bool netdev_add(const Netdev *options, GError **error);
bool netdev_del(const char *id, GError **error);

/*
 * The options' texts. Backends are made at once, NICs noted in nic_requests(). -net's clients are
 * ports of hub 0. "none" makes nothing.
 */
bool netdev_option(const char *text, GError **error);
bool nic_option(const char *text, GError **error);
bool net_option(const char *text, GError **error);
/* What a machine has that nobody said anything about networks for: a NIC, and "user" behind it. */
void net_make_default(void);
/* Do hubs and backends lead anywhere? Warns if not; once, when all devices are there. */
void net_check(void);

/* For "-netdev help"; the caller's. */
char *netdev_help(void);

/* `info network`; the caller's. */
char *net_describe(void);
/* The next round of announcements, or stop them (rounds 0). See announce-self. */
bool net_announce(const AnnounceParameters *parameters, GError **error);
void net_announce_cleanup(void);

#endif
