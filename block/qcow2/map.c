/* SPDX-License-Identifier: Apache-2.0 */
/* From guest offsets to host offsets: L1 and L2 tables. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "block/qcow2/qcow2.h"
#include "qapi-events-block-core.h"
#include "util/error.h"

/* ---- Corruption ---- */

static void report_corruption(Qcow2 *q, bool fatal, int64_t offset, int64_t bytes,
                              const char *message)
{
    if (q->corrupt_reported && !fatal) {
        return;
    }
    q->corrupt_reported = true;
    error_report("qcow2: image '%s' is corrupt: %s; %s", q->node->filename, message,
                 fatal ? "it takes no more writes" : "further such errors will not be reported");
    qapi_event_send_block_image_corrupted("", q->node->name, message, offset >= 0,
                                          offset, bytes >= 0, bytes, fatal);
}

int qcow2_signal_corruption(Qcow2 *q, bool fatal, int64_t offset, int64_t bytes, const char *fmt,
                            ...)
{
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, fmt);
    message = g_strdup_vprintf(fmt, args);
    va_end(args);
    fatal = fatal && !block_node_is_read_only(q->node) &&
            !(q->node->open_flags & (BLOCK_OPEN_CHECK | BLOCK_OPEN_INACTIVE));
    if (fatal && (q->incompatible & QCOW2_INCOMPAT_CORRUPT)) {
        return -EIO;
    }
    report_corruption(q, fatal, offset, bytes, message);
    if (fatal && q->version >= 3) {
        (void)qcow2_set_incompatible(q, QCOW2_INCOMPAT_CORRUPT, 0);
    }
    if (fatal) {
        q->incompatible |= QCOW2_INCOMPAT_CORRUPT;
    }
    return -EIO;
}

/* ---- Entries ---- */

Qcow2Entry qcow2_get_entry(const Qcow2 *q, const TableSlice *slice, unsigned index)
{
    const uint8_t *at = slice->data + (size_t)index * q->l2_entry_size;

    return (Qcow2Entry) { ldq_be(at), q->extended_l2 ? ldq_be(at + 8) : 0 };
}

void qcow2_set_entry(Qcow2 *q, TableSlice *slice, unsigned index, Qcow2Entry entry)
{
    uint8_t *at = slice->data + (size_t)index * q->l2_entry_size;

    stq_be(at, entry.desc);
    if (q->extended_l2) {
        stq_be(at + 8, entry.bitmap);
    }
    table_cache_set_dirty(&q->l2_cache, slice);
}

static bool has_host(const Qcow2 *q, uint64_t desc)
{
    return (desc & QCOW2_OFFSET_MASK) || (qcow2_has_data_file(q) && (desc & QCOW2_COPIED));
}

static Qcow2Type extended_type(const Qcow2 *q, Qcow2Entry entry, unsigned sub)
{
    bool host = has_host(q, entry.desc);
    bool allocated = entry.bitmap >> sub & 1, zero = entry.bitmap >> (sub + 32) & 1;

    if ((entry.desc & QCOW2_ZERO) || (allocated && (zero || !host))) {
        return QCOW2_INVALID;
    }
    if (zero) {
        return host ? QCOW2_ZERO_HOST : QCOW2_ZERO_PLAIN;
    }
    return allocated ? QCOW2_NORMAL : host ? QCOW2_UNALLOCATED_HOST : QCOW2_UNALLOCATED;
}

Qcow2Type qcow2_entry_type(const Qcow2 *q, Qcow2Entry entry, unsigned sub)
{
    bool host = has_host(q, entry.desc);

    if (entry.desc & QCOW2_COMPRESSED) {
        return qcow2_has_data_file(q) ? QCOW2_INVALID : QCOW2_COMPRESSED_DATA;
    }
    if (q->extended_l2) {
        return extended_type(q, entry, sub);
    }
    if (entry.desc & QCOW2_ZERO) {
        return q->version < 3 ? QCOW2_INVALID : host ? QCOW2_ZERO_HOST : QCOW2_ZERO_PLAIN;
    }
    return host ? QCOW2_NORMAL : QCOW2_UNALLOCATED;
}

void qcow2_compressed_range(const Qcow2 *q, uint64_t desc, int64_t *offset, int64_t *bytes)
{
    unsigned bits = q->cluster_bits - 8;
    int64_t sectors = (int64_t)extract64(desc, q->csize_shift, bits) + 1;

    *offset = (int64_t)(desc & q->coffset_mask);
    *bytes = sectors * BLOCK_SECTOR - (*offset & (BLOCK_SECTOR - 1));
}

