/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of the bench guest's network measurements.
 *
 *   net-peer MODE unix MINE OTHER [BYTES]   frames as datagrams: -netdev dgram
 *   net-peer MODE tap INTERFACE [BYTES]     frames through an interface
 *   net-peer MODE udp PORT [BYTES]          UDP on 127.0.0.1: -netdev user
 *
 * MODE: sink drops what comes; echo returns each frame; source takes frames for requests, whose
 * payload begins with a 64-bit number, and sends as many frames of BYTES each. So a receiver gets
 * as much as it asks for, and nothing is lost in queues that are too short; if something is, one
 * more is sent whenever nobody has asked for RETRY_MS. Says "ready" when it can be reached; runs
 * until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADERS = 42, FRAME_MAX = 1514, FRAMES_MAX = 256, RETRY_MS = 100, PROTOCOL_OFFSET = 23 };

typedef struct Peer {
    int fd;
    struct sockaddr_storage to;
    socklen_t to_len;       /* 0: the socket knows */
    size_t skipped;         /* of the frame's headers, which are not seen here */
    size_t bytes;
    uint8_t frame[FRAME_MAX];
} Peer;

static const uint8_t headers[HEADERS] = {
    0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x52, 0x55, 0x0a, 0x00, 0x02, 0x02, 0x08, 0x00,
    0x45, 0x00, 0, 0, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15,
    7007 >> 8, 7007 & 0xff, 0, 7, 0, 0, 0, 0,
};

static void die(const char *what)
{
    fprintf(stderr, "net-peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void bind_to(int fd, const void *address, socklen_t len, const char *name)
{
    if (fd < 0 || bind(fd, address, len) != 0) {
        die(name);
    }
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(address.sun_path, path);
    return address;
}

static void open_unix(Peer *peer, const char *mine, const char *other)
{
    struct sockaddr_un from = unix_address(mine), to = unix_address(other);

    unlink(mine);
    peer->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bind_to(peer->fd, &from, sizeof(from), mine);
    memcpy(&peer->to, &to, sizeof(to));
    peer->to_len = sizeof(to);
}

static void open_tap(Peer *peer, const char *interface)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(interface),
    };
    int on = 1;

    peer->fd = address.sll_ifindex ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))
                                   : -1;
    bind_to(peer->fd, &address, sizeof(address), interface);
    setsockopt(peer->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
}

static void open_udp(Peer *peer, const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bind_to(peer->fd, &address, sizeof(address), port);
    peer->to_len = sizeof(peer->to);
    peer->skipped = HEADERS;
}

static void put16(uint8_t *to, size_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void build_frame(Peer *peer)
{
    uint32_t sum = 0;

    memcpy(peer->frame, headers, HEADERS);
    put16(peer->frame + 16, peer->bytes - 14);
    put16(peer->frame + 38, peer->bytes - 34);
    for (unsigned i = 14; i < 34; i += 2) {
        sum += (uint32_t)peer->frame[i] << 8 | peer->frame[i + 1];
    }
    sum = (sum & 0xffff) + (sum >> 16);
    put16(peer->frame + 24, ~(sum + (sum >> 16)) & 0xffff);
}

static void send_bytes(const Peer *peer, const uint8_t *data, size_t len)
{
    const void *to = peer->to_len ? &peer->to : NULL;

    /* A receiver that is gone, or has no room, does without. */
    (void)!sendto(peer->fd, data, len, 0, to, peer->to_len);
}

static void send_frames(const Peer *peer, uint64_t count)
{
    for (uint64_t i = 0; i < count && i < FRAMES_MAX; i++) {
        send_bytes(peer, peer->frame + peer->skipped, peer->bytes - peer->skipped);
    }
}

/* 0: nothing came in time. */
static size_t receive(Peer *peer, uint8_t *data, size_t size)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    struct pollfd poll_fd = { .fd = peer->fd, .events = POLLIN };
    ssize_t n;

    if (poll(&poll_fd, 1, RETRY_MS) <= 0) {
        return 0;
    }
    n = recvfrom(peer->fd, data, size, 0, (struct sockaddr *)&from, &len);
    if (n > 0 && from.ss_family == AF_INET) {
        peer->to = from;
        peer->to_len = len;
    }
    return n > 0 ? (size_t)n : 0;
}

static bool is_udp(const Peer *peer, const uint8_t *data, size_t len)
{
    return peer->skipped || (len > HEADERS && data[12] == 8 && data[13] == 0 &&
                             data[PROTOCOL_OFFSET] == IPPROTO_UDP);
}

static void serve_source(Peer *peer)
{
    uint8_t data[65536];
    uint64_t count = 0;

    for (;;) {
        size_t len = receive(peer, data, sizeof(data));
        size_t at = HEADERS - peer->skipped;

        if (len >= at + sizeof(count) && is_udp(peer, data, len)) {
            memcpy(&count, data + at, sizeof(count));
            send_frames(peer, count);
        } else if (!len && count) {
            send_frames(peer, 1);
        }
    }
}

static void serve(Peer *peer, bool echo)
{
    uint8_t data[65536];

    for (;;) {
        size_t len = receive(peer, data, sizeof(data));

        if (echo && len && is_udp(peer, data, len)) {
            send_bytes(peer, data, len);
        }
    }
}

int main(int argc, char **argv)
{
    Peer peer = { .bytes = FRAME_MAX };
    const char *kind = argc > 3 ? argv[2] : "";
    int used = 4;

    if (strcmp(kind, "unix") == 0 && argc > 4) {
        open_unix(&peer, argv[3], argv[4]);
        used = 5;
    } else if (strcmp(kind, "tap") == 0) {
        open_tap(&peer, argv[3]);
    } else if (strcmp(kind, "udp") == 0) {
        open_udp(&peer, argv[3]);
    } else {
        fprintf(stderr, "usage: net-peer sink|source|echo unix MINE OTHER|tap INTERFACE|udp PORT "
                        "[BYTES]\n");
        return 1;
    }
    if (argc > used) {
        peer.bytes = (size_t)atoi(argv[used]);
    }
    if (peer.bytes < HEADERS + 8 || peer.bytes > FRAME_MAX) {
        fprintf(stderr, "net-peer: frames have %d to %d bytes\n", HEADERS + 8, FRAME_MAX);
        return 1;
    }
    build_frame(&peer);
    printf("ready\n");
    fflush(stdout);
    if (strcmp(argv[1], "source") == 0) {
        serve_source(&peer);
    }
    serve(&peer, strcmp(argv[1], "echo") == 0);
    return 0;
}
