/* SPDX-License-Identifier: Apache-2.0 */
/* Channels over files, pipes, buffers and child processes. */
#include "io/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/channel-buffer.h"
#include "io/channel-command.h"
#include "io/channel-file.h"
#include "util/coroutine.h"

static void test_buffer(void)
{
    g_autoptr(Channel) channel = channel_buffer_new();
    struct iovec iov[] = { { (char *)"hello ", 6 }, { NULL, 0 }, { (char *)"world", 5 } };
    g_autoptr(GError) error = NULL;
    char buf[16];
    size_t len;
    bool eof;

    g_assert_true(channel_writev_all(channel, iov, 3, NULL));
    channel_buffer_data(channel, &len);
    g_assert_cmpuint(len, ==, 11);
    g_assert_true(channel_read_all(channel, buf, 5, NULL));
    g_assert_cmpmem(buf, 5, "hello", 5);
    g_assert_cmpmem(channel_buffer_data(channel, &len), 6, " world", 6);
    g_assert_false(channel_read_all(channel, buf, 16, &error));
    g_assert_cmpstr(error->message, ==, "the buffer ended after 6 of 16 bytes");
    g_assert_true(channel_read_all_or_eof(channel, buf, 4, &eof, NULL));
    g_assert_true(eof);
    g_assert_cmpint(channel_read(channel, buf, 4), ==, 0);
    g_assert_cmpint(channel_shutdown(channel, CHANNEL_READ), ==, -ENOTSUP);
    g_assert_cmpint(channel_writev_fds(channel, iov, 1, (int[]) { 0 }, 1), ==, -ENOTSUP);
    g_assert_cmpint(channel_close(channel), ==, 0);
    g_assert_cmpint(channel_close(channel), ==, 0);
    g_assert_cmpint(channel_read(channel, buf, 4), ==, -EBADF);
    g_assert_cmpint(channel_write(channel, buf, 4), ==, -EBADF);
}

static void test_buffer_large(void)
{
    g_autoptr(Channel) channel = channel_buffer_new();
    uint8_t in[1000];
    uint8_t out[1000];

    for (int round = 0; round < 500; round++) {
        memset(in, round, sizeof(in));
        g_assert_true(channel_write_all(channel, in, sizeof(in), NULL));
        g_assert_true(channel_write_all(channel, in, 1, NULL));
        g_assert_true(channel_read_all(channel, out, 1, NULL));
        g_assert_true(channel_read_all(channel, out, sizeof(out) - 1, NULL));
    }
}

typedef struct Counter {
    Channel *channel;
    int reads;
    int writes;
} Counter;

static void count_read(void *opaque)
{
    Counter *counter = opaque;
    char byte;

    counter->reads++;
    if (channel_read(counter->channel, &byte, 1) == 0) {
        channel_watch(counter->channel, loop_main(), NULL, NULL, NULL);
    }
}

static void test_buffer_watch(void)
{
    g_autoptr(Channel) channel = channel_buffer_new();
    Counter counter = { .channel = channel };

    g_assert_true(channel_write_all(channel, "abc", 3, NULL));
    channel_watch(channel, loop_main(), count_read, NULL, &counter);
    while (channel->loop) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpint(counter.reads, ==, 4);
}

static void test_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-io-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "file", NULL);
    g_autoptr(GError) error = NULL;
    Channel *channel = channel_file_open(path, O_RDONLY, 0, &error);
    char buf[8];
    bool eof;

    g_assert_null(channel);
    g_assert_nonnull(strstr(error->message, path));
    channel = channel_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, NULL);
    g_assert_true(channel_write_all(channel, "content", 7, NULL));
    g_assert_cmpint(channel_read(channel, buf, 1), ==, -EBADF);
    channel_unref(channel);
    channel = channel_file_open(path, O_RDONLY, 0, NULL);
    g_assert_true(channel_read_all(channel, buf, 7, NULL));
    g_assert_cmpmem(buf, 7, "content", 7);
    g_assert_true(channel_read_all_or_eof(channel, buf, 1, &eof, NULL) && eof);
    channel_unref(channel);
    unlink(path);
    rmdir(dir);
}

#define TOTAL (1024 * 1024)

typedef struct Flow {
    Channel *reader;
    Channel *writer;
    int running;
} Flow;

