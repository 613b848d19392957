/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client over a datagram socket, a frame in each datagram: what socket and dgram share. Main
 * thread, VM lock held.
 */
#ifndef VIREO_NET_DATAGRAM_H
#define VIREO_NET_DATAGRAM_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "net/net.h"

typedef struct NetDatagram {
    NetClient *nc;
    int fd;                     /* owned */
    struct sockaddr_storage to; /* where frames go, if to_len */
    socklen_t to_len;           /* 0: the socket is connected */
    char *path;                 /* our own socket's file, removed at the end; or NULL */
    bool paused;                /* the peer has to catch up */
    bool full;                  /* the kernel has to */
} NetDatagram;

/* Takes fd and makes the client. to_len 0: frames go where the socket is connected to. */
NetClient *net_datagram_new(NetClientDriver kind, const char *name, int fd,
                            const struct sockaddr_storage *to, socklen_t to_len);
/* The client removes this file of its own socket when it ends. */
void net_datagram_set_path(NetClient *nc, const char *path);

/* "host:port" of an IPv4 address; the error names what. */
bool net_parse_ipv4(const char *text, const char *what, struct sockaddr_in *addr, GError **error);
/*
 * A socket that is a member of a multicast group. interface (may be NULL): address of the host's
 * interface. -1 with the error set.
 */
int net_multicast_socket(const struct sockaddr_in *group, const struct in_addr *interface,
                         GError **error);
/* A bound socket; -1 with the error set. */
int net_bound_socket(const struct sockaddr *local, socklen_t len, GError **error);

#endif
