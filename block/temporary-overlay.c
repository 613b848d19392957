/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot=on: what is written goes to a file without a name, and is gone with the program. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "block/create.h"
#include "block/open.h"
#include "util/coroutine.h"
#include "util/error.h"

static void set_text(json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, json_object_new_string(value));
}

typedef struct CreateRun {
    const char *path;
    json_object *options;
    GError **error;
    bool ok;
} CreateRun;

static void create_overlay(void *opaque)
{
    CreateRun *run = opaque;

    run->ok = block_create_image(run->path, "qcow2", run->options, true, run->error);
}

static BlockNode *open_overlay(const char *path, BlockNode *base, bool read_only, GError **error)
{
    json_object *options = json_object_new_object(), *cache = json_object_new_object();
    BlockNode *node;

    set_text(options, "driver", "qcow2");
    set_text(options, "backing", base->name);
    set_text(options, "read-only", read_only ? "on" : "off");
    set_text(options, "discard", base->mode.discard_unmap ? "unmap" : "ignore");
    set_text(options, "detect-zeroes", BlockdevDetectZeroesOptions_str(base->mode.detect_zeroes));
    /* Nothing of it outlives the program. */
    set_text(cache, "no-flush", "on");
    json_object_object_add(options, "cache", cache);
    node = block_open(path, NULL, options, QAPI_KEYVAL, 0, error);
    json_object_put(options);
    return node;
}

/* A file that has no name any more when we return. */
BlockNode *block_open_temporary_overlay(BlockNode *base, bool read_only, GError **error)
{
    const char *dir = g_getenv("TMPDIR");
    g_autofree char *path = g_build_filename(dir ? dir : "/var/tmp", "vireo-XXXXXX", NULL);
    g_autofree char *size = g_strdup_printf("%" PRId64, base->size);
    CreateRun run = { .path = path, .error = error };
    BlockNode *node = NULL;
    int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        error_set_errno(error, errno, "Could not create a temporary file '%s' for snapshot=on",
                        path);
        return NULL;
    }
    close(fd);
    run.options = json_object_new_object();
    set_text(run.options, "size", size);
    if (coroutine_current()) {
        create_overlay(&run);
    } else {
        coroutine_run(create_overlay, &run);
    }
    json_object_put(run.options);
    if (run.ok) {
        node = open_overlay(path, base, read_only, error);
    }
    unlink(path);
    return node;
}
