/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed clusters. They stand one behind the other in host clusters, which thus have several
 * references each; a request for many clusters compresses them on all processors, and writes what
 * comes out together.
 */
#include <errno.h>

#include "block/codec/pool.h"
#include "block/qcow2/qcow2.h"
#include "util/iov.h"

/* So much guest data, or one cluster, is compressed or decompressed at once. */
#define BATCH_BYTES (2 * (int64_t)MiB)
#define MAX_BATCH 256
/* Clusters are read together if there is less than this between them. */
#define MAX_GAP (64 * (int64_t)KiB)

static unsigned batch_size(const Qcow2 *q, int64_t clusters)
{
    return (unsigned)MIN(clusters, CLAMP(BATCH_BYTES >> q->cluster_bits, 1, MAX_BATCH));
}

/* ---- Writing ---- */

typedef struct Pack {
    CodecJob jobs[MAX_BATCH];
    int64_t place[MAX_BATCH];
    const uint8_t *in;  /* whole clusters */
    uint8_t *copy;      /* of them; NULL: in is the caller's memory */
    uint8_t *out;
} Pack;

static bool extend_last(Qcow2 *q, int64_t bytes, int64_t *ret)
{
    int64_t at = q->compressed_at, cluster = at >> q->cluster_bits;
    int64_t room = q->cluster_size - qcow2_in_cluster(q, at);
    uint64_t count;
    int64_t got = 1;

    if (!at || qcow2_refcount(q, cluster, &count) < 0 || !count || count >= q->refcount_max) {
        return false;
    }
    if (bytes > room) {
        got = qcow2_alloc_at(q, (cluster + 1) << q->cluster_bits, 1);
    }
    if (got <= 0) {
        return false;
    }
    *ret = qcow2_refcount_add(q, cluster, 1, 1);
    *ret = *ret < 0 ? *ret : at;
    return true;
}

/* With the lock held: where so many bytes go; -errno. */
static int64_t take_place(Qcow2 *q, int64_t bytes)
{
    int64_t at;

    if (!extend_last(q, bytes, &at)) {
        at = qcow2_alloc(q, 1, NULL);
    }
    if (at < 0) {
        return at;
    }
    if ((uint64_t)(at + bytes) > q->coffset_mask) {
        return -EFBIG;
    }
    q->compressed_at = qcow2_in_cluster(q, at + bytes) ? at + bytes : 0;
    return at;
}

static uint64_t describe(const Qcow2 *q, int64_t at, int64_t bytes)
{
    uint64_t sectors = (uint64_t)(((at + bytes - 1) / BLOCK_SECTOR) - at / BLOCK_SECTOR);

    return QCOW2_COMPRESSED | sectors << q->csize_shift | (uint64_t)at;
}

static void drop_place(Qcow2 *q, int64_t at, int64_t bytes)
{
    qcow2_free_entry(q, describe(q, at, bytes), QCOW2_FREE_NEVER);
}

static int link_compressed(Qcow2 *q, int64_t guest, int64_t at, int64_t bytes)
{
    unsigned index = qcow2_slice_index(q, guest);
    Qcow2Entry entry = { .desc = describe(q, at, bytes) }, old;
    TableSlice *slice;
    int ret = qcow2_l2_for_write(q, guest, &slice);

    if (ret < 0) {
        return ret;
    }
    old = qcow2_get_entry(q, slice, index);
    qcow2_set_entry(q, slice, index, entry);
    qcow2_free_entry(q, old.desc, QCOW2_FREE_NEVER);
    table_cache_put(slice);
    return 0;
}

/* All with a place, those that are neighbours in one write. */
static int write_places(Qcow2 *q, Pack *pack, unsigned n)
{
    struct iovec iov[MAX_BATCH];
    int ret = 0;

    for (unsigned i = 0, run; i < n && ret >= 0; i += run) {
        int64_t start = pack->place[i], end = start;
        BlockVec vec = { .iov = iov };

        for (run = 0; i + run < n && pack->place[i + run] == end; run++) {
            iov[run] = (struct iovec) { pack->jobs[i + run].dst,
                                        (size_t)pack->jobs[i + run].result };
            end += pack->jobs[i + run].result;
        }
        vec.n = run;
        ret = qcow2_check_overlap(q, start, end - start);
        if (ret >= 0) {
            block_debug_event(q->node->file, BLKDBG_WRITE_COMPRESSED);
            ret = block_pwritev(q->node->file, start, end - start, &vec, 0, 0);
        }
    }
    return ret;
}

