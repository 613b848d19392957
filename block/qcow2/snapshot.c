/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal snapshots. A snapshot is a copy of the L1 table; all that both tables reach has one more
 * reference, and is copied when it is written. Going back to one makes a copy of its table the
 * active one. In each case the references are counted in the file before the header (which is
 * written at one stroke) knows the new table, and dropped after it has forgotten the old one.
 */
#include "block/qcow2/snapshot.h"

#include <errno.h>
#include <inttypes.h>

#include "util/error.h"
#include "util/iov.h"

/* ---- References of a whole table ---- */

typedef struct Walk {
    int64_t done, limit; /* references changed; stop there */
} Walk;

/* Of what an L2 entry refers to. */
static int add_entry_refs(Qcow2 *q, Qcow2Entry entry, int addend, Walk *walk)
{
    int64_t offset = (int64_t)(entry.desc & QCOW2_OFFSET_MASK), bytes = 1;
    int ret;

    if (entry.desc & QCOW2_COMPRESSED) {
        qcow2_compressed_range(q, entry.desc, &offset, &bytes);
    } else if (!offset) {
        return 0;
    } else if (qcow2_in_cluster(q, offset)) {
        return qcow2_signal_corruption(q, true, -1, -1, "L2 entry 0x%" PRIx64 " unaligned",
                                       entry.desc);
    }
    if (walk->done == walk->limit) {
        return -ECANCELED;
    }
    if (addend < 0) {
        qcow2_free_entry(q, entry.desc, QCOW2_FREE_SNAPSHOT);
        walk->done++;
        return 0;
    }
    ret = qcow2_refcount_add(q, offset >> q->cluster_bits,
                             qcow2_clusters(q, qcow2_in_cluster(q, offset) + bytes), addend);
    walk->done += ret >= 0;
    return ret;
}

/* Of an L2 table's entries. */
static int add_table_refs(Qcow2 *q, int64_t l2, int addend, Walk *walk)
{
    int64_t step = (int64_t)q->l2_cache.slice_size;
    int ret = 0;

    for (int64_t at = 0; at < q->cluster_size && ret >= 0; at += step) {
        TableSlice *slice;

        ret = table_cache_get(&q->l2_cache, l2 + at, &slice);
        if (ret < 0) {
            return ret;
        }
        for (unsigned i = 0; ret >= 0 && i < 1u << q->slice_bits; i++) {
            ret = add_entry_refs(q, qcow2_get_entry(q, slice, i), addend, walk);
        }
        table_cache_put(slice);
    }
    return ret;
}

static int add_l2_refs(Qcow2 *q, int64_t l2, int addend, Walk *walk)
{
    int ret = add_table_refs(q, l2, addend, walk);

    if (ret < 0) {
        return ret;
    }
    if (walk->done == walk->limit) {
        return -ECANCELED;
    }
    if (addend < 0) {
        qcow2_free_clusters(q, l2, 1, QCOW2_FREE_SNAPSHOT);
        walk->done++;
        return 0;
    }
    ret = qcow2_refcount_add(q, l2 >> q->cluster_bits, 1, addend);
    walk->done += ret >= 0;
    return ret;
}

static int walk_l1(Qcow2 *q, const Qcow2Table *l1, int addend, Walk *walk)
{
    int ret = 0;

    for (uint32_t i = 0; i < l1->n && ret >= 0; i++) {
        int64_t l2 = (int64_t)(l1->entries[i] & QCOW2_OFFSET_MASK);

        if (!l2) {
            continue;
        }
        if (qcow2_in_cluster(q, l2)) {
            return qcow2_signal_corruption(q, true, -1, -1, "L2 table offset 0x%" PRIx64
                                           " unaligned (L1 index: 0x%" PRIx32 ")",
                                           (uint64_t)l2, i);
        }
        ret = add_l2_refs(q, l2, addend, walk);
        /* Many small frees must not pile up. */
        if (ret >= 0 && addend < 0) {
            ret = qcow2_prepare_change(q);
        }
    }
    q->stale_flags |= addend < 0;
    return ret;
}

/* One more for all that the table reaches, or nothing. */
static int add_refs(Qcow2 *q, const Qcow2Table *l1)
{
    Walk walk = { .limit = INT64_MAX };
    int ret = walk_l1(q, l1, 1, &walk);

    if (ret < 0) {
        Walk back = { .limit = walk.done };

        (void)walk_l1(q, l1, -1, &back);
    }
    return ret;
}

