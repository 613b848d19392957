/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. Clusters that are allocated and not shared are written in place, without a lock. For
 * others host clusters are taken, the data is written there together with what the request leaves
 * of them (read from the backing file, say), and then the L2 tables are told. Meanwhile requests
 * that want to allocate the same guest clusters wait.
 */
#include <errno.h>

#include "block/crypt.h"
#include "block/qcow2/qcow2.h"
#include "util/iov.h"
#include "util/zero.h"

/* Longer copies of zeroes are left to the file. */
#define MAX_ZERO_BUFFER (256 * (int64_t)KiB)

/* ---- Data to host clusters ---- */

static int write_encrypted(Qcow2 *q, int64_t guest, int64_t host, int64_t bytes,
                           const BlockVec *vec, size_t vec_offset)
{
    uint8_t *piece = block_alloc(q->data_file->node, (size_t)MIN(bytes, QCOW2_CRYPT_PIECE));
    int ret = piece ? 0 : -ENOMEM;

    for (int64_t done = 0, n; done < bytes && ret >= 0; done += n) {
        int64_t at = q->crypt_method == QCOW2_CRYPT_LUKS ? host + done : guest + done;

        n = MIN(bytes - done, QCOW2_CRYPT_PIECE);
        iov_to_buf(vec->iov, vec->n, vec_offset + (size_t)done, piece, (size_t)n);
        block_crypt(crypto_block_encrypt, q->crypto, (uint64_t)at, piece, piece, (size_t)n);
        ret = block_pwrite(q->data_file, host + done, n, piece, 0);
    }
    free(piece);
    return ret;
}

static int write_host(Qcow2 *q, int64_t guest, int64_t host, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset)
{
    int ret = qcow2_has_data_file(q) ? 0 : qcow2_check_overlap(q, host, bytes);

    if (ret < 0) {
        return ret;
    }
    block_debug_event(q->data_file, BLKDBG_WRITE_AIO);
    return q->crypt_method
        ? write_encrypted(q, guest, host, bytes, vec, vec_offset)
        : block_pwritev(q->data_file, host, bytes, vec, vec_offset, 0);
}

/* What a request writes: memory; or the same number of bytes of another node. */
typedef struct Data {
    const BlockVec *vec;
    size_t vec_offset;
    BlockChild *src; /* NULL: vec; and if that is NULL too, clusters are allocated only */
    int64_t src_offset;
    unsigned flags;  /* of the copy */
} Data;

static Data data_behind(const Data *data, int64_t done)
{
    Data rest = *data;

    rest.vec_offset += (size_t)done;
    rest.src_offset += done;
    return rest;
}

static int put_data(Qcow2 *q, int64_t guest, int64_t host, int64_t bytes, const Data *data)
{
    int ret;

    if (!data->src) {
        return write_host(q, guest, host, bytes, data->vec, data->vec_offset);
    }
    ret = qcow2_has_data_file(q) ? 0 : qcow2_check_overlap(q, host, bytes);
    return ret < 0 ? ret : block_copy_range(data->src, data->src_offset, q->data_file, host, bytes,
                                            data->flags);
}

/* ---- What is to be allocated ---- */

static bool overlaps(const Qcow2 *q, const Qcow2Alloc *alloc, int64_t from, int64_t to)
{
    return alloc->guest < to && from < alloc->guest + (alloc->n << q->cluster_bits);
}

void qcow2_wait_allocs(Qcow2 *q, int64_t offset, int64_t bytes)
{
    GList *l = q->allocs;

    while (l) {
        Qcow2Alloc *alloc = l->data;

        if (overlaps(q, alloc, qcow2_cluster_start(q, offset), offset + bytes)) {
            co_queue_wait(&alloc->waiters, &q->lock);
            l = q->allocs;
        } else {
            l = l->next;
        }
    }
}

