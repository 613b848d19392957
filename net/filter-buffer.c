/* SPDX-License-Identifier: Apache-2.0 */
/* filter-buffer: keeps frames, and lets all go on together at the end of each interval. */
#include "net/filter.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/timer.h"

/* More than this is not kept: frames are dropped then. */
#define MAX_KEPT_BYTES (16u << 20)

typedef struct Kept {
    bool from_backend;
    NetOffload offload;
    size_t size;
    uint8_t data[];
} Kept;

typedef struct BufferFilter {
    NetFilter parent_obj;
    uint32_t interval; /* microseconds */
    Timer *timer;
    GQueue kept;
    size_t bytes;
} BufferFilter;

static bool buffer_receive(NetFilter *filter, NetClient *from, const NetPacket *packet)
{
    BufferFilter *buffer = (BufferFilter *)filter;
    Kept *kept;

    if (packet->size > MAX_KEPT_BYTES - buffer->bytes) {
        return true;
    }
    kept = g_malloc(sizeof(*kept) + packet->size);
    kept->from_backend = from == filter->nc;
    kept->offload = packet->offload;
    kept->size = iov_to_buf(packet->iov, packet->n, 0, kept->data, packet->size);
    g_queue_push_tail(&buffer->kept, kept);
    buffer->bytes += kept->size;
    return true;
}

/* Those that come while these go on wait for the next interval. */
static void release(BufferFilter *buffer)
{
    NetClient *nc = buffer->parent_obj.nc;

    for (guint n = buffer->kept.length; n && buffer->kept.length; n--) {
        g_autofree Kept *kept = g_queue_pop_head(&buffer->kept);
        const struct iovec iov = { kept->data, kept->size };
        const NetPacket packet = { .iov = &iov, .n = 1, .size = kept->size,
                                   .offload = kept->offload };

        buffer->bytes -= kept->size;
        if (nc->peer) {
            net_filter_pass_on(&buffer->parent_obj, kept->from_backend ? nc : nc->peer, &packet);
        }
    }
}

static void arm(BufferFilter *buffer)
{
    timer_mod(buffer->timer, vm_clock_ns(VM_CLOCK_VIRTUAL) + buffer->interval * NS_PER_US);
}

static void interval_over(void *opaque)
{
    BufferFilter *buffer = opaque;

    release(buffer);
    arm(buffer);
}

static void buffer_switched(NetFilter *filter, bool on)
{
    BufferFilter *buffer = (BufferFilter *)filter;

    if (on) {
        arm(buffer);
    } else {
        timer_del(buffer->timer);
        release(buffer);
    }
}

static bool buffer_complete(Object *obj, GError **error)
{
    BufferFilter *buffer = (BufferFilter *)obj;

    if (!buffer->interval) {
        error_setf(error, "filter-buffer needs interval=MICROSECONDS, more than 0");
        return false;
    }
    buffer->timer = timer_new_virtual(interval_over, buffer);
    if (!buffer->parent_obj.off) {
        arm(buffer);
    }
    return true;
}

static void buffer_finalize(Object *obj)
{
    BufferFilter *buffer = (BufferFilter *)obj;

    if (buffer->parent_obj.nc) {
        release(buffer);
    }
    g_queue_clear_full(&buffer->kept, g_free);
    timer_free(buffer->timer);
}

static const Property buffer_properties[] = {
    PROP_UINT32("interval", BufferFilter, interval, 0, "microseconds between releases"),
    PROP_END,
};

static const NetFilterOps buffer_ops = {
    .receive = buffer_receive,
    .switched = buffer_switched,
};

static const UserObjectHooks buffer_hooks = {
    .complete = buffer_complete,
};

static const TypeInfo buffer_type = {
    .name = "filter-buffer",
    .parent = TYPE_NET_FILTER,
    .description = "keeps frames for a time",
    .instance_size = sizeof(BufferFilter),
    .user_creatable = true,
    .properties = buffer_properties,
    .instance_finalize = buffer_finalize,
    .hooks = &buffer_hooks,
    .ops = &buffer_ops,
};
QOM_TYPE(buffer_type);