static int drop_refs(Qcow2 *q, const Qcow2Table *l1)
{
    Walk walk = { .limit = INT64_MAX };

    return walk_l1(q, l1, -1, &walk);
}

/* ---- "Copied" flags of the table that is (going to be) active ---- */

static int update_entry_flag(Qcow2 *q, TableSlice *slice, unsigned index)
{
    Qcow2Entry entry = qcow2_get_entry(q, slice, index), old = entry;
    int64_t host = (int64_t)(entry.desc & QCOW2_OFFSET_MASK);
    uint64_t count;
    int ret;

    if ((entry.desc & QCOW2_COMPRESSED) || !host) {
        return 0;
    }
    ret = qcow2_refcount(q, host >> q->cluster_bits, &count);
    if (ret < 0) {
        return ret;
    }
    entry.desc = count == 1 ? entry.desc | QCOW2_COPIED : entry.desc & ~QCOW2_COPIED;
    if (entry.desc != old.desc) {
        qcow2_set_entry(q, slice, index, entry);
    }
    return 0;
}

static int update_table_flags(Qcow2 *q, int64_t l2)
{
    int64_t step = (int64_t)q->l2_cache.slice_size;
    int ret = 0;

    for (int64_t at = 0; at < q->cluster_size && ret >= 0; at += step) {
        TableSlice *slice;

        ret = table_cache_get(&q->l2_cache, l2 + at, &slice);
        if (ret < 0) {
            return ret;
        }
        for (unsigned i = 0; ret >= 0 && i < 1u << q->slice_bits; i++) {
            ret = update_entry_flag(q, slice, i);
        }
        table_cache_put(slice);
    }
    return ret;
}

static int update_flags(Qcow2 *q, Qcow2Table *l1)
{
    int ret = 0;

    for (uint32_t i = 0; i < l1->n && ret >= 0; i++) {
        int64_t l2 = (int64_t)(l1->entries[i] & QCOW2_OFFSET_MASK);
        uint64_t count, entry;

        if (!l2) {
            continue;
        }
        ret = update_table_flags(q, l2);
        ret = ret < 0 ? ret : qcow2_refcount(q, l2 >> q->cluster_bits, &count);
        if (ret < 0) {
            return ret;
        }
        entry = (uint64_t)l2 | (count == 1 ? QCOW2_COPIED : 0);
        if (entry != l1->entries[i]) {
            qcow2_table_set(l1, i, entry);
        }
    }
    return ret;
}

/*
 * The flags reach the disk before the lower counts: a flag on a cluster that is counted too often
 * does no harm, and the other way round looks like damage.
 */
void qcow2_settle_flags(Qcow2 *q)
{
    int ret;

    q->hold_counts = true;
    ret = update_flags(q, &q->l1);
    ret = ret < 0 ? ret : qcow2_write_back(q);
    ret = ret < 0 ? ret : qcow2_barrier(q);
    q->hold_counts = false;
    q->stale_flags = ret < 0;
}

/* ---- Finding ---- */

static bool find(const Qcow2 *q, const char *id, guint *index, GError **error)
{
    /* An ID counts more than a name. */
    for (int by_name = 0; by_name < 2; by_name++) {
        for (guint i = 0; i < q->snapshots->len; i++) {
            const Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, i);

            if (!strcmp(by_name ? s->s.name : s->s.id, id)) {
                *index = i;
                return true;
            }
        }
    }
    error_setf(error, "Can't find the snapshot '%s'", id);
    return false;
}

static bool may_change(const Qcow2 *q, GError **error)
{
    if (qcow2_has_data_file(q)) {
        error_setf(error, "Internal snapshots are not supported with an external data file");
        return false;
    }
    if (q->tmp_snapshot) {
        error_setf(error, "The image shows a snapshot and cannot be changed");
        return false;
    }
    return true;
}

static bool report(GError **error, int ret, const char *what, const char *name)
{
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not %s snapshot '%s'", what, name);
    }
    return ret >= 0;
}

/* ---- Creating ---- */

static char *new_id(const Qcow2 *q)
{
    uint64_t max = 0;

    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, i);

        max = MAX(max, g_ascii_strtoull(s->s.id, NULL, 10));
    }
    return g_strdup_printf("%" PRIu64, max + 1);
}

