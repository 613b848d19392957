/* SPDX-License-Identifier: Apache-2.0 */
/* Where the data of an image is, layer by layer. Neighbours that are alike are one line. */
#include <stdio.h>
#include <string.h>

#include "tools/img/img.h"
#include "util/error.h"

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_OUTPUT, { "format", required_argument, NULL, 'f' },
    { "start-offset", required_argument, NULL, 's' },
    { "max-length", required_argument, NULL, 'l' }, IMG_LONG_END,
};

typedef struct MapArgs {
    int64_t start, length; /* length < 0: to the end */
} MapArgs;

static bool own_option(void *opaque, int c)
{
    MapArgs *args = opaque;

    return c == 's' ? img_parse_size("start offset", optarg, &args->start)
                    : img_parse_size("max length", optarg, &args->length);
}

static bool has(const BlockStatus *s, unsigned flag)
{
    return s->flags & flag;
}

static bool continues(const BlockStatus *a, int64_t a_start, const BlockStatus *b)
{
    const unsigned same = BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED |
                          BLOCK_STATUS_OFFSET_VALID;

    return (a->flags & same) == (b->flags & same) && a->depth == b->depth &&
           (!has(a, BLOCK_STATUS_OFFSET_VALID) ||
            (a->file == b->file && a->map + a->bytes == b->map));
}

typedef struct MapPrinter {
    bool json;
    bool failed;
    bool first;
} MapPrinter;

static void print_json(MapPrinter *printer, int64_t start, const BlockStatus *s)
{
    static const char *const words[] = { "false", "true" };

    printf("%s{ \"start\": %" PRId64 ", \"length\": %" PRId64 ", \"depth\": %d, \"present\": %s, "
           "\"zero\": %s, \"data\": %s", printer->first ? "[" : ",\n", start, s->bytes, s->depth,
           words[has(s, BLOCK_STATUS_ALLOCATED)], words[has(s, BLOCK_STATUS_ZERO)],
           words[has(s, BLOCK_STATUS_DATA)]);
    if (has(s, BLOCK_STATUS_OFFSET_VALID)) {
        printf(", \"offset\": %" PRId64, s->map);
    }
    printf("}");
    printer->first = false;
}

static void print_text(MapPrinter *printer, int64_t start, const BlockStatus *s)
{
    if (!has(s, BLOCK_STATUS_DATA) || has(s, BLOCK_STATUS_ZERO)) {
        return;
    }
    if (!has(s, BLOCK_STATUS_OFFSET_VALID)) {
        error_report("File contains external, encrypted or compressed clusters.");
        printer->failed = true;
        return;
    }
    printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", start, s->bytes, s->map,
           s->file->filename);
}

static void print_entry(MapPrinter *printer, int64_t start, const BlockStatus *s)
{
    if (printer->json) {
        print_json(printer, start, s);
    } else {
        print_text(printer, start, s);
    }
}

/* One answer of the block layer at a time; it is printed once the next one differs. */
static int map_range(BlockNode *node, MapPrinter *printer, int64_t start, int64_t end)
{
    BlockStatus pending = { 0 };
    int64_t pending_start = start;
    int64_t offset = start;

    while (offset < end && !printer->failed) {
        BlockStatus status = { 0 };
        int ret = block_status_above(node, NULL, false, offset, end - offset, &status);

        if (ret < 0) {
            GError *error = NULL;

            error_set_errno(&error, -ret, "Failed to read image metadata at %" PRId64, offset);
            return img_fail(NULL, error);
        }
        if (pending.bytes && continues(&pending, pending_start, &status)) {
            pending.bytes += status.bytes;
        } else {
            if (pending.bytes) {
                print_entry(printer, pending_start, &pending);
            }
            pending = status;
            pending_start = offset;
        }
        offset += status.bytes;
    }
    if (pending.bytes && !printer->failed) {
        print_entry(printer, pending_start, &pending);
    }
    return printer->failed;
}

static int map(const ImgOptions *options, const char *filename, const MapArgs *args)
{
    ImgOpen open = img_open_from(options);
    GError *error = NULL;
    g_autoptr(BlockBackend) blk = img_open(filename, &open, &error);
    MapPrinter printer = { .json = options->json, .first = true };
    int64_t end;
    int status;

    if (!blk) {
        return img_fail(NULL, error);
    }
    end = block_backend_getlength(blk);
    if (end < 0) {
        error_set_errno(&error, -end, "Failed to get size for '%s'", filename);
        return img_fail(NULL, error);
    }
    if (args->length >= 0 && args->length < end - args->start) {
        end = args->start + args->length;
    }
    if (!options->json) {
        printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    }
    status = map_range(block_backend_node(blk), &printer, args->start, end);
    if (options->json) {
        printf("%s]\n", printer.first ? "[" : "");
    }
    return status;
}

int img_map(int argc, char **argv)
{
    ImgOptions options = { .command = "map" };
    MapArgs args = { .length = -1 };
    ImgParse parsed = img_parse(&options, argc, argv, ":hf:s:l:U", long_options, own_option,
                                &args);

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting one image file name");
    }
    return map(&options, argv[optind], &args);
}
