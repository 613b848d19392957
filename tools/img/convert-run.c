/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying. A few workers (coroutines) take one chunk after another, each reads its own and writes
 * it, so that reading runs ahead of writing. Where order matters, writes begin in the order of
 * their offsets; the next may begin before the former has ended.
 *
 * A chunk is a range of one kind, by what the source's formats and files know (so holes are never
 * read), and of at most CHUNK bytes if there is data to be read.
 *
 * Data that stands in the page cache is not read: it is looked at and written from where it is.
 * Then there is nothing to be done beside the writing, which is a copy in memory, and the thread
 * that we are does it itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/open.h"
#include "tools/img/convert.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/zero.h"

/*
 * Small enough to stay in the processor's cache until it is written, large enough that handing it
 * to another processor costs little: a thread of the kernel's writes it, one chunk after another.
 */
#define CHUNK (512 * 1024)
/* Decompressing takes so long that less will do, and less memory is touched. */
#define PACKED_CHUNK (CHUNK / 2)
#define COPY_RANGE_CHUNK (16 * 1024 * 1024)
#define ZERO_CHUNK (1024 * 1024 * 1024)
/* Salvaging goes down to pieces of this size. */
#define SALVAGE_UNIT 512

typedef enum ChunkKind {
    CHUNK_DATA,
    CHUNK_COPY,    /* data that the storage is to copy; may be longer than CHUNK */
    CHUNK_ZERO,
    CHUNK_BACKING, /* left to the backing file */
} ChunkKind;

typedef struct Chunk {
    int64_t offset, bytes;
    ChunkKind kind;
    bool packed;   /* compressed in the source */
} Chunk;

struct ConvertWorker {
    Convert *convert;
    Coroutine *co;
    bool waits;       /* for its turn */
    bool busy;        /* with chunk */
    Chunk chunk;
    uint8_t *buf;
    const uint8_t *data;   /* the chunk's: in buf, or in seen */
    SharedMapping seen;    /* of the page cache; no data: not mapped */
};

static void fail(Convert *c, int64_t offset, int result, bool writing)
{
    if (c->result == 0 || offset < c->failed_at) {
        c->result = result;
        c->failed_at = offset;
        c->failed_writing = writing;
    }
}

static bool stopped(const Convert *c)
{
    return c->result < 0 || progress_cancelled(&c->progress);
}

/* ---- What is where ---- */

static ConvertSource *source_at(Convert *c, int64_t offset)
{
    unsigned i = 0;

    while (i + 1 < c->n_sources && offset >= c->sources[i + 1].start) {
        i++;
    }
    return &c->sources[i];
}

static ChunkKind kind_of(const Convert *c, const BlockStatus *status)
{
    if (status->flags & BLOCK_STATUS_ZERO) {
        return c->sparse ? CHUNK_ZERO : CHUNK_DATA;
    }
    if (c->has_backing && !(status->flags & BLOCK_STATUS_ALLOCATED)) {
        return CHUNK_BACKING;
    }
    return CHUNK_DATA;
}

static int ask_source(Convert *c, int64_t offset, Chunk *chunk)
{
    ConvertSource *source = source_at(c, offset);
    BlockNode *node = block_skip_filters(block_backend_node(source->blk));
    BlockNode *base = c->has_backing ? block_backing_chain_next(node) : NULL;
    BlockStatus status = { 0 };
    int64_t rest = source->start + source->size - offset;
    int ret = block_status_above(node, base, false, offset - source->start, rest, &status);

    if (ret < 0 && c->salvage) {
        *chunk = (Chunk){ offset, MIN(rest, CHUNK), CHUNK_DATA };
        return 0;
    }
    if (ret == 0 && status.bytes == 0) {
        return -EIO; /* it has become shorter */
    }
    *chunk = (Chunk){ offset, status.bytes, kind_of(c, &status),
                      status.flags & BLOCK_STATUS_COMPRESSED };
    return ret;
}

