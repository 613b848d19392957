/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ringbuf backend: memory that keeps the last SIZE bytes written, for QMP's ringbuf-read.
 * Bytes that ringbuf-write adds go into the same memory, as QEMU has it; the frontend gets no
 * input.
 */
#include "chardev/ringbuf.h"

#include <string.h>

#include "chardev/backend.h"
#include "util/error.h"

#define MAX_SIZE (1u << 30)

typedef struct RingbufChardev {
    Chardev parent;
    uint64_t size;
    uint8_t *data;
    uint64_t prod, cons; /* ever written, ever taken; prod - cons <= size */
} RingbufChardev;

static int ringbuf_write(Chardev *chr, const uint8_t *buf, int len)
{
    RingbufChardev *ring = (RingbufChardev *)chr;

    for (int i = 0; i < len; i++) {
        ring->data[ring->prod++ & (ring->size - 1)] = buf[i];
    }
    if (ring->prod - ring->cons > ring->size) {
        ring->cons = ring->prod - ring->size;
    }
    return len;
}

static RingbufChardev *find_ringbuf(const char *id, GError **error)
{
    Chardev *chr = chardev_find(id, error);

    if (chr && !object_is_a(chr, TYPE_CHARDEV_RINGBUF)) {
        error_setf(error, "chardev '%s' is not a ring buffer", id);
        return NULL;
    }
    return (RingbufChardev *)chr;
}

bool chardev_ringbuf_write(const char *id, const uint8_t *buf, size_t len, GError **error)
{
    RingbufChardev *ring = find_ringbuf(id, error);

    if (!ring) {
        return false;
    }
    g_mutex_lock(&ring->parent.lock);
    while (len) {
        int part = MIN(len, 1 << 20);

        ringbuf_write(&ring->parent, buf, part);
        buf += part;
        len -= part;
    }
    g_mutex_unlock(&ring->parent.lock);
    return true;
}

GByteArray *chardev_ringbuf_read(const char *id, int64_t max, GError **error)
{
    RingbufChardev *ring = find_ringbuf(id, error);
    GByteArray *out;
    uint64_t count;

    if (!ring) {
        return NULL;
    }
    if (max <= 0) {
        error_setf(error, "size must be greater than zero");
        return NULL;
    }
    out = g_byte_array_new();
    g_mutex_lock(&ring->parent.lock);
    count = MIN((uint64_t)max, ring->prod - ring->cons);
    g_byte_array_set_size(out, count);
    for (uint64_t i = 0; i < count; i++) {
        out->data[i] = ring->data[ring->cons++ & (ring->size - 1)];
    }
    g_mutex_unlock(&ring->parent.lock);
    return out;
}

static bool ringbuf_open(Chardev *chr, GError **error)
{
    RingbufChardev *ring = (RingbufChardev *)chr;

    if (!ring->size || (ring->size & (ring->size - 1)) || ring->size > MAX_SIZE) {
        error_setf(error, "option 'size': %" PRIu64 " is not a power of two up to 1 GiB",
                   ring->size);
        return false;
    }
    ring->data = g_malloc0(ring->size);
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void ringbuf_finalize(Object *obj)
{
    g_free(((RingbufChardev *)obj)->data);
}

static const Property ringbuf_properties[] = {
    PROP_SIZE("size", RingbufChardev, size, 65536, "bytes kept, a power of two"),
    PROP_END,
};

static const ChardevOps ringbuf_ops = {
    .backend = "ringbuf",
    .alias = "memory",
    .open = ringbuf_open,
    .write = ringbuf_write,
};

static const TypeInfo ringbuf_type = {
    .name = TYPE_CHARDEV_RINGBUF,
    .parent = TYPE_CHARDEV,
    .description = "memory that keeps the last output, for QMP",
    .instance_size = sizeof(RingbufChardev),
    .properties = ringbuf_properties,
    .instance_finalize = ringbuf_finalize,
    .ops = &ringbuf_ops,
};
QOM_TYPE(ringbuf_type);
