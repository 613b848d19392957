/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the short ones. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/info.h"
#include "tools/io/io.h"
#include "util/parse.h"

static int cmd_length(IoSession *session, int argc, char **argv)
{
    int64_t size = block_backend_getlength(session->blk);
    g_autofree char *text = io_size_text(size);

    if (size < 0) {
        return io_fail("getlength", size);
    }
    printf("%s\n", text);
    return 0;
}

static int cmd_info(IoSession *session, int argc, char **argv)
{
    BlockNode *node = block_backend_node(session->blk);
    BlockNodeInfo info = { 0 };
    g_autofree char *cluster = NULL, *vm_state = NULL;

    block_get_info(node, &info);
    cluster = io_size_text(info.cluster_size);
    vm_state = io_size_text(info.vm_state_offset);
    printf("format name: %s\ncluster size: %s\nvm state offset: %s\n", node->driver->name, cluster,
           vm_state);
    if (node->driver->get_specific_info) {
        g_autoptr(ImageInfoSpecific) specific = node->driver->get_specific_info(node, NULL);

        g_autoptr(GString) text = g_string_new(NULL);

        block_info_specific_text(text, specific);
        fputs(text->str, stdout);
    }
    return 0;
}

static int cmd_flush(IoSession *session, int argc, char **argv)
{
    int ret = block_backend_flush(session->blk);

    return ret < 0 ? io_fail("flush", ret) : 0;
}

static int cmd_truncate(IoSession *session, int argc, char **argv)
{
    BlockTruncate truncate = { .exact = true };
    GError *error = NULL;
    int c;

    optind = 0;
    while ((c = getopt(argc, argv, "m:")) != -1) {
        if (c != 'm' || !PreallocMode_parse(optarg, &truncate.prealloc, &error)) {
            printf("%s\n", error ? error->message : "truncate: unknown option");
            g_clear_error(&error);
            return 1;
        }
    }
    if (optind >= argc || !io_parse_size("offset", argv[optind], &truncate.size)) {
        return 1;
    }
    if (block_backend_truncate(session->blk, &truncate, &error) < 0) {
        printf("%s\n", error ? error->message : "truncate failed");
        g_clear_error(&error);
        return 1;
    }
    return 0;
}

static int cmd_alloc(IoSession *session, int argc, char **argv)
{
    int64_t offset, count = BLOCK_SECTOR, sum = 0;
    g_autofree char *at = NULL;

    if (!io_parse_size("offset", argv[1], &offset) ||
        (argc > 2 && !io_parse_size("count", argv[2], &count))) {
        return 1;
    }
    for (int64_t done = 0, n = 0; done < count; done += n) {
        int ret = block_is_allocated(block_backend_node(session->blk), offset + done, count - done,
                                     &n);

        if (ret < 0) {
            return io_fail("is_allocated", ret);
        }
        sum += ret ? n : 0;
        if (n == 0) {
            count = done; /* the end of the disk */
        }
    }
    at = io_size_text(offset);
    printf("%" PRId64 "/%" PRId64 " bytes allocated at offset %s\n", sum, count, at);
    return 0;
}

static int cmd_map(IoSession *session, int argc, char **argv)
{
    BlockNode *node = block_backend_node(session->blk);
    int64_t size = block_backend_getlength(session->blk);
    int64_t offset = 0;

    while (offset < size) {
        int64_t n = 0, more = 1;
        int allocated = block_is_allocated(node, offset, size - offset, &n);
        g_autofree char *length = NULL, *at = NULL;

        while (allocated >= 0 && n > 0 && offset + n < size && more > 0 &&
               block_is_allocated(node, offset + n, size - offset - n, &more) == allocated) {
            n += more;
        }
        if (allocated < 0 || n == 0) {
            return io_fail("is_allocated", allocated < 0 ? allocated : -EIO);
        }
        length = io_size_text(n);
        at = io_size_text(offset);
        printf("%s (0x%" PRIx64 ") bytes %s allocated at offset %s (0x%" PRIx64 ")\n", length, n,
               allocated ? "   " : "not", at, offset);
        offset += n;
    }
    return 0;
}

static int cmd_aio_flush(IoSession *session, int argc, char **argv)
{
    io_wait_for_requests(session);
    return 0;
}

static int cmd_sleep(IoSession *session, int argc, char **argv)
{
    uint64_t ms;

    if (!parse_uint64(argv[1], &ms, NULL) || ms > INT32_MAX) {
        printf("%s is not a valid argument\n", argv[1]);
        return 1;
    }
    coroutine_sleep(VM_CLOCK_HOST, ms * 1000000);
    return 0;
}

/* ---- blkdebug ---- */

/* The nearest node downwards that has the function at this offset of the driver's table. */
static BlockNode *debug_node(IoSession *session, size_t slot)
{
    BlockNode *node = block_backend_node(session->blk);

    while (node && !*(void *const *)((const char *)node->driver + slot)) {
        node = node->file ? node->file->node : NULL;
    }
    return node;
}

static int cmd_break(IoSession *session, int argc, char **argv)
{
    BlockNode *node = debug_node(session, offsetof(BlockDriver, debug_breakpoint));
    int ret = node ? node->driver->debug_breakpoint(node, argv[1], argv[2]) : -ENOTSUP;

    if (ret < 0) {
        printf("Could not set breakpoint: %s\n", g_strerror(-ret));
    }
    return ret < 0;
}

static int cmd_remove_break(IoSession *session, int argc, char **argv)
{
    BlockNode *node = debug_node(session, offsetof(BlockDriver, debug_remove_breakpoint));
    int ret = node ? node->driver->debug_remove_breakpoint(node, argv[1]) : -ENOTSUP;

    if (ret < 0) {
        printf("Could not remove breakpoint %s: %s\n", argv[1], g_strerror(-ret));
    }
    return ret < 0;
}

