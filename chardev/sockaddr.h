/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses as -chardev options name them, for the socket and udp backends. */
#ifndef VIREO_CHARDEV_SOCKADDR_H
#define VIREO_CHARDEV_SOCKADDR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct CharSockAddr {
    const char *path;  /* UNIX domain; else host and port. Strings are borrowed. */
    bool is_abstract;  /* Linux's abstract name space, unix(7) */
    bool tight;        /* abstract: the name ends where the string ends */
    const char *host;  /* NULL or "": any (listening), localhost (connecting) */
    const char *port;  /* number or service name */
    uint16_t to;       /* listening: try ports up to this one; 0: only port */
    int ipv4, ipv6;    /* PropOnOffAuto */
} CharSockAddr;

/*
 * All return a descriptor (close-on-exec), or -1 with the error set. Names may be looked up: they
 * block.
 */
int char_sockaddr_listen(const CharSockAddr *addr, GError **error);
int char_sockaddr_connect(const CharSockAddr *addr, GError **error);
/* A datagram socket that sends to remote and receives at local (local->port may be NULL). */
int char_sockaddr_datagram(const CharSockAddr *remote, const CharSockAddr *local, GError **error);

/* "127.0.0.1:4444" or "[::1]:4444" of a socket's own end or its peer's; the caller's, or NULL. */
char *char_sockaddr_local_name(int fd);
char *char_sockaddr_peer_name(int fd);

#endif
