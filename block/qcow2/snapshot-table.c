/* SPDX-License-Identifier: Apache-2.0 */
/* The table of snapshots: entries of variable length, one after another. */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/snapshot.h"
#include "util/error.h"

void qcow2_snapshot_free(void *opaque)
{
    Qcow2Snapshot *snapshot = opaque;

    g_free(snapshot->s.id);
    g_free(snapshot->s.name);
    g_free(snapshot->extra);
    g_free(snapshot);
}

void qcow2_snapshots_free(Qcow2 *q)
{
    g_clear_pointer(&q->snapshots, g_ptr_array_unref);
}

/* ---- Reading ---- */

static void read_extra(Qcow2Snapshot *snapshot, const uint8_t *extra, uint32_t len,
                       int64_t disk_size)
{
    snapshot->s.disk_size = disk_size;
    snapshot->s.icount = -1;
    if (len >= QCOW2_SN_X_DISK_SIZE) {
        snapshot->s.vm_state_size = ldq_be(extra + QCOW2_SN_X_VM_STATE_SIZE);
    }
    if (len >= QCOW2_SN_X_ICOUNT) {
        snapshot->s.disk_size = (int64_t)ldq_be(extra + QCOW2_SN_X_DISK_SIZE);
    }
    if (len >= QCOW2_SN_X_SIZE) {
        snapshot->s.icount = (int64_t)ldq_be(extra + QCOW2_SN_X_ICOUNT);
    }
    if (len > QCOW2_SN_X_SIZE) {
        snapshot->unknown_size = len - QCOW2_SN_X_SIZE;
        snapshot->extra = g_memdup2(extra + QCOW2_SN_X_SIZE, snapshot->unknown_size);
    }
    snapshot->extra_size = len;
}

static bool snapshot_is_sane(const Qcow2 *q, const Qcow2Snapshot *s, guint index, GError **error)
{
    if (s->l1_size > QCOW2_MAX_L1_BYTES / 8) {
        error_setf(error, "qcow2 snapshot %u: its L1 table with %" PRIu32 " entries is too large",
                   index, s->l1_size);
    } else if (qcow2_in_cluster(q, s->l1_offset) || s->l1_offset < 0 ||
               s->l1_offset > (int64_t)QCOW2_MAX_HOST_OFFSET) {
        error_setf(error, "qcow2 snapshot %u: its L1 table has a bad offset 0x%" PRIx64, index,
                   (uint64_t)s->l1_offset);
    } else if (s->s.disk_size < 0 || s->s.disk_size > BLOCK_MAX_LENGTH) {
        error_setf(error, "qcow2 snapshot %u: its disk size 0x%" PRIx64 " is too large", index,
                   (uint64_t)s->s.disk_size);
    } else {
        return true;
    }
    return false;
}

/* The variable part behind the fields at `at`. Returns the entry's length, 0 on failure. */
static int64_t read_names(Qcow2 *q, Qcow2Snapshot *snapshot, const uint8_t *fields, int64_t at,
                          guint index, GError **error)
{
    uint32_t id_size = ldw_be(fields + QCOW2_SN_ID_SIZE);
    uint32_t name_size = ldw_be(fields + QCOW2_SN_NAME_SIZE);
    uint32_t extra_size = ldl_be(fields + QCOW2_SN_EXTRA_SIZE);
    g_autofree uint8_t *rest = NULL;
    int64_t bytes = (int64_t)extra_size + id_size + name_size;
    int ret;

    if (extra_size > QCOW2_SN_MAX_EXTRA) {
        error_setf(error, "qcow2 snapshot %u: %" PRIu32 " bytes of extra data are more than the "
                   "%d supported", index, extra_size, QCOW2_SN_MAX_EXTRA);
        return 0;
    }
    rest = g_malloc((size_t)bytes + 1);
    ret = bytes ? block_pread(q->node->file, at + QCOW2_SN_HEADER, bytes, rest) : 0;
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read qcow2 snapshot %u", index);
        return 0;
    }
    snapshot->s.vm_state_size = ldl_be(fields + QCOW2_SN_VM_STATE_SIZE);
    read_extra(snapshot, rest, extra_size, q->disk_size);
    snapshot->s.id = g_strndup((const char *)rest + extra_size, id_size);
    snapshot->s.name = g_strndup((const char *)rest + extra_size + id_size, name_size);
    return QCOW2_SN_HEADER + bytes;
}

static bool read_one(Qcow2 *q, int64_t *at, guint index, GError **error)
{
    uint8_t fields[QCOW2_SN_HEADER];
    Qcow2Snapshot *snapshot;
    int64_t len;
    int ret = block_pread(q->node->file, *at, sizeof(fields), fields);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read qcow2 snapshot %u", index);
        return false;
    }
    snapshot = g_new0(Qcow2Snapshot, 1);
    g_ptr_array_add(q->snapshots, snapshot);
    snapshot->l1_offset = (int64_t)ldq_be(fields + QCOW2_SN_L1_OFFSET);
    snapshot->l1_size = ldl_be(fields + QCOW2_SN_L1_SIZE);
    snapshot->s.date_s = ldl_be(fields + QCOW2_SN_DATE_S);
    snapshot->s.date_ns = ldl_be(fields + QCOW2_SN_DATE_NS);
    snapshot->s.vm_clock_ns = (int64_t)ldq_be(fields + QCOW2_SN_VM_CLOCK);
    len = read_names(q, snapshot, fields, *at, index, error);
    if (!len || !snapshot_is_sane(q, snapshot, index, error)) {
        return false;
    }
    *at += ROUND_UP(len, 8);
    if (*at - q->snapshots_offset > QCOW2_MAX_SNAPSHOT_TABLE) {
        error_setf(error, "qcow2 snapshot table: it is larger than the %" PRId64
                   " bytes supported", QCOW2_MAX_SNAPSHOT_TABLE);
        return false;
    }
    return true;
}