static void free_l1_copy(Qcow2 *q, int64_t offset)
{
    if (offset) {
        qcow2_free_clusters(q, offset, qcow2_clusters(q, (int64_t)q->l1.n * 8),
                            QCOW2_FREE_SNAPSHOT);
    }
}

/* The copy of the L1 table: in the file before anything refers to it. */
static int copy_l1(Qcow2 *q, int64_t *offset)
{
    int64_t at = q->l1.n ? qcow2_alloc(q, qcow2_clusters(q, (int64_t)q->l1.n * 8), NULL) : 0;
    int ret;

    *offset = at;
    if (at <= 0) {
        return (int)at;
    }
    ret = add_refs(q, &q->l1);
    if (ret >= 0) {
        ret = update_flags(q, &q->l1);
        ret = ret < 0 ? ret : qcow2_write_refcounts(q);
        ret = ret < 0 ? ret : qcow2_write_back(q);
        ret = ret < 0 ? ret : qcow2_table_write_at(q, &q->l1, at);
        if (ret < 0) {
            (void)drop_refs(q, &q->l1);
        }
    }
    if (ret < 0) {
        free_l1_copy(q, at);
    }
    return ret;
}

static int create_locked(Qcow2 *q, BlockSnapshot *snapshot)
{
    Qcow2Snapshot *s;
    int64_t offset;
    bool in_doubt;
    int ret = qcow2_flush_all(q);

    ret = ret < 0 ? ret : qcow2_prepare_change(q);
    ret = ret < 0 ? ret : copy_l1(q, &offset);
    if (ret < 0) {
        return ret;
    }
    s = g_new0(Qcow2Snapshot, 1);
    s->s = *snapshot;
    s->s.id = g_strdup(snapshot->id);
    s->s.name = g_strdup(snapshot->name);
    s->s.disk_size = q->disk_size;
    s->l1_offset = offset;
    s->l1_size = q->l1.n;
    g_ptr_array_add(q->snapshots, s);
    ret = qcow2_snapshots_write(q, &in_doubt);
    if (ret < 0) {
        g_ptr_array_remove_index(q->snapshots, q->snapshots->len - 1);
        if (!in_doubt) {
            (void)drop_refs(q, &q->l1);
            free_l1_copy(q, offset);
        }
        return ret;
    }
    qcow2_metadata_add(q, offset, (int64_t)s->l1_size * 8, QCOW2_S_INACTIVE_L1);
    return qcow2_flush_all(q);
}

bool qcow2_snapshot_create(BlockNode *node, BlockSnapshot *snapshot, GError **error)
{
    Qcow2 *q = node->opaque;
    int ret;

    if (!may_change(q, error)) {
        return false;
    }
    if (q->snapshots->len >= QCOW2_MAX_SNAPSHOTS) {
        error_setf(error, "The image has %d snapshots, and cannot have more", QCOW2_MAX_SNAPSHOTS);
        return false;
    }
    g_free(snapshot->id);
    snapshot->id = new_id(q);
    snapshot->disk_size = q->disk_size;
    co_mutex_lock(&q->lock);
    ret = create_locked(q, snapshot);
    co_mutex_unlock(&q->lock);
    if (ret >= 0 && snapshot->vm_state_size) {
        /* The state belongs to the snapshot alone from now on. */
        ret = qcow2_deallocate(q, qcow2_vm_state_offset(q),
                               (int64_t)ROUND_UP(snapshot->vm_state_size, q->cluster_size),
                               QCOW2_FREE_NEVER);
    }
    return report(error, ret, "create", snapshot->name);
}

/* ---- Going back ---- */

/* The snapshot's table, long enough for its disk, in a new place. */
static int activate_table(Qcow2 *q, const Qcow2Snapshot *s, Qcow2Table *l1)
{
    uint64_t wanted = MAX(qcow2_l1_entries(q, s->s.disk_size), MAX(l1->n, 1));
    int64_t offset;
    int ret;

    if (wanted > QCOW2_MAX_L1_BYTES / 8) {
        return -EFBIG;
    }
    ret = add_refs(q, l1);
    offset = ret < 0 ? ret : qcow2_alloc(q, qcow2_clusters(q, (int64_t)wanted * 8), NULL);
    if (offset < 0) {
        return (int)offset;
    }
    qcow2_table_resize(l1, (uint32_t)wanted);
    l1->offset = offset;
    ret = update_flags(q, l1);
    ret = ret < 0 ? ret : qcow2_write_refcounts(q);
    ret = ret < 0 ? ret : qcow2_write_back(q);
    ret = ret < 0 ? ret : qcow2_table_write_at(q, l1, offset);
    return ret < 0 ? ret : qcow2_barrier(q);
}

