/* SPDX-License-Identifier: Apache-2.0 */
/* The frontend's side of vhost-user: messages out, checked replies in. */
#include "virtio/vhost-user-client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/error.h"

#define MAX_FDS VHOST_USER_TABLE_REGIONS
/* Requests that a backend may make while we wait for it. */
#define MAX_REQUESTS 1024

/* As it goes over the socket. */
typedef struct __attribute__((packed)) Message {
    VhostUserHeader header;
    VhostUserPayload payload;
} Message;

/* ---- Failure ---- */

static bool fail(VhostUserClient *client, GError **error, const char *what)
{
    client->failed = true;
    error_setf(error, "vhost-user: %s", what);
    return false;
}

static bool fail_errno(VhostUserClient *client, GError **error, const char *what)
{
    int err = errno;

    client->failed = true;
    error_set_errno(error, err, "vhost-user: %s", what);
    return false;
}

/* ---- The socket ---- */

static int64_t deadline(void)
{
    return g_get_monotonic_time() + VHOST_USER_REPLY_MS * 1000LL;
}

/* Wait for the backend, and answer what it asks meanwhile: it may wait for that. */
static bool wait_for(VhostUserClient *client, short events, int64_t until, GError **error)
{
    for (unsigned asked = 0; asked < MAX_REQUESTS;) {
        struct pollfd fds[] = { { .fd = client->fd, .events = events },
                                { .fd = client->requests_over ? -1 : client->requests,
                                  .events = POLLIN } };
        int64_t left = until - g_get_monotonic_time();
        int ready = left > 0 ? poll(fds, 2, (int)(left / 1000) + 1) : 0;

        if (ready == 0) {
            client->timed_out = true;
            return fail(client, error, "the backend does not answer");
        }
        if (ready < 0 && errno != EINTR) {
            return fail_errno(client, error, "cannot wait for the backend");
        }
        if (ready > 0 && fds[0].revents) {
            return true;
        }
        if (ready > 0 && fds[1].revents) {
            vhost_user_client_handle_requests(client);
            asked++;
        }
    }
    return fail(client, error, "the backend asks without end");
}

static bool send_bytes(VhostUserClient *client, const Message *message, const int *fds,
                       size_t n_fds, GError **error)
{
    char control[CMSG_SPACE(MAX_FDS * sizeof(int))] = { 0 };
    size_t total = sizeof(message->header) + message->header.size, done = 0;
    int64_t until = deadline();

    while (done < total) {
        struct iovec iov = { (uint8_t *)message + done, total - done };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (n_fds && !done) {
            struct cmsghdr *c;

            header.msg_control = control;
            header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
            c = CMSG_FIRSTHDR(&header);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
            memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        n = sendmsg(client->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (!wait_for(client, POLLOUT, until, error)) {
                return false;
            }
        } else if (n == 0 || errno != EINTR) {
            return fail_errno(client, error, "the backend takes no messages");
        }
    }
    return true;
}

/* At most one descriptor is of use; the others are closed. */
static void take_fds(struct msghdr *header, int *fd)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        size_t n = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS
                       ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

        for (size_t i = 0; i < n; i++) {
            int got;

            memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
            if (fd && *fd < 0) {
                *fd = got;
            } else {
                close(got);
            }
        }
    }
}

static bool receive_bytes(VhostUserClient *client, void *buf, size_t len, int *fd, GError **error)
{
    char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
    int64_t until = deadline();

    while (len) {
        struct iovec iov = { buf, len };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(client->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n > 0) {
            take_fds(&header, fd);
            buf = (uint8_t *)buf + n;
            len -= (size_t)n;
        } else if (n == 0) {
            return fail(client, error, "the backend has closed the connection");
        } else if (errno == EAGAIN) {
            if (!wait_for(client, POLLIN, until, error)) {
                return false;
            }
        } else if (errno != EINTR) {
            return fail_errno(client, error, "cannot read from the backend");
        }
    }
    return true;
}

/* A reply of this size. fd: where a descriptor goes; NULL: none is expected. */
static bool receive_reply(VhostUserClient *client, uint32_t request, Message *reply, uint32_t size,
                          int *fd, GError **error)
{
    if (!receive_bytes(client, &reply->header, sizeof(reply->header), fd, error)) {
        return false;
    }
    if (reply->header.request != request || reply->header.size != size ||
        (reply->header.flags & (VHOST_USER_FLAG_VERSION | VHOST_USER_FLAG_REPLY)) !=
        (VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY)) {
        g_autofree char *what =
            g_strdup_printf("the backend answers request %u with %u, flags 0x%x, %u bytes", request,
                            reply->header.request, reply->header.flags, reply->header.size);

        return fail(client, error, what);
    }
    return receive_bytes(client, &reply->payload, size, fd, error);
}

