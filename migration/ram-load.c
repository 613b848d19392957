/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM out of a stream (ram-items.h). Blocks and pages are found by name and offset; whatever does
 * not fit is refused.
 */
#include <inttypes.h>
#include <string.h>

#include "memory/ram-block.h"
#include "migration/ram-items.h"
#include "migration/stream-internal.h"
#include "util/zero.h"

static bool pin_block(RamBlock *block, void *opaque)
{
    ram_block_pin(block);
    g_ptr_array_add(opaque, block);
    return true;
}

void ram_load_begin(StreamIn *in)
{
    in->blocks = g_ptr_array_new();
    ram_block_foreach(pin_block, in->blocks);
}

static RamBlock *find_block(const StreamIn *in, const char *name)
{
    for (guint i = 0; !in->failed && i < in->blocks->len; i++) {
        RamBlock *block = g_ptr_array_index(in->blocks, i);

        if (!strcmp(ram_block_idstr(block), name)) {
            return block;
        }
    }
    return NULL;
}

/* The blocks of both sides are the same ones, of the same lengths. */
bool ram_load_start(StreamIn *in)
{
    uint64_t head = stream_get_u64(in), left = head & ~RAM_FLAGS;
    unsigned found = 0;

    if ((head & RAM_FLAGS) != RAM_SIZES) {
        return stream_bad(in, "RAM does not begin with its sizes");
    }
    while (left && !in->failed) {
        char name[256];
        RamBlock *block;
        uint64_t length;

        stream_get_name(in, name);
        length = stream_get_u64(in);
        block = find_block(in, name);
        if (!block) {
            return stream_bad(in, "this machine has no memory '%s'", name);
        }
        if (length != ram_block_length(block) || length > left) {
            return stream_bad(in, "memory '%s' has %" PRIu64 " bytes here and %" PRIu64 " there",
                              name, ram_block_length(block), length);
        }
        left -= length;
        found++;
    }
    if (found != in->blocks->len) {
        return stream_bad(in, "it has %u blocks of memory, and this machine %u", found,
                          in->blocks->len);
    }
    return stream_get_u64(in) == RAM_END || stream_bad(in, "RAM's sizes do not end");
}

static void load_zero(StreamIn *in, uint8_t *host, size_t n)
{
    uint8_t fill = stream_get_u8(in);

    /* Memory that was never touched stays so. */
    if (fill || !buffer_is_zero(host, n)) {
        memset(host, fill, n);
    }
}

static bool load_page(StreamIn *in, uint64_t head, RamBlock **block)
{
    uint64_t at = head & ~RAM_FLAGS, length;
    unsigned kind = head & RAM_FLAGS & ~RAM_CONTINUE;
    char name[256];
    uint8_t *host;

    if (!(head & RAM_CONTINUE)) {
        stream_get_name(in, name);
        *block = find_block(in, name);
    }
    if (!*block || (kind != RAM_ZERO && kind != RAM_PAGE)) {
        return stream_bad(in, "RAM has an item that is unknown (0x%" PRIx64 ")", head);
    }
    length = ram_block_length(*block);
    if (at >= length) {
        return stream_bad(in, "a page is beyond the end of memory '%s'", ram_block_idstr(*block));
    }
    host = (uint8_t *)ram_block_host(*block) + at;
    length = MIN(length - at, RAM_PAGE_SIZE);
    if (kind == RAM_ZERO) {
        load_zero(in, host, (size_t)length);
    } else {
        stream_get(in, host, (size_t)length);
    }
    return !in->failed;
}

bool ram_load_pages(StreamIn *in)
{
    RamBlock *block = NULL;
    uint64_t head;

    while ((head = stream_get_u64(in)) != RAM_END && !in->failed) {
        if (!load_page(in, head, &block)) {
            return false;
        }
    }
    return !in->failed;
}

/* Everybody who keeps something that follows from memory's content. */
static void tell_written(RamBlock *block)
{
    RamWatch *watch = ram_block_watch(block);

    memory_region_set_dirty(ram_block_region(block), 0, ram_block_length(block));
    if (watch && watch->written) {
        watch->written(watch, 0, ram_block_length(block));
    }
}

void ram_load_end(StreamIn *in)
{
    for (guint i = 0; in->blocks && i < in->blocks->len; i++) {
        RamBlock *block = g_ptr_array_index(in->blocks, i);

        tell_written(block);
        ram_block_unpin(block);
    }
    g_clear_pointer(&in->blocks, g_ptr_array_unref);
}
