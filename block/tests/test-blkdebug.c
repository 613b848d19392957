/* SPDX-License-Identifier: Apache-2.0 */
/* blkdebug and blkverify, over files. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "block/io.h"
#include "block/open.h"
#include "block/tests/file-fixture.h"
#include "util/bits.h"
#include "util/coroutine.h"

#define SIZE ((int64_t)MiB)

typedef struct Fixture {
    char *dir, *path, *config;
} Fixture;

static void setup(Fixture *f, const void *data)
{
    f->dir = fixture_dir_new();
    f->path = fixture_file(f->dir, "x.img", SIZE);
    f->config = g_build_filename(f->dir, "rules", NULL);
}

static void teardown(Fixture *f, const void *data)
{
    g_free(f->path);
    g_free(f->config);
    fixture_dir_free(f->dir);
}

static BlockChild *open_debug(Fixture *f, const char *more)
{
    return fixture_open("driver=blkdebug,image.driver=file,image.filename=%s,discard=unmap%s",
                        f->path, more);
}

typedef struct Event {
    BlockNode *node;
    BlkdebugEvent event;
    bool done;
} Event;

static void run_event(void *opaque)
{
    Event *event = opaque;

    event->node->driver->debug_event(event->node, event->event);
    event->done = true;
}

static void send_event(BlockChild *child, BlkdebugEvent number)
{
    Event event = { child->node, number };

    coroutine_run(run_event, &event);
}

/* ---- Errors ---- */

static void test_once(Fixture *f, const void *data)
{
    BlockChild *child = open_debug(f, ",inject-error.0.event=none,inject-error.0.iotype=write,"
                                   "inject-error.0.errno=28,inject-error.0.once=on");
    uint8_t byte = 1;

    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, 0);
    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), ==, -ENOSPC);
    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), ==, 0);
    fixture_close(child);
}

static void test_kinds(Fixture *f, const void *data)
{
    BlockChild *child = open_debug(f, ",inject-error.0.event=none,inject-error.0.immediately=on");
    BlockStatus status;
    uint8_t byte = 1;

    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, -EIO);
    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), ==, -EIO);
    g_assert_cmpint(fixture_zero(child, 0, 4096, 0), ==, -EIO);
    g_assert_cmpint(fixture_discard(child, 0, 4096), ==, -EIO);
    /* Not unless asked for. */
    g_assert_cmpint(fixture_status(child, 0, 4096, &status), ==, 0);
    g_assert_true(status.flags & BLOCK_STATUS_ZERO);
    fixture_close(child);

    child = open_debug(f, ",inject-error.0.event=none,inject-error.0.iotype=block-status");
    g_assert_cmpint(fixture_status(child, 0, 4096, &status), ==, -EIO);
    fixture_close(child);

    child = open_debug(f, ",inject-error.0.event=none,inject-error.0.iotype=flush");
    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, -EIO);
    fixture_close(child);
}

static void test_sector(Fixture *f, const void *data)
{
    BlockChild *child = open_debug(f, ",inject-error.0.event=none,inject-error.0.sector=3");
    uint8_t buf[4096];

    g_assert_cmpint(fixture_read(child, 0, 1536, buf), ==, 0);
    g_assert_cmpint(fixture_read(child, 0, 1537, buf), ==, -EIO);
    g_assert_cmpint(fixture_read(child, 1537, 1000, buf), ==, 0);
    fixture_close(child);
}

static void test_states(Fixture *f, const void *data)
{
    BlockChild *child = open_debug(f, ",set-state.0.event=l1_update,set-state.0.state=1,"
                                   "set-state.0.new_state=5,"
                                   "inject-error.0.event=l2_update,inject-error.0.state=5,"
                                   "inject-error.1.event=l2_load,inject-error.1.errno=28");
    uint8_t byte;

    send_event(child, BLKDBG_L2_UPDATE);
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, 0);
    send_event(child, BLKDBG_L1_UPDATE);
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, 0);
    send_event(child, BLKDBG_L2_UPDATE);
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, -EIO);
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, -EIO);
    send_event(child, BLKDBG_L2_LOAD);
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, -ENOSPC);
    fixture_close(child);
}

/* ---- Breakpoints ---- */