/* ---- Looking up ---- */

static bool type_has_host(Qcow2Type type)
{
    return type == QCOW2_NORMAL || type == QCOW2_ZERO_HOST || type == QCOW2_UNALLOCATED_HOST;
}

static bool host_is_sane(const Qcow2 *q, Qcow2Type type, uint64_t desc, int64_t guest)
{
    int64_t host = (int64_t)(desc & QCOW2_OFFSET_MASK);

    if (!type_has_host(type)) {
        return true;
    }
    if (qcow2_has_data_file(q)) {
        return host == qcow2_cluster_start(q, guest);
    }
    return !qcow2_in_cluster(q, host);
}

/* Take what begins at guest into the run, or see that it does not go on like this. */
static bool join(Qcow2Run *run, Qcow2Type type, int64_t host, bool copied, uint64_t desc,
                 int64_t bytes)
{
    if (!run->bytes) {
        *run = (Qcow2Run) { type, bytes, type_has_host(type) ? host : 0, copied, desc };
        return true;
    }
    if (type != run->type || type == QCOW2_COMPRESSED_DATA ||
        (type_has_host(type) && (copied != run->copied || host != run->host + run->bytes))) {
        return false;
    }
    run->bytes += bytes;
    return true;
}

/* All of one cluster's subclusters from guest on. False: the run ends in it. */
static bool join_cluster(Qcow2 *q, Qcow2Entry entry, int64_t guest, int64_t end, Qcow2Run *run,
                         bool *bad)
{
    int64_t cluster = qcow2_cluster_start(q, guest);
    int64_t stop = MIN(end, cluster + q->cluster_size);
    int64_t host = (int64_t)(entry.desc & QCOW2_OFFSET_MASK);

    while (guest < stop) {
        unsigned sub = (unsigned)((guest - cluster) >> q->sub_bits);
        Qcow2Type type = qcow2_entry_type(q, entry, sub);
        int64_t step = MIN(stop - guest, ((int64_t)(sub + 1) << q->sub_bits) - (guest - cluster));

        if (type == QCOW2_INVALID || !host_is_sane(q, type, entry.desc, guest)) {
            *bad = !run->bytes;
            return false;
        }
        step = type == QCOW2_COMPRESSED_DATA ? stop - guest : step;
        if (!join(run, type, host + (guest - cluster), entry.desc & QCOW2_COPIED, entry.desc,
                  step)) {
            return false;
        }
        guest += step;
    }
    return true;
}

static int bad_entry(Qcow2 *q, int64_t guest, int64_t l2, Qcow2Entry entry)
{
    return qcow2_signal_corruption(q, true, -1, -1, "Bad L2 entry 0x%" PRIx64 " (L2 offset: 0x%"
                                   PRIx64 ", L2 index: 0x%x)", entry.desc, (uint64_t)l2,
                                   (unsigned)(guest >> q->cluster_bits) &
                                   ((1u << q->l2_bits) - 1));
}

/* The table's place in the file, 0 if there is none, or -EIO. */
static int64_t l2_of(Qcow2 *q, int64_t guest)
{
    uint64_t index = (uint64_t)guest >> qcow2_l1_shift(q);
    int64_t l2 = index < q->l1.n ? (int64_t)(q->l1.entries[index] & QCOW2_OFFSET_MASK) : 0;

    if (qcow2_in_cluster(q, l2)) {
        return qcow2_signal_corruption(q, true, -1, -1, "L2 table offset 0x%" PRIx64
                                       " unaligned (L1 index: 0x%" PRIx64 ")", (uint64_t)l2,
                                       index);
    }
    return l2;
}

/* Not in memory yet: the lock, unless we have it. The table may be another one afterwards. */
static int load_slice(Qcow2 *q, int64_t guest, bool locked)
{
    TableSlice *slice;
    int64_t l2;
    int ret = 0;

    if (!locked) {
        co_mutex_lock(&q->lock);
    }
    l2 = l2_of(q, guest);
    if (l2 > 0) {
        ret = table_cache_get(&q->l2_cache, qcow2_slice_offset(q, l2, guest), &slice);
        if (ret >= 0) {
            table_cache_put(slice);
        }
    }
    if (!locked) {
        co_mutex_unlock(&q->lock);
    }
    return l2 < 0 ? (int)l2 : ret;
}

