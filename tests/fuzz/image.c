/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzing one image format (FUZZ_FORMAT): open, tell about, check, map and read the image, then do
 * what the input's operations say. Nothing may crash, hang or take much memory; what is asserted
 * beyond that stands with the operation.
 */
#include <errno.h>
#include <string.h>

#include "block/info.h"
#include "block/io.h"
#include "block/open.h"
#include "crypto/tests/luks-memory.h"
#include "qapi-commands-block-snapshot.h"
#include "tests/fuzz/disk.h"
#include "tests/fuzz/mend.h"
#include "tests/fuzz/target.h"
#include "util/bits.h"
#include "util/coroutine.h"

#define MAX_BYTES ((int64_t)MiB)
/* Looks at a map, of all that there may be. */
#define MAP_STEPS 40
/* Of a bitmap that we ask for: these are in memory. */
#define MAX_BITS (8 << 20)

typedef struct Image {
    const FuzzInput *input;
    BlockNode *node;
    BlockChild *root;
    uint8_t *buf; /* MAX_BYTES */
} Image;

static char *describe(void *parent)
{
    return g_strdup("the fuzzer");
}

static const BlockParentOps parent_ops = { .describe = describe };

/* ---- Opening ---- */

static void add_encryption(json_object *options, const char *format)
{
    json_object *encrypt = json_object_new_object();

    json_object_object_add(encrypt, "format", json_object_new_string(format));
    json_object_object_add(encrypt, "key-secret", json_object_new_string("secret"));
    json_object_object_add(options, "encrypt", encrypt);
}

static json_object *options_of(const FuzzInput *input)
{
    json_object *options = json_object_new_object(), *file = json_object_new_object();

    json_object_object_add(file, "driver", json_object_new_string("ftps"));
    json_object_object_add(file, "url", json_object_new_string("mem:0"));
    json_object_object_add(options, "driver", json_object_new_string(FUZZ_FORMAT));
    json_object_object_add(options, "file", file);
    json_object_object_add(options, "discard", json_object_new_string("unmap"));
    json_object_object_add(options, "read-only",
                           json_object_new_boolean(input->flags & FUZZ_READ_ONLY));
    json_object_object_add(options, "auto-read-only", json_object_new_boolean(true));
    if (strcmp(FUZZ_FORMAT, "luks") == 0) {
        json_object_object_add(options, "key-secret", json_object_new_string("secret"));
    } else if (g_str_has_prefix(FUZZ_FORMAT, "qcow") && input->flags & FUZZ_ENCRYPTED) {
        add_encryption(options, strcmp(FUZZ_FORMAT, "qcow") == 0 ? "aes" : "luks");
    }
    return options;
}

static bool try_open(Image *image)
{
    unsigned flags = image->input->flags;
    json_object *options = options_of(image->input);
    g_autoptr(GError) error = NULL;

    image->node = block_open(NULL, NULL, options, QAPI_JSON,
                             (flags & FUZZ_CHECK ? BLOCK_OPEN_CHECK : 0) |
                             (flags & FUZZ_NO_BACKING ? BLOCK_OPEN_NO_BACKING : 0) |
                             (flags & FUZZ_NO_IO ? BLOCK_OPEN_NO_IO : 0), &error);
    json_object_put(options);
    g_assert_true((image->node != NULL) == (error == NULL));
    if (error) {
        /* One line for people. */
        g_assert_true(*error->message && !strchr(error->message, '\n'));
        return false;
    }
    g_assert_cmpint(image->node->size, >=, 0);
    g_assert_cmpint(image->node->size, <=, BLOCK_MAX_LENGTH);
    return true;
}

static bool attach(Image *image)
{
    bool writable = !block_node_is_read_only(image->node);
    unsigned wanted = BLOCK_PERM_CONSISTENT_READ;

    if (writable) {
        wanted |= BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE;
    }
    image->root = block_parent_attach(&parent_ops, NULL, image->node, "root", BLOCK_ROLE_DATA,
                                      wanted, BLOCK_PERM_ALL, NULL);
    return image->root != NULL;
}

static void close_image(Image *image)
{
    block_child_detach(image->root);
    image->root = NULL;
    block_node_unref(image->node);
    image->node = NULL;
}