static int goto_locked(Qcow2 *q, const Qcow2Snapshot *s, Qcow2Table *l1)
{
    Qcow2Table old = q->l1;
    int64_t old_size = q->disk_size;
    int ret = qcow2_flush_all(q);

    ret = ret < 0 ? ret : qcow2_prepare_change(q);
    ret = ret < 0 ? ret : activate_table(q, s, l1);
    if (ret < 0) {
        return ret;
    }
    q->l1 = *l1;
    q->disk_size = s->s.disk_size;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        q->l1 = old;
        q->disk_size = old_size;
        return ret;
    }
    *l1 = old;
    g_clear_pointer(&q->metadata, g_hash_table_unref);
    ret = drop_refs(q, &old);
    if (ret >= 0 && old.offset) {
        qcow2_free_clusters(q, old.offset, qcow2_clusters(q, (int64_t)old.n * 8),
                            QCOW2_FREE_OTHER);
    }
    return ret < 0 ? ret : qcow2_flush_all(q);
}

bool qcow2_snapshot_goto(BlockNode *node, const char *id, GError **error)
{
    Qcow2 *q = node->opaque;
    const Qcow2Snapshot *s;
    Qcow2Table l1;
    guint index;
    int ret;

    if (!may_change(q, error) || !find(q, id, &index, error)) {
        return false;
    }
    s = g_ptr_array_index(q->snapshots, index);
    if (q->nb_bitmaps && s->s.disk_size != q->disk_size) {
        error_setf(error, "Snapshot '%s' has another disk size, which an image with persistent "
                   "dirty bitmaps cannot take", id);
        return false;
    }
    if (!qcow2_check_size(q, s->s.disk_size, error) ||
        !qcow2_table_load(q, &l1, s->l1_offset, s->l1_size, "snapshot's L1 table", error)) {
        return false;
    }
    co_mutex_lock(&q->lock);
    ret = goto_locked(q, s, &l1);
    co_mutex_unlock(&q->lock);
    qcow2_table_cleanup(&l1);
    if (node->size != q->disk_size) {
        block_node_resized(node, q->disk_size);
    }
    return report(error, ret, "go to", id);
}

/* ---- Deleting ---- */

static int delete_locked(Qcow2 *q, guint index, const Qcow2Table *l1)
{
    Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, index);
    int64_t offset = s->l1_offset, n = qcow2_clusters(q, (int64_t)s->l1_size * 8);
    int ret = qcow2_flush_all(q);

    ret = ret < 0 ? ret : qcow2_prepare_change(q);
    if (ret < 0) {
        return ret;
    }
    g_ptr_array_set_free_func(q->snapshots, NULL);
    g_ptr_array_remove_index(q->snapshots, index);
    ret = qcow2_snapshots_write(q, NULL);
    if (ret < 0) {
        g_ptr_array_insert(q->snapshots, (gint)index, s);
    } else {
        qcow2_snapshot_free(s);
    }
    g_ptr_array_set_free_func(q->snapshots, qcow2_snapshot_free);
    if (ret < 0) {
        return ret;
    }
    g_clear_pointer(&q->metadata, g_hash_table_unref);
    ret = drop_refs(q, l1);
    if (ret >= 0 && n) {
        qcow2_free_clusters(q, offset, n, QCOW2_FREE_SNAPSHOT);
    }
    return ret < 0 ? ret : qcow2_flush_all(q);
}

bool qcow2_snapshot_delete(BlockNode *node, const char *id, GError **error)
{
    Qcow2 *q = node->opaque;
    const Qcow2Snapshot *s;
    Qcow2Table l1;
    guint index;
    int ret;

    if (!may_change(q, error) || !find(q, id, &index, error)) {
        return false;
    }
    s = g_ptr_array_index(q->snapshots, index);
    if (!qcow2_table_load(q, &l1, s->l1_offset, s->l1_size, "snapshot's L1 table", error)) {
        return false;
    }
    co_mutex_lock(&q->lock);
    ret = delete_locked(q, index, &l1);
    co_mutex_unlock(&q->lock);
    qcow2_table_cleanup(&l1);
    return report(error, ret, "delete", id);
}

