/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on image files: between two nodes of this process, two processes, and this program and
 * QEMU's. "test-file-lock hold OPTIONS" is the other process: it opens the file, prints a line and
 * waits for the end of its input.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/tests/file-fixture.h"
#include "util/bits.h"

#define READ BLOCK_PERM_CONSISTENT_READ
#define OWN (BLOCK_PERM_ALL & ~(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE)) /* share no writing */

typedef struct Fixture {
    char *dir, *path;
} Fixture;

static const char *own_program;

static void setup(Fixture *f, const void *data)
{
    f->dir = fixture_dir_new();
    f->path = fixture_file(f->dir, "x.img", MiB);
}

static void teardown(Fixture *f, const void *data)
{
    g_free(f->path);
    fixture_dir_free(f->dir);
}

/* ---- The other process ---- */

typedef struct Other {
    GPid pid;
    int in, out;
} Other;

/* It has the file when its first byte comes. */
static Other start_other(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    Other other;
    char byte;

    g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                             G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                             &other.pid, &other.in, &other.out, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(read(other.out, &byte, 1), ==, 1);
    return other;
}

static void stop_other(Other *other)
{
    int status;

    close(other->in);
    g_assert_cmpint(waitpid(other->pid, &status, 0), ==, other->pid);
    close(other->out);
    g_assert_cmpint(status, ==, 0);
}

static Other start_holder(const char *path, const char *more)
{
    g_autofree char *options = g_strdup_printf("driver=file,filename=%s%s", path, more);
    const char *argv[] = { own_program, "hold", options, NULL };

    return start_other(argv);
}

static int hold(const char *options)
{
    bool read_only = strstr(options, "read-only=on");
    BlockChild *child = fixture_try_open(fixture_options("%s", options),
                                         read_only ? READ : BLOCK_PERM_ALL,
                                         read_only ? BLOCK_PERM_ALL : OWN, NULL);
    char byte;

    if (!child) {
        return 1;
    }
    printf("opened\n");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
        continue;
    }
    fixture_close(child);
    return 0;
}

/* ---- This one ---- */

/* NULL if it could be opened; else the error. */
static char *try_open(const char *path, const char *more, unsigned perm, unsigned shared)
{
    g_autoptr(GError) error = NULL;
    BlockChild *child = fixture_try_open(fixture_options("driver=file,filename=%s%s", path, more),
                                         perm, shared, &error);

    if (child) {
        fixture_close(child);
        return NULL;
    }
    g_test_message("%s", error->message);
    return g_strdup(error->message);
}

static void expect_busy(const char *path, const char *more, unsigned perm, unsigned shared,
                        const char *expected)
{
    g_autofree char *text = try_open(path, more, perm, shared);

    g_assert_nonnull(text);
    g_assert_nonnull(strstr(text, expected));
}

static void expect_free(const char *path, const char *more, unsigned perm, unsigned shared)
{
    g_assert_null(try_open(path, more, perm, shared));
}

static void test_same_process(Fixture *f, const void *data)
{
    g_autoptr(GError) error = NULL;
    BlockChild *child = fixture_try_open(fixture_options("driver=file,filename=%s", f->path),
                                         BLOCK_PERM_ALL, OWN, &error);

    g_assert_no_error(error);
    expect_busy(f->path, "", BLOCK_PERM_ALL, BLOCK_PERM_ALL, "by this process already");
    expect_free(f->path, ",read-only=on", READ, BLOCK_PERM_ALL);
    expect_busy(f->path, ",read-only=on", READ, OWN, "Failed to get shared \"write\" lock");
    expect_free(f->path, ",locking=off", BLOCK_PERM_ALL, BLOCK_PERM_ALL);
    fixture_close(child);
    expect_free(f->path, "", BLOCK_PERM_ALL, OWN);
}

static void test_two_processes(Fixture *f, const void *data)
{
    Other other = start_holder(f->path, "");
    g_autofree char *who = g_strdup_printf("Failed to get \"write\" lock: '%s' is in use by "
                                           "process %d (%.60s", f->path, (int)other.pid,
                                           own_program);

    expect_busy(f->path, "", BLOCK_PERM_ALL, BLOCK_PERM_ALL, who);
    expect_busy(f->path, ",read-only=on", READ, OWN, "shared \"write\"");
    expect_free(f->path, ",read-only=on", READ, BLOCK_PERM_ALL);
    expect_free(f->path, ",read-only=on,force-share=on", READ, BLOCK_PERM_ALL);
    stop_other(&other);
    expect_free(f->path, "", BLOCK_PERM_ALL, OWN);
}