/* ---- Operations ---- */

typedef void OpFn(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes);

/* Around the beginning, the end, and all that lies between. */
static int64_t offset_of(const Image *image, const FuzzOp *op)
{
    int64_t size = image->node->size, at = op->at >> 2, offset;

    switch (op->at & 3) {
    case 0:
        offset = at * BLOCK_SECTOR;
        break;
    case 1:
        offset = at * 64 * KiB;
        break;
    case 2:
        offset = size - at * 97;
        break;
    default:
        offset = size / 16384 * at;
        break;
    }
    return CLAMP(offset, 0, size);
}

static int64_t bytes_of(const Image *image, const FuzzOp *op, int64_t offset)
{
    static const int64_t units[] = { 1, BLOCK_SECTOR, 4096, 64 * KiB };
    int64_t bytes = ((op->len >> 2) + 1) * units[op->len & 3];

    return MIN(MIN(bytes, MAX_BYTES), image->node->size - offset);
}

static void op_read(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    if (bytes) {
        block_pread(image->root, offset, bytes, image->buf);
    }
}

/* What a write acknowledges is read back. Other nodes may lie over the same bytes: no more. */
static void op_write(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    memset(image->buf, op->what ^ op->len, (size_t)bytes);
    if (bytes) {
        block_pwrite(image->root, offset, bytes, image->buf, op->at & 4 ? BLOCK_REQ_FUA : 0);
    }
}

static void op_write_compressed(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    BlockNodeInfo info = { 0 };

    if (block_get_info(image->node, &info) < 0 || info.cluster_size <= 0 ||
        info.cluster_size > MAX_BYTES) {
        return;
    }
    offset = offset / info.cluster_size * info.cluster_size;
    bytes = MIN(info.cluster_size, image->node->size - offset);
    memset(image->buf, op->what ^ op->len, (size_t)bytes);
    if (bytes) {
        block_pwrite(image->root, offset, bytes, image->buf, BLOCK_REQ_COMPRESSED);
    }
}

static void op_zero(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    if (bytes) {
        block_pwrite_zeroes(image->root, offset, bytes, op->at & 4 ? BLOCK_REQ_MAY_UNMAP : 0);
    }
}

static void op_discard(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    if (bytes) {
        block_pdiscard(image->root, offset, bytes);
    }
}

static void op_flush(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    block_flush(image->node);
}

static void op_map(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    for (unsigned i = 0; i < MAP_STEPS && offset < image->node->size; i++) {
        int64_t left = image->node->size - offset;
        BlockStatus status;

        if (block_status_above(image->node, NULL, false, offset, left, &status) < 0) {
            return;
        }
        g_assert_cmpint(status.bytes, >, 0);
        g_assert_cmpint(status.bytes, <=, left);
        offset += status.bytes;
    }
}

static void op_info(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ImageInfo) info = block_image_info_chain(image->node, &error);

    g_assert_true((info != NULL) == (error == NULL));
}

/* Leaves nothing wrong if it says so. */
static void op_check(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    unsigned fix = block_node_is_read_only(image->node) ? 0 : op->len % 4;
    const BlockDriver *driver = image->node->driver;
    BlockCheckResult first = { 0 }, second = { 0 };

    if (!driver->check || fix == BLOCK_FIX_ERRORS ||
        driver->check(image->node, &first, fix, NULL) < 0 || !(fix & BLOCK_FIX_ERRORS)) {
        return;
    }
    if (driver->check(image->node, &second, 0, NULL) == 0 && !first.check_errors &&
        !first.corruptions) {
        g_assert_cmpint(second.corruptions, ==, 0);
    }
}

static void op_truncate(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    BlockTruncate truncate = {
        .size = op->len & 1 ? offset : image->node->size + op->at * (int64_t)BLOCK_SECTOR,
    };

    if (!block_node_is_read_only(image->node)) {
        block_truncate(image->root, &truncate, NULL);
    }
}

