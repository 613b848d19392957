/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user frontend for tests: a memfd as the guest's memory, and a driver's side of the rings.
 * It blocks; run it on a thread of its own. What fails fails the test, but for the _try functions.
 */
#ifndef VIREO_BLOCK_TESTS_VHOST_USER_FRONTEND_H
#define VIREO_BLOCK_TESTS_VHOST_USER_FRONTEND_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/vhost-user-proto.h"

#define FRONTEND_QUEUES 2
#define FRONTEND_QUEUE_SIZE 64
#define FRONTEND_MEMORY (4u << 20)
/* Where the memory stands for the guest, and for the frontend: neither is where it is mapped. */
#define FRONTEND_GUEST 0x40000000ull
#define FRONTEND_USER 0x7100000000ull
/* The rings are below. */
#define FRONTEND_DATA (1u << 20)

typedef struct Frontend {
    int socket, memfd;
    uint8_t *memory;
    struct vring rings[FRONTEND_QUEUES];
    uint16_t next_desc[FRONTEND_QUEUES], last_used[FRONTEND_QUEUES];
    int kick[FRONTEND_QUEUES], call[FRONTEND_QUEUES], err[FRONTEND_QUEUES];
    uint64_t features;
} Frontend;

void frontend_connect(Frontend *f, const char *path);
/* The memory, and the rings in it, stay. */
void frontend_disconnect(Frontend *f);
void frontend_reconnect(Frontend *f, const char *path);
void frontend_cleanup(Frontend *f);

void frontend_send(Frontend *f, uint32_t request, uint32_t flags, const void *payload,
                   uint32_t size, const int *fds, unsigned n_fds);
/* The reply's size, or -1: the server has hung up. fd (may be NULL): its descriptor, or -1. */
int frontend_receive(Frontend *f, VhostUserHeader *header, VhostUserPayload *payload, int *fd);
/* Ask, and take the reply's first 8 bytes. */
uint64_t frontend_ask(Frontend *f, uint32_t request);
/* Send what has no reply of its own, and expect an acknowledgement. */
void frontend_tell(Frontend *f, uint32_t request, const void *payload, uint32_t size,
                   const int *fds, unsigned n_fds);
void frontend_tell_u64(Frontend *f, uint32_t request, uint64_t value);
/* Has the server hung up (waits for its next word)? */
bool frontend_is_cut_off(Frontend *f);

/* Everything up to the first request: features with or without the event index, memory, queues. */
void frontend_negotiate(Frontend *f, uint64_t features);
void frontend_share_memory(Frontend *f);
void frontend_start_queue(Frontend *f, unsigned q);
void frontend_stop_queue(Frontend *f, unsigned q);

typedef struct FrontendBuffer {
    uint32_t offset, len; /* in the memory */
    bool write;           /* by the device */
} FrontendBuffer;
/* A chain, without a kick; indirect: its table stands at this offset of the memory (0: none). */
uint16_t frontend_add(Frontend *f, unsigned q, const FrontendBuffer *buffers, unsigned n,
                      uint32_t indirect);
void frontend_kick(Frontend *f, unsigned q);
/* Wait for the next used entry. */
struct vring_used_elem frontend_wait(Frontend *f, unsigned q);
/* Wait until the server says that the queue is broken. */
void frontend_wait_err(Frontend *f, unsigned q);

/* A block device's request, with the data at FRONTEND_DATA + at; returns its status. */
uint8_t frontend_block(Frontend *f, unsigned q, uint32_t type, uint64_t sector, uint32_t at,
                       uint32_t len);

#endif