/* Waits until nobody allocates the first cluster; returns what may be done before others. */
static int64_t clip_to_allocs(Qcow2 *q, int64_t offset, int64_t bytes)
{
    int64_t first = qcow2_cluster_start(q, offset), wanted = offset + bytes, end;
    GList *l;

again:
    end = wanted;
    for (l = q->allocs; l; l = l->next) {
        Qcow2Alloc *alloc = l->data;

        if (!overlaps(q, alloc, first, end)) {
            continue;
        }
        if (alloc->guest <= first) {
            co_queue_wait(&alloc->waiters, &q->lock);
            goto again;
        }
        end = alloc->guest;
    }
    return end - offset;
}

typedef enum Class {
    IN_PLACE,
    REUSE, /* host clusters that hold no data there yet */
    NEW,
} Class;

/* Of a cluster of which [from, to) (offsets in it) is written. */
static Class classify(const Qcow2 *q, Qcow2Entry entry, int64_t from, int64_t to)
{
    unsigned first = (unsigned)(from >> q->sub_bits), last = (unsigned)((to - 1) >> q->sub_bits);
    bool in_place = true;

    if ((entry.desc & QCOW2_COMPRESSED) || !(entry.desc & QCOW2_COPIED)) {
        return NEW;
    }
    for (unsigned sub = first; sub <= last; sub++) {
        Qcow2Type type = qcow2_entry_type(q, entry, sub);

        if (type != QCOW2_NORMAL && type != QCOW2_ZERO_HOST && type != QCOW2_UNALLOCATED_HOST) {
            return NEW;
        }
        in_place &= type == QCOW2_NORMAL;
    }
    return in_place ? IN_PLACE : REUSE;
}

static bool has_data(const Qcow2 *q, Qcow2Entry entry)
{
    return (entry.desc & QCOW2_COMPRESSED) || (q->extended_l2
        ? (entry.bitmap & UINT32_MAX) != 0 : qcow2_entry_type(q, entry, 0) == QCOW2_NORMAL);
}

/* How far before (after) a request's edge in this cluster data has to be written with it. */
static int64_t cow_edge(const Qcow2 *q, Class class, Qcow2Entry entry, int64_t edge, bool upwards)
{
    int64_t unit = q->cluster_size, in_cluster = qcow2_in_cluster(q, edge);

    if (q->extended_l2 && (class == REUSE || !has_data(q, entry))) {
        unsigned sub = (unsigned)((upwards && in_cluster == 0 ? q->cluster_size - 1
                                   : in_cluster - upwards) >> q->sub_bits);

        if (class == REUSE && qcow2_entry_type(q, entry, sub) == QCOW2_NORMAL) {
            return edge;
        }
        unit = (int64_t)1 << q->sub_bits;
    }
    return upwards ? (edge + unit - 1) & -unit : edge & -unit;
}

static int64_t host_of(Qcow2Entry entry)
{
    return (int64_t)(entry.desc & QCOW2_OFFSET_MASK);
}

/* The clusters from the first on that are alike, in one slice. alloc->n stays 0 if in place. */
static void plan(const Qcow2 *q, const TableSlice *slice, int64_t offset, int64_t bytes,
                 Qcow2Alloc *alloc)
{
    unsigned index = qcow2_slice_index(q, offset);
    int64_t end = offset + bytes, first = qcow2_cluster_start(q, offset);
    Qcow2Entry entry = qcow2_get_entry(q, slice, index), head = entry, tail = entry;
    Class class = IN_PLACE;
    int64_t at = first;

    for (; at < end && index < 1u << q->slice_bits; index++, at += q->cluster_size) {
        Class this;

        entry = qcow2_get_entry(q, slice, index);
        this = classify(q, entry, MAX(offset - at, 0), MIN(end - at, q->cluster_size));
        if (at == first) {
            class = this;
            alloc->host = host_of(entry);
        } else if (this != class ||
                   (class == REUSE && host_of(entry) != alloc->host + at - first)) {
            break;
        }
        tail = entry;
    }
    if (class == IN_PLACE) {
        return;
    }
    end = MIN(end, at);
    alloc->guest = first;
    alloc->n = (at - first) >> q->cluster_bits;
    alloc->reuse = class == REUSE;
    alloc->from = cow_edge(q, class, head, offset, false);
    alloc->to = cow_edge(q, class, tail, end, true);
}

