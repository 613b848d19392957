/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clusters hold metadata: an index of what the header and the tables in memory say, so that
 * a damaged image does not make us write data over them. It is made at the first write.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/qcow2.h"

static const char *const structure_names[QCOW2_STRUCTURES] = {
    "qcow2_header", "active L1 table", "active L2 table", "refcount block", "refcount table",
    "snapshot table", "inactive L1 table", "inactive L2 table", "bitmap directory",
};

static unsigned kinds_at(const Qcow2 *q, int64_t cluster)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(q->metadata, GSIZE_TO_POINTER((gsize)cluster)));
}

static void set_kinds(Qcow2 *q, int64_t cluster, unsigned kinds)
{
    if (kinds) {
        g_hash_table_insert(q->metadata, GSIZE_TO_POINTER((gsize)cluster),
                            GUINT_TO_POINTER(kinds));
    } else {
        g_hash_table_remove(q->metadata, GSIZE_TO_POINTER((gsize)cluster));
    }
}

void qcow2_metadata_add(Qcow2 *q, int64_t offset, int64_t bytes, Qcow2Structure kind)
{
    int64_t first = offset >> q->cluster_bits;

    if (!q->metadata || !offset) {
        return;
    }
    for (int64_t i = 0; i < qcow2_clusters(q, bytes); i++) {
        set_kinds(q, first + i, kinds_at(q, first + i) | kind);
    }
}

void qcow2_metadata_remove(Qcow2 *q, int64_t offset, int64_t bytes, Qcow2Structure kind)
{
    int64_t first = offset >> q->cluster_bits;

    if (!q->metadata || !offset) {
        return;
    }
    for (int64_t i = 0; i < qcow2_clusters(q, bytes); i++) {
        set_kinds(q, first + i, kinds_at(q, first + i) & ~(unsigned)kind);
    }
}

static void add_table(Qcow2 *q, const Qcow2Table *table, uint64_t mask, Qcow2Structure kind)
{
    for (uint32_t i = 0; i < table->n; i++) {
        if (table->entries[i] & mask) {
            qcow2_metadata_add(q, (int64_t)(table->entries[i] & mask), 1, kind);
        }
    }
}

/* Of snapshots whose tables are wanted too ("all"): these must be read. */
static int add_inactive_l2(Qcow2 *q, const Qcow2Snapshot *snapshot)
{
    Qcow2Table l1;

    if (!qcow2_table_load(q, &l1, snapshot->l1_offset, snapshot->l1_size, "snapshot's L1 table",
                          NULL)) {
        return -EIO;
    }
    add_table(q, &l1, QCOW2_OFFSET_MASK, QCOW2_S_INACTIVE_L2);
    qcow2_table_cleanup(&l1);
    return 0;
}

int qcow2_metadata_index(Qcow2 *q)
{
    int ret = 0;

    q->metadata = g_hash_table_new(NULL, NULL);
    set_kinds(q, 0, QCOW2_S_HEADER);
    qcow2_metadata_add(q, q->l1.offset, (int64_t)q->l1.n * 8, QCOW2_S_ACTIVE_L1);
    qcow2_metadata_add(q, q->reftable.offset, (int64_t)q->reftable.n * 8, QCOW2_S_REFTABLE);
    qcow2_metadata_add(q, q->snapshots_offset, q->snapshots_bytes, QCOW2_S_SNAPSHOT_TABLE);
    qcow2_metadata_add(q, q->bitmap_directory_offset, q->bitmap_directory_size,
                       QCOW2_S_BITMAP_DIRECTORY);
    add_table(q, &q->l1, QCOW2_OFFSET_MASK, QCOW2_S_ACTIVE_L2);
    add_table(q, &q->reftable, QCOW2_REFTABLE_MASK, QCOW2_S_REFBLOCK);
    for (guint i = 0; q->snapshots && i < q->snapshots->len && ret >= 0; i++) {
        const Qcow2Snapshot *snapshot = g_ptr_array_index(q->snapshots, i);

        qcow2_metadata_add(q, snapshot->l1_offset, (int64_t)snapshot->l1_size * 8,
                           QCOW2_S_INACTIVE_L1);
        if (q->settings.overlap & QCOW2_S_INACTIVE_L2) {
            ret = add_inactive_l2(q, snapshot);
        }
    }
    return ret;
}

int qcow2_check_overlap(Qcow2 *q, int64_t offset, int64_t bytes)
{
    int64_t first = offset >> q->cluster_bits, last = (offset + bytes - 1) >> q->cluster_bits;

    if (!q->settings.overlap) {
        return 0;
    }
    if (!q->metadata) {
        int ret = qcow2_metadata_index(q);

        if (ret < 0) {
            return ret;
        }
    }
    for (int64_t cluster = first; cluster <= last; cluster++) {
        unsigned kinds = kinds_at(q, cluster) & q->settings.overlap;

        if (kinds) {
            return qcow2_signal_corruption(q, true, offset, bytes,
                                           "Preventing invalid write on metadata (overlaps with "
                                           "%s)", structure_names[__builtin_ctz(kinds)]);
        }
    }
    return 0;
}
