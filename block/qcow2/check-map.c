/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What refers to which clusters. Each L2 table is read once, however many L1 tables have it: first
 * it is counted how often each is referred to, then its entries count as often. So the time is
 * bounded by the size of the file.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/bitmap.h"
#include "block/qcow2/check.h"

typedef struct CheckTable {
    int64_t offset;
    uint32_t n;         /* references */
    bool active;        /* the active L1 table has it */
} CheckTable;

void check_count(Check *check, int64_t offset, int64_t bytes, uint32_t n)
{
    Qcow2 *q = check->q;
    int64_t first = offset >> q->cluster_bits;
    int64_t clusters = bytes ? qcow2_clusters(q, qcow2_in_cluster(q, offset) + bytes) : 0;

    if (offset < 0 || first + clusters > check->file_clusters) {
        check_defect(check, 0, "ERROR: counting reference for region exceeding the end of the file "
                     "by one cluster or more: offset 0x%" PRIx64 " size 0x%" PRIx64,
                     (uint64_t)offset, (uint64_t)bytes);
        return;
    }
    for (int64_t i = 0; i < clusters; i++) {
        refmap_add(&check->refs, first + i, n);
    }
}

/* ---- L1 tables ---- */

static void count_table(Check *check, int64_t l2, bool active)
{
    CheckTable *table = g_hash_table_lookup(check->tables, &l2);

    if (!table) {
        table = g_new0(CheckTable, 1);
        table->offset = l2;
        g_hash_table_insert(check->tables, &table->offset, table);
    }
    table->n++;
    table->active |= active;
}

static void count_l1(Check *check, const Qcow2Table *l1, bool active)
{
    Qcow2 *q = check->q;

    for (uint32_t i = 0; i < l1->n; i++) {
        int64_t l2 = (int64_t)(l1->entries[i] & QCOW2_OFFSET_MASK);

        if (l1->entries[i] & QCOW2_L1_RESERVED) {
            check_defect(check, 0, "ERROR L1 entry %" PRIu32 " (0x%" PRIx64 "): reserved bits are "
                         "set", i, l1->entries[i]);
        }
        if (!l2) {
            continue;
        }
        if (qcow2_in_cluster(q, l2)) {
            check_defect(check, 0, "ERROR l2_offset=0x%" PRIx64 ": Table is not cluster aligned; "
                         "L1 entry corrupted", (uint64_t)l2);
            continue;
        }
        check_count(check, l2, q->cluster_size, 1);
        if (l2 >> q->cluster_bits < check->file_clusters) {
            count_table(check, l2, active);
        }
    }
}

static int count_snapshot(Check *check, const Qcow2Snapshot *s)
{
    Qcow2Table l1;
    g_autoptr(GError) error = NULL;

    check_count(check, s->l1_offset, (int64_t)s->l1_size * 8, 1);
    if (!qcow2_table_load(check->q, &l1, s->l1_offset, s->l1_size, "snapshot's L1 table",
                          &error)) {
        check_defect(check, 0, "ERROR snapshot %s: %s", s->s.id, error->message);
        return 0;
    }
    count_l1(check, &l1, false);
    qcow2_table_cleanup(&l1);
    return 0;
}

/* ---- L2 tables ---- */

static void note_allocated(Check *check, int64_t host, bool compressed)
{
    BlockCheckResult *r = check->result;

    r->allocated_clusters++;
    r->compressed_clusters += compressed;
    if (compressed) {
        r->fragmented_clusters++;
        return;
    }
    if (check->next_host && host != check->next_host) {
        r->fragmented_clusters++;
    }
    check->next_host = host + check->q->cluster_size;
}

static bool count_compressed(Check *check, const CheckTable *table, Qcow2Entry *entry)
{
    int64_t offset, bytes;

    qcow2_compressed_range(check->q, entry->desc, &offset, &bytes);
    if (table->active) {
        note_allocated(check, offset, true);
    }
    check_count(check, offset, bytes, table->n);
    if (!(entry->desc & QCOW2_COPIED)) {
        return false;
    }
    if (!check_defect(check, BLOCK_FIX_ERRORS, "%s: coffset=0x%" PRIx64 ": copied flag must never "
                      "be set for compressed clusters",
                      check->fix & BLOCK_FIX_ERRORS ? "Repairing" : "ERROR", (uint64_t)offset)) {
        return false;
    }
    entry->desc &= ~QCOW2_COPIED;
    return true;
}