static void test_breakpoint(Fixture *f, const void *data)
{
    BlockChild *child = open_debug(f, "");
    BlockNode *node = child->node;
    Event first = { node, BLKDBG_WRITE_AIO }, second = { node, BLKDBG_WRITE_AIO };

    g_assert_cmpint(node->driver->debug_breakpoint(node, "nonsense", "A"), ==, -ENOENT);
    g_assert_cmpint(node->driver->debug_breakpoint(node, "write_aio", "A"), ==, 0);
    coroutine_start(run_event, &first);
    g_assert_false(first.done);
    g_assert_true(node->driver->debug_is_suspended(node, "A"));
    g_assert_false(node->driver->debug_is_suspended(node, "B"));
    /* It is used up. */
    coroutine_start(run_event, &second);
    g_assert_true(second.done);
    g_assert_cmpint(node->driver->debug_resume(node, "B"), ==, -ENOENT);
    g_assert_cmpint(node->driver->debug_resume(node, "A"), ==, 0);
    g_assert_false(node->driver->debug_is_suspended(node, "A"));
    while (!first.done) {
        loop_iterate(loop_main(), true);
    }

    g_assert_cmpint(node->driver->debug_breakpoint(node, "write_aio", "C"), ==, 0);
    g_assert_cmpint(node->driver->debug_remove_breakpoint(node, "C"), ==, 0);
    g_assert_cmpint(node->driver->debug_remove_breakpoint(node, "C"), ==, -ENOENT);
    g_assert_cmpint(node->driver->debug_breakpoint(node, "write_aio", "D"), ==, 0);
    first.done = false;
    coroutine_start(run_event, &first);
    g_assert_cmpint(node->driver->debug_remove_breakpoint(node, "D"), ==, 0);
    while (!first.done) {
        loop_iterate(loop_main(), true);
    }
    fixture_close(child);
}

/* ---- Limits ---- */

static void expect_refusal(Fixture *f, const char *more, const char *text)
{
    fixture_expect_refusal(fixture_options("driver=blkdebug,image.driver=file,image.filename=%s%s",
                                           f->path, more), text);
}

static void test_limits(Fixture *f, const void *data)
{
    BlockChild *child = open_debug(f, ",align=4096,max-transfer=65536,opt-write-zero=8192,"
                                   "max-write-zero=16384,opt-discard=4096,max-discard=65536");
    g_autofree uint8_t *out = g_malloc(300000);
    g_autofree uint8_t *in = g_malloc(300000);

    for (int i = 0; i < 300000; i++) {
        out[i] = (uint8_t)(i * 7 + i / 256);
    }
    g_assert_cmpuint(child->node->limits.request_alignment, ==, 4096);
    g_assert_cmpint(fixture_write(child, 12345, 300000, out, 0), ==, 0);
    g_assert_cmpint(fixture_zero(child, 20000, 50000, 0), ==, 0);
    memset(out + 20000 - 12345, 0, 50000);
    g_assert_cmpint(fixture_read(child, 12345, 300000, in), ==, 0);
    g_assert_true(memcmp(in, out, 300000) == 0);
    g_assert_cmpint(fixture_discard(child, 0, SIZE), ==, 0);
    fixture_close(child);

    expect_refusal(f, ",align=513", "Cannot meet constraints with align 513");
    expect_refusal(f, ",align=-4096", "Cannot meet constraints with align -4096");
    expect_refusal(f, ",align=512,max-transfer=513", "max-transfer 513");
    expect_refusal(f, ",opt-write-zero=3000", "opt-write-zero 3000");
    expect_refusal(f, ",opt-discard=4096,max-discard=6144", "max-discard 6144");
}

static void test_permissions(Fixture *f, const void *data)
{
    g_autoptr(GError) error = NULL;
    BlockChild *child;

    child = fixture_try_open(fixture_options("driver=blkdebug,take-child-perms.0=resize,"
                                             "unshare-child-perms.0=write,image.driver=file,"
                                             "image.filename=%s", f->path),
                             BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, &error);
    g_assert_no_error(error);
    g_assert_cmphex(child->node->file->perm, ==,
                    BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_RESIZE);
    g_assert_cmphex(child->node->file->shared, ==, BLOCK_PERM_ALL & ~BLOCK_PERM_WRITE);
    fixture_close(child);
}

/* ---- Files of rules, and names ---- */

static void write_config(Fixture *f, const char *text)
{
    g_assert_true(g_file_set_contents(f->config, text, -1, NULL));
}

static BlockNode *open_by_name(Fixture *f, GError **error)
{
    g_autofree char *name = g_strdup_printf("blkdebug:%s:%s", f->config, f->path);

    return block_open(name, NULL, NULL, QAPI_KEYVAL, BLOCK_OPEN_PROTOCOL, error);
}

