/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user protocol from the frontend's side, over a connected UNIX socket.
 *
 * The backend is hostile: each reply's request, flags and size must be the expected ones, and come
 * within VHOST_USER_REPLY_MS. What goes wrong ends the conversation: `failed` is set, and every
 * later call fails at once.
 */
#ifndef VIREO_VIRTIO_VHOST_USER_CLIENT_H
#define VIREO_VIRTIO_VHOST_USER_CLIENT_H

#include "virtio/vhost-user-proto.h"
#include "virtio/vhost-backend.h"

/* Longer than any backend needs; the VM may stand still so long, once. */
#define VHOST_USER_REPLY_MS 5000
/* No frontend here has a use for more. */
#define VHOST_USER_MAX_QUEUES 256

typedef struct VhostUserClient {
    Vhost vhost;                /* first */
    int fd;                     /* the socket, borrowed */
    int requests;               /* our end of the backend's channel; -1: it has none */
    uint64_t protocol_features;
    unsigned max_queues;
    bool failed;
    bool timed_out;             /* that is why */
    bool requests_over;         /* the backend's channel is not listened to any more */
    bool config_changed;        /* the backend said so since this was last cleared */
} VhostUserClient;

/*
 * Memory in which a backend notes what it has taken and not answered, kept for the next one after
 * its death.
 */
typedef struct VhostUserInflightMemory {
    int fd;                     /* owned; -1: there is none yet */
    VhostUserInflight place;
} VhostUserInflightMemory;

/*
 * Asks for the backend's features. wanted: VHOST_USER_PROTOCOL_F_* bits that the caller can use
 * besides those that this file needs itself. NULL: no conversation came about.
 */
VhostUserClient *vhost_user_client_new(int fd, uint64_t wanted, GError **error);
void vhost_user_client_free(VhostUserClient *client);
/* Take what came over the backend's channel (client->requests is readable). */
void vhost_user_client_handle_requests(VhostUserClient *client);

static inline bool vhost_user_client_has(const VhostUserClient *client, unsigned feature)
{
    return client->protocol_features >> feature & 1;
}

/* The device's configuration space, for VHOST_USER_PROTOCOL_F_CONFIG; len <= 256. */
bool vhost_user_client_get_config(VhostUserClient *client, uint8_t *config, uint32_t len,
                                  GError **error);
bool vhost_user_client_set_config(VhostUserClient *client, const uint8_t *data, uint32_t offset,
                                  uint32_t len, GError **error);
/* For VHOST_USER_PROTOCOL_F_RARP: have the switch learn where this address is. */
bool vhost_user_client_announce(VhostUserClient *client, const uint8_t mac[6], GError **error);

/* For VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD: the memory goes to the backend, which makes it. */
bool vhost_user_client_share_inflight(VhostUserClient *client, VhostUserInflightMemory *memory,
                                      uint16_t n_queues, uint16_t queue_size, GError **error);

#endif
