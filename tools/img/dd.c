/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new image from part of another, by dd's words. `count` counts input blocks behind those that
 * `skip` leaves out, as dd's does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/create.h"
#include "tools/img/img.h"
#include "util/error.h"
#include "util/parse.h"

#define CHUNK (1024 * 1024)

static const struct option long_options[] = { IMG_LONG_COMMON, IMG_LONG_END };

typedef struct DdArgs {
    ImgOptions common;
    const char *output_format;
    const char *input, *output;
    int64_t block_size, count, skip; /* count -1: to the end */
} DdArgs;

static bool parse_number(const char *what, const char *text, int64_t *value)
{
    uint64_t number;

    if (!parse_size(text, 1, &number, NULL) || number > INT64_MAX) {
        error_report("Invalid %s '%s': a number is wanted, perhaps with a suffix such as k or M",
                     what, text);
        return false;
    }
    *value = number;
    return true;
}

static bool parse_operand(DdArgs *args, const char *word)
{
    if (g_str_has_prefix(word, "if=")) {
        args->input = word + 3;
        return true;
    }
    if (g_str_has_prefix(word, "of=")) {
        args->output = word + 3;
        return true;
    }
    if (g_str_has_prefix(word, "count=")) {
        return parse_number("count", word + 6, &args->count);
    }
    if (g_str_has_prefix(word, "skip=")) {
        return parse_number("skip", word + 5, &args->skip);
    }
    if (!g_str_has_prefix(word, "bs=")) {
        error_report("Unknown operand '%s': if=, of=, bs=, count= and skip= are known", word);
        return false;
    }
    if (!parse_number("bs", word + 3, &args->block_size)) {
        return false;
    }
    if (args->block_size < 1 || args->block_size > INT32_MAX) {
        error_report("bs must be between 1 and %d", INT32_MAX);
        return false;
    }
    return true;
}

static int64_t product(int64_t a, int64_t b)
{
    return b && a > BLOCK_MAX_LENGTH / b ? BLOCK_MAX_LENGTH : a * b;
}

/* What is copied: [*start, *start + *bytes) of the input. */
static void find_range(const DdArgs *args, int64_t size, int64_t *start, int64_t *bytes)
{
    *start = product(args->skip, args->block_size);
    *bytes = MAX(size - *start, 0);
    if (*start > size) {
        warn_report("%s: cannot skip to byte %" PRId64 ": there are %" PRId64, args->input, *start,
                    size);
    }
    if (args->count >= 0) {
        *bytes = MIN(*bytes, product(args->count, args->block_size));
    }
}

static bool create_output(const DdArgs *args, int64_t size, GError **error)
{
    json_object *options = json_object_new_object();
    g_autofree char *text = g_strdup_printf("%" PRId64, size);
    bool ok;

    json_object_object_add(options, "size", json_object_new_string(text));
    ok = block_create_image(args->output, args->output_format, options, false, error);
    json_object_put(options);
    if (!ok) {
        g_prefix_error(error, "%s: error while creating output image of type '%s': ", args->output,
                       args->output_format);
    }
    return ok;
}

static int copy(BlockBackend *in, int64_t start, BlockBackend *out, int64_t bytes, int64_t *at)
{
    uint8_t *buf = block_alloc(block_backend_node(out), CHUNK);
    int ret = buf ? 0 : -ENOMEM;

    for (int64_t done = 0, n; ret == 0 && done < bytes; done += n) {
        n = MIN(CHUNK, bytes - done);
        *at = done;
        ret = block_backend_pread(in, start + done, n, buf);
        ret = ret < 0 ? ret : block_backend_pwrite(out, done, n, buf, 0);
    }
    free(buf);
    return ret < 0 ? ret : block_backend_flush(out);
}

static bool dd(const DdArgs *args, BlockBackend *in, GError **error)
{
    int64_t size = block_backend_getlength(in);
    ImgOpen open = { .format = args->output_format, .writable = true };
    g_autoptr(BlockBackend) out = NULL;
    int64_t start, bytes, at = 0;
    int ret;

    if (size < 0) {
        error_set_errno(error, (int)-size, "Could not get the size of '%s'", args->input);
        return false;
    }
    find_range(args, size, &start, &bytes);
    if (!create_output(args, bytes, error)) {
        return false;
    }
    out = img_open(args->output, &open, error);
    if (!out) {
        return false;
    }
    ret = copy(in, start, out, bytes, &at);
    if (ret < 0) {
        error_set_errno(error, -ret, "error while copying at byte %" PRId64, at);
    }
    return ret == 0;
}

static int run(const DdArgs *args)
{
    ImgOpen open = img_open_from(&args->common);
    GError *error = NULL;
    g_autoptr(BlockBackend) in = img_open(args->input, &open, &error);

    return in && dd(args, in, &error) ? 0 : img_fail(NULL, error);
}

static bool own_option(void *opaque, int c)
{
    ((DdArgs *)opaque)->output_format = optarg; /* -O, the only one */
    return true;
}

int img_dd(int argc, char **argv)
{
    DdArgs args = { .common.command = "dd", .output_format = "raw", .block_size = 512,
                    .count = -1 };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":hf:O:U", long_options, own_option,
                                &args);

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    for (int i = optind; i < argc; i++) {
        if (!parse_operand(&args, argv[i])) {
            return 1;
        }
    }
    if (!args.input || !args.output) {
        error_report("Both an input (if=) and an output (of=) are wanted");
        return 1;
    }
    return run(&args);
}