static bool is_damaged(const Qcow2 *q, Qcow2Entry entry)
{
    if (entry.desc & QCOW2_COMPRESSED) {
        return qcow2_has_data_file(q);
    }
    for (unsigned sub = 0; sub < q->subclusters; sub++) {
        if (qcow2_entry_type(q, entry, sub) == QCOW2_INVALID) {
            return true;
        }
    }
    return (entry.desc & QCOW2_L2_RESERVED) != 0;
}

/* Returns whether the entry was changed. */
static bool count_entry(Check *check, const CheckTable *table, unsigned index, Qcow2Entry *entry)
{
    Qcow2 *q = check->q;
    int64_t host = (int64_t)(entry->desc & QCOW2_OFFSET_MASK);

    if (is_damaged(q, *entry)) {
        check_defect(check, 0, "ERROR L2 table 0x%" PRIx64 ": entry %u (0x%" PRIx64 " 0x%" PRIx64
                     ") is invalid", (uint64_t)table->offset, index, entry->desc, entry->bitmap);
    }
    if (entry->desc & QCOW2_COMPRESSED) {
        return qcow2_has_data_file(q) ? false : count_compressed(check, table, entry);
    }
    if (qcow2_has_data_file(q)) {
        check->result->allocated_clusters += table->active && (entry->desc & QCOW2_COPIED);
        return false;
    }
    if (!host) {
        return false;
    }
    if (qcow2_in_cluster(q, host)) {
        bool zero = qcow2_entry_type(q, *entry, 0) == QCOW2_ZERO_HOST && !q->extended_l2;

        if (!check_defect(check, zero ? BLOCK_FIX_ERRORS : 0, "ERROR offset=0x%" PRIx64
                          ": Cluster is not properly aligned; L2 entry corrupted.",
                          (uint64_t)host)) {
            return false;
        }
        entry->desc = QCOW2_ZERO;
        return true;
    }
    if (table->active) {
        note_allocated(check, host, false);
    }
    check_count(check, host, q->cluster_size, table->n);
    return false;
}

static int read_table(Qcow2 *q, int64_t offset, TableSlice *whole)
{
    return block_pread(q->node->file, offset, q->cluster_size, whole->data);
}

static void put_entry(const Qcow2 *q, TableSlice *whole, unsigned index, Qcow2Entry entry)
{
    uint8_t *at = whole->data + (size_t)index * q->l2_entry_size;

    stq_be(at, entry.desc);
    if (q->extended_l2) {
        stq_be(at + 8, entry.bitmap);
    }
}

static int count_l2(Check *check, const CheckTable *table, TableSlice *whole)
{
    Qcow2 *q = check->q;
    bool changed = false;
    int ret = read_table(q, table->offset, whole);

    if (ret < 0) {
        check_say(check, "ERROR: could not read the L2 table at 0x%" PRIx64 ": %s",
                  (uint64_t)table->offset, g_strerror(-ret));
        check->result->check_errors++;
        return ret;
    }
    for (unsigned i = 0; i < 1u << q->l2_bits; i++) {
        Qcow2Entry entry = qcow2_get_entry(q, whole, i);

        if ((entry.desc || entry.bitmap) && count_entry(check, table, i, &entry)) {
            put_entry(q, whole, i, entry);
            changed = true;
        }
    }
    return changed ? block_pwrite(q->node->file, table->offset, q->cluster_size, whole->data, 0)
                   : 0;
}

