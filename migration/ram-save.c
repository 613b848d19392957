/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/ram-save.h"

#include "migration/ram-items.h"
#include "util/bitmap.h"
#include "util/zero.h"

typedef struct SavedBlock {
    RamBlock *block;
    unsigned long *due; /* a bit for each page that is to be sent */
    size_t pages;
} SavedBlock;

struct RamSaver {
    GArray *blocks; /* SavedBlock */
    RamCounters *counters;
    uint64_t due_pages;
    bool log;
    /* Where it goes on. */
    guint block;
    size_t page;
};

static void count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void tell_remaining(const RamSaver *saver)
{
    __atomic_store_n(&saver->counters->remaining, saver->due_pages * RAM_PAGE_SIZE,
                     __ATOMIC_RELAXED);
}

/* ---- Which pages ---- */

static bool add_block(RamBlock *block, void *opaque)
{
    RamSaver *saver = opaque;
    uint64_t length = ram_block_length(block);
    SavedBlock saved = {
        .block = block, .pages = length / RAM_PAGE_SIZE + (length % RAM_PAGE_SIZE != 0),
    };

    saved.due = bitmap_new(saved.pages);
    bitmap_set_range(saved.due, 0, saved.pages);
    saver->due_pages += saved.pages;
    saver->counters->total += length;
    g_array_append_val(saver->blocks, saved);
    ram_block_pin(block);
    if (saver->log) {
        memory_region_set_log(ram_block_region(block), DIRTY_MIGRATION, true);
    }
    return true;
}

static SavedBlock *block_at(const RamSaver *saver, guint i)
{
    return &g_array_index(saver->blocks, SavedBlock, i);
}

RamSaver *ram_saver_new(bool log, RamCounters *counters)
{
    RamSaver *saver = g_new0(RamSaver, 1);

    *saver = (RamSaver) {
        .blocks = g_array_new(FALSE, FALSE, sizeof(SavedBlock)), .counters = counters, .log = log,
    };
    ram_block_foreach(add_block, saver);
    tell_remaining(saver);
    return saver;
}

void ram_saver_free(RamSaver *saver)
{
    for (guint i = 0; i < saver->blocks->len; i++) {
        SavedBlock *saved = block_at(saver, i);

        if (saver->log) {
            memory_region_set_log(ram_block_region(saved->block), DIRTY_MIGRATION, false);
        }
        ram_block_unpin(saved->block);
        g_free(saved->due);
    }
    g_array_unref(saver->blocks);
    g_free(saver);
}

static uint64_t sync_block(SavedBlock *saved)
{
    g_autofree unsigned long *written = bitmap_new(saved->pages);
    size_t words = (saved->pages + BITMAP_WORD_BITS - 1) / BITMAP_WORD_BITS;
    uint64_t pages = 0;

    memory_region_snapshot_dirty(ram_block_region(saved->block), DIRTY_MIGRATION, 0,
                                 ram_block_length(saved->block), written);
    for (size_t i = 0; i < words; i++) {
        pages += (unsigned)__builtin_popcountl(written[i] & ~saved->due[i]);
        saved->due[i] |= written[i];
    }
    return pages;
}

uint64_t ram_saver_sync(RamSaver *saver)
{
    uint64_t pages = 0;

    for (guint i = 0; i < saver->blocks->len; i++) {
        pages += sync_block(block_at(saver, i));
    }
    saver->due_pages += pages;
    count(&saver->counters->syncs, 1);
    tell_remaining(saver);
    return pages;
}

/* ---- Sending ---- */

static bool add_length(RamBlock *block, void *opaque)
{
    *(uint64_t *)opaque += ram_block_length(block);
    return true;
}

static bool save_length(RamBlock *block, void *opaque)
{
    stream_put_name(opaque, ram_block_idstr(block));
    stream_put_u64(opaque, ram_block_length(block));
    return true;
}

void ram_saver_send_blocks(StreamOut *out)
{
    uint64_t total = 0;

    stream_put_u8(out, STREAM_SECTION_START);
    stream_put_u32(out, RAM_SECTION);
    stream_put_name(out, RAM_NAME);
    stream_put_u32(out, 0);
    stream_put_u32(out, RAM_VERSION);
    ram_block_foreach(add_length, &total);
    stream_put_u64(out, total | RAM_SIZES);
    ram_block_foreach(save_length, out);
    stream_put_u64(out, RAM_END);
    stream_put_footer(out, RAM_SECTION);
}

/* The guest may write meanwhile: then the log has the page again. */
static void send_page(RamSaver *saver, StreamOut *out, const SavedBlock *saved, bool named)
{
    uint64_t at = (uint64_t)saver->page * RAM_PAGE_SIZE;
    const uint8_t *host = (const uint8_t *)ram_block_host(saved->block) + at;
    size_t n = (size_t)MIN(ram_block_length(saved->block) - at, RAM_PAGE_SIZE);
    bool zero = buffer_is_zero(host, n);

    stream_put_u64(out, at | (named ? 0 : RAM_CONTINUE) | (zero ? RAM_ZERO : RAM_PAGE));
    if (named) {
        stream_put_name(out, ram_block_idstr(saved->block));
    }
    if (zero) {
        stream_put_u8(out, 0);
    } else {
        stream_put(out, host, n);
    }
    count(zero ? &saver->counters->zero_pages : &saver->counters->pages, 1);
}

/* To the next page that is to be sent, from the place where it is; once around at most. */
static SavedBlock *next_page(RamSaver *saver)
{
    for (guint i = 0; saver->due_pages && i <= saver->blocks->len; i++) {
        SavedBlock *saved = block_at(saver, saver->block);

        saver->page = bitmap_find_set(saved->due, saved->pages, saver->page);
        if (saver->page < saved->pages) {
            return saved;
        }
        saver->block = (saver->block + 1) % saver->blocks->len;
        saver->page = 0;
    }
    return NULL;
}

bool ram_saver_send(RamSaver *saver, StreamOut *out, uint64_t bytes, bool end)
{
    uint64_t limit = end ? UINT64_MAX : stream_out_offset(out) + bytes;
    const SavedBlock *before = NULL;
    SavedBlock *saved = NULL;

    stream_put_u8(out, end ? STREAM_SECTION_END : STREAM_SECTION_PART);
    stream_put_u32(out, RAM_SECTION);
    while (out->result >= 0 && stream_out_offset(out) < limit && (saved = next_page(saver))) {
        bitmap_clear(saved->due, saver->page);
        saver->due_pages--;
        send_page(saver, out, saved, saved != before);
        before = saved;
    }
    stream_put_u64(out, RAM_END);
    stream_put_footer(out, RAM_SECTION);
    tell_remaining(saver);
    return saver->due_pages;
}
