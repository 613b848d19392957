/* SPDX-License-Identifier: Apache-2.0 */
/* L1 tables and the refcount table: arrays of 64-bit entries that are kept in memory. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "block/qcow2/qcow2.h"
#include "util/bitmap.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/zero.h"

#define READ_PIECE (16 * (int64_t)KiB)
#define PER_SECTOR (BLOCK_SECTOR / sizeof(uint64_t))

static uint32_t sectors_of(uint32_t n)
{
    return (n + PER_SECTOR - 1) / PER_SECTOR;
}

void qcow2_table_init(Qcow2Table *table, int64_t offset, uint32_t n)
{
    *table = (Qcow2Table) {
        .entries = g_new0(uint64_t, sectors_of(MAX(n, 1)) * PER_SECTOR), .n = n, .offset = offset,
        .dirty = bitmap_new(sectors_of(MAX(n, 1))),
    };
}

void qcow2_table_cleanup(Qcow2Table *table)
{
    g_free(table->entries);
    g_free(table->dirty);
    *table = (Qcow2Table) { 0 };
}

/* By pieces: where all is zero, as in the table of a large empty disk, no memory is touched. */
static int read_entries(Qcow2 *q, const Qcow2Table *table)
{
    int64_t bytes = (int64_t)table->n * 8, piece = MIN(bytes, READ_PIECE);
    uint64_t *buf = bytes ? block_alloc(q->node->file->node, (size_t)piece) : NULL;
    int ret = bytes && !buf ? -ENOMEM : 0;

    for (int64_t done = 0, n; done < bytes && ret >= 0; done += n) {
        uint64_t *to = table->entries + done / 8;

        n = MIN(piece, bytes - done);
        ret = block_pread(q->node->file, table->offset + done, n, buf);
        if (ret >= 0 && !buffer_is_zero(buf, (size_t)n)) {
            for (int64_t i = 0; i < n / 8; i++) {
                to[i] = be64toh(buf[i]);
            }
        }
    }
    free(buf);
    return ret;
}

bool qcow2_table_load(Qcow2 *q, Qcow2Table *table, int64_t offset, uint32_t n, const char *what,
                      GError **error)
{
    int64_t bytes = (int64_t)n * 8;
    int64_t file_size = block_getlength(q->node->file->node);
    int ret;

    if (file_size < 0) {
        error_set_errno(error, (int)-file_size, "Could not get the file's size");
        return false;
    }
    if (bytes && !range_ok((uint64_t)offset, (uint64_t)bytes,
                           (uint64_t)ROUND_UP(file_size, (int64_t)q->cluster_size))) {
        error_setf(error, "qcow2 %s: %" PRId64 " bytes at offset 0x%" PRIx64
                   " are beyond the end of the file", what, bytes, (uint64_t)offset);
        return false;
    }
    qcow2_table_init(table, offset, n);
    ret = read_entries(q, table);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the qcow2 %s at offset 0x%" PRIx64, what,
                        (uint64_t)offset);
        qcow2_table_cleanup(table);
        return false;
    }
    return true;
}

void qcow2_table_resize(Qcow2Table *table, uint32_t n)
{
    Qcow2Table larger;

    qcow2_table_init(&larger, table->offset, n);
    memcpy(larger.entries, table->entries, (size_t)MIN(n, table->n) * 8);
    for (uint32_t i = 0; i < MIN(sectors_of(n), sectors_of(table->n)); i++) {
        if (bitmap_test(table->dirty, i)) {
            bitmap_set(larger.dirty, i);
            larger.is_dirty = true;
        }
    }
    qcow2_table_cleanup(table);
    *table = larger;
}

void qcow2_table_set(Qcow2Table *table, uint32_t index, uint64_t value)
{
    table->entries[index] = value;
    bitmap_set(table->dirty, index / PER_SECTOR);
    table->is_dirty = true;
}

/* Whole sectors: what is behind the last entry belongs to the table's cluster. */
static int write_sectors(Qcow2 *q, const Qcow2Table *table, int64_t offset, uint32_t first,
                         uint32_t n)
{
    enum { PIECE = 128 };
    uint64_t buf[PIECE * PER_SECTOR];
    int ret = 0;

    for (uint32_t done = 0, step; done < n && ret >= 0; done += step) {
        step = MIN(n - done, PIECE);
        for (uint32_t i = 0; i < step * PER_SECTOR; i++) {
            buf[i] = htobe64(table->entries[(first + done) * PER_SECTOR + i]);
        }
        ret = block_pwrite(q->node->file, offset + (int64_t)(first + done) * BLOCK_SECTOR,
                           (int64_t)step * BLOCK_SECTOR, buf, 0);
    }
    return ret;
}

int qcow2_table_write_dirty(Qcow2 *q, Qcow2Table *table)
{
    uint32_t sectors = sectors_of(table->n);
    int ret = 0;

    if (!table->is_dirty) {
        return 0;
    }
    for (size_t at = bitmap_find_set(table->dirty, sectors, 0); at < sectors && ret >= 0;
         at = bitmap_find_set(table->dirty, sectors, at)) {
        size_t end = bitmap_find_clear(table->dirty, sectors, at);

        ret = write_sectors(q, table, table->offset, (uint32_t)at, (uint32_t)(end - at));
        if (ret >= 0) {
            bitmap_clear_range(table->dirty, at, end - at);
        }
    }
    table->is_dirty = ret < 0;
    return ret;
}

int qcow2_table_write_at(Qcow2 *q, const Qcow2Table *table, int64_t offset)
{
    return write_sectors(q, table, offset, 0, sectors_of(table->n));
}

/* Into a new place, and then the header says where: the old one is good until then. */
int qcow2_grow_l1(Qcow2 *q, uint64_t entries)
{
    Qcow2Table old = q->l1;
    int64_t offset;
    uint32_t n;
    int ret;

    if (entries <= q->l1.n) {
        return 0;
    }
    if (entries > QCOW2_MAX_L1_BYTES / 8) {
        return -EFBIG;
    }
    n = (uint32_t)MIN(MAX(entries, (uint64_t)q->l1.n + q->l1.n / 2), QCOW2_MAX_L1_BYTES / 8);
    ret = qcow2_prepare_change(q);
    offset = ret < 0 ? ret : qcow2_alloc(q, qcow2_clusters(q, (int64_t)n * 8), NULL);
    if (offset < 0) {
        return (int)offset;
    }
    /* The tables below and this one's clusters first. */
    ret = qcow2_write_back(q);
    if (ret >= 0) {
        qcow2_table_init(&q->l1, offset, n);
        memcpy(q->l1.entries, old.entries, (size_t)old.n * 8);
        ret = qcow2_table_write_at(q, &q->l1, offset);
        ret = ret < 0 ? ret : qcow2_barrier(q);
        ret = ret < 0 ? ret : qcow2_header_write(q);
        if (ret < 0) {
            qcow2_table_cleanup(&q->l1);
            q->l1 = old;
        }
    }
    if (ret < 0) {
        /* The header may have been written all the same: the clusters stay taken. */
        return ret;
    }
    qcow2_metadata_remove(q, old.offset, (int64_t)old.n * 8, QCOW2_S_ACTIVE_L1);
    qcow2_metadata_add(q, offset, (int64_t)n * 8, QCOW2_S_ACTIVE_L1);
    if (old.offset) {
        qcow2_free_clusters(q, old.offset, qcow2_clusters(q, (int64_t)old.n * 8),
                            QCOW2_FREE_OTHER);
    }
    qcow2_table_cleanup(&old);
    return 0;
}
