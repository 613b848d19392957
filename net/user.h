/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -netdev user: a network inside this program. The options are read here; libslirp, which does the
 * work, is in a module of its own (net/user-slirp.c), loaded with the first such network.
 * Main thread, VM lock held.
 */
#ifndef VIREO_NET_USER_H
#define VIREO_NET_USER_H

#include <netinet/in.h>

#include "net/net.h"

typedef struct NetUserConfig {
    bool restricted, ipv4, ipv6;
    struct in_addr net, mask, host, dhcp, dns;
    struct in6_addr prefix6, host6, dns6;
    uint8_t prefix6_len;
    char *hostname, *tftp_server, *tftp, *bootfile, *domain;
    char **search; /* NULL-terminated, or NULL */
} NetUserConfig;

typedef struct NetHostForward {
    bool udp;
    struct in_addr host, guest; /* guest 0: where the first DHCP lease goes */
    uint16_t host_port, guest_port;
} NetHostForward;

typedef struct NetGuestForward {
    struct in_addr addr;
    uint16_t port;
    char *command; /* started for each connection; or NULL: */
    char *target;  /* a character device, in its short form */
} NetGuestForward;

/* What the module exports as net_user_module. */
typedef struct NetUserModule {
    /* The network's state; NULL with the error set. config is borrowed for the call. */
    void *(*start)(NetClient *nc, const NetUserConfig *config, GError **error);
    void (*stop)(void *state);
    void (*input)(void *state, const uint8_t *frame, size_t size);
    bool (*add_host_forward)(void *state, const NetHostForward *forward, GError **error);
    bool (*remove_host_forward)(void *state, const NetHostForward *forward);
    bool (*add_guest_forward)(void *state, const NetGuestForward *forward, GError **error);
    char *(*describe)(void *state); /* connections, the caller's */
} NetUserModule;
#define NET_USER_MODULE "net-user"
#define NET_USER_SYMBOL "net_user_module"

/* user-config.c */
bool net_user_config(const NetdevUserOptions *options, NetUserConfig *config, GError **error);
void net_user_config_clear(NetUserConfig *config);
/* "[tcp|udp]:[host]:port-[guest]:port" */
bool net_parse_host_forward(const char *text, NetHostForward *forward, GError **error);
/* "[tcp|udp]:[host]:port" */
bool net_parse_host_port(const char *text, NetHostForward *forward, GError **error);
/* "[tcp]:address:port-target" or "...-cmd:command" */
bool net_parse_guest_forward(const char *text, NetGuestForward *forward, GError **error);
void net_guest_forward_clear(NetGuestForward *forward);

/* id NULL: the only or first user network. */
bool net_user_add_forward(const char *id, const char *rule, GError **error);
bool net_user_remove_forward(const char *id, const char *rule, GError **error);
/* `info usernet`; the caller's. */
char *net_user_describe(void);

#endif
