/* SPDX-License-Identifier: Apache-2.0 */
/* The counts in the file, compared with what was counted, put right, or made anew. */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/check.h"
#include "util/error.h"

/* ---- The counts' own clusters ---- */

int check_refblocks(Check *check)
{
    Qcow2 *q = check->q;

    check_count(check, q->reftable.offset, (int64_t)q->reftable.n * 8, 1);
    for (uint32_t i = 0; i < q->reftable.n; i++) {
        uint64_t offset = q->reftable.entries[i] & QCOW2_REFTABLE_MASK;
        int64_t cluster = (int64_t)(offset >> q->cluster_bits);

        if (!offset) {
            continue;
        }
        if (offset > QCOW2_MAX_HOST_OFFSET || (offset & (q->cluster_size - 1))) {
            check_defect(check, BLOCK_FIX_ERRORS, "ERROR refcount block %" PRIu32 " is not cluster "
                         "aligned; refcount table entry corrupted", i);
            check->rebuild = true;
        } else if (cluster >= check->file_clusters) {
            check_defect(check, BLOCK_FIX_ERRORS, "ERROR refcount block %" PRIu32
                         " is outside image", i);
            check->rebuild = true;
        } else {
            refmap_add(&check->refs, cluster, 1);
            if (refmap_get(&check->refs, cluster) != 1) {
                check_defect(check, BLOCK_FIX_ERRORS, "ERROR refcount block %" PRIu32 " refcount=%"
                             PRIu32, i, refmap_get(&check->refs, cluster));
                check->rebuild = true;
            }
        }
    }
    return 0;
}

/* ---- Comparing ---- */

static int set_count(Qcow2 *q, int64_t cluster, uint64_t old, uint64_t wanted)
{
    if (wanted > q->refcount_max) {
        return -ERANGE;
    }
    return qcow2_refcount_add(q, cluster, 1, (int64_t)(wanted - old));
}

static int compare(Check *check, int64_t cluster, uint64_t count, uint32_t references)
{
    Qcow2 *q = check->q;
    bool leak = count > references;
    unsigned kind = leak ? BLOCK_FIX_LEAKS : BLOCK_FIX_ERRORS;
    uint64_t block = (uint64_t)cluster >> q->refblock_bits;
    bool fix = check->fix & kind;

    if (!leak && (block >= q->reftable.n || !(q->reftable.entries[block] & QCOW2_REFTABLE_MASK))) {
        /* No block counts it at all. */
        check_defect(check, kind, "ERROR cluster %" PRId64 " refcount=0 reference=%" PRIu32,
                     cluster, references);
        check->rebuild = true;
        return 0;
    }
    if (!check_defect(check, kind, "%s cluster %" PRId64 " refcount=%" PRIu64 " reference=%" PRIu32,
                      fix ? "Repairing" : leak ? "Leaked" : "ERROR", cluster, count, references)) {
        return 0;
    }
    return set_count(q, cluster, count, references);
}

/* A missing block counts 0 for so many clusters: skip them where nothing refers to any. */
static int64_t skippable(Check *check, int64_t cluster)
{
    Qcow2 *q = check->q;
    uint64_t block = (uint64_t)cluster >> q->refblock_bits;
    bool missing = block >= q->reftable.n || !(q->reftable.entries[block] & QCOW2_REFTABLE_MASK);
    int64_t chunk_end = (cluster / REFMAP_CHUNK + 1) * REFMAP_CHUNK;
    int64_t block_end = (int64_t)((block + 1) << q->refblock_bits);

    if (missing && cluster >= check->refs.end) {
        return block_end - cluster;
    }
    if (!missing || !refmap_chunk_is_empty(&check->refs, cluster)) {
        return 0;
    }
    return MIN(chunk_end, block_end) - cluster;
}

int check_counts(Check *check)
{
    Qcow2 *q = check->q;
    int64_t counted = (int64_t)MIN((uint64_t)q->reftable.n << q->refblock_bits,
                                   QCOW2_MAX_HOST_OFFSET >> q->cluster_bits);
    int64_t end = MAX(counted, check->refs.end);
    int64_t highest = 0;

    for (int64_t cluster = 0; cluster < end;) {
        int64_t skip = skippable(check, cluster);
        uint32_t references;
        uint64_t count;
        int ret;

        if (skip) {
            cluster += skip;
            continue;
        }
        ret = qcow2_refcount(q, cluster, &count);
        references = refmap_get(&check->refs, cluster);
        if (ret >= 0 && count != references) {
            ret = compare(check, cluster, count, references);
        }
        if (ret < 0) {
            check->result->check_errors++;
            check_say(check, "ERROR: could not look at the refcount of cluster %" PRId64 ": %s",
                      cluster, g_strerror(-ret));
            return ret;
        }
        highest = count || references ? cluster + 1 : highest;
        cluster++;
    }
    check->result->image_end_offset = highest << q->cluster_bits;
    return 0;
}

