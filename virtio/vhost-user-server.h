/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user backend for any kind of device: what a frontend says becomes queues, and the queues'
 * chains become calls of the device.
 *
 * vhost_user_server_handle() takes one message and knows no socket; vhost_user_server_run() reads
 * messages from one until the frontend leaves. Everything runs on one loop's thread: messages in a
 * coroutine, kicks and the device's work between them. What would pull memory away from under a
 * request waits until none is in flight.
 *
 * The frontend is hostile: whatever makes no sense ends the connection, or, in a queue, stops that
 * queue (and tells by the queue's err descriptor).
 */
#ifndef VIREO_VIRTIO_VHOST_USER_SERVER_H
#define VIREO_VIRTIO_VHOST_USER_SERVER_H

#include "util/loop.h"
#include "virtio/split-ring.h"
#include "virtio/vhost-user-memory.h"

#define VHOST_USER_MAX_QUEUES 64
#define VHOST_USER_MAX_QUEUE_SIZE 1024
/* Pieces of memory of the chains in flight, roughly; more chains wait. */
#define VHOST_USER_MAX_PIECES 65536u
/* Descriptors with one message. */
#define VHOST_USER_MAX_FDS VHOST_USER_TABLE_REGIONS

typedef struct VhostUserServer VhostUserServer;
typedef struct VhostUserQueue VhostUserQueue;

/* A chain that the device works at. */
typedef struct VhostUserElement {
    VhostUserQueue *queue;
    uint16_t head;
    unsigned n_out, n_in;
    struct iovec *out, *in; /* the element's own, which may be changed */
    struct iovec *written;  /* `in` as it came */
    struct iovec iov[];
} VhostUserElement;

typedef struct VhostUserDeviceOps {
    /* Start work on it, and call vhost_user_element_done() in the end, now or later. */
    void (*process)(void *opaque, VhostUserElement *element);
    /* The driver's features are known. */
    void (*set_features)(void *opaque, uint64_t features);
    /* The configuration space; config has zeroes. */
    void (*get_config)(void *opaque, uint8_t config[VHOST_USER_CONFIG_MAX]);
    /* False: this cannot be written. */
    bool (*set_config)(void *opaque, uint32_t offset, const uint8_t *data, uint32_t len);
} VhostUserDeviceOps;

struct VhostUserQueue {
    VhostUserServer *server;
    SplitRing ring;
    VhostUserVringAddr addr;
    bool has_addr;
    bool enabled;
    bool started;           /* between SET_VRING_KICK and GET_VRING_BASE */
    bool broken;            /* the driver broke the ring */
    unsigned in_flight;
    int kick_fd, call_fd, err_fd; /* -1: none */
    LoopBh *again;          /* goes on with taking chains */
    VhostUserInflightQueue *inflight; /* in the frontend's memory; NULL: not used */
    uint64_t counter;       /* of chains, for their order */
};

struct VhostUserServer {
    /* Set by the owner. */
    const VhostUserDeviceOps *ops;
    void *opaque;
    uint64_t device_features; /* virtio's, without the ring's and the protocol's own */
    unsigned n_queues;

    Loop *loop;
    uint64_t features, protocol_features; /* negotiated */
    VhostUserMemory memory;
    VhostUserQueue queues[VHOST_USER_MAX_QUEUES];
    SharedMapping inflight;
    VhostUserInflight inflight_shape;
    int backend_fd;           /* for requests to the frontend, or -1 */
    unsigned paused;          /* take no chains */
    unsigned in_flight;
    unsigned pieces;          /* of memory, of the chains in flight */
    bool stalled;             /* a queue waits for room */
    struct Coroutine *idle_waiter;
    VirtioChain *chain;        /* where chains are put together */
};

/* loop: the current one. */
void vhost_user_server_init(VhostUserServer *server, Loop *loop);
/* In a coroutine: waits until nothing is in flight. */
void vhost_user_server_cleanup(VhostUserServer *server);

typedef struct VhostUserMessage {
    VhostUserHeader header;
    VhostUserPayload payload;
    int fds[VHOST_USER_MAX_FDS];
    unsigned n_fds;
} VhostUserMessage;

/*
 * In a coroutine. Takes the message's descriptors. False with the error set: the connection must
 * end. *reply: there is a reply, in message (its descriptors are the server's, to be sent and then
 * closed by the caller).
 */
bool vhost_user_server_handle(VhostUserServer *server, VhostUserMessage *message, bool *reply,
                              GError **error);
/* Serve a connected socket (borrowed) until the frontend leaves or breaks the rules. */
void vhost_user_server_run(VhostUserServer *server, int fd);

/* written: bytes at the beginning of what the device writes. Frees the element. */
void vhost_user_element_done(VhostUserElement *element, uint32_t written);
/* The configuration space has changed: tell the frontend, if it wants to hear of it. */
void vhost_user_server_config_changed(VhostUserServer *server);

/* ---- Between the server's files ---- */

/* Begin with what the frontend has set up; false: it makes no sense. */
bool vhost_user_queue_start(VhostUserQueue *queue, GError **error);
/* In a coroutine: take no more chains, and wait for those in flight. */
void vhost_user_queue_stop(VhostUserQueue *queue);
/* The rings' addresses again, in changed memory. */
void vhost_user_queue_map(VhostUserQueue *queue);
void vhost_user_queue_process(VhostUserQueue *queue);
void vhost_user_queue_call(VhostUserQueue *queue);
/* In a coroutine. */
void vhost_user_server_pause(VhostUserServer *server);
void vhost_user_server_resume(VhostUserServer *server);

/* Memory for so many queues; 0: too much. */
uint64_t vhost_user_inflight_size(const VhostUserInflight *shape);
/* A queue's part of it, if there is one that fits it; prepared. */
VhostUserInflightQueue *vhost_user_inflight_queue(VhostUserServer *server,
                                                  const VhostUserQueue *queue);
void vhost_user_inflight_begin(VhostUserQueue *queue, uint16_t head);
/* Around the change of used.idx. */
void vhost_user_inflight_before_used(VhostUserQueue *queue, uint16_t head);
void vhost_user_inflight_after_used(VhostUserQueue *queue, uint16_t head);
/*
 * A queue starts: the heads that somebody before us took and did not answer, in their order
 * (uint16_t). NULL: none.
 */
GArray *vhost_user_inflight_recover(VhostUserQueue *queue);

#endif
