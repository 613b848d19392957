/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: files that may be images. The first byte says which format is asked for; the rest is
 * the file. What opens is asked for its first and last bytes and for its status.
 */
#include <string.h>

#include "block/open.h"
#include "block/tests/mem-driver.h"
#include "util/coroutine.h"
#include "util/error.h"

#define PIECE 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const formats[] = {
    "parallels", "qcow", "qed", "bochs", "cloop", "dmg", "luks", "vdi", "vpc", "qcow2",
};

static void look(void *opaque)
{
    BlockChild *root = opaque;
    int64_t size = block_getlength(root->node);
    BlockStatus status;
    uint8_t buf[PIECE];

    if (size > 0) {
        block_pread(root, 0, MIN(size, PIECE), buf);
        block_pread(root, MAX(size - PIECE, 0), MIN(size, PIECE), buf);
        block_status(root->node, 0, size, &status);
        block_status(root->node, size / 2, size - size / 2, &status);
    }
}

static BlockNode *open_over(BlockNode *file, const char *format)
{
    json_object *options = json_object_new_object();
    g_autoptr(GError) error = NULL;
    bool luks = strcmp(format, "luks") == 0;
    BlockNode *node;

    json_object_object_add(options, "driver", json_object_new_string(format));
    json_object_object_add(options, "read-only", json_object_new_boolean(true));
    json_object_object_add(options, "file", json_object_new_string(file->name));
    /* Without a password: with one the fuzzer would only wait for keys to be derived. */
    node = block_open(NULL, NULL, options, QAPI_JSON,
                      BLOCK_OPEN_NO_BACKING | (luks ? BLOCK_OPEN_NO_IO : 0), &error);
    g_assert_true((node != NULL) == (error == NULL));
    json_object_put(options);
    return node;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *format;
    BlockNode *file, *node;

    if (size < 2) {
        return -1;
    }
    format = formats[data[0] % G_N_ELEMENTS(formats)];
    file = mem_node_new(&mem_driver, (int64_t)size - 1, NULL);
    memcpy(mem_disk(file)->data, data + 1, size - 1);
    node = open_over(file, format);
    if (node && strcmp(format, "luks") != 0) {
        BlockChild *root = mem_attach(node, BLOCK_PERM_CONSISTENT_READ);

        coroutine_run(look, root);
        block_child_detach(root);
    }
    block_node_unref(node);
    block_node_unref(file);
    return 0;
}