/* How much is handled at once. */
static int64_t longest(const Convert *c, const Chunk *chunk)
{
    switch (chunk->kind) {
    case CHUNK_DATA:
        return c->compressed ? c->cluster_size : chunk->packed ? PACKED_CHUNK : CHUNK;
    case CHUNK_COPY:
        return COPY_RANGE_CHUNK;
    case CHUNK_ZERO:
        return c->target_is_zero ? BLOCK_MAX_LENGTH : ZERO_CHUNK;
    default:
        return BLOCK_MAX_LENGTH;
    }
}

/* Cut; and where writes come in clusters, to whole ones, so that the next begins with one again. */
static void shape(const Convert *c, Chunk *chunk)
{
    int64_t rest = c->total - chunk->offset;
    int64_t limit;

    if (chunk->kind == CHUNK_DATA && c->copy_range) {
        chunk->kind = CHUNK_COPY;
    }
    limit = longest(c, chunk);
    if (chunk->kind <= CHUNK_COPY) {
        limit -= chunk->offset % limit;
    }
    chunk->bytes = MIN(chunk->bytes, limit);
    if (chunk->bytes < rest && chunk->bytes % c->cluster_size) {
        if (chunk->bytes < c->cluster_size) {
            chunk->bytes = MIN(c->cluster_size, rest);
            chunk->kind = CHUNK_DATA;
        }
        chunk->bytes -= chunk->bytes < rest ? chunk->bytes % c->cluster_size : 0;
    }
}

/* False: there is nothing left. */
static bool take_chunk(ConvertWorker *w)
{
    Convert *c = w->convert;
    bool got = false;

    co_mutex_lock(&c->scan_lock);
    if (!stopped(c) && c->next < c->total) {
        int ret = ask_source(c, c->next, &w->chunk);

        if (ret < 0) {
            fail(c, c->next, ret, false);
        } else {
            shape(c, &w->chunk);
            c->next += w->chunk.bytes;
            w->busy = got = true;
        }
    }
    co_mutex_unlock(&c->scan_lock);
    return got;
}

/* ---- Reading ---- */

/* By halves, until what cannot be read is one unit. */
static void salvage(const ConvertSource *source, int64_t offset, int64_t bytes, uint8_t *buf)
{
    int ret = block_backend_pread(source->blk, offset, bytes, buf);
    int64_t half = ROUND_UP(bytes / 2, SALVAGE_UNIT);

    if (ret == 0) {
        return;
    }
    if (bytes <= SALVAGE_UNIT) {
        warn_report("error while reading offset %" PRId64 ": %s", source->start + offset,
                    g_strerror(-ret));
        memset(buf, 0, bytes);
        return;
    }
    salvage(source, offset, half, buf);
    salvage(source, offset + half, bytes - half, buf + half);
}

static int read_chunk(ConvertWorker *w)
{
    Convert *c = w->convert;
    int ret = 0;

    w->data = w->buf;
    for (int64_t done = 0; ret == 0 && done < w->chunk.bytes;) {
        int64_t at = w->chunk.offset + done;
        ConvertSource *source = source_at(c, at);
        int64_t n = MIN(w->chunk.bytes - done, source->start + source->size - at);

        ret = block_backend_pread(source->blk, at - source->start, n, w->buf + done);
        if (ret < 0 && c->salvage) {
            salvage(source, at - source->start, n, w->buf + done);
            ret = 0;
        }
        done += n;
    }
    if (ret < 0) {
        fail(c, w->chunk.offset, ret, false);
    }
    return ret;
}

/* ---- Data in the page cache ---- */

static void forget_seen(ConvertWorker *w)
{
    shared_mapping_cleanup(&w->seen);
}

/* All of the chunk, or false. */
static bool peek_chunk(ConvertWorker *w)
{
    Convert *c = w->convert;
    ConvertSource *source = source_at(c, w->chunk.offset);
    int64_t at = w->chunk.offset - source->start, got;

    if (c->compressed || w->chunk.bytes > source->size - at) {
        return false;
    }
    got = block_peek(block_backend_node(source->blk), at, w->chunk.bytes, &w->seen);
    if (got < w->chunk.bytes) {
        forget_seen(w);
        return false;
    }
    w->data = w->seen.data;
    return true;
}

/* ---- Writing ---- */