static int by_offset(const void *a, const void *b)
{
    const CheckTable *x = *(CheckTable *const *)a, *y = *(CheckTable *const *)b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int count_all_l2(Check *check)
{
    g_autofree uint8_t *data = g_try_malloc(check->q->cluster_size);
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();
    GHashTableIter iter;
    void *table;
    TableSlice whole = { .data = data };
    int ret = data ? 0 : -ENOMEM;

    g_hash_table_iter_init(&iter, check->tables);
    while (g_hash_table_iter_next(&iter, NULL, &table)) {
        g_ptr_array_add(sorted, table);
    }
    g_ptr_array_sort(sorted, by_offset);
    for (guint i = 0; i < sorted->len && ret >= 0; i++) {
        ret = count_l2(check, g_ptr_array_index(sorted, i), &whole);
    }
    return ret;
}

int check_references(Check *check)
{
    Qcow2 *q = check->q;
    int ret = 0;

    check->tables = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    check_count(check, 0, q->cluster_size, 1);
    check_count(check, q->l1.offset, (int64_t)q->l1.n * 8, 1);
    count_l1(check, &q->l1, true);
    for (guint i = 0; i < q->snapshots->len && ret >= 0; i++) {
        ret = count_snapshot(check, g_ptr_array_index(q->snapshots, i));
    }
    check_count(check, q->snapshots_offset, q->snapshots_bytes, 1);
    if (q->crypto_offset) {
        check_count(check, q->crypto_offset, q->crypto_length, 1);
    }
    ret = ret < 0 ? ret : qcow2_bitmaps_check(check);
    return ret < 0 ? ret : count_all_l2(check);
}

/* ---- Flags ---- */

/* A leaked reference makes no cluster shared: the count must not be believed then. */
static bool flag_is_right(Check *check, uint64_t entry, int64_t host, uint64_t count)
{
    uint32_t references = refmap_get(&check->refs, host >> check->q->cluster_bits);

    return entry & QCOW2_COPIED ? count == 1 || references == 1 : count != 1 || references != 1;
}

static int check_l2_flags(Check *check, int64_t l2, TableSlice *whole)
{
    Qcow2 *q = check->q;
    bool changed = false;
    int ret = read_table(q, l2, whole);

    for (unsigned i = 0; i < 1u << q->l2_bits && ret >= 0; i++) {
        Qcow2Entry entry = qcow2_get_entry(q, whole, i);
        int64_t host = (int64_t)(entry.desc & QCOW2_OFFSET_MASK);
        uint64_t count;

        if ((entry.desc & QCOW2_COMPRESSED) || !host || qcow2_in_cluster(q, host)) {
            continue;
        }
        ret = qcow2_refcount(q, host >> q->cluster_bits, &count);
        if (ret < 0 || flag_is_right(check, entry.desc, host, count)) {
            continue;
        }
        if (check_defect(check, BLOCK_FIX_ERRORS, "%s OFLAG_COPIED data cluster: l2_entry=%" PRIx64
                         " refcount=%" PRIu64,
                         check->fix & BLOCK_FIX_ERRORS ? "Repairing" : "ERROR", entry.desc,
                         count)) {
            entry.desc ^= QCOW2_COPIED;
            put_entry(q, whole, i, entry);
            changed = true;
        }
    }
    if (ret >= 0 && changed) {
        ret = block_pwrite(q->node->file, l2, q->cluster_size, whole->data, 0);
    }
    return ret;
}

int check_flags(Check *check)
{
    Qcow2 *q = check->q;
    g_autofree uint8_t *data = g_try_malloc(q->cluster_size);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_int64_hash, g_int64_equal);
    TableSlice whole = { .data = data };
    int ret = data ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < q->l1.n && ret >= 0; i++) {
        int64_t l2 = (int64_t)(q->l1.entries[i] & QCOW2_OFFSET_MASK);
        CheckTable *table = g_hash_table_lookup(check->tables, &l2);
        uint64_t count;

        if (!table) {
            continue;
        }
        ret = qcow2_refcount(q, l2 >> q->cluster_bits, &count);
        if (ret >= 0 && !flag_is_right(check, q->l1.entries[i], l2, count) &&
            check_defect(check, BLOCK_FIX_ERRORS, "%s OFLAG_COPIED L2 cluster: l1_index=%" PRIu32
                         " l1_entry=%" PRIx64 " refcount=%" PRIu64,
                         check->fix & BLOCK_FIX_ERRORS ? "Repairing" : "ERROR", i,
                         q->l1.entries[i], count)) {
            qcow2_table_set(&q->l1, i, q->l1.entries[i] ^ QCOW2_COPIED);
        }
        if (ret >= 0 && !qcow2_has_data_file(q) && g_hash_table_add(seen, &table->offset)) {
            ret = check_l2_flags(check, l2, &whole);
        }
    }
    return ret < 0 ? ret : qcow2_table_write_dirty(q, &q->l1);
}
