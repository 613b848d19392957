/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are out while the machine is saved: each its queue's number and its element. */
#include "hw/virtio/virtio-internal.h"
#include "util/bits.h"
#include "util/error.h"

/* Half of what a device may have, so that its queues and the rest of the model have room too. */
#define REQUESTS_MAX (VIRTIO_SAVED_MAX / 2)

const VmState virtio_saved_vmstate = {
    .name = "virtio requests",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(VirtioSaved, len),
        VMSTATE_VBUFFER(VirtioSaved, data, len, REQUESTS_MAX),
        VMSTATE_END
    },
};

void virtio_saved_clear(VirtioSaved *saved)
{
    g_clear_pointer(&saved->data, g_free);
    saved->len = saved->at = 0;
}

void virtio_saved_add(VirtioSaved *saved, VirtioQueue *queue, const void *element)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint8_t number[2];

    stw_be(number, (uint16_t)queue->index);
    g_byte_array_append(bytes, number, sizeof(number));
    virtqueue_save_element(&queue->vq, element, bytes);
    if (bytes->len > REQUESTS_MAX - saved->len) {
        virtio_device_break(queue->dev, queue, "too many requests wait to be saved");
        queue->dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
        return;
    }
    saved->data = g_realloc(saved->data, saved->len + bytes->len);
    memcpy(saved->data + saved->len, bytes->data, bytes->len);
    saved->len += bytes->len;
}

bool virtio_saved_more(const VirtioSaved *saved)
{
    return saved->at < saved->len;
}

void *virtio_saved_take(VirtioSaved *saved, VirtioDevice *dev, size_t size, VirtioQueue **queue,
                        GError **error)
{
    size_t left = saved->len - saved->at, used = 0;
    const uint8_t *data = saved->data + saved->at;
    void *element = NULL;

    *queue = left < 2 ? NULL : virtio_queue(dev, ldw_be(data));
    if (*queue) {
        element = virtqueue_load_element(&(*queue)->vq, size, data + 2, left - 2, &used);
    }
    if (!element) {
        error_setf(error, "%s: a saved request makes no sense", dev->ops->name);
        return NULL;
    }
    saved->at += 2 + (uint32_t)used;
    return element;
}
