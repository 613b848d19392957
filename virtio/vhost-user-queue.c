/* SPDX-License-Identifier: Apache-2.0 */
/* Queues at work: kicks, taking chains, answering them. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/log.h"
#include "virtio/vhost-user-server.h"

static unsigned number_of(const VhostUserQueue *queue)
{
    return (unsigned)(queue - queue->server->queues);
}

/* Never waits: the descriptor is non-blocking, and what is lost is one of many at once. */
static void signal_event(int fd)
{
    uint64_t one = 1;

    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN) {
        log_guest_error("vhost-user: cannot signal an event: %s\n", g_strerror(errno));
    }
}

void vhost_user_queue_call(VhostUserQueue *queue)
{
    signal_event(queue->call_fd);
}

static void break_queue(VhostUserQueue *queue, const char *why)
{
    queue->broken = true;
    log_guest_error("vhost-user: queue %u stops: %s\n", number_of(queue), why);
    signal_event(queue->err_fd);
}

/* ---- Taking chains ---- */

static VhostUserElement *element_new(VhostUserQueue *queue, const VirtioChain *chain)
{
    VhostUserElement *element =
        g_malloc(sizeof(*element) + (chain->n_out + 2 * chain->n_in) * sizeof(struct iovec));

    *element = (VhostUserElement) {
        .queue = queue, .head = chain->head, .n_out = chain->n_out, .n_in = chain->n_in,
        .out = element->iov, .in = element->iov + chain->n_out,
        .written = element->iov + chain->n_out + chain->n_in,
    };
    memcpy(element->out, chain->iov, (chain->n_out + chain->n_in) * sizeof(struct iovec));
    memcpy(element->written, element->in, chain->n_in * sizeof(struct iovec));
    return element;
}

static bool take(VhostUserQueue *queue, uint16_t head)
{
    VhostUserServer *server = queue->server;
    const VirtioMemory memory = {
        .map = vhost_user_memory_map, .opaque = &server->memory,
    };
    int ret = split_ring_chain(&queue->ring, &memory, head, server->chain);
    VhostUserElement *element;

    if (ret < 0) {
        break_queue(queue, ret == -EFAULT  ? "a buffer outside of memory"
                           : ret == -E2BIG ? "a buffer in too many pieces"
                                           : "a chain that makes no sense");
        return false;
    }
    element = element_new(queue, server->chain);
    queue->in_flight++;
    server->in_flight++;
    server->pieces += element->n_out + element->n_in;
    server->ops->process(server->opaque, element);
    return true;
}

static bool may_process(const VhostUserQueue *queue)
{
    return queue->started && queue->enabled && !queue->broken && queue->ring.desc &&
           !queue->server->paused;
}

static bool has_room(const VhostUserQueue *queue)
{
    return queue->in_flight < queue->ring.size &&
           queue->server->pieces < VHOST_USER_MAX_PIECES;
}

/* True: go on when somebody kicks. False: something else will go on, or nothing. */
static bool take_some(VhostUserQueue *queue, unsigned *budget)
{
    int ret = 0;
    uint16_t head;

    split_ring_disable_kicks(&queue->ring);
    while (*budget && has_room(queue) && (ret = split_ring_next(&queue->ring, &head)) > 0) {
        --*budget;
        vhost_user_inflight_begin(queue, head);
        if (!take(queue, head)) {
            return false;
        }
    }
    if (ret < 0) {
        break_queue(queue, "an index that makes no sense");
        return false;
    }
    if (!has_room(queue)) {
        queue->server->stalled = true; /* an answer makes room */
        return false;
    }
    if (!*budget) {
        loop_bh_schedule(queue->again); /* others have a turn first */
    }
    return *budget > 0;
}

void vhost_user_queue_process(VhostUserQueue *queue)
{
    unsigned budget = queue->ring.size;

    if (may_process(queue) && vhost_user_memory_is_broken(&queue->server->memory)) {
        break_queue(queue, "its memory is gone");
    }
    while (may_process(queue) && take_some(queue, &budget) &&
           split_ring_enable_kicks(&queue->ring)) {
    }
}

