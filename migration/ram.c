/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM in a stream. Each item begins with a 64-bit number: an offset in a block, and flags in the
 * bits that are 0 because pages have 4 KiB. The first part of the section has one list of blocks,
 * the second all pages, each with its block's name unless it is that of the page before.
 */
#include <inttypes.h>
#include <string.h>

#include "memory/ram-block.h"
#include "migration/stream-internal.h"
#include "util/error.h"
#include "util/zero.h"

#define RAM_ZERO 0x02u     /* a page whose bytes are all the one that follows */
#define RAM_SIZES 0x04u    /* the list; the number is the sum of all lengths */
#define RAM_PAGE 0x08u     /* a page's bytes follow */
#define RAM_END 0x10u      /* of this part */
#define RAM_CONTINUE 0x20u /* no name */
#define RAM_FLAGS ((uint64_t)RAM_PAGE_SIZE - 1)

/* ---- Saving ---- */

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

static bool save_pages(RamBlock *block, void *opaque)
{
    StreamOut *out = opaque;
    const uint8_t *host = ram_block_host(block);
    uint64_t length = ram_block_length(block);
    unsigned same_block = 0;

    for (uint64_t at = 0; at < length && out->result >= 0; at += RAM_PAGE_SIZE) {
        size_t n = MIN(length - at, RAM_PAGE_SIZE);
        bool zero = buffer_is_zero(host + at, n);

        stream_put_u64(out, at | same_block | (zero ? RAM_ZERO : RAM_PAGE));
        if (!same_block) {
            stream_put_name(out, ram_block_idstr(block));
            same_block = RAM_CONTINUE;
        }
        if (zero) {
            stream_put_u8(out, 0);
        } else {
            stream_put(out, host + at, n);
        }
    }
    return out->result >= 0;
}

void ram_save(StreamOut *out)
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
    stream_put_u8(out, STREAM_FOOTER);
    stream_put_u32(out, RAM_SECTION);

    stream_put_u8(out, STREAM_SECTION_END);
    stream_put_u32(out, RAM_SECTION);
    ram_block_foreach(save_pages, out);
    stream_put_u64(out, RAM_END);
    stream_put_u8(out, STREAM_FOOTER);
    stream_put_u32(out, RAM_SECTION);
}

/* ---- Loading ---- */

static bool count_block(RamBlock *block, void *opaque)
{
    ++*(unsigned *)opaque;
    return true;
}

/* The blocks of both sides are the same ones, of the same lengths. */
bool ram_load_start(StreamIn *in)
{
    uint64_t head = stream_get_u64(in), left = head & ~RAM_FLAGS;
    unsigned wanted = 0, found = 0;

    if ((head & RAM_FLAGS) != RAM_SIZES) {
        return stream_bad(in, "RAM does not begin with its sizes");
    }
    ram_block_foreach(count_block, &wanted);
    while (left && !in->failed) {
        char name[256];
        RamBlock *block;
        uint64_t length;

        stream_get_name(in, name);
        length = stream_get_u64(in);
        block = in->failed ? NULL : ram_block_find(name);
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
    if (found != wanted) {
        return stream_bad(in, "it has %u blocks of memory, and this machine %u", found, wanted);
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
        *block = in->failed ? NULL : ram_block_find(name);
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

/* Everybody who keeps something that follows from memory's content. */
static bool tell_written(RamBlock *block, void *opaque)
{
    RamWatch *watch = ram_block_watch(block);

    memory_region_set_dirty(ram_block_region(block), 0, ram_block_length(block));
    if (watch && watch->written) {
        watch->written(watch, 0, ram_block_length(block));
    }
    return true;
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
    ram_block_foreach(tell_written, NULL);
    return !in->failed;
}
