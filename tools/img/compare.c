/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit status: 0 the same, 1 they differ, 2 an image could not be opened, 3 where its data is could
 * not be learned, 4 it could not be read.
 *
 * Only what may have data is read: of a range that reads as zeroes on one side the other side is
 * read, if at all. Data in the page cache is compared where it stands. A few workers take one range
 * after another; the lowest difference counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/img/img.h"
#include "util/co-lock.h"
#include "util/error.h"
#include "util/zero.h"

enum { COMPARE_SAME = 0, COMPARE_DIFFER = 1, COMPARE_OPEN = 2, COMPARE_STATUS = 3,
       COMPARE_READ = 4 };

#define CHUNK (128 * 1024)
#define WORKERS 4

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_PROGRESS, { "strict", no_argument, NULL, 's' }, IMG_LONG_END,
};

typedef struct CompareArgs {
    ImgOptions common;
    const char *second_format;
    bool strict;
} CompareArgs;

/* What is to be looked at: by which images' data. */
typedef struct Range {
    int64_t offset, bytes;
    bool read[2];
} Range;

/* An image's data of a range: in buf, or where the page cache has it. */
typedef struct Side {
    uint8_t *buf;
    const uint8_t *data;
    SharedMapping seen; /* no data: not mapped */
} Side;

typedef struct Compare {
    const CompareArgs *args;
    const char *names[2];
    BlockBackend *blk[2];
    int64_t size[2], end;   /* end: of the longer one */
    int64_t next;
    CoMutex scan_lock;
    Side sides[WORKERS][2];
    unsigned steps;
    Progress progress;
    /* The lowest offset at which something was found, and what. */
    int64_t found_at;
    int verdict;
    bool status_differs;
    int error, bad_image;
} Compare;

static void found(Compare *c, int64_t offset, int verdict, int error, int image)
{
    if (c->verdict == COMPARE_SAME || offset < c->found_at) {
        c->found_at = offset;
        c->verdict = verdict;
        c->error = error;
        c->bad_image = image;
        c->status_differs = false;
    }
}

/* ---- What is where ---- */

static int status_of(Compare *c, int image, int64_t offset, BlockStatus *status)
{
    int64_t rest = c->size[image] - offset;

    if (rest <= 0) {
        *status = (BlockStatus){ .flags = BLOCK_STATUS_ZERO, .bytes = c->end - offset };
        return 0;
    }
    return block_status_above(block_backend_node(c->blk[image]), NULL, false, offset, rest, status);
}

static bool same_status(const BlockStatus *a, const BlockStatus *b)
{
    const unsigned mask = BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED;

    return (a->flags & mask) == (b->flags & mask);
}

static bool look(Compare *c, Range *range)
{
    BlockStatus status[2] = { 0 };

    range->offset = c->next;
    range->bytes = c->end - c->next;
    for (int i = 0; i < 2; i++) {
        int ret = status_of(c, i, c->next, &status[i]);

        if (ret < 0 || status[i].bytes == 0) {
            found(c, c->next, COMPARE_STATUS, ret < 0 ? ret : -EIO, i);
            return false;
        }
        range->bytes = MIN(range->bytes, status[i].bytes);
        range->read[i] = !(status[i].flags & BLOCK_STATUS_ZERO);
    }
    if (c->args->strict && !same_status(&status[0], &status[1])) {
        found(c, c->next, COMPARE_DIFFER, 0, 0);
        c->status_differs = true;
        return false;
    }
    if (range->read[0] || range->read[1]) {
        range->bytes = MIN(range->bytes, CHUNK - c->next % CHUNK);
    }
    return true;
}

static bool take_range(Compare *c, Range *range)
{
    bool got = false;

    co_mutex_lock(&c->scan_lock);
    while (c->verdict == COMPARE_SAME && !progress_cancelled(&c->progress) && c->next < c->end &&
           !got && look(c, range)) {
        c->next += range->bytes;
        got = range->read[0] || range->read[1];
        if (!got) {
            progress_advance(&c->progress, range->bytes);
        }
    }
    co_mutex_unlock(&c->scan_lock);
    return got;
}

/* ---- Comparing ---- */

/* The first of `bytes` (> 0) that is not zero. */
static int64_t first_nonzero(const uint8_t *buf, int64_t bytes)
{
    int64_t i = 0;

    while (i < bytes && !buf[i]) {
        i++;
    }
    return i;
}