bool qcow2_snapshots_read(Qcow2 *q, unsigned open_flags, GError **error)
{
    int64_t at = q->snapshots_offset;
    int64_t file_size = block_getlength(q->node->file->node);
    uint8_t field[4];
    uint32_t n;
    int ret = block_pread(q->node->file, QCOW2_H_NB_SNAPSHOTS, sizeof(field), field);

    q->snapshots = g_ptr_array_new_with_free_func(qcow2_snapshot_free);
    if (ret < 0 || file_size < 0) {
        error_setf(error, "Could not read the qcow2 header");
        return false;
    }
    n = ldl_be(field);
    for (guint i = 0; i < n; i++) {
        if (at >= file_size) {
            error_setf(error, "qcow2 snapshot %u: its entry at offset 0x%" PRIx64 " is beyond the "
                       "end of the file", i, (uint64_t)at);
            return false;
        }
        if (i >= QCOW2_MAX_SNAPSHOTS || !read_one(q, &at, i, error)) {
            return false;
        }
    }
    q->snapshots_bytes = at - q->snapshots_offset;
    return true;
}

/* ---- Writing ---- */

static void put_entry(GByteArray *table, const Qcow2Snapshot *snapshot)
{
    static const uint8_t padding[8];
    uint8_t fields[QCOW2_SN_HEADER + QCOW2_SN_X_SIZE] = { 0 };
    uint8_t *x = fields + QCOW2_SN_HEADER;
    size_t id = strlen(snapshot->s.id), name = strlen(snapshot->s.name);

    stq_be(fields + QCOW2_SN_L1_OFFSET, (uint64_t)snapshot->l1_offset);
    stl_be(fields + QCOW2_SN_L1_SIZE, snapshot->l1_size);
    stw_be(fields + QCOW2_SN_ID_SIZE, (uint16_t)id);
    stw_be(fields + QCOW2_SN_NAME_SIZE, (uint16_t)name);
    stl_be(fields + QCOW2_SN_DATE_S, (uint32_t)snapshot->s.date_s);
    stl_be(fields + QCOW2_SN_DATE_NS, (uint32_t)snapshot->s.date_ns);
    stq_be(fields + QCOW2_SN_VM_CLOCK, (uint64_t)snapshot->s.vm_clock_ns);
    stl_be(fields + QCOW2_SN_VM_STATE_SIZE,
           snapshot->s.vm_state_size <= UINT32_MAX ? (uint32_t)snapshot->s.vm_state_size : 0);
    stl_be(fields + QCOW2_SN_EXTRA_SIZE, QCOW2_SN_X_SIZE + snapshot->unknown_size);
    stq_be(x + QCOW2_SN_X_VM_STATE_SIZE, snapshot->s.vm_state_size);
    stq_be(x + QCOW2_SN_X_DISK_SIZE, (uint64_t)snapshot->s.disk_size);
    stq_be(x + QCOW2_SN_X_ICOUNT, (uint64_t)snapshot->s.icount);
    g_byte_array_append(table, fields, sizeof(fields));
    if (snapshot->extra) {
        g_byte_array_append(table, snapshot->extra, snapshot->unknown_size);
    }
    g_byte_array_append(table, (const uint8_t *)snapshot->s.id, (guint)id);
    g_byte_array_append(table, (const uint8_t *)snapshot->s.name, (guint)name);
    g_byte_array_append(table, padding, (guint)(-table->len & 7));
}

/* Written and counted, but no header says so yet. */
static int write_table(Qcow2 *q, const GByteArray *table, int64_t *offset)
{
    int ret = 0;

    *offset = table->len ? qcow2_alloc(q, qcow2_clusters(q, table->len), NULL) : 0;
    if (*offset < 0) {
        return (int)*offset;
    }
    if (table->len) {
        ret = block_pwrite(q->node->file, *offset, table->len, table->data, 0);
    }
    ret = ret < 0 ? ret : qcow2_write_back(q);
    ret = ret < 0 ? ret : qcow2_write_refcounts(q);
    ret = ret < 0 ? ret : qcow2_barrier(q);
    if (ret < 0 && table->len) {
        qcow2_free_clusters(q, *offset, qcow2_clusters(q, table->len), QCOW2_FREE_SNAPSHOT);
    }
    return ret;
}

int qcow2_snapshots_write(Qcow2 *q, bool *in_doubt)
{
    g_autoptr(GByteArray) table = g_byte_array_new();
    int64_t old = q->snapshots_offset, old_bytes = q->snapshots_bytes, offset;
    int ret;

    if (in_doubt) {
        *in_doubt = false;
    }

    for (guint i = 0; i < q->snapshots->len; i++) {
        put_entry(table, g_ptr_array_index(q->snapshots, i));
    }
    if (table->len > QCOW2_MAX_SNAPSHOT_TABLE) {
        return -EFBIG;
    }
    ret = write_table(q, table, &offset);
    if (ret < 0) {
        return ret;
    }
    q->snapshots_offset = offset;
    q->snapshots_bytes = table->len;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        if (in_doubt) {
            *in_doubt = true;
        }
        q->snapshots_offset = old;
        q->snapshots_bytes = old_bytes;
        return ret;
    }
    qcow2_metadata_remove(q, old, old_bytes, QCOW2_S_SNAPSHOT_TABLE);
    qcow2_metadata_add(q, offset, table->len, QCOW2_S_SNAPSHOT_TABLE);
    if (old_bytes) {
        qcow2_free_clusters(q, old, qcow2_clusters(q, old_bytes), QCOW2_FREE_SNAPSHOT);
    }
    return 0;
}