static void op_snapshots(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    const BlockDriver *driver = image->node->driver;
    g_autofree char *name = g_strdup_printf("%d", op->at % 4 + 1);
    BlockSnapshot snapshot = { .name = name, .icount = -1 };
    GPtrArray *list;

    if (!driver->snapshot_create) {
        return;
    }
    list = driver->snapshot_list(image->node, NULL);
    g_clear_pointer(&list, g_ptr_array_unref);
    if (block_node_is_read_only(image->node)) {
        driver->snapshot_load_tmp(image->node, name, NULL);
    } else if (op->len % 3 == 0) {
        driver->snapshot_create(image->node, &snapshot, NULL);
        g_free(snapshot.id);
    } else if (op->len % 3 == 1) {
        driver->snapshot_goto(image->node, name, NULL);
    } else {
        driver->snapshot_delete(image->node, name, NULL);
    }
}

static void op_bitmaps(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    g_autofree char *name = g_strdup_printf("b%d", op->at % 4);

    if (op->len & 1) {
        qmp_block_dirty_bitmap_remove(image->node->name, name, NULL);
    } else if (image->node->size >> (9 + (op->len >> 4)) < MAX_BITS) {
        qmp_block_dirty_bitmap_add(image->node->name, name, true, 512u << (op->len >> 4), true,
                                   true, true, false, NULL);
    }
}

static void op_vmstate(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    const BlockDriver *driver = image->node->driver;
    size_t len = (size_t)op->len * 100 + 1;

    memset(image->buf, op->len, len);
    if (driver->save_vmstate && !block_node_is_read_only(image->node)) {
        driver->save_vmstate(image->node, op->at * 64, BLOCK_VEC_BUF(image->buf, len), len);
    }
    if (driver->load_vmstate) {
        driver->load_vmstate(image->node, op->at * 64, BLOCK_VEC_BUF(image->buf, len), len);
    }
}

static void op_empty(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    if (image->node->driver->make_empty && !block_node_is_read_only(image->node)) {
        image->node->driver->make_empty(image->node);
    }
}

static void op_backing(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    if (image->node->driver->change_backing_file && !block_node_is_read_only(image->node)) {
        image->node->driver->change_backing_file(image->node, op->len & 1 ? "1" : NULL,
                                                 op->len & 2 ? "raw" : NULL);
    }
}

static void op_reopen(Image *image, const FuzzOp *op, int64_t offset, int64_t bytes)
{
    close_image(image);
    if (try_open(image) && !attach(image)) {
        close_image(image);
    }
}

static OpFn *const ops[] = {
    op_read,   op_write,     op_zero,     op_discard,  op_flush, op_map,    op_info, op_check,
    op_write,  op_truncate,  op_snapshots, op_bitmaps, op_vmstate, op_empty, op_backing, op_reopen,
    op_write_compressed,
};

static void one_op(Image *image, const FuzzOp *op)
{
    int64_t offset = offset_of(image, op);

    ops[op->what % G_N_ELEMENTS(ops)](image, op, offset, bytes_of(image, op, offset));
}

/* ---- One input ---- */

static void look(Image *image)
{
    FuzzOp op = { 0 };

    op_info(image, &op, 0, 0);
    op_check(image, &op, 0, 0);
}

static void work(Image *image)
{
    const FuzzInput *input = image->input;
    FuzzOp first = { 0 }, last = { .len = 62, .at = 1 << 4 | 2 };

    op_map(image, &first, 0, 0);
    one_op(image, &first);
    one_op(image, &last);
    for (unsigned i = 0; i < input->n_ops && image->node; i++) {
        one_op(image, &input->ops[i]);
    }
    if (image->node) {
        op_reopen(image, &first, 0, 0);
    }
}

static void run(void *opaque)
{
    Image *image = opaque;

    if (!try_open(image)) {
        return;
    }
    look(image);
    if (!(image->input->flags & (FUZZ_CHECK | FUZZ_NO_IO)) && attach(image)) {
        work(image);
    }
    if (image->node) {
        close_image(image);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    FuzzInput input;
    Image image = { .input = &input };

    if (!ready) {
        add_secret("secret", "geheim");
        ready = true;
    }
    if (!fuzz_disk_load(data, size, &input)) {
        return 0;
    }
    fuzz_mend(input.flags & FUZZ_MEND ? FUZZ_FORMAT : "");
    image.buf = g_malloc0(MAX_BYTES);
    coroutine_run(run, &image);
    g_free(image.buf);
    return 0;
}
