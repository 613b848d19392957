/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was taken and not answered, kept in the frontend's memory, so that whoever serves after us
 * does it again: the protocol's chapter "Inflight I/O tracking". We publish batches of one.
 */
#include "util/bits.h"
#include "virtio/vhost-user-server.h"

#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
/* Another process reads it after our death: the order of the stores counts. */
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

static uint64_t queue_bytes(uint16_t size)
{
    return ROUND_UP(sizeof(VhostUserInflightQueue) + size * sizeof(VhostUserInflightDesc),
                    VHOST_USER_INFLIGHT_ALIGN);
}

uint64_t vhost_user_inflight_size(const VhostUserInflight *shape)
{
    return shape->n_queues > VHOST_USER_MAX_QUEUES ||
                   shape->queue_size > VHOST_USER_MAX_QUEUE_SIZE
               ? 0 : shape->n_queues * queue_bytes(shape->queue_size);
}

VhostUserInflightQueue *vhost_user_inflight_queue(VhostUserServer *server,
                                                  const VhostUserQueue *queue)
{
    const VhostUserInflight *shape = &server->inflight_shape;
    size_t index = (size_t)(queue - server->queues);
    VhostUserInflightQueue *part;

    if (!server->inflight.data || index >= shape->n_queues ||
        queue->ring.size > shape->queue_size) {
        return NULL;
    }
    part = (VhostUserInflightQueue *)(server->inflight.data +
                                      index * queue_bytes(shape->queue_size));
    if (LOAD(part->version) != VHOST_USER_INFLIGHT_VERSION ||
        LOAD(part->size) != queue->ring.size) {
        memset(part, 0, queue_bytes(queue->ring.size));
        part->features = server->features;
        part->size = queue->ring.size;
        part->used_idx = queue->ring.used_idx;
        STORE(part->version, VHOST_USER_INFLIGHT_VERSION);
    }
    return part;
}

void vhost_user_inflight_begin(VhostUserQueue *queue, uint16_t head)
{
    if (queue->inflight) {
        STORE(queue->inflight->desc[head].counter, queue->counter++);
        STORE(queue->inflight->desc[head].inflight, 1);
    }
}

void vhost_user_inflight_before_used(VhostUserQueue *queue, uint16_t head)
{
    if (queue->inflight) {
        STORE(queue->inflight->desc[head].next, LOAD(queue->inflight->last_batch_head));
        STORE(queue->inflight->last_batch_head, head);
    }
}

void vhost_user_inflight_after_used(VhostUserQueue *queue, uint16_t head)
{
    if (queue->inflight) {
        STORE(queue->inflight->desc[head].inflight, 0);
        STORE(queue->inflight->used_idx, queue->ring.used_idx);
    }
}

typedef struct Taken {
    uint64_t counter;
    uint16_t head;
} Taken;

static int compare_counters(gconstpointer a, gconstpointer b)
{
    const Taken *left = a, *right = b;

    return left->counter < right->counter ? -1 : left->counter > right->counter;
}

/* Our predecessor may have died between showing a batch and taking its marks away. */
static void finish_last_batch(VhostUserQueue *queue)
{
    VhostUserInflightQueue *part = queue->inflight;
    uint16_t batch = (uint16_t)(queue->ring.used_idx - LOAD(part->used_idx));
    uint16_t head = LOAD(part->last_batch_head);

    for (unsigned i = 0; i < batch && i < queue->ring.size && head < queue->ring.size; i++) {
        STORE(part->desc[head].inflight, 0);
        head = LOAD(part->desc[head].next);
    }
    STORE(part->used_idx, queue->ring.used_idx);
}

GArray *vhost_user_inflight_recover(VhostUserQueue *queue)
{
    g_autoptr(GArray) taken = NULL;
    GArray *heads;

    if (!queue->inflight) {
        return NULL;
    }
    finish_last_batch(queue);
    taken = g_array_new(false, false, sizeof(Taken));
    for (uint16_t head = 0; head < queue->ring.size; head++) {
        if (LOAD(queue->inflight->desc[head].inflight) == 1) {
            Taken one = { LOAD(queue->inflight->desc[head].counter), head };

            g_array_append_val(taken, one);
        }
    }
    g_array_sort(taken, compare_counters);
    heads = g_array_new(false, false, sizeof(uint16_t));
    for (guint i = 0; i < taken->len; i++) {
        g_array_append_val(heads, g_array_index(taken, Taken, i).head);
        queue->counter = g_array_index(taken, Taken, i).counter + 1;
    }
    return heads;
}