/* Fewer clusters than planned. */
static void shorten(const Qcow2 *q, Qcow2Alloc *alloc, int64_t n)
{
    if (n < alloc->n) {
        alloc->n = n;
        alloc->to = alloc->guest + (n << q->cluster_bits);
    }
}

static int take_host_clusters(Qcow2 *q, Qcow2Alloc *alloc)
{
    int64_t end = q->file_end, got, host;

    if (alloc->reuse) {
        return 0;
    }
    if (qcow2_has_data_file(q)) {
        alloc->host = alloc->guest;
        return 0;
    }
    host = qcow2_alloc(q, alloc->n, &got);
    if (host < 0) {
        return (int)host;
    }
    alloc->host = host;
    alloc->fresh = host >= end;
    shorten(q, alloc, got);
    return 0;
}

/*
 * With the lock held: register what the beginning of the range needs. alloc->n is 0 where it can
 * be written in place by now.
 */
static int begin_alloc(Qcow2 *q, int64_t offset, int64_t bytes, Qcow2Alloc *alloc)
{
    TableSlice *slice;
    int ret = qcow2_prepare_change(q);

    if (ret < 0) {
        return ret;
    }
    bytes = clip_to_allocs(q, offset, bytes);
    ret = qcow2_l2_for_write(q, offset, &slice);
    if (ret < 0) {
        return ret;
    }
    plan(q, slice, offset, bytes, alloc);
    if (alloc->n) {
        ret = take_host_clusters(q, alloc);
    }
    table_cache_put(slice);
    if (ret >= 0 && alloc->n) {
        alloc->link.data = alloc;
        q->allocs = g_list_concat(&alloc->link, q->allocs);
    }
    return ret;
}

/* ---- Linking ---- */

static Qcow2Entry linked_entry(const Qcow2 *q, const Qcow2Alloc *alloc, int64_t at,
                               Qcow2Entry old)
{
    Qcow2Entry entry = {
        .desc = (uint64_t)(alloc->host + at - alloc->guest) | QCOW2_COPIED,
    };

    if (q->extended_l2) {
        int64_t from = MAX(alloc->from - at, 0), to = MIN(alloc->to - at, q->cluster_size);
        unsigned first = (unsigned)(from >> q->sub_bits);
        unsigned last = (unsigned)((to - 1) >> q->sub_bits);
        uint64_t written = MASK_ULL(last, first);

        entry.bitmap = old.desc & QCOW2_COMPRESSED ? 0 : old.bitmap;
        entry.bitmap = (entry.bitmap | written) & ~(written << 32);
    }
    return entry;
}

static int link_alloc(Qcow2 *q, const Qcow2Alloc *alloc)
{
    TableSlice *slice;
    int ret = qcow2_l2_for_write(q, alloc->guest, &slice);

    if (ret < 0) {
        return ret;
    }
    for (int64_t i = 0; i < alloc->n; i++) {
        int64_t at = alloc->guest + (i << q->cluster_bits);
        unsigned index = qcow2_slice_index(q, at);
        Qcow2Entry old = qcow2_get_entry(q, slice, index);

        qcow2_set_entry(q, slice, index, linked_entry(q, alloc, at, old));
        if (!alloc->reuse) {
            qcow2_free_entry(q, old.desc, QCOW2_FREE_NEVER);
        }
    }
    table_cache_put(slice);
    return 0;
}

/* With the lock held. */
static int end_alloc(Qcow2 *q, Qcow2Alloc *alloc, int ret)
{
    if (ret >= 0) {
        ret = link_alloc(q, alloc);
    }
    if (ret < 0 && !alloc->reuse && !qcow2_has_data_file(q)) {
        qcow2_unalloc(q, alloc->host, alloc->n);
    }
    q->allocs = g_list_remove_link(q->allocs, &alloc->link);
    co_queue_wake_all(&alloc->waiters);
    return ret;
}

/* ---- Data around the request ---- */

