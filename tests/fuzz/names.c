/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File names ("json:{...}", "nbd://...") and options as on the command line. The first byte says
 * which. What opens is used a little; "mem:0" is a file of zeroes, and outside of it is nothing.
 */
#include <string.h>

#include "block/info.h"
#include "block/io.h"
#include "block/open.h"
#include "qapi/keyval.h"
#include "tests/fuzz/disk.h"
#include "tests/fuzz/target.h"
#include "util/coroutine.h"

#define MAX_TEXT 4096
#define PIECE 4096

typedef struct Name {
    unsigned way;
    char *text;
} Name;

static char *describe(void *parent)
{
    return g_strdup("the fuzzer");
}

static const BlockParentOps parent_ops = { .describe = describe };

static void use(BlockNode *node)
{
    ImageInfo *info = block_image_info_chain(node, NULL);
    BlockChild *root = block_parent_attach(&parent_ops, NULL, node, "root", BLOCK_ROLE_DATA,
                                           BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                                           BLOCK_PERM_ALL, NULL);
    int64_t size = block_getlength(node);
    BlockStatus status;
    uint8_t buf[PIECE];

    ImageInfo_free(info);
    if (root && size > 0) {
        int64_t bytes = MIN(size, PIECE);

        block_pread(root, size - bytes, bytes, buf);
        block_pwrite(root, 0, bytes, buf, 0);
        block_pwrite_zeroes(root, size - bytes, bytes, 0);
        block_pdiscard(root, 0, bytes);
        block_status(node, 0, size, &status);
        block_flush(node);
    }
    if (root) {
        block_child_detach(root);
    }
}

static BlockNode *open_name(const Name *name, GError **error)
{
    json_object *options;
    BlockNode *node;
    bool help;

    if (name->way % 2 == 0) {
        return block_open(name->text, NULL, NULL, name->way & 2 ? QAPI_KEYVAL : QAPI_JSON, 0,
                          error);
    }
    options = keyval_parse(name->text, "driver", &help, error);
    if (!options) {
        return NULL;
    }
    node = block_open(NULL, NULL, options, keyval_flags(name->text), 0, error);
    json_object_put(options);
    return node;
}

static void run(void *opaque)
{
    const Name *name = opaque;
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = open_name(name, &error);

    g_assert_true((node != NULL) == (error == NULL));
    if (node) {
        g_assert_nonnull(node->filename);
    }
    /* blkverify ends the process where its two children differ. */
    if (node && !strstr(name->text, "blkverify")) {
        use(node);
    }
}

/* Waiting is what these ask for. */
static bool takes_time(const char *text)
{
    return strstr(text, "timeout") || strstr(text, "latency") || strstr(text, "delay");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t disk[FUZZ_HEADER] = { [5] = 16 };
    FuzzInput input;
    Name name;

    if (size < 2 || size > MAX_TEXT) {
        return 0;
    }
    name = (Name) { data[0], g_strndup((const char *)data + 1, size - 1) };
    if (!takes_time(name.text)) {
        fuzz_disk_load(disk, sizeof(disk), &input);
        coroutine_run(run, &name);
    }
    g_free(name.text);
    return 0;
}
