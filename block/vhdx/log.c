/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHDX: the log (2.3). A ring of 4 KiB sectors with entries in it; an entry is a list of sectors
 * to be written elsewhere, or zeroed.
 *
 * What we write has one entry in force at a time: each names itself as the tail, since all that
 * earlier ones said is in its place and flushed by then. Entries take turns between the two halves
 * of the log, so that a torn write never destroys the one that still counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io.h"
#include "block/vhdx/internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

/* A log that has something in it is read whole; other logs may be longer. */
#define MAX_REPLAY (16u << 20)
/* Pieces that a read-only image keeps in memory: each read looks at all. */
#define MAX_OVERLAY 16384u
/* A file that a log enlarges may not become longer than this. */
#define MAX_FILE (int64_t)(VHDX_MAX_SIZE * 2)

typedef struct LogEntry {
    uint32_t at, sectors; /* in sectors of the log */
    uint32_t tail, count;
    uint64_t sequence, flushed, last;
} LogEntry;

typedef struct LogScan {
    BlockNode *node;
    uint8_t *log;
    uint32_t sectors;
} LogScan;

/* One thing that the log says: data (a sector) or, with NULL, zeroes. */
typedef struct LogPiece {
    int64_t offset, bytes;
    const uint8_t *data;
} LogPiece;

/* ---- Finding what is in force ---- */

static uint8_t *log_sector(const LogScan *scan, uint64_t index)
{
    return scan->log + index % scan->sectors * VHDX_SECTOR;
}

/* They begin in the entry's first sector, and none crosses the end of one. */
static const uint8_t *log_descriptor(const LogScan *scan, const LogEntry *e, uint32_t i)
{
    uint32_t at = VHDX_LOG_DESCRIPTORS + VHDX_DESC_SIZE * i;

    return log_sector(scan, e->at + (uint64_t)at / VHDX_SECTOR) + at % VHDX_SECTOR;
}

static uint32_t descriptor_sectors(const LogEntry *e)
{
    return DIV_ROUND_UP(VHDX_LOG_DESCRIPTORS + VHDX_DESC_SIZE * (uint64_t)e->count, VHDX_SECTOR);
}

static bool take_entry_header(const LogScan *scan, uint32_t at, LogEntry *e)
{
    const VhdxImage *image = scan->node->opaque;
    const uint8_t *h = log_sector(scan, at);
    uint32_t length = ldl_le(h + VHDX_LOG_LENGTH), tail = ldl_le(h + VHDX_LOG_TAIL);

    if (memcmp(h, "loge", 4) != 0 ||
        memcmp(h + VHDX_LOG_GUID, image->header + VHDX_HEAD_LOG_GUID, 16) != 0) {
        return false;
    }
    *e = (LogEntry){
        .at = at % scan->sectors, .sectors = length / VHDX_SECTOR, .tail = tail / VHDX_SECTOR,
        .count = ldl_le(h + VHDX_LOG_COUNT), .sequence = ldq_le(h + VHDX_LOG_SEQUENCE),
        .flushed = ldq_le(h + VHDX_LOG_FLUSHED), .last = ldq_le(h + VHDX_LOG_LAST),
    };
    return length && length % VHDX_SECTOR == 0 && tail % VHDX_SECTOR == 0 && e->sequence &&
           e->sectors <= scan->sectors && e->tail < scan->sectors &&
           e->count <= e->sectors * (VHDX_SECTOR / VHDX_DESC_SIZE) &&
           descriptor_sectors(e) <= e->sectors;
}

static bool data_sector_fits(const uint8_t *sector, uint64_t sequence)
{
    return !memcmp(sector, "data", 4) &&
           ldl_le(sector + VHDX_DATA_SEQUENCE_HIGH) == sequence >> 32 &&
           ldl_le(sector + VHDX_DATA_SEQUENCE_LOW) == (uint32_t)sequence;
}

/* Stops at the first sector that does not belong: all entries together cost one pass. */
static bool entry_is_sound(const LogScan *scan, const LogEntry *e)
{
    uint32_t next = descriptor_sectors(e);

    for (uint32_t i = 0; i < e->count; i++) {
        const uint8_t *d = log_descriptor(scan, e, i);
        bool is_data = !memcmp(d, "desc", 4);

        if ((!is_data && memcmp(d, "zero", 4) != 0) ||
            ldq_le(d + VHDX_DESC_SEQUENCE) != e->sequence ||
            ldq_le(d + VHDX_DESC_OFFSET) % VHDX_SECTOR ||
            (!is_data && ldq_le(d + VHDX_DESC_LEADING) % VHDX_SECTOR)) {
            return false;
        }
        if (is_data && (next >= e->sectors ||
                        !data_sector_fits(log_sector(scan, e->at + next++), e->sequence))) {
            return false;
        }
    }
    return next == e->sectors;
}