static int cmd_resume(IoSession *session, int argc, char **argv)
{
    BlockNode *node = debug_node(session, offsetof(BlockDriver, debug_resume));
    int ret = node ? node->driver->debug_resume(node, argv[1]) : -ENOTSUP;

    if (ret < 0) {
        printf("Could not resume request: %s\n", g_strerror(-ret));
    } else {
        printf("blkdebug: Resuming request '%s'\n", argv[1]);
    }
    return ret < 0;
}

static int cmd_wait_break(IoSession *session, int argc, char **argv)
{
    BlockNode *node = debug_node(session, offsetof(BlockDriver, debug_is_suspended));

    if (!node) {
        return io_fail("wait_break", -ENOTSUP);
    }
    while (!node->driver->debug_is_suspended(node, argv[1])) {
        coroutine_sleep(VM_CLOCK_HOST, 1000000);
    }
    printf("blkdebug: Suspended request '%s'\n", argv[1]);
    return 0;
}

/* ---- The process ---- */

static int cmd_sigraise(IoSession *session, int argc, char **argv)
{
    uint64_t number;

    if (!parse_uint64(argv[1], &number, NULL) || number > 64) {
        printf("%s is not a valid signal number\n", argv[1]);
        return 1;
    }
    fflush(NULL);
    raise(number);
    return 0;
}

static int cmd_abort(IoSession *session, int argc, char **argv)
{
    abort();
}

static int cmd_quit(IoSession *session, int argc, char **argv)
{
    session->quit = true;
    return 0;
}

static int cmd_help(IoSession *session, int argc, char **argv)
{
    bool found = false;

    for (const IoCommand *c = io_commands; c->name; c++) {
        if (argc < 2 || !strcmp(argv[1], c->name) || !g_strcmp0(argv[1], c->alias)) {
            printf("%s %s -- %s\n", c->name, c->usage, c->summary);
            found = true;
        }
    }
    if (!found) {
        printf("command %s not found\n", argv[1]);
    }
    return !found;
}

const IoCommand io_commands[] = {
    { "abort", NULL, cmd_abort, 0, 0, false, false, "", "ends like a crash, by abort(3)" },
    { "aio_flush", NULL, cmd_aio_flush, 0, 0, false, true, "", "waits for all aio requests" },
    { "aio_read", NULL, io_cmd_aio_read, 2, -1, true, true, "[-Cqv] [-P pattern] off len [len..]",
      "starts a read, and goes on" },
    { "aio_write", NULL, io_cmd_aio_write, 2, -1, true, true,
      "[-Cfquz] [-P pattern] off len [len..]", "starts a write, and goes on" },
    { "alloc", NULL, cmd_alloc, 1, 2, true, true, "offset [count]",
      "says how much of a range is allocated" },
    { "break", NULL, cmd_break, 2, 2, true, true, "event tag",
      "stops the next request at a blkdebug event, under this tag" },
    { "close", "c", io_cmd_close, 0, 0, true, false, "", "closes the image" },
    { "discard", "d", io_cmd_discard, 2, 4, true, true, "[-Cq] off len", "discards a range" },
    { "flush", "f", cmd_flush, 0, 0, true, true, "", "brings all data to stable storage" },
    { "help", "?", cmd_help, 0, 1, false, true, "[command]", "explains one command, or lists all" },
    { "info", "i", cmd_info, 0, 0, true, true, "", "tells about the image" },
    { "length", "l", cmd_length, 0, 0, true, true, "", "tells the size of the disk" },
    { "map", NULL, cmd_map, 0, 0, true, true, "", "lists what is allocated" },
    { "open", "o", io_cmd_open, 0, -1, false, false,
      "[-rsCnkU] [-t cache] [-d discard] [-i aio] [-o options] [path]", "opens an image" },
    { "quit", "q", cmd_quit, 0, 0, false, false, "", "ends the program" },
    { "read", "r", io_cmd_read, 2, -1, true, true, "[-bCqv] [-P pattern [-s off] [-l len]] off len",
      "reads, and compares with a pattern" },
    { "readv", "rv", io_cmd_readv, 2, -1, true, true, "[-Cqv] [-P pattern] off len [len..]",
      "reads into several buffers" },
    { "remove_break", NULL, cmd_remove_break, 1, 1, true, true, "tag", "removes a breakpoint" },
    { "reopen", NULL, io_cmd_reopen, 0, -1, true, false, "[(-r|-w)] [-c cache] [-o options]",
      "changes options of the open image" },
    { "resume", NULL, cmd_resume, 1, 1, true, true, "tag", "lets a stopped request go on" },
    { "sigraise", NULL, cmd_sigraise, 1, 1, false, false, "signal", "raises a signal" },
    { "sleep", NULL, cmd_sleep, 1, 1, false, true, "milliseconds", "waits" },
    { "truncate", "t", cmd_truncate, 1, 3, true, true, "[-m prealloc] off",
      "sets the disk's size" },
    { "wait_break", NULL, cmd_wait_break, 1, 1, true, true, "tag",
      "waits until a request is stopped under this tag" },
    { "write", "w", io_cmd_write, 2, -1, true, true,
      "[-bcCfnquz] [-P pattern | -s source_file] off len", "writes a pattern" },
    { "writev", "wv", io_cmd_writev, 2, -1, true, true, "[-Cfq] [-P pattern] off len [len..]",
      "writes from several buffers" },
    { 0 },
};