/* Entries of one slice. Returns 1: goes on, 0: the run is complete. */
static int join_slice(Qcow2 *q, const TableSlice *slice, int64_t l2, int64_t *guest, int64_t end,
                      Qcow2Run *run)
{
    unsigned index = qcow2_slice_index(q, *guest);
    bool bad = false;

    for (; index < 1u << q->slice_bits && *guest < end; index++) {
        Qcow2Entry entry = qcow2_get_entry(q, slice, index);

        if (!join_cluster(q, entry, *guest, end, run, &bad)) {
            return bad ? bad_entry(q, *guest, l2, entry) : 0;
        }
        *guest = qcow2_cluster_start(q, *guest) + q->cluster_size;
    }
    return 1;
}

int qcow2_lookup(Qcow2 *q, int64_t offset, int64_t bytes, bool locked, Qcow2Run *run)
{
    int64_t at = offset, end = offset + bytes;
    int ret = 1;

    *run = (Qcow2Run) { 0 };
    while (at < end && ret > 0) {
        int64_t l2 = l2_of(q, at);
        TableSlice *slice;

        if (l2 < 0) {
            return run->bytes ? 0 : (int)l2;
        }
        if (!l2) {
            int64_t next = (int64_t)ROUND_UP((uint64_t)at + 1, BIT_ULL(qcow2_l1_shift(q)));

            ret = join(run, QCOW2_UNALLOCATED, 0, false, 0, MIN(next, end) - at);
            at = next;
            continue;
        }
        slice = table_cache_peek(&q->l2_cache, qcow2_slice_offset(q, l2, at));
        if (slice) {
            ret = join_slice(q, slice, l2, &at, end, run);
        } else if (run->bytes) {
            return 0;
        } else {
            ret = load_slice(q, at, locked);
            ret = ret < 0 ? ret : 1;
        }
    }
    return MIN(ret, 0);
}

/* ---- Tables that may be written ---- */

/* The content of a new table: that of `old`, or zeroes. */
static int fill_table(Qcow2 *q, int64_t l2, int64_t old)
{
    int64_t step = (int64_t)q->l2_cache.slice_size;
    int ret = 0;

    for (int64_t at = 0; at < q->cluster_size && ret >= 0; at += step) {
        TableSlice *from = NULL, *to;

        ret = old ? table_cache_get(&q->l2_cache, old + at, &from) : 0;
        if (ret < 0) {
            break;
        }
        ret = table_cache_get_new(&q->l2_cache, l2 + at, &to);
        if (ret >= 0) {
            if (from) {
                memcpy(to->data, from->data, (size_t)step);
            }
            table_cache_put(to);
        }
        if (from) {
            table_cache_put(from);
        }
    }
    return ret;
}

static int new_l2(Qcow2 *q, uint32_t index, int64_t old)
{
    int64_t l2 = qcow2_alloc(q, 1, NULL);
    int ret;

    if (l2 < 0) {
        return (int)l2;
    }
    ret = fill_table(q, l2, old);
    if (ret < 0) {
        table_cache_forget(&q->l2_cache, l2, q->cluster_size);
        qcow2_unalloc(q, l2, 1);
        return ret;
    }
    qcow2_table_set(&q->l1, index, (uint64_t)l2 | QCOW2_COPIED);
    qcow2_metadata_add(q, l2, q->cluster_size, QCOW2_S_ACTIVE_L2);
    if (old) {
        qcow2_metadata_remove(q, old, q->cluster_size, QCOW2_S_ACTIVE_L2);
        qcow2_free_clusters(q, old, 1, QCOW2_FREE_OTHER);
    }
    return 0;
}

int qcow2_l2_for_write(Qcow2 *q, int64_t guest, TableSlice **slice)
{
    uint64_t index = (uint64_t)guest >> qcow2_l1_shift(q);
    int64_t l2;
    int ret = qcow2_grow_l1(q, index + 1);

    if (ret < 0) {
        return ret;
    }
    l2 = l2_of(q, guest);
    if (l2 < 0) {
        return (int)l2;
    }
    if (!l2 || !(q->l1.entries[index] & QCOW2_COPIED)) {
        ret = new_l2(q, (uint32_t)index, l2);
        if (ret < 0) {
            return ret;
        }
        l2 = (int64_t)(q->l1.entries[index] & QCOW2_OFFSET_MASK);
    }
    return table_cache_get(&q->l2_cache, qcow2_slice_offset(q, l2, guest), slice);
}