typedef struct Cow {
    uint8_t *buf;
    int64_t offset, bytes;
    bool skip; /* reads as zeroes already where it is going to be */
} Cow;

static bool reads_zero(Qcow2 *q, int64_t offset, int64_t bytes)
{
    Qcow2Run run;

    return qcow2_lookup(q, offset, bytes, false, &run) >= 0 && run.bytes == bytes &&
           (run.type == QCOW2_ZERO_PLAIN || run.type == QCOW2_ZERO_HOST ||
            (run.type == QCOW2_UNALLOCATED && (!q->node->backing || offset >= q->disk_size)));
}

static int read_cow(Qcow2 *q, const Qcow2Alloc *alloc, Cow *cow)
{
    bool zero = cow->bytes && reads_zero(q, cow->offset, cow->bytes);
    int ret = 0;

    if (!cow->bytes || (zero && alloc->fresh && !q->crypt_method)) {
        cow->skip = true;
        return 0;
    }
    if (zero && cow->bytes > MAX_ZERO_BUFFER && !q->crypt_method) {
        cow->skip = true;
        return block_pwrite_zeroes(q->data_file, alloc->host + cow->offset - alloc->guest,
                                   cow->bytes, 0);
    }
    cow->buf = block_alloc(q->data_file->node, (size_t)cow->bytes);
    if (!cow->buf) {
        return -ENOMEM;
    }
    if (zero) {
        memset(cow->buf, 0, (size_t)cow->bytes);
    } else {
        block_debug_event(q->node->file, BLKDBG_COW_READ);
        ret = qcow2_read(q, cow->offset, cow->bytes, BLOCK_VEC_BUF(cow->buf, (size_t)cow->bytes),
                         0);
        cow->skip = alloc->fresh && !q->crypt_method &&
                    buffer_is_zero(cow->buf, (size_t)cow->bytes);
    }
    return ret;
}

/* One write for all of it. */
static int write_with_cow(Qcow2 *q, const Qcow2Alloc *alloc, int64_t offset, int64_t bytes,
                          const BlockVec *vec, size_t vec_offset, const Cow *head, const Cow *tail)
{
    g_autofree struct iovec *iov = NULL;
    BlockVec joined;
    int64_t from = head->skip ? offset : head->offset;
    unsigned n = 0;

    if (head->skip && tail->skip) {
        return write_host(q, offset, alloc->host + offset - alloc->guest, bytes, vec, vec_offset);
    }
    iov = g_new(struct iovec, vec->n + 2);
    if (!head->skip) {
        iov[n++] = (struct iovec) { head->buf, (size_t)head->bytes };
    }
    n += iov_slice(iov + n, vec->n, vec->iov, vec->n, vec_offset, (size_t)bytes);
    if (!tail->skip) {
        iov[n++] = (struct iovec) { tail->buf, (size_t)tail->bytes };
    }
    joined = (BlockVec) { iov, n };
    return write_host(q, from, alloc->host + from - alloc->guest,
                      (tail->skip ? offset + bytes : tail->offset + tail->bytes) - from, &joined,
                      0);
}

static int write_cow(Qcow2 *q, const Qcow2Alloc *alloc, const Cow *cow)
{
    return cow->skip ? 0 : write_host(q, cow->offset, alloc->host + cow->offset - alloc->guest,
                                      cow->bytes, BLOCK_VEC_BUF(cow->buf, (size_t)cow->bytes), 0);
}

/* The storage copies; what stands around it does not come from there. */
static int copy_with_cow(Qcow2 *q, const Qcow2Alloc *alloc, int64_t offset, int64_t bytes,
                         const Data *data, const Cow *head, const Cow *tail)
{
    int ret = put_data(q, offset, alloc->host + offset - alloc->guest, bytes, data);

    ret = ret < 0 ? ret : write_cow(q, alloc, head);
    return ret < 0 ? ret : write_cow(q, alloc, tail);
}