static bool entry_checksum_fits(const LogScan *scan, const LogEntry *e)
{
    g_autofree uint8_t *whole = g_malloc((size_t)e->sectors * VHDX_SECTOR);

    for (uint32_t i = 0; i < e->sectors; i++) {
        memcpy(whole + (size_t)i * VHDX_SECTOR, log_sector(scan, e->at + i), VHDX_SECTOR);
    }
    return ldl_le(whole + VHDX_LOG_CHECKSUM) ==
           vhdx_checksum(whole, (size_t)e->sectors * VHDX_SECTOR, VHDX_LOG_CHECKSUM);
}

/* The entries from here on whose numbers follow one another. Returns their sectors. */
static uint32_t take_run(const LogScan *scan, uint32_t at, GArray *run)
{
    uint32_t used = 0;
    LogEntry e;

    g_array_set_size(run, 0);
    while (used < scan->sectors && take_entry_header(scan, at + used, &e) &&
           e.sectors <= scan->sectors - used &&
           (!run->len ||
            e.sequence == g_array_index(run, LogEntry, run->len - 1).sequence + 1) &&
           entry_is_sound(scan, &e) && entry_checksum_fits(scan, &e)) {
        g_array_append_val(run, e);
        used += e.sectors;
    }
    return used;
}

/* Leaves what the last one's tail says is needed; false if the tail is not in the run. */
static bool cut_to_tail(GArray *run)
{
    uint32_t tail = run->len ? g_array_index(run, LogEntry, run->len - 1).tail : 0;

    for (guint i = 0; i < run->len; i++) {
        if (g_array_index(run, LogEntry, i).at == tail) {
            if (i) {
                g_array_remove_range(run, 0, i);
            }
            return true;
        }
    }
    return false;
}

static uint64_t run_head(const GArray *run)
{
    return run->len ? g_array_index(run, LogEntry, run->len - 1).sequence : 0;
}

/* The active sequence: the valid run with the highest number. Empty: nothing to replay. */
static GArray *find_active(const LogScan *scan)
{
    GArray *best = g_array_new(false, false, sizeof(LogEntry));
    GArray *run = g_array_new(false, false, sizeof(LogEntry));

    for (uint32_t at = 0; at < scan->sectors;) {
        uint32_t used = take_run(scan, at, run);

        if (cut_to_tail(run) && run_head(run) > run_head(best)) {
            GArray *other = best;

            best = run;
            run = other;
        }
        at += MAX(used, 1);
    }
    g_array_unref(run);
    return best;
}

/* ---- Replay ---- */

static bool piece_is_possible(const VhdxImage *image, const LogPiece *p, int64_t end)
{
    return p->offset >= VHDX_REGIONS_AT(0) && range_ok(p->offset, p->bytes, end) &&
           !ranges_overlap(p->offset, p->bytes, image->log.offset, image->log.length);
}

/* Put the bytes that the sector's own marks took the place of back from the descriptor. */
static LogPiece take_piece(const LogScan *scan, const LogEntry *e, uint32_t i, uint32_t *next)
{
    const uint8_t *d = log_descriptor(scan, e, i);
    LogPiece piece = { .offset = ldq_le(d + VHDX_DESC_OFFSET) & INT64_MAX, .bytes = VHDX_SECTOR };
    uint8_t *sector;

    if (!memcmp(d, "zero", 4)) {
        piece.bytes = ldq_le(d + VHDX_DESC_LEADING) & INT64_MAX;
        return piece;
    }
    sector = log_sector(scan, e->at + (*next)++);
    memcpy(sector, d + VHDX_DESC_LEADING, 8);
    memcpy(sector + VHDX_DATA_SEQUENCE_LOW, d + VHDX_DESC_TRAILING, 4);
    piece.data = sector;
    return piece;
}

static bool apply_piece(BlockNode *node, const LogPiece *piece, GError **error)
{
    VhdxImage *image = node->opaque;
    int ret = 0;

    if (image->overlay) {
        if (image->overlay->len >= MAX_OVERLAY) {
            error_setf(error, "VHDX log at %" PRId64 ": too much to replay in memory; open the "
                       "image for writing once", image->log.offset);
            return false;
        }
        g_array_append_val(image->overlay, *piece);
    } else if (piece->data) {
        ret = block_pwrite(node->file, piece->offset, VHDX_SECTOR, piece->data, 0);
    } else if (piece->bytes) {
        ret = block_pwrite_zeroes(node->file, piece->offset, piece->bytes, 0);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not replay the VHDX log to %" PRId64, piece->offset);
    }
    return ret >= 0;
}

