/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/block/pflash-store.h"

#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"

/*
 * From this many waiting blocks on, a block that waits already is not queued again: it takes on
 * its new contents where it stands. So a queue never has more than MANY entries and one for each
 * block of the chip.
 */
#define MANY 1024

typedef struct Entry {
    uint64_t block;
    uint8_t *data; /* NULL: the last change so far; as the array is when its time comes */
} Entry;

struct PflashStore {
    BlockBackend *blk;
    const uint8_t *array;
    uint64_t size;
    const char *name;
    GQueue waiting; /* Entry*; at most the last one has no data */
    LoopBh *bh;
    bool is_writing, has_failed;
};

static const uint8_t *contents(const PflashStore *store, uint64_t block)
{
    return store->array + block * PFLASH_STORE_BLOCK;
}

static void take_contents(const PflashStore *store, Entry *entry)
{
    if (!entry->data) {
        entry->data = g_malloc(PFLASH_STORE_BLOCK);
    }
    memcpy(entry->data, contents(store, entry->block), PFLASH_STORE_BLOCK);
}

static void entry_free(Entry *entry)
{
    g_free(entry->data);
    g_free(entry);
}

static void write_entry(PflashStore *store, const Entry *entry)
{
    int ret = block_backend_pwrite(store->blk, (int64_t)(entry->block * PFLASH_STORE_BLOCK),
                                   PFLASH_STORE_BLOCK, entry->data, 0);

    if (ret < 0 && !store->has_failed) {
        store->has_failed = true;
        error_report("%s: cannot write to its image: %s; what the guest stores is lost when the "
                     "machine ends", store->name, g_strerror(-ret));
    }
}

static void write_waiting(void *opaque)
{
    PflashStore *store = opaque;
    Entry *entry;

    while ((entry = g_queue_pop_head(&store->waiting))) {
        if (!entry->data) {
            take_contents(store, entry);
        }
        write_entry(store, entry);
        entry_free(entry);
    }
    store->is_writing = false;
}

static void start_writing(void *opaque)
{
    PflashStore *store = opaque;

    if (!store->is_writing && !g_queue_is_empty(&store->waiting)) {
        store->is_writing = true;
        coroutine_start(write_waiting, store);
    }
}

static Entry *find_waiting(PflashStore *store, uint64_t block)
{
    for (GList *link = store->waiting.tail; link; link = link->prev) {
        Entry *entry = link->data;

        if (entry->block == block) {
            return entry;
        }
    }
    return NULL;
}

static void block_changed(PflashStore *store, uint64_t block)
{
    Entry *last = g_queue_peek_tail(&store->waiting);
    Entry *entry = NULL;

    if (last && last->block != block && !last->data) {
        take_contents(store, last);
    }
    if (last && last->block == block) {
        entry = last;
    } else if (store->waiting.length >= MANY) {
        entry = find_waiting(store, block);
    }
    if (!entry) {
        entry = g_new0(Entry, 1);
        entry->block = block;
        g_queue_push_tail(&store->waiting, entry);
    } else if (entry->data) {
        take_contents(store, entry);
    }
}

void pflash_store_changed(PflashStore *store, uint64_t offset, uint64_t length)
{
    g_assert(length && range_ok(offset, length, store->size));
    for (uint64_t block = offset / PFLASH_STORE_BLOCK;
         block <= (offset + length - 1) / PFLASH_STORE_BLOCK; block++) {
        block_changed(store, block);
    }
    loop_bh_schedule(store->bh);
}

void pflash_store_finish(PflashStore *store)
{
    start_writing(store);
    while (store->is_writing) {
        loop_iterate(loop_main(), true);
    }
}

PflashStore *pflash_store_new(BlockBackend *blk, const uint8_t *array, uint64_t size,
                              const char *name)
{
    PflashStore *store = g_new0(PflashStore, 1);

    store->blk = blk;
    store->array = array;
    store->size = size;
    store->name = name;
    g_queue_init(&store->waiting);
    store->bh = loop_bh_new(loop_main(), start_writing, store);
    return store;
}

void pflash_store_free(PflashStore *store)
{
    if (!store) {
        return;
    }
    pflash_store_finish(store);
    loop_bh_free(store->bh);
    g_free(store);
}
