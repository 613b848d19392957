/* SPDX-License-Identifier: Apache-2.0 */
/* The raw format over a disk in memory, and the disks that store nothing. */
#include <errno.h>
#include <string.h>

#include "block/open.h"
#include "block/tests/mem-driver.h"
#include "qapi/keyval.h"
#include "util/timer.h"

#define SIZE 100000
#define RW (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE)

/* A format whose images begin with "MAGIC", perhaps after some blanks. */
static int magic_probe(const uint8_t *buf, size_t len, const char *filename)
{
    size_t at = 0;

    while (at < len && buf[at] == ' ') {
        at++;
    }
    return len - at >= 5 && !memcmp(buf + at, "MAGIC", 5) ? 100 : 0;
}

static const BlockDriver magic_driver = { .name = "magic", .probe = magic_probe };

/* What the command line would say, %s for the node below. */
static BlockNode *try_open(GError **error, BlockNode *below, const char *options)
{
    json_object *object = json_tokener_parse(options);
    BlockNode *node;

    if (below) {
        json_object_object_add(object, "file", json_object_new_string(below->name));
    }
    node = block_open(NULL, NULL, object, QAPI_JSON, 0, error);
    json_object_put(object);
    return node;
}

static BlockNode *open_ok(BlockNode *below, const char *options)
{
    GError *error = NULL;
    BlockNode *node = try_open(&error, below, options);

    g_assert_no_error(error);
    return node;
}

static void open_fails(BlockNode *below, const char *options, const char *words)
{
    GError *error = NULL;

    g_assert_null(try_open(&error, below, options));
    g_assert_nonnull(strstr(error->message, words));
    g_error_free(error);
}

