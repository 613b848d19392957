/* SPDX-License-Identifier: Apache-2.0 */
#include "block/tests/vhost-user-frontend.h"

#include <errno.h>
#include <glib.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/bits.h"

/* ---- The connection ---- */

void frontend_reconnect(Frontend *f, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    g_assert_cmpuint(strlen(path), <, sizeof(addr.sun_path));
    strcpy(addr.sun_path, path);
    f->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(f->socket, >=, 0);
    while (connect(f->socket, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        g_assert_true(errno == EINTR || errno == ECONNREFUSED || errno == ENOENT);
        g_usleep(1000);
    }
}

void frontend_connect(Frontend *f, const char *path)
{
    memset(f, 0, sizeof(*f));
    f->memfd = memfd_create("guest", MFD_CLOEXEC);
    g_assert_cmpint(f->memfd, >=, 0);
    g_assert_cmpint(ftruncate(f->memfd, FRONTEND_MEMORY), ==, 0);
    f->memory = mmap(NULL, FRONTEND_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
    g_assert_true(f->memory != MAP_FAILED);
    for (unsigned q = 0; q < FRONTEND_QUEUES; q++) {
        vring_init(&f->rings[q], FRONTEND_QUEUE_SIZE, f->memory + q * 64 * KiB, 4096);
        f->kick[q] = eventfd(0, EFD_CLOEXEC);
        f->call[q] = eventfd(0, EFD_CLOEXEC);
        f->err[q] = eventfd(0, EFD_CLOEXEC);
    }
    frontend_reconnect(f, path);
}

void frontend_disconnect(Frontend *f)
{
    close(f->socket);
    f->socket = -1;
}

void frontend_cleanup(Frontend *f)
{
    frontend_disconnect(f);
    for (unsigned q = 0; q < FRONTEND_QUEUES; q++) {
        close(f->kick[q]);
        close(f->call[q]);
        close(f->err[q]);
    }
    munmap(f->memory, FRONTEND_MEMORY);
    close(f->memfd);
}

/* ---- Messages ---- */

void frontend_send(Frontend *f, uint32_t request, uint32_t flags, const void *payload,
                   uint32_t size, const int *fds, unsigned n_fds)
{
    VhostUserHeader header = { request, flags, size };
    char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
    struct iovec iov[] = { { &header, sizeof(header) }, { (void *)payload, payload ? size : 0 } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

    if (n_fds) {
        struct cmsghdr *c;

        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    if (sendmsg(f->socket, &msg, MSG_NOSIGNAL) < 0) {
        g_assert_true(errno == EPIPE || errno == ECONNRESET); /* the reader notices */
    }
}

static bool read_all(int fd, void *buf, size_t len, int *passed)
{
    while (len) {
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { buf, len };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
                              .msg_control = control, .msg_controllen = sizeof(control) };
        ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

        if (got <= 0) {
            return false;
        }
        if (c && passed) {
            memcpy(passed, CMSG_DATA(c), sizeof(int));
        }
        buf = (uint8_t *)buf + got;
        len -= (size_t)got;
    }
    return true;
}

int frontend_receive(Frontend *f, VhostUserHeader *header, VhostUserPayload *payload, int *fd)
{
    if (fd) {
        *fd = -1;
    }
    if (!read_all(f->socket, header, sizeof(*header), fd)) {
        return -1;
    }
    g_assert_cmpuint(header->flags, ==, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY);
    g_assert_cmpuint(header->size, <=, sizeof(*payload));
    g_assert_true(read_all(f->socket, payload, header->size, NULL));
    return (int)header->size;
}

uint64_t frontend_ask(Frontend *f, uint32_t request)
{
    VhostUserHeader header;
    VhostUserPayload payload;

    frontend_send(f, request, VHOST_USER_VERSION, NULL, 0, NULL, 0);
    g_assert_cmpint(frontend_receive(f, &header, &payload, NULL), ==, sizeof(uint64_t));
    g_assert_cmpuint(header.request, ==, request);
    return payload.u64;
}

void frontend_tell(Frontend *f, uint32_t request, const void *payload, uint32_t size,
                   const int *fds, unsigned n_fds)
{
    VhostUserHeader header;
    VhostUserPayload ack;

    frontend_send(f, request, VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY, payload, size, fds,
                  n_fds);
    g_assert_cmpint(frontend_receive(f, &header, &ack, NULL), ==, sizeof(uint64_t));
    g_assert_cmpuint(header.request, ==, request);
    g_assert_cmpuint(ack.u64, ==, 0);
}

void frontend_tell_u64(Frontend *f, uint32_t request, uint64_t value)
{
    frontend_tell(f, request, &value, sizeof(value), NULL, 0);
}

bool frontend_is_cut_off(Frontend *f)
{
    char byte;

    return recv(f->socket, &byte, 1, 0) <= 0;
}

/* ---- Setting up ---- */

void frontend_negotiate(Frontend *f, uint64_t features)
{
    uint64_t protocol;

    f->features = features | BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VHOST_USER_F_PROTOCOL_FEATURES);
    g_assert_cmphex(frontend_ask(f, VHOST_USER_GET_FEATURES) & f->features, ==, f->features);
    protocol = frontend_ask(f, VHOST_USER_GET_PROTOCOL_FEATURES);
    g_assert_true(protocol & BIT_ULL(VHOST_USER_PROTOCOL_F_REPLY_ACK));
    frontend_send(f, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_VERSION, &protocol,
                  sizeof(protocol), NULL, 0);
    frontend_send(f, VHOST_USER_SET_OWNER, VHOST_USER_VERSION, NULL, 0, NULL, 0);
    frontend_tell_u64(f, VHOST_USER_SET_FEATURES, f->features);
}

void frontend_share_memory(Frontend *f)
{
    VhostUserMemTable table = {
        .n = 1, .regions = { { FRONTEND_GUEST, FRONTEND_MEMORY, FRONTEND_USER, 0 } },
    };

    frontend_tell(f, VHOST_USER_SET_MEM_TABLE, &table,
                  offsetof(VhostUserMemTable, regions[1]), &f->memfd, 1);
}

void frontend_start_queue(Frontend *f, unsigned q)
{
    VhostUserVringState size = { q, FRONTEND_QUEUE_SIZE };
    VhostUserVringState base = { q, f->rings[q].used->idx };
    VhostUserVringState on = { q, 1 };
    VhostUserVringAddr addr = {
        .index = q,
        .desc = FRONTEND_USER + (uint64_t)((uint8_t *)f->rings[q].desc - f->memory),
        .avail = FRONTEND_USER + (uint64_t)((uint8_t *)f->rings[q].avail - f->memory),
        .used = FRONTEND_USER + (uint64_t)((uint8_t *)f->rings[q].used - f->memory),
    };
    uint64_t index = q;

    frontend_tell(f, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), NULL, 0);
    frontend_tell(f, VHOST_USER_SET_VRING_BASE, &base, sizeof(base), NULL, 0);
    frontend_tell(f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
    frontend_tell(f, VHOST_USER_SET_VRING_ERR, &index, sizeof(index), &f->err[q], 1);
    frontend_tell(f, VHOST_USER_SET_VRING_CALL, &index, sizeof(index), &f->call[q], 1);
    frontend_tell(f, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), &f->kick[q], 1);
    frontend_tell(f, VHOST_USER_SET_VRING_ENABLE, &on, sizeof(on), NULL, 0);
}

void frontend_stop_queue(Frontend *f, unsigned q)
{
    VhostUserVringState state = { q, 0 };
    VhostUserHeader header;
    VhostUserPayload reply;

    frontend_send(f, VHOST_USER_GET_VRING_BASE, VHOST_USER_VERSION, &state, sizeof(state), NULL, 0);
    g_assert_cmpint(frontend_receive(f, &header, &reply, NULL), ==, sizeof(state));
    g_assert_cmpuint(reply.state.num, ==, f->rings[q].avail->idx);
}

/* ---- The driver ---- */

uint16_t frontend_add(Frontend *f, unsigned q, const FrontendBuffer *buffers, unsigned n,
                      uint32_t indirect)
{
    struct vring *ring = &f->rings[q];
    uint16_t head = f->next_desc[q], avail = ring->avail->idx;
    struct vring_desc *table = indirect ? (struct vring_desc *)(f->memory + indirect) : ring->desc;
    uint16_t first = indirect ? 0 : head;

    for (unsigned i = 0; i < n; i++) {
        uint16_t at = (uint16_t)(first + i) % FRONTEND_QUEUE_SIZE;

        table[at] = (struct vring_desc) {
            .addr = FRONTEND_GUEST + buffers[i].offset, .len = buffers[i].len,
            .flags = (buffers[i].write ? VRING_DESC_F_WRITE : 0) |
                     (i + 1 < n ? VRING_DESC_F_NEXT : 0),
            .next = (uint16_t)(at + 1) % FRONTEND_QUEUE_SIZE,
        };
    }
    if (indirect) {
        ring->desc[head] = (struct vring_desc) {
            .addr = FRONTEND_GUEST + indirect, .len = n * (uint32_t)sizeof(struct vring_desc),
            .flags = VRING_DESC_F_INDIRECT,
        };
    }
    f->next_desc[q] = (uint16_t)(head + (indirect ? 1 : n)) % FRONTEND_QUEUE_SIZE;
    ring->avail->ring[avail % FRONTEND_QUEUE_SIZE] = head;
    __atomic_store_n(&ring->avail->idx, avail + 1, __ATOMIC_RELEASE);
    return head;
}

void frontend_kick(Frontend *f, unsigned q)
{
    uint64_t one = 1;

    g_assert_cmpint(write(f->kick[q], &one, sizeof(one)), ==, sizeof(one));
}

static void wait_event(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };
    uint64_t count;

    while (poll(&p, 1, -1) < 0) {
    }
    /* The server has made it non-blocking. */
    g_assert_true(read(fd, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN);
}

struct vring_used_elem frontend_wait(Frontend *f, unsigned q)
{
    struct vring *ring = &f->rings[q];

    /* Event index: tell us of the next one. */
    vring_used_event(ring) = f->last_used[q];
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    while (__atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE) == f->last_used[q]) {
        wait_event(f->call[q]);
    }
    return ring->used->ring[f->last_used[q]++ % FRONTEND_QUEUE_SIZE];
}

void frontend_wait_err(Frontend *f, unsigned q)
{
    wait_event(f->err[q]);
}

uint8_t frontend_block(Frontend *f, unsigned q, uint32_t type, uint64_t sector, uint32_t at,
                       uint32_t len)
{
    uint32_t base = FRONTEND_DATA / 2 + q * 4096;
    bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    FrontendBuffer buffers[3] = {
        { base, sizeof(struct virtio_blk_outhdr), false },
        { FRONTEND_DATA + at, len, in },
        { base + 512, 1, true },
    };
    struct virtio_blk_outhdr *header = (struct virtio_blk_outhdr *)(f->memory + base);
    struct vring_used_elem used;
    uint16_t head;

    *header = (struct virtio_blk_outhdr) { .type = type, .sector = sector };
    f->memory[base + 512] = 0xff;
    if (!len) {
        buffers[1] = buffers[2];
    }
    head = frontend_add(f, q, buffers, len ? 3 : 2, 0);
    frontend_kick(f, q);
    used = frontend_wait(f, q);
    g_assert_cmpuint(used.id, ==, head);
    g_assert_cmpuint(used.len, ==, (in ? len : 0) + 1);
    return f->memory[base + 512];
}