static int write_zeroes(Convert *c, int64_t offset, int64_t bytes)
{
    return c->target_is_zero ? 0 : block_backend_pwrite_zeroes(c->target, offset, bytes,
                                                               BLOCK_REQ_MAY_UNMAP);
}

/* How many bytes from the beginning on are all zero, or all not, judged by units. */
static int64_t run_length(const uint8_t *buf, int64_t bytes, int64_t unit, bool *is_zero)
{
    int64_t n = MIN(unit, bytes);

    *is_zero = buffer_is_zero(buf, n);
    while (n < bytes && buffer_is_zero(buf + n, MIN(unit, bytes - n)) == *is_zero) {
        n += MIN(unit, bytes - n);
    }
    return n;
}

static int write_data(ConvertWorker *w)
{
    Convert *c = w->convert;
    unsigned flags = c->compressed ? BLOCK_REQ_COMPRESSED : 0;
    int64_t unit = c->compressed ? w->chunk.bytes : c->sparse;
    int ret = 0;

    for (int64_t done = 0, n; ret == 0 && done < w->chunk.bytes; done += n) {
        bool is_zero = false;

        n = c->sparse ? run_length(w->data + done, w->chunk.bytes - done, unit, &is_zero)
                      : w->chunk.bytes;
        ret = is_zero ? write_zeroes(c, w->chunk.offset + done, n)
                      : block_backend_pwrite(c->target, w->chunk.offset + done, n, w->data + done,
                                             flags);
    }
    return ret;
}

/* What could not be looked at to the end, as the file became shorter, is read after all. */
static int write_seen(ConvertWorker *w)
{
    int ret = write_data(w);

    if (ret == -EFAULT || shared_mapping_is_broken(&w->seen)) {
        ret = read_chunk(w);
        ret = ret < 0 ? ret : write_data(w);
    }
    img_team_breathe(&w->convert->peeks);
    return ret;
}

static int copy_range(ConvertWorker *w)
{
    Convert *c = w->convert;
    ConvertSource *source = source_at(c, w->chunk.offset);

    return block_copy_range(block_backend_root(source->blk), w->chunk.offset - source->start,
                            block_backend_root(c->target), w->chunk.offset, w->chunk.bytes, 0);
}

/* A piece at a time. */
static int read_and_write(ConvertWorker *w)
{
    Chunk whole = w->chunk;
    int ret = 0;

    for (int64_t done = 0; ret == 0 && done < whole.bytes; done += w->chunk.bytes) {
        w->chunk = (Chunk){ whole.offset + done, MIN(whole.bytes - done, CHUNK), CHUNK_DATA };
        ret = read_chunk(w);
        ret = ret < 0 ? ret : write_data(w);
    }
    w->chunk = whole;
    return ret;
}

static int write_chunk(ConvertWorker *w)
{
    Convert *c = w->convert;

    switch (w->chunk.kind) {
    case CHUNK_DATA:
        return w->seen.data ? write_seen(w) : write_data(w);
    case CHUNK_COPY:
        if (c->copy_range && copy_range(w) == 0) {
            return 0;
        }
        c->copy_range = false; /* it will not work later either */
        return read_and_write(w);
    case CHUNK_ZERO:
        return write_zeroes(c, w->chunk.offset, w->chunk.bytes);
    default:
        return 0;
    }
}

/* ---- Order ---- */

static void wake_others(Convert *c)
{
    for (unsigned i = 0; i < c->workers; i++) {
        ConvertWorker *w = &c->team[i];

        if (w->waits && (stopped(c) || w->chunk.offset == c->turn)) {
            w->waits = false;
            coroutine_wake(w->co);
        }
    }
}

/* False: it will not come any more. */
static bool wait_for_turn(ConvertWorker *w)
{
    Convert *c = w->convert;

    while (!c->any_order && w->chunk.offset != c->turn && !stopped(c)) {
        w->waits = true;
        coroutine_yield();
    }
    if (stopped(c)) {
        return false;
    }
    if (!c->any_order) {
        /* Whoever is next is woken now, and runs when our write waits for the disk. */
        c->turn = w->chunk.offset + w->chunk.bytes;
        wake_others(c);
    }
    return true;
}

