/* SPDX-License-Identifier: Apache-2.0 */
/* What PS/2 keyboard and mouse share: the byte queues. */
#include "hw/input/ps2.h"

#include <string.h>

#include "util/error.h"

bool ps2_queue_has_byte(const Ps2Queue *queue)
{
    return queue->reply_count || queue->event_count;
}

uint8_t ps2_queue_take(Ps2Queue *queue)
{
    if (queue->reply_count) {
        queue->last_byte = queue->replies[0];
        queue->reply_count--;
        memmove(queue->replies, queue->replies + 1, queue->reply_count);
        return queue->last_byte;
    }
    if (!queue->event_count) {
        return 0;
    }
    queue->last_byte = queue->events[queue->event_head];
    queue->event_head = (queue->event_head + 1) % PS2_EVENT_QUEUE;
    queue->event_count--;
    return queue->last_byte;
}

void ps2_queue_clear(Ps2Queue *queue)
{
    queue->event_head = queue->event_count = queue->reply_count = 0;
}

void ps2_queue_reply(Ps2Queue *queue, uint8_t byte)
{
    if (queue->reply_count < PS2_REPLY_QUEUE) {
        queue->replies[queue->reply_count++] = byte;
    }
}

bool ps2_queue_events(Ps2Queue *queue, const uint8_t *bytes, unsigned count)
{
    if (count > PS2_EVENT_QUEUE - (unsigned)queue->event_count) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned at = (queue->event_head + queue->event_count) % PS2_EVENT_QUEUE;

        queue->events[at] = bytes[i];
        queue->event_count++;
    }
    return true;
}

static bool queue_post_load(void *opaque, int version, GError **error)
{
    const Ps2Queue *queue = opaque;

    if (queue->event_head >= PS2_EVENT_QUEUE || queue->event_count > PS2_EVENT_QUEUE ||
        queue->reply_count > PS2_REPLY_QUEUE) {
        error_setf(error, "ps2: queue position %u, counts %u and %u out of range",
                   queue->event_head, queue->event_count, queue->reply_count);
        return false;
    }
    return true;
}

const VmState ps2_queue_vmstate = {
    .name = "ps2-queue",
    .version = 1,
    .minimum_version = 1,
    .post_load = queue_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_BUFFER(Ps2Queue, events),
        VMSTATE_U8(Ps2Queue, event_head),
        VMSTATE_U8(Ps2Queue, event_count),
        VMSTATE_BUFFER(Ps2Queue, replies),
        VMSTATE_U8(Ps2Queue, reply_count),
        VMSTATE_U8(Ps2Queue, last_byte),
        VMSTATE_END
    },
};