static bool apply_entry(const LogScan *scan, const LogEntry *e, GError **error)
{
    VhdxImage *image = scan->node->opaque;
    uint32_t next = descriptor_sectors(e);

    for (uint32_t i = 0; i < e->count; i++) {
        LogPiece piece = take_piece(scan, e, i, &next);

        if (!piece_is_possible(image, &piece, image->file_end)) {
            error_setf(error, "VHDX log entry at %" PRId64 ": descriptor %" PRIu32 " (%" PRId64
                       " bytes at %" PRId64 ") is not possible",
                       image->log.offset + (int64_t)e->at * VHDX_SECTOR, i, piece.bytes,
                       piece.offset);
            return false;
        }
        if (!apply_piece(scan->node, &piece, error)) {
            return false;
        }
    }
    return true;
}

/* The file must be as long as it was; what grew since may have been lost, and grows again. */
static bool restore_length(BlockNode *node, const LogEntry *head, GError **error)
{
    VhdxImage *image = node->opaque;
    BlockTruncate longer = { .size = head->last & INT64_MAX };

    if (head->flushed > (uint64_t)image->file_end || head->last > (uint64_t)MAX_FILE) {
        error_setf(error, "VHDX log entry at %" PRId64 ": the file has %" PRId64
                   " bytes; it should have %" PRIu64 " to %" PRIu64,
                   image->log.offset + (int64_t)head->at * VHDX_SECTOR, image->file_end,
                   head->flushed, head->last);
        return false;
    }
    if (longer.size <= image->file_end) {
        return true;
    }
    if (!image->overlay && block_truncate(node->file, &longer, error) < 0) {
        return false;
    }
    image->file_end = longer.size;
    return true;
}

static bool finish_replay(BlockNode *node, GError **error)
{
    VhdxImage *image = node->opaque;
    int ret = block_flush(node->file->node);

    ret = ret < 0 ? ret : vhdx_new_guid(image->header + VHDX_HEAD_FILE_GUID);
    ret = ret < 0 ? ret : vhdx_close_log(node);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the VHDX headers after replaying the log");
    }
    return ret >= 0;
}

static bool replay(const LogScan *scan, GError **error)
{
    g_autoptr(GArray) active = find_active(scan);
    BlockNode *node = scan->node;

    if (!active->len) {
        return true;
    }
    if (!restore_length(node, &g_array_index(active, LogEntry, active->len - 1), error)) {
        return false;
    }
    for (guint i = 0; i < active->len; i++) {
        if (!apply_entry(scan, &g_array_index(active, LogEntry, i), error)) {
            return false;
        }
    }
    return true;
}

bool vhdx_replay_log(BlockNode *node, GError **error)
{
    VhdxImage *image = node->opaque;
    LogScan scan = { .node = node, .sectors = image->log.length / VHDX_SECTOR };
    bool in_memory = block_node_is_read_only(node);
    int ret;

    if (vhdx_guid_is_zero(image->header + VHDX_HEAD_LOG_GUID)) {
        return true;
    }
    if (image->log.length > MAX_REPLAY) {
        error_setf(error, "VHDX log at %" PRId64 ": %" PRId64 " bytes to replay, more than the %u "
                   "supported", image->log.offset, image->log.length, MAX_REPLAY);
        return false;
    }
    image->overlay_data = scan.log = g_malloc(image->log.length);
    ret = block_pread(node->file, image->log.offset, image->log.length, scan.log);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the VHDX log at %" PRId64,
                        image->log.offset);
        return false;
    }
    if (in_memory) {
        image->overlay = g_array_new(false, false, sizeof(LogPiece));
    }
    if (!replay(&scan, error)) {
        return false;
    }
    if (in_memory && image->overlay->len) {
        return true;
    }
    vhdx_drop_overlay(image);
    return in_memory || finish_replay(node, error);
}

void vhdx_drop_overlay(VhdxImage *image)
{
    g_clear_pointer(&image->overlay, g_array_unref);
    g_clear_pointer(&image->overlay_data, g_free);
}

/* ---- Reading over it ---- */

int vhdx_readv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
               size_t vec_offset)
{
    VhdxImage *image = node->opaque;
    int ret = block_preadv(node->file, offset, bytes, vec, vec_offset, 0);

    for (guint i = 0; ret >= 0 && image->overlay && i < image->overlay->len; i++) {
        const LogPiece *p = &g_array_index(image->overlay, LogPiece, i);
        int64_t from = MAX(p->offset, offset), to = MIN(p->offset + p->bytes, offset + bytes);

        if (from >= to) {
            continue;
        }
        if (p->data) {
            iov_from_buf(vec->iov, vec->n, vec_offset + (from - offset),
                         p->data + (from - p->offset), to - from);
        } else {
            iov_memset(vec->iov, vec->n, vec_offset + (from - offset), 0, to - from);
        }
    }
    return ret;
}