int64_t convert_low_water(const Convert *c)
{
    int64_t low = c->next;

    for (unsigned i = 0; i < c->workers; i++) {
        if (c->team[i].busy) {
            low = MIN(low, c->team[i].chunk.offset);
        }
    }
    return low;
}

/* ---- Workers ---- */

static void keep_to_rate(Convert *c, int64_t bytes)
{
    int64_t wait = ratelimit_delay(&c->rate, bytes, vm_clock_ns(VM_CLOCK_REALTIME));

    if (wait > 0) {
        coroutine_sleep(VM_CLOCK_REALTIME, wait);
    }
}

static void checkpoint(Convert *c)
{
    int ret;

    if (!c->journal || c->checkpointing || !convert_journal_is_due(c->journal)) {
        return;
    }
    c->checkpointing = true;
    ret = convert_journal_mark(c->journal, c);
    c->checkpointing = false;
    if (ret < 0) {
        fail(c, convert_low_water(c), ret, true);
    }
}

static int fetch_chunk(ConvertWorker *w)
{
    bool seen = w->chunk.kind == CHUNK_DATA && peek_chunk(w);

    loop_allow_waiting(loop_main(), seen ? CHUNK : IMG_SHORT_WRITE);
    return seen || w->chunk.kind != CHUNK_DATA ? 0 : read_chunk(w);
}

static void do_chunk(ConvertWorker *w)
{
    Convert *c = w->convert;
    int ret;

    if (fetch_chunk(w) < 0 || !wait_for_turn(w)) {
        forget_seen(w);
        return;
    }
    ret = write_chunk(w);
    forget_seen(w);
    if (ret < 0) {
        fail(c, w->chunk.offset, ret, true);
        return;
    }
    w->busy = false;
    if (w->chunk.kind <= CHUNK_COPY) {
        keep_to_rate(c, w->chunk.bytes);
    }
    progress_advance(&c->progress, w->chunk.bytes);
    checkpoint(c);
}

static void worker(void *opaque, unsigned index)
{
    Convert *c = opaque;
    ConvertWorker *w = &c->team[index];

    w->co = coroutine_current();
    while (!stopped(c) && take_chunk(w)) {
        do_chunk(w);
    }
    if (stopped(c)) {
        wake_others(c);
    }
}

static bool make_team(Convert *c, GError **error)
{
    size_t size = MAX((int64_t)CHUNK, c->cluster_size);

    c->team = g_new0(ConvertWorker, c->workers);
    for (unsigned i = 0; i < c->workers; i++) {
        c->team[i] = (ConvertWorker){ .convert = c };
        c->team[i].buf = block_alloc(block_backend_node(c->target), size);
        if (!c->team[i].buf) {
            error_setf(error, "no memory for buffers of %zu bytes", size);
            return false;
        }
    }
    return true;
}

static void dismiss_team(Convert *c)
{
    for (unsigned i = 0; c->team && i < c->workers; i++) {
        free(c->team[i].buf);
    }
    g_clear_pointer(&c->team, g_free);
}

static bool report(const Convert *c, GError **error)
{
    if (c->result < 0) {
        error_set_errno(error, -c->result, "error while %s at byte %" PRId64,
                        c->failed_writing ? "writing" : "reading", c->failed_at);
    } else if (progress_cancelled(&c->progress)) {
        error_setf(error, "interrupted");
    } else {
        return true;
    }
    return false;
}

bool convert_run(Convert *c, int64_t start, GError **error)
{
    bool ok = make_team(c, error);

    c->next = c->turn = start;
    co_mutex_init(&c->scan_lock);
    if (ok) {
        img_team_run(c->workers, worker, c);
        if (c->compressed && !stopped(c)) {
            int ret = block_backend_pwrite(c->target, 0, 0, c->team[0].buf, BLOCK_REQ_COMPRESSED);

            if (ret < 0) {
                fail(c, c->total, ret, true);
            }
        }
        if (c->journal && c->result == 0 && progress_cancelled(&c->progress)) {
            convert_journal_mark(c->journal, c);
        }
        ok = report(c, error);
    }
    dismiss_team(c);
    co_mutex_cleanup(&c->scan_lock);
    return ok;
}