static bool send_message(VhostUserClient *client, uint32_t request, uint32_t flags,
                         Message *message, uint32_t size, const int *fds, size_t n_fds,
                         GError **error)
{
    if (client->failed) {
        error_setf(error, "vhost-user: the backend has gone");
        return false;
    }
    message->header = (VhostUserHeader) {
        .request = request, .flags = VHOST_USER_VERSION | flags, .size = size,
    };
    return send_bytes(client, message, fds, n_fds, error);
}

/* A request that has no answer, but a result if the backend can give one. */
static bool tell(VhostUserClient *client, uint32_t request, Message *message, uint32_t size,
                 const int *fds, size_t n_fds, GError **error)
{
    bool acked = vhost_user_client_has(client, VHOST_USER_PROTOCOL_F_REPLY_ACK);
    Message reply;

    if (!send_message(client, request, acked ? VHOST_USER_FLAG_NEED_REPLY : 0, message, size, fds,
                      n_fds, error)) {
        return false;
    }
    if (!acked) {
        return true;
    }
    if (!receive_reply(client, request, &reply, sizeof(reply.payload.u64), NULL, error)) {
        return false;
    }
    if (reply.payload.u64) {
        g_autofree char *what = g_strdup_printf("the backend refuses request %u", request);

        return fail(client, error, what);
    }
    return true;
}

static bool tell_u64(VhostUserClient *client, uint32_t request, uint64_t value, GError **error)
{
    Message message = { .payload.u64 = value };

    return tell(client, request, &message, sizeof(message.payload.u64), NULL, 0, error);
}

static bool ask_u64(VhostUserClient *client, uint32_t request, uint64_t *value, GError **error)
{
    Message message;

    if (!send_message(client, request, 0, &message, 0, NULL, 0, error) ||
        !receive_reply(client, request, &message, sizeof(message.payload.u64), NULL, error)) {
        return false;
    }
    *value = message.payload.u64;
    return true;
}

/* ---- The backend's channel ---- */

/* All that is taken is that the configuration changed; its messages fit one read. */
static bool handle_request(VhostUserClient *client)
{
    Message message = { 0 };
    struct iovec iov = { &message, sizeof(message) };
    char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
    struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof(control) };
    ssize_t n;

    iov.iov_len = sizeof(message.header);
    n = recvmsg(client->requests, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n > 0) {
        take_fds(&header, NULL);
    }
    if (n != sizeof(message.header) || message.header.size > sizeof(message.payload) ||
        (message.header.size && recv(client->requests, &message.payload, message.header.size,
                                     MSG_DONTWAIT) != (ssize_t)message.header.size)) {
        client->requests_over = true;
        return false;
    }
    client->config_changed |= message.header.request == VHOST_USER_BACKEND_CONFIG_CHANGE;
    if (message.header.flags & VHOST_USER_FLAG_NEED_REPLY) {
        message.payload.u64 = message.header.request != VHOST_USER_BACKEND_CONFIG_CHANGE;
        message.header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
        message.header.size = sizeof(message.payload.u64);
        (void)!send(client->requests, &message, sizeof(message.header) + message.header.size,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return true;
}

void vhost_user_client_handle_requests(VhostUserClient *client)
{
    for (unsigned n = 0; n < MAX_REQUESTS && !client->requests_over; n++) {
        if (!handle_request(client)) {
            return;
        }
    }
}

static bool open_channel(VhostUserClient *client, GError **error)
{
    Message message;
    int sockets[2];
    bool ok;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0) {
        error_set_errno(error, errno, "vhost-user: cannot make a socket");
        return false;
    }
    ok = tell(client, VHOST_USER_SET_BACKEND_REQ_FD, &message, 0, &sockets[1], 1, error);
    close(sockets[1]);
    if (!ok) {
        close(sockets[0]);
        return false;
    }
    client->requests = sockets[0];
    return true;
}

/* ---- Negotiation ---- */

static bool negotiate_protocol(VhostUserClient *client, uint64_t wanted, GError **error)
{
    uint64_t offered;

    wanted |= BIT_ULL(VHOST_USER_PROTOCOL_F_MQ) | BIT_ULL(VHOST_USER_PROTOCOL_F_REPLY_ACK);
    if (!ask_u64(client, VHOST_USER_GET_PROTOCOL_FEATURES, &offered, error)) {
        return false;
    }
    offered &= wanted;
    /* Before this is sent nothing can be acknowledged. */
    if (!tell_u64(client, VHOST_USER_SET_PROTOCOL_FEATURES, offered, error)) {
        return false;
    }
    client->protocol_features = offered;
    return true;
}

