/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2: the driver's table, opening and closing. See qcow2.h for how it is built.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/dirty-bitmap.h"
#include "block/open.h"
#include "block/qcow2/bitmap.h"
#include "block/codec/pool.h"
#include "block/qcow2/crypto.h"
#include "block/qcow2/settings.h"
#include "block/qcow2/snapshot.h"
#include "util/bits.h"
#include "util/error.h"

#define REFCOUNT_SLICE (4 * KiB)

/* ---- Caches ---- */

static void sweep_caches(void *opaque)
{
    Qcow2 *q = opaque;

    table_cache_sweep(&q->l2_cache);
    table_cache_sweep(&q->refcount_cache);
    timer_mod(q->clean_timer, vm_clock_ns(VM_CLOCK_REALTIME) +
              (int64_t)q->settings.sizes.clean_interval * NS_PER_SEC);
}

static void start_sweeping(Qcow2 *q, Loop *loop)
{
    if (q->settings.sizes.clean_interval && loop) {
        q->clean_timer = timer_new(loop, VM_CLOCK_REALTIME, sweep_caches, q);
        timer_mod(q->clean_timer, vm_clock_ns(VM_CLOCK_REALTIME) +
                  (int64_t)q->settings.sizes.clean_interval * NS_PER_SEC);
    }
}

static void stop_sweeping(Qcow2 *q)
{
    g_clear_pointer(&q->clean_timer, timer_free);
}

static unsigned slices(uint64_t bytes, uint64_t slice)
{
    return (unsigned)CLAMP(bytes / slice, 2, UINT32_MAX / 4);
}

static void start_caches(Qcow2 *q)
{
    const Qcow2CacheSizes *sizes = &q->settings.sizes;
    uint64_t refcount_slice = MIN(REFCOUNT_SLICE, q->cluster_size);

    q->slice_bits = (unsigned)__builtin_ctzll(sizes->l2_entry / q->l2_entry_size);
    table_cache_init(&q->l2_cache, &q->node->file, sizes->l2_entry,
                     slices(sizes->l2, sizes->l2_entry), qcow2_write_back, q);
    table_cache_init(&q->refcount_cache, &q->node->file, refcount_slice,
                     slices(sizes->refcount, refcount_slice), qcow2_write_refcounts, q);
}

/* ---- Opening ---- */

static bool open_data_file(Qcow2 *q, unsigned flags, GError **error)
{
    BlockChild *child = NULL;

    q->data_file = q->node->file;
    for (guint i = 0; i < q->node->children->len; i++) {
        BlockChild *c = g_ptr_array_index(q->node->children, i);

        child = !strcmp(c->name, "data-file") ? c : child;
    }
    if (!qcow2_has_data_file(q)) {
        if (child) {
            error_setf(error, "'data-file' can only be set for images with an external data file");
        }
        return !child;
    }
    if (!child && (flags & BLOCK_OPEN_NO_BACKING) && (flags & BLOCK_OPEN_NO_IO)) {
        return true;
    }
    if (!child && !q->data_file_name) {
        error_setf(error, "'data-file' is required for this image");
        return false;
    }
    if (!child) {
        child = block_open_header_child(q->node, "data-file", BLOCK_ROLE_DATA, q->data_file_name,
                                        NULL, error);
    }
    q->data_file = child ? child : q->node->file;
    return child;
}

static bool clear_unknown_autoclear(Qcow2 *q, unsigned flags, GError **error)
{
    uint64_t unknown = q->autoclear & ~QCOW2_AUTOCLEAR_KNOWN;
    int ret;

    if (!unknown || block_node_is_read_only(q->node) || (flags & BLOCK_OPEN_INACTIVE)) {
        return true;
    }
    q->autoclear &= QCOW2_AUTOCLEAR_KNOWN;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not clear unknown autoclear feature bits");
    }
    return ret >= 0;
}

