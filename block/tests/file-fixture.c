/* SPDX-License-Identifier: Apache-2.0 */
#include "block/tests/file-fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/create.h"
#include "block/io.h"
#include "block/open.h"
#include "qapi/keyval.h"
#include "util/coroutine.h"

char *fixture_dir_new(void)
{
    /* Not in /tmp if the build says otherwise: some have no direct I/O or no locks there. */
    char *dir = g_build_filename(g_get_tmp_dir(), "vireo-block-XXXXXX", NULL);

    g_assert_nonnull(g_mkdtemp(dir));
    return dir;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    return remove(path);
}

void fixture_dir_free(char *dir)
{
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    g_free(dir);
}

char *fixture_file(const char *dir, const char *name, int64_t size)
{
    char *path = g_build_filename(dir, name, NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    close(fd);
    return path;
}

static json_object *parse_options(const char *fmt, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(fmt, args);
    g_autoptr(GError) error = NULL;
    json_object *options = keyval_parse(text, "driver", NULL, &error);

    g_assert_no_error(error);
    return options;
}

json_object *fixture_options(const char *fmt, ...)
{
    json_object *options;
    va_list args;

    va_start(args, fmt);
    options = parse_options(fmt, args);
    va_end(args);
    return options;
}

static char *describe(void *parent)
{
    return g_strdup("the test");
}

static const BlockParentOps parent_ops = { .describe = describe };

BlockChild *fixture_try_open(json_object *options, unsigned perm, unsigned shared, GError **error)
{
    g_autoptr(BlockNode) node = block_open(NULL, NULL, options, QAPI_KEYVAL, 0, error);

    json_object_put(options);
    if (!node) {
        return NULL;
    }
    if (block_node_is_read_only(node)) {
        perm &= BLOCK_PERM_CONSISTENT_READ;
    }
    return block_parent_attach(&parent_ops, NULL, node, "root", 0, perm, shared, error);
}

BlockChild *fixture_open(const char *fmt, ...)
{
    g_autoptr(GError) error = NULL;
    json_object *options;
    BlockChild *child;
    va_list args;

    va_start(args, fmt);
    options = parse_options(fmt, args);
    va_end(args);
    child = fixture_try_open(options, BLOCK_PERM_ALL, BLOCK_PERM_ALL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(child);
    return child;
}

void fixture_close(BlockChild *child)
{
    block_child_detach(child);
}

void fixture_expect_refusal(json_object *options, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(fixture_try_open(options, BLOCK_PERM_ALL, BLOCK_PERM_ALL, &error));
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, text));
}

typedef struct Create {
    BlockdevCreateOptions options;
    GError **error;
    bool ok;
} Create;

static void run_create(void *opaque)
{
    Create *create = opaque;

    create->ok = block_create(&create->options, create->error);
}

bool fixture_create(const char *path, uint64_t size, PreallocMode prealloc, GError **error)
{
    Create create = {
        .options = {
            .driver = BLOCKDEV_DRIVER_FILE,
            .u.file = { .filename = (char *)path, .size = size, .has_preallocation = true,
                        .preallocation = prealloc, .has_nocow = true, .nocow = true },
        },
        .error = error,
    };

    coroutine_run(run_create, &create);
    return create.ok;
}

typedef struct CreateImage {
    const char *filename, *format;
    json_object *options;
    GError **error;
    bool ok;
} CreateImage;

static void run_create_image(void *opaque)
{
    CreateImage *create = opaque;

    create->ok = block_create_image(create->filename, create->format, create->options, false,
                                    create->error);
}

bool fixture_create_image(const char *filename, const char *format, const char *options,
                          GError **error)
{
    CreateImage create = { filename, format, fixture_options("%s", options), error };

    coroutine_run(run_create_image, &create);
    json_object_put(create.options);
    return create.ok;
}

bool fixture_peer(const char *fmt, ...)
{
    g_autofree char *line = NULL, *output = NULL, *errors = NULL, *program = NULL;
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    int status;
    va_list args;

    va_start(args, fmt);
    line = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_shell_parse_argv(line, NULL, &argv, &error);
    g_assert_no_error(error);
    program = g_find_program_in_path(argv[0]);
    if (!program) {
        g_test_skip("the other program is not installed");
        return false;
    }
    g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, &errors, &status,
                 &error);
    g_assert_no_error(error);
    g_test_message("%s\n%s%s", line, output, errors);
    /* qemu-io tells of a wrong pattern in its output only. */
    g_assert_cmpint(status, ==, 0);
    g_assert_null(strstr(output, "Pattern verification failed"));
    return true;
}

/* ---- Requests ---- */

typedef struct Request {
    BlockChild *child;
    int64_t offset, bytes;
    void *buf;
    unsigned flags;
    const BlockTruncate *truncate;
    BlockStatus *status;
    GError **error;
    int result;
} Request;

static void run_read(void *opaque)
{
    Request *request = opaque;

    request->result = block_pread(request->child, request->offset, request->bytes, request->buf);
}

static void run_write(void *opaque)
{
    Request *request = opaque;

    request->result = block_pwrite(request->child, request->offset, request->bytes, request->buf,
                                   request->flags);
}

static void run_zero(void *opaque)
{
    Request *request = opaque;

    request->result = block_pwrite_zeroes(request->child, request->offset, request->bytes,
                                          request->flags);
}

static void run_discard(void *opaque)
{
    Request *request = opaque;

    request->result = block_pdiscard(request->child, request->offset, request->bytes);
}

static void run_flush(void *opaque)
{
    Request *request = opaque;

    request->result = block_flush(request->child->node);
}

static void run_truncate(void *opaque)
{
    Request *request = opaque;

    request->result = block_truncate(request->child, request->truncate, request->error);
}

static void run_status(void *opaque)
{
    Request *request = opaque;

    request->result = block_status(request->child->node, request->offset, request->bytes,
                                   request->status);
}

static int run(CoroutineFn *fn, Request request)
{
    coroutine_run(fn, &request);
    return request.result;
}

int fixture_read(BlockChild *child, int64_t offset, int64_t bytes, void *buf)
{
    return run(run_read, (Request) { child, offset, bytes, buf });
}

int fixture_write(BlockChild *child, int64_t offset, int64_t bytes, const void *buf,
                  unsigned flags)
{
    return run(run_write, (Request) { child, offset, bytes, (void *)buf, flags });
}

int fixture_zero(BlockChild *child, int64_t offset, int64_t bytes, unsigned flags)
{
    return run(run_zero, (Request) { child, offset, bytes, .flags = flags });
}

int fixture_discard(BlockChild *child, int64_t offset, int64_t bytes)
{
    return run(run_discard, (Request) { child, offset, bytes });
}

int fixture_flush(BlockChild *child)
{
    return run(run_flush, (Request) { child });
}

int fixture_truncate(BlockChild *child, const BlockTruncate *truncate, GError **error)
{
    return run(run_truncate, (Request) { child, .truncate = truncate, .error = error });
}

int fixture_status(BlockChild *child, int64_t offset, int64_t bytes, BlockStatus *status)
{
    return run(run_status, (Request) { child, offset, bytes, .status = status });
}