static bool ask_queues(VhostUserClient *client, GError **error)
{
    uint64_t n;

    if (!vhost_user_client_has(client, VHOST_USER_PROTOCOL_F_MQ)) {
        return true;
    }
    if (!ask_u64(client, VHOST_USER_GET_QUEUE_NUM, &n, error)) {
        return false;
    }
    if (!n) {
        return fail(client, error, "the backend has no queues");
    }
    client->max_queues = (unsigned)MIN(n, VHOST_USER_MAX_QUEUES);
    return true;
}

static bool shake_hands(VhostUserClient *client, uint64_t wanted, GError **error)
{
    Message message;

    if (!ask_u64(client, VHOST_USER_GET_FEATURES, &client->vhost.features, error)) {
        return false;
    }
    if ((client->vhost.features & BIT_ULL(VHOST_USER_F_PROTOCOL_FEATURES)) &&
        (!negotiate_protocol(client, wanted, error) || !ask_queues(client, error))) {
        return false;
    }
    if (vhost_user_client_has(client, VHOST_USER_PROTOCOL_F_BACKEND_REQ) &&
        !open_channel(client, error)) {
        return false;
    }
    return tell(client, VHOST_USER_SET_OWNER, &message, 0, NULL, 0, error);
}

/* ---- VhostOps ---- */

static bool user_set_features(Vhost *vhost, uint64_t features, GError **error)
{
    VhostUserClient *client = (VhostUserClient *)vhost;

    features |= vhost->features & BIT_ULL(VHOST_USER_F_PROTOCOL_FEATURES);
    return tell_u64(client, VHOST_USER_SET_FEATURES, features, error);
}

static bool user_set_memory(Vhost *vhost, const VhostRegion *regions, unsigned n, GError **error)
{
    VhostUserClient *client = (VhostUserClient *)vhost;
    Message message = { .payload.table.n = n };
    int fds[VHOST_USER_TABLE_REGIONS];

    g_assert(n <= VHOST_USER_TABLE_REGIONS);
    for (unsigned i = 0; i < n; i++) {
        message.payload.table.regions[i] = (VhostUserRegion) {
            .guest_addr = regions[i].guest_addr, .size = regions[i].size,
            .user_addr = (uintptr_t)regions[i].host, .mmap_offset = regions[i].fd_offset,
        };
        fds[i] = regions[i].fd;
    }
    return tell(client, VHOST_USER_SET_MEM_TABLE, &message,
                offsetof(VhostUserMemTable, regions) + n * (uint32_t)sizeof(VhostUserRegion), fds,
                n, error);
}

static bool set_state(VhostUserClient *client, uint32_t request, unsigned queue, uint32_t value,
                      GError **error)
{
    Message message = { .payload.state = { .index = queue, .num = value } };

    return tell(client, request, &message, sizeof(message.payload.state), NULL, 0, error);
}

static bool set_event(VhostUserClient *client, uint32_t request, unsigned queue, int fd,
                      GError **error)
{
    Message message = { .payload.u64 = queue | (fd < 0 ? VHOST_USER_VRING_NO_FD : 0) };

    return tell(client, request, &message, sizeof(message.payload.u64), &fd, fd >= 0, error);
}

static bool user_enable_ring(Vhost *vhost, unsigned queue, bool on, GError **error)
{
    VhostUserClient *client = (VhostUserClient *)vhost;

    /* Without that feature rings are born enabled. */
    return !(vhost->features & BIT_ULL(VHOST_USER_F_PROTOCOL_FEATURES)) ||
           set_state(client, VHOST_USER_SET_VRING_ENABLE, queue, on, error);
}

static bool user_start_ring(Vhost *vhost, unsigned queue, const VhostRing *ring, GError **error)
{
    VhostUserClient *client = (VhostUserClient *)vhost;
    Message message = { .payload.addr = {
        .index = queue, .desc = (uintptr_t)ring->desc, .used = (uintptr_t)ring->used,
        .avail = (uintptr_t)ring->avail,
    } };

    return set_state(client, VHOST_USER_SET_VRING_NUM, queue, ring->size, error) &&
           set_state(client, VHOST_USER_SET_VRING_BASE, queue, ring->base, error) &&
           tell(client, VHOST_USER_SET_VRING_ADDR, &message, sizeof(message.payload.addr), NULL, 0,
                error) &&
           set_event(client, VHOST_USER_SET_VRING_CALL, queue, ring->call, error) &&
           set_event(client, VHOST_USER_SET_VRING_KICK, queue, ring->kick, error);
}