/* A damaged image may be looked at, but not written; one that was not closed is repaired. */
static bool make_usable(Qcow2 *q, unsigned flags, GError **error)
{
    if (block_node_is_read_only(q->node) || (flags & (BLOCK_OPEN_CHECK | BLOCK_OPEN_INACTIVE))) {
        return true;
    }
    if (q->incompatible & QCOW2_INCOMPAT_CORRUPT) {
        error_setf(error, "qcow2: Image is corrupt; cannot be opened read/write");
        return false;
    }
    return !(q->incompatible & QCOW2_INCOMPAT_DIRTY) || qcow2_repair_dirty(q, error);
}

static bool load(Qcow2 *q, const BlockdevOptionsQcow2 *options, unsigned flags, GError **error)
{
    int64_t file_size;

    if (!qcow2_header_read(q, flags, error) ||
        !qcow2_settings_read(q, options, q->node->mode.discard_unmap, &q->settings, error)) {
        return false;
    }
    start_caches(q);
    q->codecs = codec_pool_new(q->compression_type ? CODEC_ZSTD : CODEC_DEFLATE);
    if (!open_data_file(q, flags, error) || !qcow2_crypto_open(q, options->encrypt, flags, error) ||
        !qcow2_snapshots_read(q, flags, error)) {
        return false;
    }
    file_size = block_getlength(q->node->file->node);
    q->file_end = file_size < 0 ? INT64_MAX : file_size;
    q->node->size = q->disk_size;
    if (!make_usable(q, flags, error) || !clear_unknown_autoclear(q, flags, error)) {
        return false;
    }
    return (flags & (BLOCK_OPEN_CHECK | BLOCK_OPEN_NO_IO | BLOCK_OPEN_INACTIVE |
                     BLOCK_OPEN_NO_BITMAPS)) ||
           qcow2_bitmaps_open(q, error);
}

static void unload(Qcow2 *q)
{
    stop_sweeping(q);
    qcow2_snapshots_free(q);
    g_clear_pointer(&q->crypto, crypto_block_free);
    g_clear_pointer(&q->codecs, codec_pool_free);
    g_clear_pointer(&q->metadata, g_hash_table_unref);
    table_cache_cleanup(&q->l2_cache);
    table_cache_cleanup(&q->refcount_cache);
    qcow2_header_cleanup(q);
    g_clear_pointer(&q->freed, g_array_unref);
    g_clear_pointer(&q->draining, g_array_unref);
}

static void start(Qcow2 *q, BlockNode *node)
{
    *q = (Qcow2) { .node = node };
    co_mutex_init(&q->lock);
    co_mutex_init(&q->header_lock);
    q->freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Freed));
    q->draining = g_array_new(FALSE, FALSE, sizeof(Qcow2Freed));
}

static void stop(Qcow2 *q)
{
    unload(q);
    co_mutex_cleanup(&q->lock);
    co_mutex_cleanup(&q->header_lock);
}

static bool qcow2_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                       GError **error)
{
    Qcow2 *q = node->opaque;

    start(q, node);
    if (!load(q, &options->u.qcow2, flags, error)) {
        stop(q);
        g_clear_pointer(&node->header_backing_file, g_free);
        g_clear_pointer(&node->header_backing_format, g_free);
        return false;
    }
    q->inactive = flags & BLOCK_OPEN_INACTIVE;
    start_sweeping(q, node->loop);
    node->zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    node->truncate_flags = BLOCK_REQ_ZERO_WRITE;
    return true;
}

static void settle_for_close(void *opaque)
{
    Qcow2 *q = opaque;
    g_autoptr(GError) error = NULL;
    int ret;

    if (!qcow2_bitmaps_save(q, &error)) {
        error_report("%s; they are inconsistent now", error->message);
    }
    ret = qcow2_settle(q);
    if (ret < 0) {
        error_report("qcow2: could not write the metadata of '%s' on closing: %s",
                     q->node->filename, g_strerror(-ret));
    }
}

static void qcow2_close(BlockNode *node)
{
    Qcow2 *q = node->opaque;

    if (!block_node_is_read_only(node) && !q->inactive && !q->tmp_snapshot) {
        block_run(node, settle_for_close, q);
    }
    stop(q);
}