int vhdx_read(BlockNode *node, int64_t offset, int64_t bytes, void *buf)
{
    return vhdx_readv(node, offset, bytes, BLOCK_VEC_BUF(buf, bytes), 0);
}

bool vhdx_read_structure(BlockNode *node, int64_t offset, int64_t bytes, void *buf,
                         const char *what, GError **error)
{
    int ret = vhdx_read(node, offset, bytes, buf);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the VHDX %s at %" PRId64, what, offset);
    }
    return ret >= 0;
}

/* ---- Writing ---- */

static void fill_entry(VhdxImage *image, uint8_t *entry, uint32_t tail, const int64_t *targets,
                       const uint8_t *data, unsigned n)
{
    size_t length = (size_t)(n + 1) * VHDX_SECTOR;
    uint64_t sequence = ++image->log_sequence;

    memset(entry, 0, VHDX_SECTOR);
    memcpy(entry, "loge", 4);
    stl_le(entry + VHDX_LOG_LENGTH, length);
    stl_le(entry + VHDX_LOG_TAIL, tail);
    stq_le(entry + VHDX_LOG_SEQUENCE, sequence);
    stl_le(entry + VHDX_LOG_COUNT, n);
    memcpy(entry + VHDX_LOG_GUID, image->log_guid, 16);
    stq_le(entry + VHDX_LOG_FLUSHED, image->file_end);
    stq_le(entry + VHDX_LOG_LAST, image->file_end);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *from = data + (size_t)i * VHDX_SECTOR;
        uint8_t *sector = entry + (size_t)(i + 1) * VHDX_SECTOR;
        uint8_t *d = entry + VHDX_LOG_DESCRIPTORS + VHDX_DESC_SIZE * i;

        memcpy(d, "desc", 4);
        memcpy(d + VHDX_DESC_TRAILING, from + VHDX_DATA_SEQUENCE_LOW, 4);
        memcpy(d + VHDX_DESC_LEADING, from, 8);
        stq_le(d + VHDX_DESC_OFFSET, targets[i]);
        stq_le(d + VHDX_DESC_SEQUENCE, sequence);
        memcpy(sector, from, VHDX_SECTOR);
        memcpy(sector, "data", 4);
        stl_le(sector + VHDX_DATA_SEQUENCE_HIGH, sequence >> 32);
        stl_le(sector + VHDX_DATA_SEQUENCE_LOW, sequence);
    }
    stl_le(entry + VHDX_LOG_CHECKSUM, vhdx_checksum(entry, length, VHDX_LOG_CHECKSUM));
}

/* The log counts from when a header names its GUID: by then it has a valid entry. */
static int announce_log(BlockNode *node)
{
    VhdxImage *image = node->opaque;
    int ret;

    if (!memcmp(image->header + VHDX_HEAD_LOG_GUID, image->log_guid, 16)) {
        return 0;
    }
    memcpy(image->header + VHDX_HEAD_LOG_GUID, image->log_guid, 16);
    ret = vhdx_write_headers(node);
    if (ret < 0) {
        memset(image->header + VHDX_HEAD_LOG_GUID, 0, 16);
    }
    return ret;
}

int vhdx_log_write(BlockNode *node, const int64_t *targets, const uint8_t *data, unsigned n)
{
    VhdxImage *image = node->opaque;
    size_t length = (size_t)(n + 1) * VHDX_SECTOR;
    g_autofree uint8_t *entry = g_malloc(length);
    uint32_t half = ROUND_DOWN(image->log.length / 2, VHDX_SECTOR);
    uint32_t at = image->log_sequence % 2 ? half : 0;
    int ret = vhdx_guid_is_zero(image->log_guid) ? vhdx_new_guid(image->log_guid) : 0;

    /* What the entry points at, and what earlier ones said. */
    ret = ret < 0 ? ret : block_flush(node->file->node);
    if (ret < 0) {
        return ret;
    }
    fill_entry(image, entry, at, targets, data, n);
    ret = block_pwrite_sync(node->file, image->log.offset + at, length, entry);
    if (ret >= 0) {
        ret = announce_log(node);
    }
    for (unsigned i = 0; i < n && ret >= 0; i++) {
        ret = block_pwrite(node->file, targets[i], VHDX_SECTOR, data + (size_t)i * VHDX_SECTOR, 0);
    }
    return ret;
}

int vhdx_close_log(BlockNode *node)
{
    VhdxImage *image = node->opaque;

    if (vhdx_guid_is_zero(image->header + VHDX_HEAD_LOG_GUID)) {
        return 0;
    }
    memset(image->header + VHDX_HEAD_LOG_GUID, 0, 16);
    memset(image->log_guid, 0, 16);
    return vhdx_write_headers(node);
}