static bool user_stop_ring(Vhost *vhost, unsigned queue, uint16_t *base, GError **error)
{
    VhostUserClient *client = (VhostUserClient *)vhost;
    Message message = { .payload.state = { .index = queue } };

    if (!send_message(client, VHOST_USER_GET_VRING_BASE, 0, &message,
                      sizeof(message.payload.state), NULL, 0, error) ||
        !receive_reply(client, VHOST_USER_GET_VRING_BASE, &message, sizeof(message.payload.state),
                       NULL, error)) {
        return false;
    }
    if (message.payload.state.index != queue || message.payload.state.num > UINT16_MAX) {
        return fail(client, error, "the backend gives another queue's place");
    }
    *base = (uint16_t)message.payload.state.num;
    return true;
}

static const VhostOps user_ops = {
    .set_features = user_set_features,
    .set_memory = user_set_memory,
    .start_ring = user_start_ring,
    .stop_ring = user_stop_ring,
    .enable_ring = user_enable_ring,
};

/* ---- Devices ---- */

bool vhost_user_client_get_config(VhostUserClient *client, uint8_t *config, uint32_t len,
                                  GError **error)
{
    Message message = { .payload.config = { .size = len } };
    uint32_t size = offsetof(VhostUserConfig, data) + len;

    g_assert(len <= VHOST_USER_CONFIG_MAX);
    if (!send_message(client, VHOST_USER_GET_CONFIG, 0, &message, size, NULL, 0, error) ||
        !receive_reply(client, VHOST_USER_GET_CONFIG, &message, size, NULL, error)) {
        return false;
    }
    memcpy(config, message.payload.config.data, len);
    return true;
}

bool vhost_user_client_set_config(VhostUserClient *client, const uint8_t *data, uint32_t offset,
                                  uint32_t len, GError **error)
{
    Message message = { .payload.config = { .offset = offset, .size = len } };

    g_assert(len <= VHOST_USER_CONFIG_MAX);
    memcpy(message.payload.config.data, data, len);
    return tell(client, VHOST_USER_SET_CONFIG, &message, offsetof(VhostUserConfig, data) + len,
                NULL, 0, error);
}

bool vhost_user_client_announce(VhostUserClient *client, const uint8_t mac[6], GError **error)
{
    Message message = { 0 };

    memcpy(&message.payload.u64, mac, 6);
    return tell(client, VHOST_USER_SEND_RARP, &message, sizeof(message.payload.u64), NULL, 0,
                error);
}

bool vhost_user_client_share_inflight(VhostUserClient *client, VhostUserInflightMemory *memory,
                                      uint16_t n_queues, uint16_t queue_size, GError **error)
{
    Message message = { .payload.inflight = { .n_queues = n_queues, .queue_size = queue_size } };

    if (!vhost_user_client_has(client, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)) {
        return true;
    }
    if (memory->fd < 0) {
        if (!send_message(client, VHOST_USER_GET_INFLIGHT_FD, 0, &message,
                          sizeof(message.payload.inflight), NULL, 0, error) ||
            !receive_reply(client, VHOST_USER_GET_INFLIGHT_FD, &message,
                           sizeof(message.payload.inflight), &memory->fd, error)) {
            return false;
        }
        if (memory->fd < 0) {
            return fail(client, error, "the backend gives no memory for what is in flight");
        }
        memory->place = message.payload.inflight;
        memory->place.n_queues = n_queues;
        memory->place.queue_size = queue_size;
    }
    message.payload.inflight = memory->place;
    return tell(client, VHOST_USER_SET_INFLIGHT_FD, &message, sizeof(message.payload.inflight),
                &memory->fd, 1, error);
}

/* ---- Life ---- */

VhostUserClient *vhost_user_client_new(int fd, uint64_t wanted, GError **error)
{
    VhostUserClient *client = g_new0(VhostUserClient, 1);

    client->vhost.ops = &user_ops;
    client->vhost.max_regions = VHOST_USER_TABLE_REGIONS;
    client->vhost.needs_fds = true;
    client->fd = fd;
    client->requests = -1;
    client->max_queues = 1;
    if (!shake_hands(client, wanted, error)) {
        vhost_user_client_free(client);
        return NULL;
    }
    return client;
}

void vhost_user_client_free(VhostUserClient *client)
{
    if (!client) {
        return;
    }
    if (client->requests >= 0) {
        close(client->requests);
    }
    g_free(client);
}
