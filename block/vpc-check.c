/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for what is wrong in a VHD file. Footers, their copy and checksums can be mended; a block
 * table that leads astray cannot.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"
#include "block/node.h"
#include "block/vpc-format.h"
#include "util/bits.h"
#include "util/error.h"

typedef struct VpcCheck {
    BlockNode *node;
    VpcImage *image;
    BlockCheckResult *result;
    unsigned fix;
    int64_t file_size;
    uint32_t *sectors;    /* where blocks stand, in order; the valid ones */
    uint32_t n_sectors;
    bool table_is_sound;
} VpcCheck;

static void complain(VpcCheck *check, const char *text)
{
    fprintf(stderr, "ERROR: %s\n", text);
    check->result->corruptions++;
}

static bool is_sound(const uint8_t *footer)
{
    return !memcmp(footer, VPC_COOKIE, 8) &&
           vpc_checksum(footer, VPC_FOOTER_SIZE, VPC_CHECKSUM) == ldl_be(footer + VPC_CHECKSUM);
}

/* ---- Blocks ---- */

static int compare_sectors(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static bool hits_metadata(const VpcCheck *check, int64_t at)
{
    const VpcImage *image = check->image;
    int64_t end = at + vpc_block_bytes(image);
    int64_t header = (int64_t)ldq_be(image->footer + VPC_DATA_OFFSET);

    return at < VPC_FOOTER_SIZE || (at < header + VPC_DYN_SIZE && end > header) ||
           (at < vpc_table_end(image) && end > image->bat_offset);
}

static int collect_blocks(VpcCheck *check)
{
    const VpcImage *image = check->image;
    int64_t last;

    check->sectors = g_try_new(uint32_t, MAX(image->entries, 1));
    if (!check->sectors) {
        return -ENOMEM;
    }
    last = vpc_last_place(image, check->file_size);
    check->table_is_sound = true;
    for (uint32_t i = 0; i < image->entries; i++) {
        int64_t at = (int64_t)image->bat[i] * BLOCK_SECTOR;
        bool beyond;

        if (image->bat[i] == VPC_UNALLOCATED) {
            continue;
        }
        beyond = !range_ok(at, vpc_block_bytes(image), last);
        if (beyond || hits_metadata(check, at)) {
            fprintf(stderr, "ERROR: block table entry %" PRIu32 " points to %" PRId64 ", %s\n", i,
                    at, beyond ? "beyond the last block" : "into the image's structures");
            check->result->corruptions++;
            check->table_is_sound = false;
            continue;
        }
        check->sectors[check->n_sectors++] = image->bat[i];
    }
    qsort(check->sectors, check->n_sectors, sizeof(uint32_t), compare_sectors);
    return 0;
}

/* Blocks that share bytes, and room for blocks that nobody has. */
static void check_places(VpcCheck *check)
{
    const VpcImage *image = check->image;
    int64_t end = vpc_table_end(image);

    for (uint32_t i = 0; i < check->n_sectors; i++) {
        int64_t at = (int64_t)check->sectors[i] * BLOCK_SECTOR;

        if (i && at < end) {
            fprintf(stderr, "ERROR: two blocks have the bytes at %" PRId64 "\n", at);
            check->result->corruptions++;
            check->table_is_sound = false;
        } else {
            check->result->leaks += MAX(at - end, 0) / vpc_block_bytes(image);
        }
        end = MAX(end, at + vpc_block_bytes(image));
    }
    check->result->allocated_clusters = check->n_sectors;
    check->result->total_clusters = DIV_ROUND_UP(check->node->size, (int64_t)image->block_size);
    check->result->image_end_offset = image->next_block + VPC_FOOTER_SIZE;
}

/* ---- Headers ---- */

static int check_dynamic_header(VpcCheck *check)
{
    int64_t at = (int64_t)ldq_be(check->image->footer + VPC_DATA_OFFSET);
    uint8_t header[VPC_DYN_SIZE];
    uint32_t sum;
    int ret = block_pread(check->node->file, at, sizeof(header), header);

    if (ret < 0) {
        return ret;
    }
    sum = vpc_checksum(header, sizeof(header), VPC_DYN_CHECKSUM);
    if (sum == ldl_be(header + VPC_DYN_CHECKSUM)) {
        return 0;
    }
    complain(check, "the dynamic header's checksum is wrong");
    if (check->fix & BLOCK_FIX_ERRORS) {
        stl_be(header + VPC_DYN_CHECKSUM, sum);
        ret = block_pwrite(check->node->file, at, sizeof(header), header, 0);
        check->result->corruptions_fixed += ret >= 0;
    }
    return ret;
}

/* The footer behind the last block, its copy at the start, and nothing behind them. */
static int write_footers(VpcCheck *check)
{
    VpcImage *image = check->image;
    BlockTruncate end = { .size = image->next_block + VPC_FOOTER_SIZE, .exact = true };
    int ret = block_pwrite(check->node->file, image->next_block, VPC_FOOTER_SIZE, image->footer, 0);

    if (ret >= 0 && !image->is_fixed) {
        ret = block_pwrite(check->node->file, 0, VPC_FOOTER_SIZE, image->footer, 0);
    }
    if (ret >= 0 && check->file_size != end.size) {
        ret = block_truncate(check->node->file, &end, NULL);
    }
    return ret < 0 ? ret : block_flush(check->node->file->node);
}

/*
 * The sound one is the image's from here on. A footer that a power cut has taken does no harm: its
 * copy stands in, and so it counts as a leak.
 */
static void check_footers(VpcCheck *check, const uint8_t *head, const uint8_t *tail)
{
    uint8_t *footer = check->image->footer;

    if (!is_sound(head)) {
        complain(check, "the copy of the footer at the start is damaged");
        if (is_sound(tail)) {
            memcpy(footer, tail, VPC_FOOTER_SIZE);
        }
    } else if (!is_sound(tail)) {
        fprintf(stderr, "There is no sound footer at the end of the file.\n");
        check->result->leaks++;
    } else if (memcmp(head, tail, VPC_FOOTER_SIZE) != 0) {
        complain(check, "the footer and its copy differ");
    }
    stl_be(footer + VPC_CHECKSUM, vpc_checksum(footer, VPC_FOOTER_SIZE, VPC_CHECKSUM));
}

static int64_t lost_at_end(const VpcCheck *check)
{
    int64_t rest = check->file_size - VPC_FOOTER_SIZE - check->image->next_block;

    return MAX(rest, 0) / vpc_block_bytes(check->image);
}

static int check_ends(VpcCheck *check)
{
    uint8_t head[VPC_FOOTER_SIZE], tail[VPC_FOOTER_SIZE];
    int64_t wrong = check->result->corruptions, lost = check->result->leaks;
    int ret = block_pread(check->node->file, 0, sizeof(head), head);

    if (ret >= 0) {
        ret = block_pread(check->node->file, MAX(check->file_size - VPC_FOOTER_SIZE, 0),
                          sizeof(tail), tail);
    }
    if (ret < 0) {
        return ret;
    }
    check_footers(check, head, tail);
    check->result->leaks += lost_at_end(check);
    wrong = check->result->corruptions - wrong;
    lost = check->result->leaks - lost;
    if (!(wrong && (check->fix & BLOCK_FIX_ERRORS)) && !(lost && (check->fix & BLOCK_FIX_LEAKS))) {
        return 0;
    }
    if (!check->table_is_sound) {
        fprintf(stderr, "The end of the image is not mended: where it is, the damaged block table "
                "does not tell.\n");
        return 0;
    }
    ret = write_footers(check);
    if (ret >= 0) {
        check->result->corruptions_fixed += wrong;
        check->result->leaks_fixed += lost;
    }
    return ret;
}

static int check_dynamic(VpcCheck *check)
{
    int ret = collect_blocks(check);

    if (ret < 0) {
        return ret;
    }
    check_places(check);
    ret = check_dynamic_header(check);
    return ret < 0 ? ret : check_ends(check);
}

static int check_fixed(VpcCheck *check)
{
    VpcImage *image = check->image;

    if (is_sound(image->footer)) {
        return 0;
    }
    complain(check, "the footer's checksum is wrong");
    if (!(check->fix & BLOCK_FIX_ERRORS)) {
        return 0;
    }
    stl_be(image->footer + VPC_CHECKSUM,
           vpc_checksum(image->footer, VPC_FOOTER_SIZE, VPC_CHECKSUM));
    check->result->corruptions_fixed++;
    return block_pwrite_sync(check->node->file, check->file_size - VPC_FOOTER_SIZE,
                             VPC_FOOTER_SIZE, image->footer);
}

int vpc_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error)
{
    VpcCheck check = {
        .node = node, .image = node->opaque, .result = result, .fix = fix,
        .file_size = block_getlength(node->file->node),
    };
    int ret;

    if (check.file_size < 0) {
        return (int)check.file_size;
    }
    ret = check.image->is_fixed ? check_fixed(&check) : check_dynamic(&check);
    g_free(check.sectors);
    return ret;
}
