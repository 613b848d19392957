/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon's statistics (5.5.6.3). The driver gives one buffer with what it knows; the device
 * keeps it, and asks for new values by giving it back.
 */
#include "hw/misc/virtio-balloon.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

#define STAT_SIZE 10u       /* le16 tag, le64 value */
#define STATS_IN_BUFFER 64u /* more are not looked at */

G_STATIC_ASSERT(BALLOON_STATS == VIRTIO_BALLOON_S_NR);

static const char *const stat_names[BALLOON_STATS] = {
    [VIRTIO_BALLOON_S_SWAP_IN] = "stat-swap-in",
    [VIRTIO_BALLOON_S_SWAP_OUT] = "stat-swap-out",
    [VIRTIO_BALLOON_S_MAJFLT] = "stat-major-faults",
    [VIRTIO_BALLOON_S_MINFLT] = "stat-minor-faults",
    [VIRTIO_BALLOON_S_MEMFREE] = "stat-free-memory",
    [VIRTIO_BALLOON_S_MEMTOT] = "stat-total-memory",
    [VIRTIO_BALLOON_S_AVAIL] = "stat-available-memory",
    [VIRTIO_BALLOON_S_CACHES] = "stat-disk-caches",
    [VIRTIO_BALLOON_S_HTLB_PGALLOC] = "stat-htlb-pgalloc",
    [VIRTIO_BALLOON_S_HTLB_PGFAIL] = "stat-htlb-pgfail",
};

void balloon_reset_stats(VirtioBalloon *balloon)
{
    memset(balloon->stats, 0xff, sizeof(balloon->stats));
}

static void read_stats(VirtioBalloon *balloon, const VirtQueueElement *element)
{
    uint8_t bytes[STAT_SIZE * STATS_IN_BUFFER];
    size_t n = iov_to_buf(element->out, element->n_out, 0, bytes, sizeof(bytes)) / STAT_SIZE;

    balloon_reset_stats(balloon);
    for (size_t i = 0; i < n; i++) {
        uint16_t tag = ldw_le(bytes + i * STAT_SIZE);

        if (tag < BALLOON_STATS) {
            balloon->stats[tag] = ldq_le(bytes + i * STAT_SIZE + 2);
        }
    }
    balloon->stats_time = g_get_real_time() / G_USEC_PER_SEC;
}

static void ask_later(VirtioBalloon *balloon)
{
    if (balloon->poll_interval) {
        timer_mod(balloon->timer, vm_clock_ns(VM_CLOCK_VIRTUAL) +
                                  balloon->poll_interval * NS_PER_SEC);
    }
}

static void give_back(BalloonQueue *queue)
{
    virtqueue_push(&queue->queue->vq, g_steal_pointer(&queue->element), 0);
    virtio_queue_notify(queue->queue);
}

/* A second buffer, which a driver should not give, sends the first one back. */
void balloon_handle_stats(VirtioDevice *dev, VirtioQueue *vq)
{
    VirtioBalloon *balloon = (VirtioBalloon *)dev;
    BalloonQueue *queue = &balloon->stats_queue;

    if (queue->element && virtqueue_enable_kicks(&vq->vq)) {
        give_back(queue);
    }
    if (queue->element || !balloon_take(queue)) {
        return;
    }
    read_stats(balloon, queue->element);
    ask_later(balloon);
    virtio_queue_schedule(vq); /* to ask for the next kick */
}

void balloon_poll(void *opaque)
{
    VirtioBalloon *balloon = opaque;

    if (balloon->stats_queue.element && virtio_queue_is_running(balloon->stats_queue.queue)) {
        give_back(&balloon->stats_queue);
    } else {
        ask_later(balloon);
    }
}

/* ---- Properties ---- */

bool balloon_set_interval(Object *obj, const Property *prop, json_object *value, GError **error)
{
    int64_t *field = (int64_t *)(void *)((char *)obj + prop->offset);
    VirtioBalloon *balloon = (VirtioBalloon *)(void *)((char *)field -
                                                       offsetof(VirtioBalloon, poll_interval));
    int64_t interval;

    if (!prop->kind->set(obj, prop, &interval, value, error)) {
        return false;
    }
    if (interval < 0) {
        error_setf(error, "timer value must be greater than zero");
        return false;
    }
    if (interval > UINT32_MAX) {
        error_setf(error, "timer value is too big");
        return false;
    }
    balloon->poll_interval = interval;
    if (balloon->timer && interval) {
        timer_mod(balloon->timer, vm_clock_ns(VM_CLOCK_VIRTUAL)); /* the first is asked for now */
    } else if (balloon->timer) {
        timer_del(balloon->timer);
    }
    return true;
}

static json_object *get_stats(Object *obj, const Property *prop, const void *field)
{
    const VirtioBalloon *balloon = (const VirtioBalloon *)(const void *)
                                   ((const char *)field - offsetof(VirtioBalloon, stats));
    json_object *stats = json_object_new_object();
    json_object *result = json_object_new_object();

    for (unsigned i = 0; i < BALLOON_STATS; i++) {
        json_object_object_add(stats, stat_names[i], json_object_new_uint64(balloon->stats[i]));
    }
    json_object_object_add(result, "stats", stats);
    json_object_object_add(result, "last-update", json_object_new_int64(balloon->stats_time));
    return result;
}

const PropertyKind balloon_prop_stats = {
    .type_name = "guest statistics",
    .json_type = "any",
    .get = get_stats,
};