/* ---- Looking ---- */

GPtrArray *qcow2_snapshot_list(BlockNode *node, GError **error)
{
    Qcow2 *q = node->opaque;
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)block_snapshot_free);

    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, i);
        BlockSnapshot *copy = g_memdup2(&s->s, sizeof(s->s));

        copy->id = g_strdup(s->s.id);
        copy->name = g_strdup(s->s.name);
        g_ptr_array_add(list, copy);
    }
    return list;
}

bool qcow2_snapshot_load_tmp(BlockNode *node, const char *id, GError **error)
{
    Qcow2 *q = node->opaque;
    const Qcow2Snapshot *s;
    Qcow2Table l1;
    guint index;

    if (!block_node_is_read_only(node)) {
        error_setf(error, "Snapshot '%s' can be shown by a read-only node only", id);
        return false;
    }
    if (!find(q, id, &index, error)) {
        return false;
    }
    s = g_ptr_array_index(q->snapshots, index);
    if (!qcow2_table_load(q, &l1, s->l1_offset, s->l1_size, "snapshot's L1 table", error)) {
        return false;
    }
    qcow2_table_cleanup(&q->l1);
    q->l1 = l1;
    q->disk_size = node->size = s->s.disk_size;
    q->tmp_snapshot = true;
    return true;
}

/* ---- The VM's state, behind the disk ---- */

static bool state_range_ok(const Qcow2 *q, int64_t pos, size_t bytes)
{
    return pos >= 0 && range_ok((uint64_t)pos, bytes,
                                (uint64_t)(BLOCK_MAX_LENGTH - qcow2_vm_state_offset(q)));
}

/* Encrypted sectors are read and written whole. */
static int write_ragged(Qcow2 *q, int64_t at, const BlockVec *vec, size_t bytes)
{
    int64_t start = at & -(int64_t)CRYPTO_BLOCK_SECTOR;
    size_t len = ROUND_UP(bytes + (size_t)(at - start), CRYPTO_BLOCK_SECTOR);
    g_autofree uint8_t *buf = g_try_malloc(len);
    int ret = buf ? qcow2_read(q, start, (int64_t)len, BLOCK_VEC_BUF(buf, len), 0) : -ENOMEM;

    if (ret < 0) {
        return ret;
    }
    iov_to_buf(vec->iov, vec->n, 0, buf + (at - start), bytes);
    return qcow2_write(q, start, (int64_t)len, BLOCK_VEC_BUF(buf, len), 0);
}

int qcow2_save_vmstate(BlockNode *node, int64_t pos, const BlockVec *vec, size_t bytes)
{
    Qcow2 *q = node->opaque;

    if (!state_range_ok(q, pos, bytes)) {
        return -EFBIG;
    }
    pos += qcow2_vm_state_offset(q);
    return q->crypt_method ? write_ragged(q, pos, vec, bytes)
                           : qcow2_write(q, pos, (int64_t)bytes, vec, 0);
}

int qcow2_load_vmstate(BlockNode *node, int64_t pos, const BlockVec *vec, size_t bytes)
{
    Qcow2 *q = node->opaque;
    int64_t start, at;
    g_autofree uint8_t *buf = NULL;
    size_t len;
    int ret;

    if (!state_range_ok(q, pos, bytes)) {
        return -EFBIG;
    }
    at = pos + qcow2_vm_state_offset(q);
    if (!q->crypt_method) {
        return qcow2_read(q, at, (int64_t)bytes, vec, 0);
    }
    start = at & -(int64_t)CRYPTO_BLOCK_SECTOR;
    len = ROUND_UP(bytes + (size_t)(at - start), CRYPTO_BLOCK_SECTOR);
    buf = g_try_malloc(len);
    ret = buf ? qcow2_read(q, start, (int64_t)len, BLOCK_VEC_BUF(buf, len), 0) : -ENOMEM;
    if (ret >= 0) {
        iov_from_buf(vec->iov, vec->n, 0, buf + (at - start), bytes);
    }
    return ret;
}