static void test_range(void)
{
    BlockNode *mem = mem_node_new(&mem_growing_driver, SIZE, NULL);
    BlockNode *raw = open_ok(mem, "{\"driver\":\"raw\",\"offset\":1000,\"size\":500}");
    BlockChild *root = mem_attach(raw, BLOCK_PERM_ALL);
    BlockStatus status;
    uint8_t buf[600];

    memset(buf, 1, sizeof(buf));
    g_assert_cmpint(raw->size, ==, 500);
    g_assert_cmpint(block_pwrite(root, 0, 500, buf, 0), ==, 0);
    g_assert_cmpint(block_pwrite(root, 499, 2, buf, 0), ==, -ENOSPC);
    g_assert_cmpint(block_pwrite_zeroes(root, 500, 1, 0), ==, -ENOSPC);
    g_assert_cmpint(block_pdiscard(root, 500, 1), ==, -EINVAL);
    g_assert_cmpint(mem_disk(mem)->data[999], ==, 0);
    g_assert_cmpint(mem_disk(mem)->data[1000], ==, 1);
    g_assert_cmpint(mem_disk(mem)->data[1499], ==, 1);
    g_assert_cmpint(mem_disk(mem)->data[1500], ==, 0);
    mem_disk(mem)->data[1500] = 2;
    g_assert_cmpint(block_pread(root, 0, 600, buf), ==, 0);
    g_assert_cmpint(buf[499], ==, 1);
    g_assert_cmpint(buf[500], ==, 0); /* beyond our end, though not beyond the file's */
    g_assert_cmpint(block_status(raw, 100, 1000, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 400);
    g_assert_cmpint(status.map, ==, 1100);
    g_assert_true(status.file == mem);
    g_assert_true(status.flags & BLOCK_STATUS_EOF);
    g_assert_cmpint(block_truncate(root, &(BlockTruncate){ .size = 10 }, NULL), ==, -ENOTSUP);
    block_child_detach(root);
    block_node_unref(raw);

    open_fails(mem, "{\"driver\":\"raw\",\"offset\":100001}", "beyond the end");
    open_fails(mem, "{\"driver\":\"raw\",\"offset\":1,\"size\":100000}", "together are more");
    open_fails(mem, "{\"driver\":\"raw\",\"offset\":-1}", "negative");
    open_fails(mem, "{\"driver\":\"raw\",\"offset\":1,\"size\":9223372036854775807}", "together");
    block_node_unref(mem);
}

static void test_growing(void)
{
    BlockNode *mem = mem_node_new(&mem_growing_driver, SIZE, NULL);
    BlockNode *raw = open_ok(mem, "{\"driver\":\"raw\",\"offset\":1000}");
    BlockChild *root = mem_attach(raw, BLOCK_PERM_ALL);

    g_assert_cmpint(raw->size, ==, SIZE - 1000);
    g_assert_cmpint(block_pwrite(root, SIZE - 1000, 4, "abc", 0), ==, 0);
    g_assert_cmpint(raw->size, ==, SIZE - 996);
    g_assert_cmpint(mem->size, ==, SIZE + 4);
    g_assert_cmpint(block_truncate(root, &(BlockTruncate){ .size = 10 }, NULL), ==, 0);
    g_assert_cmpint(mem->size, ==, 1010);
    g_assert_cmpint(block_getlength(raw), ==, 10);
    /* Changed behind its back. */
    block_node_resized(mem, 2000);
    g_assert_cmpint(raw->size, ==, 1000);
    mem->size = 3000;
    g_assert_cmpint(block_pwrite(root, 1500, 4, "abc", 0), ==, 0);
    g_assert_cmpint(raw->size, ==, 2000);
    block_child_detach(root);
    block_node_unref(raw);
    block_node_unref(mem);
}

static void test_probed_head(void)
{
    BlockNode *mem = mem_node_new(&mem_driver, SIZE, NULL);
    BlockNode *raw = open_ok(mem, "{\"driver\":\"raw\"}");
    BlockChild *root = mem_attach(raw, RW);
    uint8_t buf[4096] = "MAGIC";

    g_assert_cmpint(block_pwrite(root, 0, 512, buf, 0), ==, 0); /* asked for: allowed */
    g_assert_cmpint(block_pwrite_zeroes(root, 0, 512, 0), ==, 0);
    raw->probed = true;
    raw->mode.discard_unmap = true;
    g_assert_cmpint(block_pwrite(root, 0, 512, buf, 0), ==, -EPERM);
    g_assert_cmpint(block_pwrite(root, 0, 4096, buf, 0), ==, -EPERM);
    g_assert_cmpint(block_pwrite(root, 4096, 4096, buf, 0), ==, 0);
    /* In steps that are harmless alone. */
    g_assert_cmpint(block_pwrite(root, 1, 3, buf + 1, 0), ==, 0);
    g_assert_cmpint(block_pwrite(root, 4, 1, "C", 0), ==, 0);
    g_assert_cmpint(block_pwrite(root, 0, 1, "M", 0), ==, -EPERM);
    memset(buf, ' ', sizeof(buf));
    memcpy(buf + 1000, "MAGIC", 5);
    g_assert_cmpint(block_pwrite(root, 512, 512, buf + 512, 0), ==, 0);
    g_assert_cmpint(block_pwrite(root, 0, 512, buf, 0), ==, -EPERM);
    g_assert_cmpint(block_pdiscard(root, 0, SIZE), ==, 0);
    g_assert_cmpint(mem_disk(mem)->data[1000], ==, 'M');
    g_assert_cmpint(mem_disk(mem)->data[4096], ==, 0);
    block_child_detach(root);
    block_node_unref(raw);
    block_node_unref(mem);
}

static void test_null(void)
{
    BlockNode *node = open_ok(NULL, "{\"driver\":\"null-aio\",\"size\":1000,\"read-zeroes\":true}");
    BlockChild *root = mem_attach(node, RW);
    int64_t start;
    uint8_t buf[100];

    memset(buf, 1, sizeof(buf));
    g_assert_cmpint(block_pwrite(root, 900, 100, buf, 0), ==, 0);
    g_assert_cmpint(block_pread(root, 900, 100, buf), ==, 0);
    g_assert_cmpint(buf[99], ==, 0);
    g_assert_cmpint(block_pwrite(root, 901, 100, buf, 0), ==, -EINVAL);
    g_assert_cmpint(block_is_zero(node, 0, 1000), ==, 1);
    g_assert_cmpint(block_flush(node), ==, 0);
    block_child_detach(root);
    block_node_unref(node);

    node = open_ok(NULL, "{\"driver\":\"null-co\",\"latency-ns\":1000000}");
    g_assert_cmpint(node->size, ==, 1 << 30);
    root = mem_attach(node, RW);
    start = vm_clock_ns(VM_CLOCK_REALTIME);
    g_assert_cmpint(block_pread(root, 0, 100, buf), ==, 0);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME) - start, >=, 1000000);
    block_child_detach(root);
    block_node_unref(node);
    open_fails(NULL, "{\"driver\":\"null-co\",\"size\":-1}", "size must be");
}

static void in_coroutine(const void *fn)
{
    mem_run((void (*)(void))fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    block_driver_register(&magic_driver);
    g_test_add_data_func("/raw/range", (const void *)test_range, in_coroutine);
    g_test_add_data_func("/raw/growing", (const void *)test_growing, in_coroutine);
    g_test_add_data_func("/raw/probed-head", (const void *)test_probed_head, in_coroutine);
    g_test_add_data_func("/null", (const void *)test_null, in_coroutine);
    return g_test_run();
}
