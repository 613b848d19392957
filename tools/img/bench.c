/* SPDX-License-Identifier: Apache-2.0 */
/* Many requests of one kind, and how long they took. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/img/img.h"
#include "util/error.h"
#include "util/parse.h"

enum { OPT_FLUSH_INTERVAL = IMG_OPT_OWN, OPT_NO_DRAIN, OPT_PATTERN };

static const struct option long_options[] = {
    IMG_LONG_COMMON, { "flush-interval", required_argument, NULL, OPT_FLUSH_INTERVAL },
    { "no-drain", no_argument, NULL, OPT_NO_DRAIN },
    { "pattern", required_argument, NULL, OPT_PATTERN }, IMG_LONG_END,
};

typedef struct BenchArgs {
    ImgOptions common;
    const char *aio;
    int64_t count, depth, offset, buffer_size, step; /* step 0: the buffer's size */
    int64_t flush_interval, pattern;
    bool write, no_drain, native;
} BenchArgs;

typedef struct Bench {
    const BenchArgs *args;
    BlockBackend *blk;
    int64_t size;
    int64_t left, offset;
    int64_t since_flush;
    unsigned in_flight;
    GQueue waiting;     /* coroutines that wait for a flush to end */
    Coroutine *flusher; /* waits for what is in flight; or NULL */
    bool flushing;
    uint8_t *bufs;
    int result;
} Bench;

/* ---- Options ---- */

static bool parse_count(const char *what, const char *text, int64_t min, int64_t max,
                        int64_t *value)
{
    if (!parse_int64(text, value, NULL) || *value < min || *value > max) {
        error_report("Invalid %s '%s': a number from %" PRId64 " to %" PRId64 " is wanted", what,
                     text, min, max);
        return false;
    }
    return true;
}

static bool parse_bytes(const char *what, const char *text, int64_t max, int64_t *value)
{
    if (!img_parse_size(what, text, value)) {
        return false;
    }
    if (*value > max) {
        error_report("Invalid %s '%s': at most %" PRId64, what, text, max);
        return false;
    }
    return true;
}

static bool parse_aio(BenchArgs *args, const char *text)
{
    static const char *const engines[] = { "threads", "native", "io_uring", NULL };

    args->aio = text;
    if (!g_strv_contains(engines, text)) {
        error_report("Invalid aio option '%s': threads, native or io_uring", text);
        return false;
    }
    return true;
}

static bool own_option(void *opaque, int c)
{
    BenchArgs *args = opaque;

    switch (c) {
    case 'c':
        return parse_count("request count", optarg, 0, INT32_MAX, &args->count);
    case 'd':
        return parse_count("queue depth", optarg, 1, 65536, &args->depth);
    case 'i':
        return parse_aio(args, optarg);
    case 'n':
        args->native = true;
        return true;
    case 'w':
        args->write = true;
        return true;
    case 's':
        return parse_bytes("buffer size", optarg, BLOCK_MAX_REQUEST, &args->buffer_size);
    case 'S':
        return parse_bytes("step size", optarg, INT32_MAX, &args->step);
    case OPT_FLUSH_INTERVAL:
        return parse_count("flush interval", optarg, 0, INT32_MAX, &args->flush_interval);
    case OPT_PATTERN:
        return parse_count("pattern byte", optarg, 0, 255, &args->pattern);
    case OPT_NO_DRAIN:
        args->no_drain = true;
        return true;
    default:
        return parse_bytes("offset", optarg, BLOCK_MAX_LENGTH, &args->offset);
    }
}

static bool options_agree(const BenchArgs *args)
{
    if (args->flush_interval && !args->write) {
        error_report("--flush-interval is for write tests (-w)");
        return false;
    }
    if (args->flush_interval && args->flush_interval < args->depth) {
        error_report("The flush interval cannot be smaller than the depth");
        return false;
    }
    return true;
}

/* ---- Requests ---- */

static void one_ended(Bench *b)
{
    Coroutine *flusher = b->flusher;

    if (--b->in_flight == 0 && flusher) {
        b->flusher = NULL;
        coroutine_wake(flusher);
    }
}

