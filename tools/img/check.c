/* SPDX-License-Identifier: Apache-2.0 */
/* Exit status: 0 sound, 1 the check failed, 2 corrupt, 3 leaks only, 63 nothing to check. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/img/img.h"
#include "tools/json-print.h"
#include "util/error.h"

enum { CHECK_OK = 0, CHECK_FAILED = 1, CHECK_CORRUPT = 2, CHECK_LEAKS = 3, CHECK_NONE = 63 };

static const struct option long_options[] = {
    IMG_LONG_COMMON, IMG_LONG_OUTPUT, { "format", required_argument, NULL, 'f' },
    { "repair", required_argument, NULL, 'r' }, IMG_LONG_END,
};

static bool own_option(void *opaque, int c)
{
    unsigned *fix = opaque;

    if (!strcmp(optarg, "leaks")) {
        *fix = BLOCK_FIX_LEAKS;
    } else if (!strcmp(optarg, "all")) {
        *fix = BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS;
    } else {
        img_usage_error("--repair (-r) expects 'leaks' or 'all' not '%s'", optarg);
        return false;
    }
    return true;
}

static void add_count(json_object *json, const char *key, int64_t count)
{
    if (count) {
        json_object_object_add(json, key, json_object_new_int64(count));
    }
}

static void print_json(BlockNode *node, const BlockCheckResult *result)
{
    json_object *json = json_object_new_object();

    add_count(json, "image-end-offset", result->image_end_offset);
    add_count(json, "total-clusters", result->total_clusters);
    json_object_object_add(json, "check-errors", json_object_new_int64(result->check_errors));
    add_count(json, "corruptions", result->corruptions);
    add_count(json, "leaks", result->leaks);
    add_count(json, "corruptions-fixed", result->corruptions_fixed);
    add_count(json, "leaks-fixed", result->leaks_fixed);
    add_count(json, "allocated-clusters", result->allocated_clusters);
    add_count(json, "fragmented-clusters", result->fragmented_clusters);
    add_count(json, "compressed-clusters", result->compressed_clusters);
    json_object_object_add(json, "filename", json_object_new_string(node->filename));
    json_object_object_add(json, "format", json_object_new_string(node->driver->name));
    json_print(stdout, json);
    json_object_put(json);
}

static void print_problems(const BlockCheckResult *result)
{
    if (!(result->corruptions || result->leaks || result->check_errors)) {
        printf("No errors were found on the image.\n");
        return;
    }
    if (result->corruptions) {
        printf("\n%" PRId64 " errors were found on the image.\n"
               "Data may be corrupted, or further writes to the image may corrupt it.\n",
               result->corruptions);
    }
    if (result->leaks) {
        printf("\n%" PRId64 " leaked clusters were found on the image.\n"
               "This means waste of disk space, but no harm to data.\n", result->leaks);
    }
    if (result->check_errors) {
        printf("\n%" PRId64 " internal errors have occurred during the check.\n",
               result->check_errors);
    }
}

static void print_text(const BlockCheckResult *result)
{
    print_problems(result);
    if (result->total_clusters && result->allocated_clusters) {
        double allocated = result->allocated_clusters;

        printf("%" PRId64 "/%" PRId64 " = %0.2f%% allocated, %0.2f%% fragmented, "
               "%0.2f%% compressed clusters\n", result->allocated_clusters, result->total_clusters,
               allocated * 100.0 / result->total_clusters,
               result->fragmented_clusters * 100.0 / allocated,
               result->compressed_clusters * 100.0 / allocated);
    }
    if (result->image_end_offset) {
        printf("Image end offset: %" PRId64 "\n", result->image_end_offset);
    }
}

static int verdict(const BlockCheckResult *result)
{
    if (result->check_errors) {
        return CHECK_FAILED;
    }
    return result->corruptions ? CHECK_CORRUPT : result->leaks ? CHECK_LEAKS : CHECK_OK;
}

/* Once; and after a repair once more, to see what is left. */
static int run_check(BlockNode *node, BlockCheckResult *result, unsigned fix, bool quiet,
                     GError **error)
{
    BlockCheckResult second = { 0 };
    int ret = node->driver->check(node, result, fix, error);

    if (ret < 0 || !(result->corruptions_fixed || result->leaks_fixed)) {
        return ret;
    }
    if (!quiet) {
        printf("The following inconsistencies were found and repaired:\n\n"
               "    %" PRId64 " leaked clusters\n    %" PRId64 " corruptions\n\n"
               "Double checking the fixed image now...\n", result->leaks_fixed,
               result->corruptions_fixed);
    }
    ret = node->driver->check(node, &second, 0, error);
    second.leaks_fixed = result->leaks_fixed;
    second.corruptions_fixed = result->corruptions_fixed;
    *result = second;
    return ret;
}

static int check(const ImgOptions *options, const char *filename, unsigned fix)
{
    ImgOpen open = img_open_from(options);
    g_autoptr(BlockBackend) blk = NULL;
    BlockCheckResult result = { 0 };
    GError *error = NULL;
    BlockNode *node;
    int ret;

    open.cache = options->source_cache;
    open.writable = fix != 0;
    open.resize = fix != 0;
    open.open_flags = BLOCK_OPEN_CHECK;
    blk = img_open(filename, &open, &error);
    if (!blk) {
        return img_fail(NULL, error);
    }
    node = block_backend_node(blk);
    if (!node->driver->check) {
        error_report("This image format does not support checks");
        return CHECK_NONE;
    }
    ret = run_check(node, &result, fix, options->quiet || options->json, &error);
    if (ret < 0) {
        if (!error) {
            error_set_errno(&error, -ret, "Check failed");
        }
        return img_fail(NULL, error);
    }
    if (options->json) {
        print_json(node, &result);
    } else if (!options->quiet) {
        print_text(&result);
    }
    return verdict(&result);
}

int img_check(int argc, char **argv)
{
    ImgOptions options = { .command = "check" };
    unsigned fix = 0;
    ImgParse parsed = img_parse(&options, argc, argv, ":hf:r:T:qU", long_options, own_option,
                                &fix);

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting one image file name");
    }
    return check(&options, argv[optind], fix);
}