static void test_config(Fixture *f, const void *data)
{
    g_autofree char *name = g_strdup_printf("blkdebug:%s:%s", f->config, f->path);
    BlockChild *child;
    uint8_t byte;

    write_config(f, "# rules\n\n[inject-error]\n  event = \"l2_load\"\nerrno=\"28\"\n"
                 "[set-state]\nevent = \"none\"\nnew_state = \"2\"\n"
                 "[inject-error]\nevent = \"l1_update\"\nstate = \"1\"\n");
    child = fixture_open("driver=blkdebug,config=%s,image.driver=file,image.filename=%s",
                         f->config, f->path);
    g_assert_cmpstr(child->node->filename, ==, name);
    send_event(child, BLKDBG_L1_UPDATE);
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, 0);
    send_event(child, BLKDBG_L2_LOAD);
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, -ENOSPC);
    fixture_close(child);
}

static void test_bad_config(Fixture *f, const void *data)
{
    static const char *const cases[][2] = {
        { "event = \"none\"\n", "before the first section" },
        { "[breakpoint]\n", "no section 'breakpoint'" },
        { "[inject-error]\nerrno = \"5\"\n", "Missing event name" },
        { "[inject-error]\nevent = \"nothing\"\n", "nothing" },
        { "[inject-error]\nevent = \"none\"\ncolour = \"red\"\n", "colour" },
        { "[inject-error]\nevent\n", "neither" },
        { "[inject-error]\nevent = \"none\"\nsector = \"-7\"\n", "sector" },
        { "[set-state]\nevent = \"none\"\n", "new_state" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        write_config(f, cases[i][0]);
        g_assert_null(open_by_name(f, &error));
        g_assert_nonnull(error);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, cases[i][1]));
        g_assert_nonnull(strstr(error->message, f->config));
    }
}

static void test_names(Fixture *f, const void *data)
{
    g_autoptr(BlockNode) node = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strdup_printf("blkdebug::%s", f->path);

    node = block_open(name, NULL, NULL, QAPI_KEYVAL, BLOCK_OPEN_PROTOCOL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(node->driver->name, ==, "blkdebug");
    g_assert_cmpstr(node->file->node->driver->name, ==, "file");
    g_assert_cmpstr(node->filename, ==, name);
    g_assert_cmpint(node->size, ==, SIZE);
    g_clear_pointer(&node, block_node_unref);
    g_assert_null(block_open("blkdebug:x", NULL, NULL, QAPI_KEYVAL, BLOCK_OPEN_PROTOCOL, &error));
    g_assert_nonnull(strstr(error->message, "blkdebug:CONFIG:IMAGE"));
}

/* ---- blkverify ---- */

static BlockChild *open_verify(Fixture *f)
{
    g_autofree char *raw = fixture_file(f->dir, "raw.img", SIZE);

    return fixture_open("driver=blkverify,raw.driver=file,raw.filename=%s,test.driver=file,"
                        "test.filename=%s", raw, f->path);
}

static void test_verify_equal(Fixture *f, const void *data)
{
    BlockChild *child = open_verify(f);
    uint8_t out[5000], in[5000];

    memset(out, 0x5a, sizeof(out));
    g_assert_cmpint(fixture_write(child, 777, sizeof(out), out, 0), ==, 0);
    g_assert_cmpint(fixture_zero(child, 1000, 100, 0), ==, 0);
    memset(out + 223, 0, 100);
    g_assert_cmpint(fixture_read(child, 777, sizeof(in), in), ==, 0);
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    fixture_close(child);
}

static void test_verify_different(Fixture *f, const void *data)
{
    if (g_test_subprocess()) {
        BlockChild *child = fixture_open("driver=file,filename=%s", f->path);
        uint8_t byte = 1, in[4096];

        g_assert_cmpint(fixture_write(child, 100, 1, &byte, 0), ==, 0);
        fixture_close(child);
        fixture_read(open_verify(f), 0, sizeof(in), in);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*blkverify: read offset=0 bytes=4096 contents mismatch at offset "
                              "100*");
}

#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/blkdebug/once", test_once);
    ADD("/blkdebug/kinds", test_kinds);
    ADD("/blkdebug/sector", test_sector);
    ADD("/blkdebug/states", test_states);
    ADD("/blkdebug/breakpoint", test_breakpoint);
    ADD("/blkdebug/limits", test_limits);
    ADD("/blkdebug/permissions", test_permissions);
    ADD("/blkdebug/config", test_config);
    ADD("/blkdebug/bad-config", test_bad_config);
    ADD("/blkdebug/names", test_names);
    ADD("/blkverify/equal", test_verify_equal);
    ADD("/blkverify/different", test_verify_different);
    return g_test_run();
}