static int write_new(Qcow2 *q, const Qcow2Alloc *alloc, int64_t offset, int64_t bytes,
                     const Data *data)
{
    Cow head = { .offset = alloc->from, .bytes = offset - alloc->from };
    Cow tail = { .offset = offset + bytes, .bytes = alloc->to - offset - bytes };
    int ret = read_cow(q, alloc, &head);

    if (ret >= 0) {
        ret = read_cow(q, alloc, &tail);
    }
    if (ret >= 0) {
        ret = data->src ? copy_with_cow(q, alloc, offset, bytes, data, &head, &tail)
                        : write_with_cow(q, alloc, offset, bytes, data->vec, data->vec_offset,
                                         &head, &tail);
    }
    free(head.buf);
    free(tail.buf);
    return ret;
}

/* ---- Requests ---- */

/* *done: how much of it; 0 if it can be written in place now. */
static int write_allocating(Qcow2 *q, int64_t offset, int64_t bytes, const Data *data,
                            int64_t *done)
{
    Qcow2Alloc alloc = { 0 };
    int ret;

    co_mutex_lock(&q->lock);
    ret = begin_alloc(q, offset, bytes, &alloc);
    co_mutex_unlock(&q->lock);
    *done = 0;
    if (ret < 0 || !alloc.n) {
        return ret;
    }
    *done = MIN(offset + bytes, alloc.guest + (alloc.n << q->cluster_bits)) - offset;
    if (data->vec || data->src) {
        ret = write_new(q, &alloc, offset, *done, data);
    } else if (!alloc.fresh) {
        ret = block_pwrite_zeroes(q->data_file, alloc.host + alloc.from - alloc.guest,
                                  alloc.to - alloc.from, 0);
    }
    co_mutex_lock(&q->lock);
    ret = end_alloc(q, &alloc, ret);
    co_mutex_unlock(&q->lock);
    return ret;
}

/* Changes no metadata, except that bitmaps become stale. */
static int prepare_in_place(Qcow2 *q)
{
    int ret;

    co_mutex_lock(&q->lock);
    ret = qcow2_prepare_change(q);
    co_mutex_unlock(&q->lock);
    return ret;
}

static int write_in_place(Qcow2 *q, int64_t offset, const Qcow2Run *run, const Data *data)
{
    unsigned epoch = qcow2_io_begin(q);
    int ret = q->nb_bitmaps && !q->bitmaps_marked ? prepare_in_place(q) : 0;

    ret = ret < 0 ? ret : put_data(q, offset, run->host, run->bytes, data);
    qcow2_io_end(q, epoch);
    return ret;
}

static int write_range(Qcow2 *q, int64_t offset, int64_t bytes, const Data *data)
{
    int64_t start = offset;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        Data rest = data_behind(data, offset - start);
        Qcow2Run run;
        int64_t done;

        if (q->incompatible & QCOW2_INCOMPAT_CORRUPT) {
            return -EIO;
        }
        ret = qcow2_lookup(q, offset, bytes, false, &run);
        if (ret < 0) {
            break;
        }
        done = run.bytes;
        if (run.type != QCOW2_NORMAL || !run.copied) {
            ret = write_allocating(q, offset, bytes, &rest, &done);
        } else if (data->vec || data->src) {
            ret = write_in_place(q, offset, &run, &rest);
        }
        offset += done;
        bytes -= done;
    }
    return ret;
}

int qcow2_write(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec, size_t vec_offset)
{
    return write_range(q, offset, bytes, &(Data) { .vec = vec, .vec_offset = vec_offset });
}

int qcow2_allocate_range(Qcow2 *q, int64_t offset, int64_t bytes)
{
    return write_range(q, offset, bytes, &(Data) { 0 });
}

int qcow2_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags)
{
    return qcow2_write(node->opaque, offset, bytes, vec, vec_offset);
}

/* ---- Copying in the storage ---- */

int qcow2_copy_range_to(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                        int64_t dst_offset, int64_t bytes, unsigned flags)
{
    Qcow2 *q = node->opaque;
    Data data = { .src = src, .src_offset = src_offset, .flags = flags };

    return q->crypt_method ? -ENOTSUP : write_range(q, dst_offset, bytes, &data);
}