/* ---- Making them anew ---- */

static bool block_is_needed(Check *check, uint64_t block)
{
    Qcow2 *q = check->q;
    int64_t first = (int64_t)(block << q->refblock_bits);
    int64_t end = MIN((int64_t)((block + 1) << q->refblock_bits), check->refs.end);

    for (int64_t at = first; at < end;) {
        if (refmap_chunk_is_empty(&check->refs, at)) {
            at = (at / REFMAP_CHUNK + 1) * REFMAP_CHUNK;
        } else if (refmap_get(&check->refs, at)) {
            return true;
        } else {
            at++;
        }
    }
    return false;
}

/* Place blocks and then the table behind all else; they count themselves. */
static bool place_blocks(Check *check, Qcow2Table *table)
{
    Qcow2 *q = check->q;
    int64_t at = MAX(check->refs.end, check->file_clusters);
    bool added;

    do {
        uint64_t blocks = ((uint64_t)at >> q->refblock_bits) + 2;

        if (blocks > QCOW2_MAX_REFTABLE_BYTES / 8) {
            return false;
        }
        if (blocks > table->n) {
            qcow2_table_resize(table, (uint32_t)blocks);
        }
        added = false;
        for (uint64_t block = 0; block < table->n; block++) {
            if (!table->entries[block] && block_is_needed(check, block)) {
                table->entries[block] = (uint64_t)at << q->cluster_bits;
                refmap_add(&check->refs, at++, 1);
                added = true;
            }
        }
        if (!added && !table->offset) {
            int64_t clusters = qcow2_clusters(q, (int64_t)(table->n + 64) * 8);

            qcow2_table_resize(table, (uint32_t)((clusters << q->cluster_bits) / 8));
            table->offset = at << q->cluster_bits;
            for (int64_t i = 0; i < clusters; i++) {
                refmap_add(&check->refs, at++, 1);
            }
            added = true;
        }
    } while (added);
    return true;
}

static int write_block(Check *check, uint64_t block, int64_t offset, uint8_t *data)
{
    Qcow2 *q = check->q;
    int64_t first = (int64_t)(block << q->refblock_bits);

    memset(data, 0, q->cluster_size);
    for (int64_t i = 0; i < (int64_t)1 << q->refblock_bits; i++) {
        uint32_t n = refmap_get(&check->refs, first + i);

        if (n > q->refcount_max) {
            return -ERANGE;
        }
        if (n) {
            qcow2_set_count(q, data, (uint64_t)i, n);
        }
    }
    return block_pwrite(q->node->file, offset, q->cluster_size, data, 0);
}

static int write_blocks(Check *check, const Qcow2Table *table)
{
    g_autofree uint8_t *data = g_try_malloc(check->q->cluster_size);
    int ret = data ? 0 : -ENOMEM;

    for (uint64_t block = 0; block < table->n && ret >= 0; block++) {
        if (table->entries[block]) {
            ret = write_block(check, block, (int64_t)table->entries[block], data);
        }
    }
    return ret;
}

/* check->refs holds everything but the old counts, which nothing refers to afterwards. */
int check_rebuild(Check *check)
{
    Qcow2 *q = check->q;
    Qcow2Table old = q->reftable, table;
    int ret;

    check_say(check, "Rebuilding refcount structure");
    qcow2_table_init(&table, 0, 0);
    ret = place_blocks(check, &table) ? 0 : -EFBIG;
    ret = ret < 0 ? ret : write_blocks(check, &table);
    ret = ret < 0 ? ret : qcow2_table_write_at(q, &table, table.offset);
    ret = ret < 0 ? ret : qcow2_barrier(q);
    if (ret >= 0) {
        q->reftable = table;
        ret = qcow2_header_write(q);
    }
    table_cache_drop_all(&q->refcount_cache);
    if (ret < 0) {
        q->reftable = old;
        qcow2_table_cleanup(&table);
        return ret;
    }
    qcow2_table_cleanup(&old);
    q->free_hint = 0;
    return 0;
}