/* A reader becomes a writer by auto-read-only, and another reader who minds is in its way. */
static void test_upgrade(Fixture *f, const void *data)
{
    Other other = start_holder(f->path, ",read-only=on");
    g_autoptr(GError) error = NULL;
    BlockChild *mine;

    mine = fixture_try_open(fixture_options("driver=file,filename=%s,auto-read-only=on", f->path),
                            READ, OWN, &error);
    g_assert_no_error(error);
    g_assert_true(block_child_set_perm(mine, BLOCK_PERM_ALL, OWN, &error));
    /* Its locks came along to the descriptor for writing. */
    expect_busy(f->path, "", BLOCK_PERM_ALL, BLOCK_PERM_ALL, "by this process");
    g_assert_true(block_child_set_perm(mine, READ, BLOCK_PERM_ALL, &error));
    expect_free(f->path, "", BLOCK_PERM_ALL, BLOCK_PERM_ALL);
    stop_other(&other);

    other = start_holder(f->path, "");
    g_assert_false(block_child_set_perm(mine, BLOCK_PERM_ALL, BLOCK_PERM_ALL, &error));
    g_assert_nonnull(strstr(error->message, "Failed to get \"write\" lock"));
    /* The attempt has left nothing behind. */
    stop_other(&other);
    other = start_holder(f->path, "");
    stop_other(&other);
    fixture_close(mine);
}

/* Creating does not empty a file that is in use. */
static void test_create(Fixture *f, const void *data)
{
    Other other = start_holder(f->path, "");
    g_autoptr(GMappedFile) file = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(fixture_create(f->path, 5, PREALLOC_MODE_OFF, &error));
    g_assert_nonnull(strstr(error->message, "is in use by process"));
    file = g_mapped_file_new(f->path, FALSE, NULL);
    g_assert_cmpuint(g_mapped_file_get_length(file), ==, MiB);
    stop_other(&other);
}

/* ---- QEMU ---- */

static bool qemu_io_opens(const char *path, const char *mode)
{
    const char *argv[] = { "qemu-io", "-f", "raw", mode, path, "-c", "quit", NULL };
    g_autofree char *err = NULL;
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL,
                               G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                               &err, &status, NULL));
    g_test_message("qemu-io: %s", err);
    g_assert_true(status == 0 || strstr(err, "lock"));
    return status == 0;
}

static void test_qemu_holds(Fixture *f, const void *data)
{
    const char *argv[] = { "qemu-io", "-f", "raw", f->path, NULL };
    Other other = start_other(argv);

    /* A raw image shares writing with whoever wants to write. */
    expect_free(f->path, "", BLOCK_PERM_ALL, BLOCK_PERM_ALL);
    expect_busy(f->path, "", BLOCK_PERM_ALL, OWN, "is in use by process");
    expect_busy(f->path, "", READ, OWN, "(qemu-io -f raw");
    expect_free(f->path, ",read-only=on", READ, BLOCK_PERM_ALL);
    stop_other(&other);
    expect_free(f->path, "", BLOCK_PERM_ALL, OWN);
}

static void test_qemu_is_refused(Fixture *f, const void *data)
{
    Other other = start_holder(f->path, "");

    g_assert_false(qemu_io_opens(f->path, "-n"));
    g_assert_true(qemu_io_opens(f->path, "-rU"));
    stop_other(&other);
    g_assert_true(qemu_io_opens(f->path, "-n"));
}

#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_autofree char *qemu_io = g_find_program_in_path("qemu-io");
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);

    if (argc == 3 && strcmp(argv[1], "hold") == 0) {
        return hold(argv[2]);
    }
    own_program = self;
    g_test_init(&argc, &argv, NULL);
    ADD("/file-lock/same-process", test_same_process);
    ADD("/file-lock/two-processes", test_two_processes);
    ADD("/file-lock/upgrade", test_upgrade);
    ADD("/file-lock/create", test_create);
    if (qemu_io) {
        ADD("/file-lock/qemu-holds", test_qemu_holds);
        ADD("/file-lock/qemu-is-refused", test_qemu_is_refused);
    }
    return g_test_run();
}