static void kicked(void *opaque)
{
    VhostUserQueue *queue = opaque;
    uint64_t count;
    struct iovec iov = { &count, sizeof(count) };

    /* Whatever the frontend does to the descriptor, this does not wait. */
    if (preadv2(queue->kick_fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno != EAGAIN) {
        loop_set_fd(queue->server->loop, queue->kick_fd, NULL, NULL, NULL);
        break_queue(queue, "its kick descriptor is of no use");
    }
    vhost_user_queue_process(queue);
}

/* ---- Answers ---- */

static void log_written(const VhostUserElement *element, uint32_t written)
{
    const VhostUserQueue *queue = element->queue;
    const VhostUserMemory *memory = &queue->server->memory;
    size_t left = written;

    if (!(queue->server->features & BIT_ULL(VHOST_F_LOG_ALL))) {
        return;
    }
    for (unsigned i = 0; i < element->n_in && left; i++) {
        size_t len = MIN(left, element->written[i].iov_len);

        vhost_user_memory_log_host(memory, element->written[i].iov_base, len);
        left -= len;
    }
}

/* After pushing: the entry, and the index. */
static void log_used(const VhostUserQueue *queue)
{
    const SplitRing *ring = &queue->ring;
    uint16_t entry = (uint16_t)(ring->used_idx - 1) & (ring->size - 1);

    if ((queue->server->features & BIT_ULL(VHOST_F_LOG_ALL)) &&
        (queue->addr.flags & VHOST_USER_VRING_F_LOG)) {
        vhost_user_memory_log(&queue->server->memory, queue->addr.log, sizeof(struct vring_used));
        vhost_user_memory_log(&queue->server->memory,
                              queue->addr.log + offsetof(struct vring_used, ring[entry]),
                              sizeof(struct vring_used_elem));
    }
}

static void push(VhostUserQueue *queue, uint16_t head, uint32_t written)
{
    vhost_user_inflight_before_used(queue, head);
    split_ring_push(&queue->ring, head, written);
    vhost_user_inflight_after_used(queue, head);
    log_used(queue);
    if (split_ring_wants_interrupt(&queue->ring)) {
        vhost_user_queue_call(queue);
    }
}

void vhost_user_element_done(VhostUserElement *element, uint32_t written)
{
    VhostUserQueue *queue = element->queue;
    VhostUserServer *server = queue->server;

    log_written(element, written);
    if (queue->ring.used && !queue->broken) {
        push(queue, element->head, written);
    }
    queue->in_flight--;
    server->in_flight--;
    server->pieces -= element->n_out + element->n_in;
    g_free(element);
    if (server->stalled) {
        server->stalled = false;
        for (unsigned i = 0; i < server->n_queues; i++) {
            loop_bh_schedule(server->queues[i].again);
        }
    }
    if (server->idle_waiter) {
        coroutine_wake(g_steal_pointer(&server->idle_waiter));
    }
}

/* ---- Starting and stopping ---- */

static void wait_for_none(VhostUserServer *server, const unsigned *in_flight)
{
    while (*in_flight) {
        server->idle_waiter = coroutine_current();
        coroutine_yield();
    }
}

void vhost_user_queue_map(VhostUserQueue *queue)
{
    const VhostUserMemory *memory = &queue->server->memory;
    SplitRing *ring = &queue->ring;
    const VhostUserVringAddr *addr = &queue->addr;

    ring->desc = vhost_user_memory_map_user(memory, addr->desc, split_ring_desc_bytes(ring->size),
                                            16);
    ring->avail = vhost_user_memory_map_user(memory, addr->avail,
                                             split_ring_avail_bytes(ring->size), 2);
    ring->used = vhost_user_memory_map_user(memory, addr->used, split_ring_used_bytes(ring->size),
                                            4);
    if (!queue->has_addr || !ring->desc || !ring->avail || !ring->used) {
        ring->desc = NULL;
        ring->avail = NULL;
        ring->used = NULL;
    }
}

/* What our predecessor took and did not answer comes first. */
static void do_again(VhostUserQueue *queue)
{
    g_autoptr(GArray) heads = vhost_user_inflight_recover(queue);

    if (!heads) {
        return;
    }
    queue->ring.last_avail = (uint16_t)(queue->ring.used_idx + heads->len);
    for (guint i = 0; i < heads->len && !queue->broken; i++) {
        take(queue, g_array_index(heads, uint16_t, i));
    }
}

bool vhost_user_queue_start(VhostUserQueue *queue, GError **error)
{
    VhostUserServer *server = queue->server;

    if (!queue->ring.size) {
        error_setf(error, "queue %u starts without a size", number_of(queue));
        return false;
    }
    vhost_user_queue_map(queue);
    if (!queue->ring.desc) {
        error_setf(error, "queue %u starts with rings outside of memory", number_of(queue));
        return false;
    }
    queue->ring.event_idx = server->features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
    queue->ring.indirect = server->features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
    split_ring_start(&queue->ring);
    queue->broken = false;
    queue->started = true;
    if (!(server->features & BIT_ULL(VHOST_USER_F_PROTOCOL_FEATURES))) {
        queue->enabled = true;
    }
    queue->inflight = vhost_user_inflight_queue(server, queue);
    do_again(queue);
    loop_set_fd(server->loop, queue->kick_fd, kicked, NULL, queue);
    loop_bh_schedule(queue->again); /* there may be chains that nobody kicks for any more */
    return true;
}

void vhost_user_queue_stop(VhostUserQueue *queue)
{
    if (queue->started) {
        loop_set_fd(queue->server->loop, queue->kick_fd, NULL, NULL, NULL);
    }
    queue->started = false;
    wait_for_none(queue->server, &queue->in_flight);
    queue->inflight = NULL;
}

void vhost_user_server_pause(VhostUserServer *server)
{
    server->paused++;
    wait_for_none(server, &server->in_flight);
}

void vhost_user_server_resume(VhostUserServer *server)
{
    server->paused--;
    for (unsigned i = 0; i < server->n_queues; i++) {
        loop_bh_schedule(server->queues[i].again);
    }
}