static int64_t first_difference(const uint8_t *a, const uint8_t *b, int64_t bytes)
{
    int64_t i = 0;

    while (i < bytes && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* Where they differ, or range->bytes. */
static int64_t unequal_at(const Range *range, const Side sides[2])
{
    if (range->read[0] && range->read[1]) {
        return memcmp(sides[0].data, sides[1].data, range->bytes) == 0
                   ? range->bytes
                   : first_difference(sides[0].data, sides[1].data, range->bytes);
    }
    return buffer_is_zero(sides[range->read[1]].data, range->bytes)
               ? range->bytes : first_nonzero(sides[range->read[1]].data, range->bytes);
}

static int fetch(BlockBackend *blk, const Range *range, bool may_peek, Side *side)
{
    if (may_peek && block_peek(block_backend_node(blk), range->offset, range->bytes,
                               &side->seen) == range->bytes) {
        side->data = side->seen.data;
        return 0;
    }
    shared_mapping_cleanup(&side->seen);
    side->data = side->buf;
    return block_backend_pread(blk, range->offset, range->bytes, side->buf);
}

/* False if what was looked at went away meanwhile. */
static bool compare_range(Compare *c, const Range *range, bool may_peek, Side sides[2])
{
    int64_t at;

    for (int i = 0; i < 2; i++) {
        int ret = range->read[i] ? fetch(c->blk[i], range, may_peek, &sides[i]) : 0;

        if (ret < 0) {
            found(c, range->offset, COMPARE_READ, ret, i);
            return true;
        }
    }
    at = unequal_at(range, sides);
    if (shared_mapping_is_broken(&sides[0].seen) || shared_mapping_is_broken(&sides[1].seen)) {
        return false;
    }
    if (at < range->bytes) {
        found(c, range->offset + at, COMPARE_DIFFER, 0, 0);
    }
    return true;
}

static void worker(void *opaque, unsigned index)
{
    Compare *c = opaque;
    Range range;

    while (take_range(c, &range)) {
        Side *sides = c->sides[index];

        if (!compare_range(c, &range, true, sides)) {
            compare_range(c, &range, false, sides);
        }
        shared_mapping_cleanup(&sides[0].seen);
        shared_mapping_cleanup(&sides[1].seen);
        progress_advance(&c->progress, range.bytes);
        img_team_breathe(&c->steps);
    }
}

static void run(Compare *c)
{
    co_mutex_init(&c->scan_lock);
    for (int i = 0; i < WORKERS; i++) {
        for (int k = 0; k < 2; k++) {
            c->sides[i][k].buf = block_alloc(block_backend_node(c->blk[k]), CHUNK);
        }
    }
    progress_begin(&c->progress, "compare", img_progress_style(&c->args->common), c->end);
    img_team_run(WORKERS, worker, c);
    progress_end(&c->progress, progress_cancelled(&c->progress) ? PROGRESS_CANCELLED
                 : c->verdict == COMPARE_SAME ? PROGRESS_COMPLETED : PROGRESS_FAILED);
    for (int i = 0; i < WORKERS; i++) {
        free(c->sides[i][0].buf);
        free(c->sides[i][1].buf);
    }
    co_mutex_cleanup(&c->scan_lock);
}

/* ---- The command ---- */

static bool open_both(Compare *c, GError **error)
{
    for (int i = 0; i < 2; i++) {
        ImgOpen open = img_open_from(&c->args->common);

        open.cache = c->args->common.source_cache;
        if (i == 1) {
            open.format = c->args->second_format;
        }
        c->blk[i] = img_open(c->names[i], &open, error);
        if (!c->blk[i]) {
            return false;
        }
        c->size[i] = block_backend_getlength(c->blk[i]);
        if (c->size[i] < 0) {
            error_set_errno(error, (int)-c->size[i], "Could not get the size of '%s'", c->names[i]);
            return false;
        }
    }
    c->end = MAX(c->size[0], c->size[1]);
    return true;
}

static void say(const Compare *c)
{
    bool sizes_matter = c->size[0] != c->size[1] &&
                        (c->verdict == COMPARE_SAME || c->found_at >= MIN(c->size[0], c->size[1]));
    GError *error = NULL;

    if (!c->args->common.quiet && sizes_matter) {
        printf("Warning: Image size mismatch!\n");
    }
    if (c->verdict >= COMPARE_STATUS) {
        error_set_errno(&error, -c->error, "Error while %s '%s' at offset %" PRId64,
                        c->verdict == COMPARE_READ ? "reading" : "asking for the data of",
                        c->names[c->bad_image], c->found_at);
        img_fail(NULL, error);
    } else if (c->args->common.quiet) {
        return;
    } else if (c->verdict == COMPARE_SAME) {
        printf("Images are identical.\n");
    } else if (c->status_differs) {
        printf("Strict mode: Offset %" PRId64 " block status mismatch!\n", c->found_at);
    } else {
        printf("Content mismatch at offset %" PRId64 "!\n", c->found_at);
    }
}

static int compare(Compare *c)
{
    GError *error = NULL;

    if (!open_both(c, &error)) {
        img_fail(NULL, error);
        return COMPARE_OPEN;
    }
    if (c->args->strict && c->size[0] != c->size[1]) {
        if (!c->args->common.quiet) {
            printf("Strict mode: Image size mismatch!\n");
        }
        return COMPARE_DIFFER;
    }
    run(c);
    if (progress_cancelled(&c->progress)) {
        error_report("interrupted");
        return COMPARE_OPEN;
    }
    say(c);
    return c->verdict;
}

static bool own_option(void *opaque, int c)
{
    CompareArgs *args = opaque;

    if (c == 'F') {
        args->second_format = optarg;
    } else {
        args->strict = true;
    }
    return true;
}

int img_compare(int argc, char **argv)
{
    CompareArgs args = { .common.command = "compare" };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":hf:F:T:pqsU", long_options, own_option,
                                &args);
    Compare c = { .args = &args };
    int status;

    /* 1 says that they differ. */
    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD ? COMPARE_OPEN : COMPARE_SAME;
    }
    if (optind != argc - 2) {
        img_usage_error("Expecting two image file names");
        return COMPARE_OPEN;
    }
    c.names[0] = argv[optind];
    c.names[1] = argv[optind + 1];
    status = compare(&c);
    for (int i = 0; i < 2; i++) {
        if (c.blk[i]) {
            block_backend_unref(c.blk[i]);
        }
    }
    return status;
}