static int qcow2_flush_to_os(BlockNode *node)
{
    Qcow2 *q = node->opaque;
    int ret;

    co_mutex_lock(&q->lock);
    ret = q->freed->len || q->draining->len || q->stale_flags ? qcow2_flush_all(q)
                                                              : qcow2_write_back(q);
    co_mutex_unlock(&q->lock);
    return ret;
}

static int qcow2_inactivate(BlockNode *node)
{
    Qcow2 *q = node->opaque;
    int ret = 0;

    if (!block_node_is_read_only(node)) {
        ret = qcow2_bitmaps_save(q, NULL) ? qcow2_settle(q) : -EIO;
    }
    if (ret >= 0) {
        q->inactive = true;
        qcow2_bitmaps_forget(q);
    }
    return ret;
}

/* Another process has written: read everything again. */
static bool qcow2_activate(BlockNode *node, GError **error)
{
    g_autoptr(BlockdevOptions) options = NULL;
    Qcow2 *q = node->opaque;

    if (!BlockdevOptions_from_json(node->options, QAPI_JSON, &options, error)) {
        return false;
    }
    unload(q);
    g_clear_pointer(&node->header_backing_file, g_free);
    g_clear_pointer(&node->header_backing_format, g_free);
    stop(q);
    return qcow2_open(node, options, node->open_flags & ~(unsigned)BLOCK_OPEN_INACTIVE, error);
}

/* ---- Reopening ---- */

static bool qcow2_reopen_prepare(BlockReopen *reopen, GError **error)
{
    Qcow2 *q = reopen->node->opaque;
    g_autofree Qcow2Settings *settings = g_new0(Qcow2Settings, 1);

    if (!qcow2_settings_read(q, &reopen->options->u.qcow2, reopen->node->mode.discard_unmap,
                             settings, error)) {
        return false;
    }
    if (!reopen->read_only && (q->incompatible & QCOW2_INCOMPAT_CORRUPT)) {
        error_setf(error, "qcow2: Image is corrupt; cannot be opened read/write");
        return false;
    }
    if (!block_node_is_read_only(reopen->node)) {
        int ret;

        if (reopen->read_only && !qcow2_bitmaps_save(q, error)) {
            return false;
        }
        ret = qcow2_settle(q);
        if (ret < 0) {
            error_set_errno(error, -ret, "Could not flush the qcow2 metadata");
            return false;
        }
    }
    reopen->opaque = g_steal_pointer(&settings);
    return true;
}

static void qcow2_reopen_commit(BlockReopen *reopen)
{
    Qcow2 *q = reopen->node->opaque;
    Qcow2Settings *settings = reopen->opaque;
    bool same_slices = settings->sizes.l2_entry == q->settings.sizes.l2_entry;

    stop_sweeping(q);
    q->settings = *settings;
    qcow2_bitmaps_reopened(q, reopen->read_only);
    if (!same_slices) {
        table_cache_cleanup(&q->l2_cache);
        table_cache_cleanup(&q->refcount_cache);
        start_caches(q);
    } else {
        table_cache_set_max(&q->l2_cache, slices(settings->sizes.l2, settings->sizes.l2_entry));
        table_cache_set_max(&q->refcount_cache,
                            slices(settings->sizes.refcount, q->refcount_cache.slice_size));
    }
    g_clear_pointer(&q->metadata, g_hash_table_unref);
    start_sweeping(q, reopen->node->loop);
    g_free(settings);
}

static void qcow2_reopen_abort(BlockReopen *reopen)
{
    Qcow2 *q = reopen->node->opaque;

    /* They were stored, and change again from now on. */
    qcow2_bitmaps_reopened(q, block_node_is_read_only(q->node));
    g_free(reopen->opaque);
}

/* ---- Loops and limits ---- */

static void qcow2_detach_loop(BlockNode *node)
{
    stop_sweeping(node->opaque);
}

static void qcow2_attach_loop(BlockNode *node, Loop *loop)
{
    start_sweeping(node->opaque, loop);
}

