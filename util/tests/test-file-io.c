/* SPDX-License-Identifier: Apache-2.0 */
/* File I/O in coroutines, by ring and by thread pool. */
#include "util/file-io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/coroutine.h"
#include "util/file-io-internal.h"
#include "util/thread.h"

#define BLOCK 4096
#define BLOCKS 400

typedef struct Job {
    FileIo *io;
    int index;
    int *running;
} Job;

static int temporary_file(void)
{
    char path[] = "/tmp/vireo-file-io-XXXXXX";
    int fd = mkstemp(path);

    g_assert_cmpint(fd, >=, 0);
    unlink(path);
    return fd;
}

/* Write a block in two pieces, read it back as one. */
static void block_job(void *opaque)
{
    Job *job = opaque;
    uint8_t out[BLOCK];
    uint8_t in[BLOCK];
    struct iovec pieces[] = { { out, 100 }, { out + 100, BLOCK - 100 } };
    struct iovec whole = { in, BLOCK };
    int64_t offset = (int64_t)job->index * BLOCK;

    memset(out, job->index, sizeof(out));
    g_assert_cmpint(file_io_writev(job->io, pieces, 2, offset, job->index % 50 == 0), ==, BLOCK);
    g_assert_cmpint(file_io_readv(job->io, &whole, 1, offset), ==, BLOCK);
    g_assert_cmpmem(in, BLOCK, out, BLOCK);
    --*job->running;
}

/* More requests at once than the ring holds. */
static void run_blocks(FileIo *io)
{
    g_autofree Job *jobs = g_new0(Job, BLOCKS);
    int running = BLOCKS;

    for (int i = 0; i < BLOCKS; i++) {
        jobs[i] = (Job) { .io = io, .index = i, .running = &running };
        coroutine_start(block_job, &jobs[i]);
    }
    while (running) {
        loop_iterate(loop_current(), true);
    }
    g_assert_cmpint(lseek(io->fd, 0, SEEK_END), ==, BLOCK * BLOCKS);
}

static void other_operations(void *opaque)
{
    FileIo *io = opaque;
    FileIo closed = { .fd = -1, .engine = io->engine };
    char buf[16] = "";
    struct iovec iov = { buf, sizeof(buf) };

    g_assert_cmpint(file_io_flush(io), ==, 0);
    g_assert_cmpint(file_io_readv(io, &iov, 1, (int64_t)BLOCK * BLOCKS), ==, 0);
    g_assert_cmpint(file_io_readv(io, &iov, 1, (int64_t)BLOCK * BLOCKS - 5), ==, 5);
    g_assert_cmpint(file_io_readv(&closed, &iov, 1, 0), ==, -EBADF);
    g_assert_cmpint(file_io_writev(&closed, &iov, 1, 0, false), ==, -EBADF);
    g_assert_cmpint(file_io_flush(&closed), ==, -EBADF);
    g_assert_cmpint(file_io_allocate(&closed, 0, 0, 1), ==, -EBADF);
    if (file_io_allocate(io, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, BLOCK) == 0) {
        g_assert_cmpint(file_io_readv(io, &iov, 1, BLOCK), ==, sizeof(buf));
        g_assert_cmpint(buf[0], ==, 0);
    }
}

/* All the ways of using a file on the current loop. */
static void run_engines(void)
{
    for (int engine = FILE_ENGINE_RING; engine <= FILE_ENGINE_NATIVE; engine++) {
        for (int way = 0; way < 4; way++) {
            FileIo io = {
                .fd = temporary_file(), .engine = engine, .max_batch = way & 1 ? 7 : 0,
                .try_cache = way & 2,
            };

            run_blocks(&io);
            coroutine_run(other_operations, &io);
            close(io.fd);
        }
    }
}

static void test_main_loop(void)
{
    run_engines();
}

static void *other_thread(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static void run_on_loop(void *opaque)
{
    run_engines();
}

static void check_thread_loop(bool with_ring)
{
    Loop *loop = loop_new(NULL);
    pthread_t thread;

    if (!with_ring) {
        loop_forbid_file_ring(loop);
        g_assert_false(file_io_has_engine(loop, FILE_ENGINE_RING));
    }
    g_assert_true(thread_create(&thread, "files", other_thread, loop, NULL));
    loop_post_wait(loop, run_on_loop, NULL);
    loop_quit(loop);
    pthread_join(thread, NULL);
    loop_free(loop);
}

static void test_thread_loop(void)
{
    check_thread_loop(true);
}

static void test_without_ring(void)
{
    check_thread_loop(false);
}

typedef struct Nested {
    FileIo *io;
    int started, done;
    bool waiting;
} Nested;

static void nested_job(void *opaque)
{
    Nested *nested = opaque;
    char buf[BLOCK];
    struct iovec iov = { buf, sizeof(buf) };

    nested->started++;
    g_assert_cmpint(file_io_readv(nested->io, &iov, 1, 0), >=, 0);
    if (!nested->waiting) {
        nested->waiting = true;
        while (nested->done < nested->started - 1) {
            loop_iterate(loop_current(), true);
        }
    }
    nested->done++;
}

/* The first to come back waits for the others in the loop; none of them may be lost by that. */
static void test_nested(void)
{
    for (int engine = FILE_ENGINE_RING; engine <= FILE_ENGINE_NATIVE; engine++) {
        FileIo io = { .fd = temporary_file(), .engine = engine };
        Nested nested = { .io = &io };

        for (int i = 0; i < 10; i++) {
            coroutine_start(nested_job, &nested);
        }
        while (nested.done < 10) {
            loop_iterate(loop_current(), true);
        }
        close(io.fd);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_message("io_uring: %s, Linux AIO: %s",
                   file_io_has_engine(loop_main(), FILE_ENGINE_RING) ? "yes" : "no",
                   file_io_has_engine(loop_main(), FILE_ENGINE_NATIVE) ? "yes" : "no");
    g_test_add_func("/file-io/main-loop", test_main_loop);
    g_test_add_func("/file-io/thread-loop", test_thread_loop);
    g_test_add_func("/file-io/without-ring", test_without_ring);
    g_test_add_func("/file-io/nested", test_nested);
    return g_test_run();
}