/* After so many writes one of the workers flushes, and the others do not write meanwhile. */
static void flush(Bench *b)
{
    Coroutine *co;
    int ret;

    b->since_flush = 0;
    b->flushing = !b->args->no_drain;
    if (b->flushing && b->in_flight > 0) {
        b->flusher = coroutine_current();
        coroutine_yield();
    }
    ret = block_backend_flush(b->blk);
    b->result = b->result ? b->result : ret;
    b->flushing = false;
    while ((co = g_queue_pop_head(&b->waiting))) {
        coroutine_wake(co);
    }
}

static int request(Bench *b, unsigned index)
{
    uint8_t *buf = b->bufs + index * b->args->buffer_size;
    int64_t offset = b->offset;

    b->offset += b->args->step;
    if (b->size > 0 && b->offset >= b->size) {
        b->offset %= b->size;
    }
    return b->args->write ? block_backend_pwrite(b->blk, offset, b->args->buffer_size, buf, 0)
                          : block_backend_pread(b->blk, offset, b->args->buffer_size, buf);
}

static void worker(void *opaque, unsigned index)
{
    Bench *b = opaque;

    while (b->left > 0 && b->result == 0) {
        int ret;

        if (b->flushing) {
            g_queue_push_tail(&b->waiting, coroutine_current());
            coroutine_yield();
            continue;
        }
        b->left--;
        b->in_flight++;
        ret = request(b, index);
        b->result = b->result ? b->result : ret;
        one_ended(b);
        if (b->args->flush_interval && ++b->since_flush >= b->args->flush_interval &&
            !b->flushing) {
            flush(b);
        }
    }
}

/* ---- The command ---- */

static void announce(const BenchArgs *args)
{
    printf("Sending %" PRId64 " %s requests, %" PRId64 " bytes each, %" PRId64 " in parallel "
           "(starting at offset %" PRId64 ", step size %" PRId64 ")\n", args->count,
           args->write ? "write" : "read", args->buffer_size, args->depth, args->offset,
           args->step);
    if (args->flush_interval) {
        printf("Sending flush every %" PRId64 " requests\n", args->flush_interval);
    }
}

static int run(Bench *b)
{
    const BenchArgs *args = b->args;
    int64_t began;

    b->bufs = block_alloc(block_backend_node(b->blk), args->depth * args->buffer_size);
    if (!b->bufs) {
        error_report("no memory for %" PRId64 " buffers of %" PRId64 " bytes", args->depth,
                     args->buffer_size);
        return 1;
    }
    memset(b->bufs, (int)args->pattern, args->depth * args->buffer_size);
    announce(args);
    began = g_get_monotonic_time();
    img_team_run(args->depth, worker, b);
    free(b->bufs);
    if (b->result < 0) {
        error_report("Failed request: %s", g_strerror(-b->result));
        return 1;
    }
    printf("Run completed in %3.3f seconds.\n", (g_get_monotonic_time() - began) / 1e6);
    return 0;
}

static int bench(BenchArgs *args, const char *filename)
{
    ImgOpen open = img_open_from(&args->common);
    Bench b = { .args = args, .left = args->count, .offset = args->offset,
                .waiting = G_QUEUE_INIT };
    GError *error = NULL;
    int status;

    open.writable = args->write;
    open.aio = args->aio ? args->aio : args->native ? "native" : NULL;
    b.blk = img_open(filename, &open, &error);
    if (!b.blk) {
        return img_fail(NULL, error);
    }
    b.size = block_backend_getlength(b.blk);
    block_backend_set_write_cache(b.blk, !open.writethrough);
    if (b.size < 0) {
        error_set_errno(&error, (int)-b.size, "Could not get the size of '%s'", filename);
        status = img_fail(NULL, error);
    } else {
        status = run(&b);
    }
    block_backend_unref(b.blk);
    return status;
}

int img_bench(int argc, char **argv)
{
    BenchArgs args = { .common = { .command = "bench", .own_o = true }, .count = 75000, .depth = 64,
                       .buffer_size = 4096 };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":hc:d:f:ni:qs:S:t:wUo:", long_options,
                                own_option, &args);

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting one image file name");
    }
    args.step = args.step ? args.step : args.buffer_size;
    return options_agree(&args) ? bench(&args, argv[optind]) : 1;
}