/* n clusters that were compressed, from jobs[first] on. */
static int store(Qcow2 *q, int64_t guest, Pack *pack, unsigned n)
{
    Qcow2Alloc alloc = { .guest = guest, .n = n };
    unsigned placed = 0, linked = 0;
    int ret;

    co_mutex_lock(&q->lock);
    ret = qcow2_prepare_change(q);
    if (ret >= 0) {
        qcow2_wait_allocs(q, guest, (int64_t)n << q->cluster_bits);
    }
    for (; ret >= 0 && placed < n; placed++) {
        pack->place[placed] = take_place(q, pack->jobs[placed].result);
        if (pack->place[placed] < 0) {
            ret = (int)pack->place[placed];
            break;
        }
    }
    alloc.link.data = &alloc;
    q->allocs = g_list_concat(&alloc.link, q->allocs);
    co_mutex_unlock(&q->lock);

    ret = ret < 0 ? ret : write_places(q, pack, n);

    co_mutex_lock(&q->lock);
    for (; ret >= 0 && linked < n; linked++) {
        ret = link_compressed(q, guest + ((int64_t)linked << q->cluster_bits),
                              pack->place[linked], pack->jobs[linked].result);
        if (ret < 0) {
            break;
        }
    }
    for (unsigned i = linked; i < placed; i++) {
        drop_place(q, pack->place[i], pack->jobs[i].result);
    }
    q->allocs = g_list_remove_link(q->allocs, &alloc.link);
    co_queue_wake_all(&alloc.waiters);
    co_mutex_unlock(&q->lock);
    return ret;
}

/* Runs of clusters that got smaller are stored compressed, the others as they are. */
static int store_all(Qcow2 *q, int64_t guest, int64_t bytes, Pack *pack, unsigned n)
{
    g_autofree Pack *part = NULL;
    int ret = 0;

    for (unsigned i = 0, run; i < n && ret >= 0; i += run) {
        int64_t at = (int64_t)i << q->cluster_bits;

        run = 1;
        if (pack->jobs[i].result == -ENOSPC) {
            int64_t len = MIN(bytes - at, q->cluster_size);

            ret = qcow2_write(q, guest + at, len,
                              BLOCK_VEC_BUF((void *)(uintptr_t)(pack->in + at), (size_t)len), 0);
            continue;
        }
        if (pack->jobs[i].result < 0) {
            return (int)pack->jobs[i].result;
        }
        while (i + run < n && pack->jobs[i + run].result > 0) {
            run++;
        }
        if (run == n) {
            return store(q, guest, pack, n);
        }
        part = part ? part : g_new(Pack, 1);
        memcpy(part->jobs, pack->jobs + i, run * sizeof(part->jobs[0]));
        ret = store(q, guest + at, part, run);
    }
    return ret;
}

/* What is to be compressed, in one piece, the last cluster filled up. False: no memory. */
static bool take_clusters(Pack *pack, int64_t bytes, const BlockVec *vec, size_t vec_offset,
                          size_t size)
{
    pack->in = iov_contiguous(vec->iov, vec->n, vec_offset, size);
    if (!pack->in || (size_t)bytes < size) {
        pack->in = pack->copy = g_try_malloc(size);
        if (pack->copy) {
            size_t got = iov_to_buf(vec->iov, vec->n, vec_offset, pack->copy, (size_t)bytes);

            memset(pack->copy + got, 0, size - got);
        }
    }
    return pack->in;
}

static int write_batch(Qcow2 *q, int64_t guest, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned n)
{
    size_t size = (size_t)n << q->cluster_bits;
    g_autofree Pack *pack = g_new(Pack, 1);
    int ret;

    pack->copy = NULL;
    pack->out = g_try_malloc(size);
    ret = pack->out && take_clusters(pack, bytes, vec, vec_offset, size) ? 0 : -ENOMEM;
    if (ret >= 0) {
        for (unsigned i = 0; i < n; i++) {
            pack->jobs[i] = (CodecJob) {
                .src = pack->in + ((size_t)i << q->cluster_bits), .src_size = q->cluster_size,
                .dst = pack->out + ((size_t)i << q->cluster_bits),
                .dst_size = q->cluster_size - 1,
            };
        }
        ret = codec_pool_run(q->codecs, true, pack->jobs, n);
    }
    if (ret >= 0) {
        ret = store_all(q, guest, bytes, pack, n);
    }
    g_free(pack->copy);
    g_free(pack->out);
    return ret;
}

/* Other programs like files whose length is a multiple of a sector. */
static int end_stream(Qcow2 *q)
{
    int64_t len = block_getlength(q->node->file->node);
    BlockTruncate truncate = { .size = ROUND_UP(MAX(len, 0), (int64_t)BLOCK_SECTOR) };

    if (len < 0 || truncate.size == len) {
        return (int)MIN(len, 0);
    }
    return block_truncate(q->node->file, &truncate, NULL);
}