static void qcow2_refresh_limits(BlockNode *node)
{
    Qcow2 *q = node->opaque;

    if (q->crypt_method) {
        node->limits.request_alignment = CRYPTO_BLOCK_SECTOR;
    }
    node->limits.write_zeroes_alignment = 1u << q->sub_bits;
    node->limits.discard_alignment = q->cluster_size;
}

static int qcow2_get_info(BlockNode *node, BlockNodeInfo *info)
{
    Qcow2 *q = node->opaque;

    info->cluster_size = q->cluster_size;
    info->vm_state_offset = qcow2_vm_state_offset(q);
    info->is_encrypted = q->crypt_method;
    info->is_dirty = q->incompatible & QCOW2_INCOMPAT_DIRTY;
    info->unallocated_reads_zero = true;
    return 0;
}

/* What is not allocated reads as zeroes; what is preallocated, as the file says. */
static bool qcow2_has_zero_init(BlockNode *node)
{
    Qcow2 *q = node->opaque;
    Qcow2Run run = { .type = QCOW2_UNALLOCATED };

    if (qcow2_lookup(q, 0, MAX(q->disk_size, 1), false, &run) < 0) {
        return false;
    }
    return run.type != QCOW2_NORMAL ||
           (!q->crypt_method && block_has_zero_init(q->data_file->node));
}

static const BlockChildSpec qcow2_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { "backing", BLOCK_ROLE_COW },
    { "data-file", BLOCK_ROLE_DATA },
    { NULL },
};

static const char *const qcow2_strong_options[] = { "encrypt", "data-file", NULL };

static const BlockDriver qcow2_driver = {
    .name = "qcow2",
    .kind = BLOCKDEV_DRIVER_QCOW2,
    .instance_size = sizeof(Qcow2),
    .is_format = true,
    .supports_backing = true,
    .children = qcow2_children,
    .strong_options = qcow2_strong_options,
    .probe = qcow2_probe,
    .open = qcow2_open,
    .close = qcow2_close,
    .reopen_prepare = qcow2_reopen_prepare,
    .reopen_commit = qcow2_reopen_commit,
    .reopen_abort = qcow2_reopen_abort,
    .inactivate = qcow2_inactivate,
    .activate = qcow2_activate,
    .refresh_limits = qcow2_refresh_limits,
    .detach_loop = qcow2_detach_loop,
    .attach_loop = qcow2_attach_loop,
    .preadv = qcow2_preadv,
    .pwritev = qcow2_pwritev,
    .pwrite_zeroes = qcow2_pwrite_zeroes,
    .pdiscard = qcow2_pdiscard,
    .pwritev_compressed = qcow2_pwritev_compressed,
    .copy_range_from = qcow2_copy_range_from,
    .copy_range_to = qcow2_copy_range_to,
    .block_status = qcow2_block_status,
    .peek = block_peek_by_status,
    .flush_to_os = qcow2_flush_to_os,
    .truncate = qcow2_truncate,
    .get_info = qcow2_get_info,
    .get_specific_info = qcow2_get_specific_info,
    .has_zero_init = qcow2_has_zero_init,
    .create_options = qcow2_create_options,
    .amend_options = qcow2_amend_options,
    .translate_create_options = qcow2_translate_create_options,
    .create = qcow2_create,
    .measure = qcow2_measure,
    .check = qcow2_check,
    .make_empty = qcow2_make_empty,
    .amend = qcow2_amend,
    .amend_image = qcow2_amend_image,
    .change_backing_file = qcow2_change_backing_file,
    .snapshot_create = qcow2_snapshot_create,
    .snapshot_goto = qcow2_snapshot_goto,
    .snapshot_delete = qcow2_snapshot_delete,
    .snapshot_list = qcow2_snapshot_list,
    .snapshot_load_tmp = qcow2_snapshot_load_tmp,
    .save_vmstate = qcow2_save_vmstate,
    .load_vmstate = qcow2_load_vmstate,
    .bitmap_can_store = qcow2_bitmap_can_store,
    .bitmap_remove = qcow2_bitmap_remove,
};
BLOCK_DRIVER(qcow2_driver);
