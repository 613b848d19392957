/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of devices with a chardev share: the other end of a UNIX socket, and interrupt
 * lines.
 */
#ifndef VIREO_TESTS_QTEST_PEER_H
#define VIREO_TESTS_QTEST_PEER_H

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/qtest/libqtest.h"

/* The program's socket chardev connects to us: there is no race about who is first. */
typedef struct Peer {
    char *dir, *path;
    int listen_fd, fd;
} Peer;

static inline Peer *peer_new(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    Peer *peer = g_new0(Peer, 1);

    peer->dir = g_dir_make_tmp("vireo-qtest-XXXXXX", NULL);
    peer->path = g_build_filename(peer->dir, "socket", NULL);
    peer->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer->fd = -1;
    g_strlcpy(un.sun_path, peer->path, sizeof(un.sun_path));
    g_assert_cmpint(bind(peer->listen_fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(listen(peer->listen_fd, 1), ==, 0);
    return peer;
}

static inline void peer_accept(Peer *peer)
{
    peer->fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(peer->fd, >=, 0);
}

static inline void peer_send(Peer *peer, const void *data, size_t len)
{
    g_assert_cmpint(write(peer->fd, data, len), ==, len);
}

/* Exactly len bytes; a peer that stays silent for ten seconds fails the test. */
static inline void peer_expect(Peer *peer, const void *data, size_t len)
{
    struct timeval limit = { .tv_sec = 10 };
    g_autofree char *got = g_malloc(len);

    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    g_assert_cmpint(recv(peer->fd, got, len, MSG_WAITALL), ==, len);
    g_assert_cmpmem(got, len, data, len);
}

static inline void peer_free(Peer *peer)
{
    close(peer->fd);
    close(peer->listen_fd);
    g_unlink(peer->path);
    g_rmdir(peer->dir);
    g_free(peer->dir);
    g_free(peer->path);
    g_free(peer);
}

/* Poll a port until (value & mask) == want; ten seconds at most. */
static inline void wait_port(QTest *qts, uint16_t port, uint8_t mask, uint8_t want)
{
    for (int i = 0; i < 10000; i++) {
        if ((qtest_inb(qts, port) & mask) == want) {
            return;
        }
        g_usleep(1000);
    }
    g_error("port 0x%x: waited in vain for 0x%x", port, want);
}

/* Watch the lines that go into the I/O APIC; ISA interrupts have their own numbers there. */
static inline void watch_irqs(QTest *qts)
{
    qtest_irq_intercept_in(qts, "ioapic");
}

#endif