int qcow2_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                             size_t vec_offset)
{
    Qcow2 *q = node->opaque;
    int ret = 0;

    if (qcow2_has_data_file(q) || q->crypt_method) {
        return -ENOTSUP;
    }
    if (!bytes) {
        return end_stream(q);
    }
    if (qcow2_in_cluster(q, offset) ||
        (qcow2_in_cluster(q, bytes) && offset + bytes != q->disk_size)) {
        return -EINVAL;
    }
    while (bytes > 0 && ret >= 0) {
        unsigned n = batch_size(q, qcow2_clusters(q, bytes));
        int64_t step = MIN(bytes, (int64_t)n << q->cluster_bits);

        ret = write_batch(q, offset, step, vec, vec_offset, n);
        offset += step;
        vec_offset += (size_t)step;
        bytes -= step;
    }
    return ret;
}

/* ---- Reading ---- */

/* Neighbours in the disk that are near one another in the file. */
typedef struct Window {
    int64_t start, end;              /* in the file */
    int64_t at[MAX_BATCH], bytes[MAX_BATCH];
    unsigned n;
} Window;

static int look_around(Qcow2 *q, int64_t guest, unsigned max, Window *w)
{
    for (w->n = 0; w->n < max; w->n++, guest += q->cluster_size) {
        int64_t at, bytes;
        Qcow2Run run;
        int ret = qcow2_lookup(q, guest, q->cluster_size, false, &run);

        if (ret < 0 || run.type != QCOW2_COMPRESSED_DATA) {
            return w->n ? 0 : MIN(ret, 0);
        }
        qcow2_compressed_range(q, run.entry, &at, &bytes);
        if (w->n && (at < w->start || at > w->end + MAX_GAP ||
                     MAX(at + bytes, w->end) - w->start > 2 * BATCH_BYTES)) {
            return 0;
        }
        w->start = w->n ? w->start : at;
        w->end = MAX(w->end, at + bytes);
        w->at[w->n] = at;
        w->bytes[w->n] = bytes;
    }
    return 0;
}

/* Where the cluster is wanted, if that is all of it, in one piece; else NULL. */
static void *wanted_at(const Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, int64_t cluster)
{
    if (cluster < offset || cluster + q->cluster_size > offset + bytes) {
        return NULL;
    }
    return iov_contiguous(vec->iov, vec->n, vec_offset + (size_t)(cluster - offset),
                          q->cluster_size);
}

static int unpack(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec, size_t vec_offset,
                  const Window *w, const uint8_t *raw)
{
    g_autofree CodecJob *jobs = g_new0(CodecJob, w->n);
    g_autofree uint8_t *bounce = g_try_malloc((size_t)w->n << q->cluster_bits);
    int64_t first = qcow2_cluster_start(q, offset);
    int ret;

    if (!bounce) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < w->n; i++) {
        void *direct = wanted_at(q, offset, bytes, vec, vec_offset,
                                 first + ((int64_t)i << q->cluster_bits));

        jobs[i] = (CodecJob) {
            .src = raw + (w->at[i] - w->start), .src_size = (size_t)w->bytes[i],
            .dst = direct ? direct : bounce + ((size_t)i << q->cluster_bits),
            .dst_size = q->cluster_size,
        };
    }
    ret = codec_pool_run(q->codecs, false, jobs, w->n);
    for (unsigned i = 0; i < w->n && ret >= 0; i++) {
        int64_t cluster = first + ((int64_t)i << q->cluster_bits);
        int64_t from = MAX(cluster, offset), to = MIN(cluster + q->cluster_size, offset + bytes);
        const uint8_t *data = jobs[i].dst;

        ret = jobs[i].result == (ssize_t)q->cluster_size ? 0 : (int)MIN(jobs[i].result, -EIO);
        if (ret >= 0 && data >= bounce && data < bounce + ((size_t)w->n << q->cluster_bits)) {
            iov_from_buf(vec->iov, vec->n, vec_offset + (size_t)(from - offset),
                         data + (from - cluster), (size_t)(to - from));
        }
    }
    return ret;
}

static int read_window(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, int64_t *done)
{
    int64_t first = qcow2_cluster_start(q, offset);
    g_autofree Window *w = g_new0(Window, 1);
    uint8_t *raw;
    int ret = look_around(q, first, batch_size(q, qcow2_clusters(q, offset + bytes - first)), w);

    *done = 0;
    if (ret < 0 || !w->n) {
        return ret;
    }
    *done = MIN(offset + bytes, first + ((int64_t)w->n << q->cluster_bits)) - offset;
    raw = block_alloc(q->node->file->node, (size_t)(w->end - w->start));
    ret = raw ? 0 : -ENOMEM;
    if (ret >= 0) {
        block_debug_event(q->node->file, BLKDBG_READ_COMPRESSED);
        ret = block_pread(q->node->file, w->start, w->end - w->start, raw);
    }
    if (ret >= 0) {
        ret = unpack(q, offset, *done, vec, vec_offset, w, raw);
    }
    free(raw);
    return ret;
}

int qcow2_read_compressed(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec,
                          size_t vec_offset, int64_t *done)
{
    unsigned epoch = qcow2_io_begin(q);
    int ret = read_window(q, offset, bytes, vec, vec_offset, done);

    qcow2_io_end(q, epoch);
    return ret;
}
