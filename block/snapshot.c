/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots inside images: one image. */
#include "block/snapshot.h"

#include <errno.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "block/io.h"
#include "util/error.h"
#include "util/timer.h"

BlockNode *block_snapshot_image(BlockNode *node)
{
    node = block_skip_filters(node);
    while (!node->driver->snapshot_create && !node->driver->is_format && node->file &&
           node->file->node->driver->is_format) {
        node = block_skip_filters(node->file->node);
    }
    return node;
}

bool block_snapshot_possible(BlockNode *node, GError **error)
{
    BlockNode *image = block_snapshot_image(node);

    if (block_node_is_read_only(image)) {
        error_setf(error, "Node '%s' is read only", node->name);
    } else if (!image->driver->snapshot_create) {
        error_setf(error, "Block format '%s' used by device '%s' does not support internal "
                   "snapshots", image->driver->name, node->name);
    } else {
        return true;
    }
    return false;
}

/* ---- Calling the driver ---- */

typedef struct Call {
    BlockNode *node;
    BlockSnapshot *snapshot;
    const char *id;
    bool (*by_id)(BlockNode *node, const char *id, GError **error);
    GPtrArray *list;
    GError **error;
    bool ok;
} Call;

static void call_create(void *opaque)
{
    Call *call = opaque;

    call->ok = call->node->driver->snapshot_create(call->node, call->snapshot, call->error);
}

static void call_by_id(void *opaque)
{
    Call *call = opaque;

    call->ok = call->by_id(call->node, call->id, call->error);
}

static void call_list(void *opaque)
{
    Call *call = opaque;

    call->list = call->node->driver->snapshot_list(call->node, call->error);
    call->ok = call->list;
}

/* Nothing is in flight above or in the image meanwhile. */
static bool run_drained(Call *call, BlockRunFn *fn)
{
    block_drain_begin(call->node);
    block_run(call->node, fn, call);
    block_drain_end(call->node);
    return call->ok;
}

GPtrArray *block_snapshot_list(BlockNode *node, GError **error)
{
    Call call = { .node = block_snapshot_image(node), .error = error };

    if (!call.node->driver->snapshot_list) {
        return g_ptr_array_new_with_free_func((GDestroyNotify)block_snapshot_free);
    }
    block_run(call.node, call_list, &call);
    return call.list;
}

bool block_snapshot_find(BlockNode *node, const char *id, const char *name, BlockSnapshot **found,
                         GError **error)
{
    g_autoptr(GPtrArray) list = block_snapshot_list(node, error);

    *found = NULL;
    for (guint i = 0; list && i < list->len; i++) {
        const BlockSnapshot *s = g_ptr_array_index(list, i);

        if ((!id || !strcmp(s->id, id)) && (!name || !strcmp(s->name, name))) {
            *found = g_ptr_array_steal_index(list, i);
            break;
        }
    }
    return list;
}

bool block_snapshot_create(BlockNode *node, BlockSnapshot *snapshot, GError **error)
{
    Call call = { .node = block_snapshot_image(node), .snapshot = snapshot, .error = error };

    return block_snapshot_possible(node, error) && run_drained(&call, call_create);
}

/* What was written since, and what is now, may differ anywhere. */
static void mark_all_dirty(BlockNode *node)
{
    DirtyBitmap *bitmap = NULL;

    while ((bitmap = block_dirty_bitmap_next(node, bitmap))) {
        if (block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_ENABLED) {
            block_dirty_bitmap_set(bitmap, 0, block_dirty_bitmap_size(bitmap));
        }
    }
}

bool block_snapshot_goto(BlockNode *node, const char *id, GError **error)
{
    Call call = { .node = block_snapshot_image(node), .id = id, .error = error };

    call.by_id = call.node->driver->snapshot_goto;
    if (!block_snapshot_possible(node, error) || !run_drained(&call, call_by_id)) {
        return false;
    }
    mark_all_dirty(call.node);
    return true;
}

bool block_snapshot_delete(BlockNode *node, const char *id, GError **error)
{
    Call call = { .node = block_snapshot_image(node), .id = id, .error = error };

    call.by_id = call.node->driver->snapshot_delete;
    return block_snapshot_possible(node, error) && run_drained(&call, call_by_id);
}

BlockSnapshot *block_snapshot_new(const char *name)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    BlockSnapshot *snapshot = g_new0(BlockSnapshot, 1);

    snapshot->id = g_strdup("");
    snapshot->name = name ? g_strdup(name) : g_date_time_format(now, "vm-%Y%m%d%H%M%S");
    snapshot->date_s = g_date_time_to_unix(now);
    snapshot->date_ns = (int64_t)g_date_time_get_microsecond(now) * 1000;
    snapshot->vm_clock_ns = vm_clock_ns(VM_CLOCK_VIRTUAL);
    snapshot->icount = -1;
    return snapshot;
}

/* ---- The machine's state ---- */

typedef struct StateRun {
    BlockNode *node;
    int64_t pos;
    BlockVec vec;
    size_t bytes;
    bool write;
    int result;
} StateRun;

static void run_state(void *opaque)
{
    StateRun *run = opaque;
    const BlockDriver *driver = run->node->driver;

    run->result = (run->write ? driver->save_vmstate : driver->load_vmstate)(
        run->node, run->pos, &run->vec, run->bytes);
}

static int state_request(BlockNode *node, int64_t pos, void *buf, size_t bytes, bool write)
{
    struct iovec iov = { buf, bytes };
    StateRun run = { .node = block_snapshot_image(node), .pos = pos, .bytes = bytes,
                     .vec = { .iov = &iov, .n = 1 }, .write = write };

    if (!run.node->driver->save_vmstate || !run.node->driver->load_vmstate) {
        return -ENOTSUP;
    }
    if (write && block_node_is_read_only(run.node)) {
        return -EPERM;
    }
    block_inc_in_flight(run.node);
    block_run(run.node, run_state, &run);
    block_dec_in_flight(run.node);
    return MIN(run.result, 0);
}

int block_vmstate_write(BlockNode *node, int64_t pos, const void *buf, size_t bytes)
{
    return state_request(node, pos, (void *)(uintptr_t)buf, bytes, true);
}

int block_vmstate_read(BlockNode *node, int64_t pos, void *buf, size_t bytes)
{
    return state_request(node, pos, buf, bytes, false);
}
