/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a network device's cable: a datagram socket in a folder of its own, a frame in
 * each datagram.
 */
#ifndef VIREO_TESTS_QTEST_WIRE_H
#define VIREO_TESTS_QTEST_WIRE_H

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct Wire {
    char *folder, *ours, *theirs;
    int fd;
} Wire;

static inline struct sockaddr_un wire_address(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    return addr;
}

static inline void wire_open(Wire *wire)
{
    struct sockaddr_un addr;

    wire->folder = g_dir_make_tmp("vireo-wire-XXXXXX", NULL);
    wire->ours = g_build_filename(wire->folder, "test", NULL);
    wire->theirs = g_build_filename(wire->folder, "device", NULL);
    wire->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    addr = wire_address(wire->ours);
    g_assert_cmpint(bind(wire->fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
}

/* The caller's: -netdev for it, named "wire". */
static inline char *wire_option(const Wire *wire)
{
    return g_strdup_printf("-netdev dgram,id=wire,local.type=unix,local.path=%s,"
                           "remote.type=unix,remote.path=%s", wire->theirs, wire->ours);
}

static inline void wire_close(Wire *wire)
{
    close(wire->fd);
    g_unlink(wire->ours);
    g_unlink(wire->theirs);
    g_rmdir(wire->folder);
    g_free(wire->folder);
    g_free(wire->ours);
    g_free(wire->theirs);
}

static inline void wire_send(Wire *wire, const void *frame, size_t size)
{
    struct sockaddr_un addr = wire_address(wire->theirs);

    g_assert_cmpint(sendto(wire->fd, frame, size, 0, (struct sockaddr *)&addr, sizeof(addr)), ==,
                    (gssize)size);
}

/* The next frame; waits for it. */
static inline size_t wire_receive(Wire *wire, void *frame, size_t room)
{
    ssize_t n;

    do {
        n = recv(wire->fd, frame, room, 0);
    } while (n < 0 && errno == EINTR);
    g_assert_cmpint(n, >, 0);
    return n;
}

/* Has a frame come? What the device sent before it answered the test is there already. */
static inline bool wire_has_frame(Wire *wire)
{
    struct pollfd poll_fd = { .fd = wire->fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1;
}

#endif