static void flow_writer(void *opaque)
{
    Flow *flow = opaque;
    g_autofree uint8_t *data = g_malloc(TOTAL);
    struct iovec iov[20];

    for (size_t i = 0; i < TOTAL; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    for (size_t i = 0; i < 20; i++) {
        iov[i].iov_base = data + i * (TOTAL / 20);
        iov[i].iov_len = i == 19 ? TOTAL - 19 * (TOTAL / 20) : TOTAL / 20;
    }
    g_assert_true(channel_writev_all(flow->writer, iov, 20, NULL));
    channel_close(flow->writer);
    flow->running--;
}

static void flow_reader(void *opaque)
{
    Flow *flow = opaque;
    g_autofree uint8_t *data = g_malloc(TOTAL);
    bool eof = false;

    g_assert_true(channel_read_all(flow->reader, data, TOTAL, NULL));
    for (size_t i = 0; i < TOTAL; i++) {
        g_assert_cmpuint(data[i], ==, (uint8_t)(i * 7));
    }
    g_assert_true(channel_read_all_or_eof(flow->reader, data, 1, &eof, NULL) && eof);
    flow->running--;
}

static void test_pipe_coroutines(void)
{
    Flow flow = { .running = 2 };
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_NONBLOCK | O_CLOEXEC), ==, 0);
    flow.reader = channel_file_new(fds[0], -1);
    flow.writer = channel_file_new(-1, fds[1]);
    coroutine_start(flow_reader, &flow);
    coroutine_start(flow_writer, &flow);
    while (flow.running) {
        loop_iterate(loop_main(), true);
    }
    channel_unref(flow.reader);
    channel_unref(flow.writer);
}

static void read_until_closed(void *opaque)
{
    Flow *flow = opaque;
    g_autoptr(GError) error = NULL;
    char byte;

    g_assert_false(channel_read_all(flow->reader, &byte, 1, &error));
    g_assert_nonnull(error);
    flow->running--;
}

static void test_close_wakes(void)
{
    Flow flow = { .running = 1 };
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_NONBLOCK | O_CLOEXEC), ==, 0);
    flow.reader = channel_file_new(fds[0], -1);
    coroutine_start(read_until_closed, &flow);
    g_assert_cmpint(flow.running, ==, 1);
    channel_close(flow.reader);
    while (flow.running) {
        loop_iterate(loop_main(), true);
    }
    channel_unref(flow.reader);
    close(fds[1]);
}

static void test_broken_pipe(void)
{
    int fds[2];
    g_autoptr(Channel) channel = NULL;

    g_assert_cmpint(pipe2(fds, O_NONBLOCK | O_CLOEXEC), ==, 0);
    channel = channel_file_new(-1, fds[1]);
    close(fds[0]);
    g_assert_cmpint(channel_write(channel, "x", 1), ==, -EPIPE);
}

static void test_command(void)
{
    static const char *const cat[] = { "cat", NULL };
    static const char *const echo[] = { "sh", "-c", "echo out; exit 3", NULL };
    static const char *const nothing[] = { "/nonexistent/program", NULL };
    g_autoptr(GError) error = NULL;
    Channel *channel = channel_command_new(cat, O_RDWR, NULL);
    char buf[8];

    g_assert_true(channel_write_all(channel, "meow", 4, NULL));
    g_assert_true(channel_read_all(channel, buf, 4, NULL));
    g_assert_cmpmem(buf, 4, "meow", 4);
    channel_close(channel);
    g_assert_true(WIFEXITED(channel_command_status(channel)));
    channel_unref(channel);

    channel = channel_command_new(echo, O_RDONLY, NULL);
    g_assert_true(channel_read_all(channel, buf, 4, NULL));
    g_assert_cmpmem(buf, 4, "out\n", 4);
    channel_close(channel);
    g_assert_cmpint(WEXITSTATUS(channel_command_status(channel)), ==, 3);
    channel_unref(channel);

    g_assert_null(channel_command_new(nothing, O_RDWR, &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/program"));
}

static void test_command_stubborn(void)
{
    static const char *const sleeper[] = { "sleep", "1000", NULL };
    Channel *channel = channel_command_new(sleeper, O_WRONLY, NULL);
    int status;

    channel_close(channel);
    status = channel_command_status(channel);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    channel_unref(channel);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/channel/buffer", test_buffer);
    g_test_add_func("/channel/buffer-large", test_buffer_large);
    g_test_add_func("/channel/buffer-watch", test_buffer_watch);
    g_test_add_func("/channel/file", test_file);
    g_test_add_func("/channel/pipe-coroutines", test_pipe_coroutines);
    g_test_add_func("/channel/close-wakes", test_close_wakes);
    g_test_add_func("/channel/broken-pipe", test_broken_pipe);
    g_test_add_func("/channel/command", test_command);
    g_test_add_func("/channel/command-stubborn", test_command_stubborn);
    return g_test_run();
}
