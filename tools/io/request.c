/* SPDX-License-Identifier: Apache-2.0 */
/* read, write and discard, alone, in several buffers, and asynchronously. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/io/io.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/parse.h"

#define DEFAULT_PATTERN 0xcd
#define MAX_VECTORS 1024

typedef enum Verb { VERB_READ, VERB_WRITE, VERB_ZERO, VERB_DISCARD } Verb;

static const char *const done_words[] = {
    [VERB_READ] = "read", [VERB_WRITE] = "wrote", [VERB_ZERO] = "wrote", [VERB_DISCARD] = "discard",
};

typedef struct Request {
    IoSession *session;
    Verb verb;
    const char *failed;     /* "readv": what an error calls it */
    bool invalid;           /* only to be counted */
    bool has_part;          /* of the pattern */
    bool quiet, for_programs, dump, vmstate;
    bool has_pattern;
    uint8_t pattern;
    int64_t pattern_start, pattern_length; /* of the part to verify; length -1: all */
    unsigned flags;
    int64_t offset, bytes;
    uint8_t *buf;           /* g_free */
    struct iovec *iov;      /* g_free */
    unsigned n_iov;
    char *pattern_file;
} Request;

static void request_free(Request *r)
{
    free(r->buf);
    g_free(r->iov);
    g_free(r->pattern_file);
    g_free(r);
}

/* ---- Options ---- */

static bool parse_pattern(const char *text, uint8_t *pattern)
{
    uint64_t value;

    if (!parse_uint64(text, &value, NULL) || value > 0xff) {
        printf("%s is not a valid pattern byte\n", text);
        return false;
    }
    *pattern = value;
    return true;
}

static bool take_option(Request *r, int c)
{
    switch (c) {
    case 'C':
        r->for_programs = true;
        return true;
    case 'P':
        r->has_pattern = true;
        return parse_pattern(optarg, &r->pattern);
    case 'b':
        r->vmstate = true;
        return true;
    case 'c':
        r->flags |= BLOCK_REQ_COMPRESSED;
        return true;
    case 'f':
        r->flags |= BLOCK_REQ_FUA;
        return true;
    case 'i':
        r->invalid = true;
        return true;
    case 'l':
        r->has_part = true;
        return io_parse_size("pattern length", optarg, &r->pattern_length);
    case 'n':
        r->flags |= BLOCK_REQ_NO_FALLBACK;
        return true;
    case 'q':
        r->quiet = true;
        return true;
    case 's':
        if (r->verb == VERB_READ) {
            r->has_part = true;
            return io_parse_size("pattern start", optarg, &r->pattern_start);
        }
        r->pattern_file = g_strdup(optarg);
        return true;
    case 'u':
        r->flags |= BLOCK_REQ_MAY_UNMAP;
        return true;
    case 'v':
        r->dump = true;
        return true;
    case 'z':
        r->verb = VERB_ZERO;
        return true;
    case 'p':
        return true;
    default:
        return false;
    }
}

static bool options_agree(const Request *r)
{
    bool is_zero = r->verb == VERB_ZERO;

    if (is_zero + r->has_pattern + !!r->pattern_file > 1) {
        printf("Only one of -z, -P and -s can be given\n");
        return false;
    }
    if ((r->flags & BLOCK_REQ_FUA) && (r->vmstate || (r->flags & BLOCK_REQ_COMPRESSED))) {
        printf("-f cannot be given with -b or -c\n");
        return false;
    }
    if (!is_zero && (r->flags & (BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK))) {
        printf("-u and -n need -z\n");
        return false;
    }
    if (r->verb == VERB_READ && !r->has_pattern && r->has_part) {
        printf("-s and -l need -P\n");
        return false;
    }
    return true;
}

/* ---- Buffers ---- */

static bool take_lengths(Request *r, int n, char **words)
{
    r->iov = g_new0(struct iovec, n);
    r->n_iov = n;
    for (int i = 0; i < n; i++) {
        int64_t len;

        if (!io_parse_size("length", words[i], &len)) {
            return false;
        }
        r->iov[i].iov_len = len;
        r->bytes += MIN(len, BLOCK_MAX_LENGTH - r->bytes);
    }
    if (r->verb <= VERB_WRITE && r->bytes > BLOCK_MAX_REQUEST) {
        printf("length cannot exceed %" PRId64 " without -n, given %s\n",
               (int64_t)BLOCK_MAX_REQUEST, words[0]);
        return false;
    }
    return true;
}

static bool fill_from_file(Request *r)
{
    g_autofree char *content = NULL;
    GError *error = NULL;
    size_t len;

    if (!g_file_get_contents(r->pattern_file, &content, &len, &error)) {
        error_report_err(error);
        return false;
    }
    for (int64_t i = 0; len && i < r->bytes; i++) {
        r->buf[i] = content[i % len];
    }
    return len > 0;
}

static bool make_buffers(Request *r)
{
    size_t done = 0;

    if (r->verb > VERB_WRITE) {
        return true;
    }
    r->buf = block_alloc(block_backend_node(r->session->blk), MAX(r->bytes, 1));
    if (!r->buf) {
        printf("no memory for %" PRId64 " bytes\n", r->bytes);
        return false;
    }
    memset(r->buf, r->has_pattern && r->verb == VERB_WRITE ? r->pattern : DEFAULT_PATTERN,
           r->bytes);
    for (unsigned i = 0; i < r->n_iov; i++) {
        r->iov[i].iov_base = r->buf + done;
        done += r->iov[i].iov_len;
    }
    return !r->pattern_file || fill_from_file(r);
}

/* ---- Doing it ---- */

static int vmstate_request(Request *r, const BlockVec *vec)
{
    BlockNode *node = block_backend_node(r->session->blk);
    const BlockDriver *driver = node->driver;

    if (r->verb == VERB_READ) {
        return driver->load_vmstate ? driver->load_vmstate(node, r->offset, vec, r->bytes)
                                    : -ENOTSUP;
    }
    return driver->save_vmstate ? driver->save_vmstate(node, r->offset, vec, r->bytes) : -ENOTSUP;
}

static int send_request(Request *r)
{
    BlockBackend *blk = r->session->blk;
    BlockVec vec = { r->iov, r->n_iov };

    if (r->vmstate) {
        return vmstate_request(r, &vec);
    }
    switch (r->verb) {
    case VERB_READ:
        return block_backend_preadv(blk, r->offset, r->bytes, &vec, r->flags);
    case VERB_WRITE:
        return block_backend_pwritev(blk, r->offset, r->bytes, &vec, r->flags);
    case VERB_ZERO:
        return block_backend_pwrite_zeroes(blk, r->offset, r->bytes,
                                           r->flags & ~(unsigned)BLOCK_REQ_COMPRESSED);
    default:
        return block_backend_pdiscard(blk, r->offset, r->bytes);
    }
}

static bool verify(const Request *r)
{
    int64_t start = r->pattern_start;
    int64_t len = r->pattern_length >= 0 ? r->pattern_length : r->bytes - start;

    if (start > r->bytes || len < 0 || len > r->bytes - start) {
        printf("pattern verification range exceeds end of read data\n");
        return false;
    }
    for (int64_t i = start; i < start + len; i++) {
        if (r->buf[i] != r->pattern) {
            printf("Pattern verification failed at offset %" PRId64 ", %" PRId64 " bytes\n",
                   r->offset + start, len);
            return false;
        }
    }
    return true;
}

static int run_request(Request *r)
{
    int64_t begin = g_get_monotonic_time();
    int ret = send_request(r);
    int status = 0;

    if (ret < 0) {
        return io_fail(r->failed, ret);
    }
    if (r->verb == VERB_READ && r->has_pattern && !verify(r)) {
        status = 1;
    }
    if (r->dump && r->verb == VERB_READ) {
        io_dump(r->buf, r->bytes, r->offset);
    }
    if (!r->quiet) {
        io_report(done_words[r->verb], r->offset, r->bytes,
                  (g_get_monotonic_time() - begin) * 1000, r->for_programs);
    }
    return status;
}

static bool may_do(IoSession *session, Verb verb)
{
    if (verb != VERB_READ && block_backend_node(session->blk)->mode.read_only) {
        error_report("Block node is read-only");
        return false;
    }
    return true;
}

/* NULL after an error was printed. failed: what an error of the request calls it. */
static Request *parse_request(IoSession *session, Verb verb, const char *failed,
                              const char *options, bool vector, int argc, char **argv)
{
    Request *r = g_new0(Request, 1);
    int c;

    r->session = session;
    r->verb = verb;
    r->failed = failed;
    r->pattern_length = -1;
    optind = 0;
    if (!may_do(session, verb)) {
        goto fail;
    }
    while ((c = getopt(argc, argv, options)) != -1) {
        if (!take_option(r, c)) {
            printf("%s: unknown option; see 'help %s'\n", argv[0], argv[0]);
            goto fail;
        }
    }
    if (argc - optind < 2 || (!vector && argc - optind > 2) || argc - optind > MAX_VECTORS) {
        printf("bad argument count %d to %s, expected %s 2 arguments\n", argc - optind, argv[0],
               vector ? "at least" : "exactly");
        goto fail;
    }
    if (r->verb == VERB_ZERO && argc - optind > 2) {
        printf("-z takes one length only\n");
        goto fail;
    }
    if (options_agree(r) && io_parse_size("offset", argv[optind], &r->offset) &&
        take_lengths(r, argc - optind - 1, argv + optind + 1) && make_buffers(r)) {
        return r;
    }
fail:
    request_free(r);
    return NULL;
}

static int run_now(Request *r)
{
    int status = 1;

    if (r) {
        status = run_request(r);
        request_free(r);
    }
    return status;
}

int io_cmd_read(IoSession *session, int argc, char **argv)
{
    return run_now(parse_request(session, VERB_READ, "read", "bCl:pP:qs:v", false, argc, argv));
}

int io_cmd_readv(IoSession *session, int argc, char **argv)
{
    return run_now(parse_request(session, VERB_READ, "readv", "CP:qv", true, argc, argv));
}

int io_cmd_write(IoSession *session, int argc, char **argv)
{
    return run_now(parse_request(session, VERB_WRITE, "write", "bcCfnpP:qs:uz", false, argc, argv));
}

int io_cmd_writev(IoSession *session, int argc, char **argv)
{
    return run_now(parse_request(session, VERB_WRITE, "writev", "CfP:q", true, argc, argv));
}

int io_cmd_discard(IoSession *session, int argc, char **argv)
{
    return run_now(parse_request(session, VERB_DISCARD, "discard", "Cq", false, argc, argv));
}

/* ---- Asynchronously ---- */

static void request_done(IoSession *session)
{
    Coroutine *flusher = session->flusher;

    if (--session->in_flight == 0 && flusher) {
        session->flusher = NULL;
        coroutine_wake(flusher);
    }
}

static void aio_coroutine(void *opaque)
{
    Request *r = opaque;
    IoSession *session = r->session;

    run_request(r);
    request_free(r);
    request_done(session);
}

/* As a device does with a request of its guest that cannot be. */
static void count_invalid(const Request *r)
{
    bool is_read = r->verb == VERB_READ;

    printf("injecting invalid %s request\n", is_read ? "read" : "write");
    block_accounting_count(block_backend_accounting(r->session->blk),
                           is_read ? BLOCK_ACCT_READ : BLOCK_ACCT_WRITE, BLOCK_ACCT_INVALID, 0, 0,
                           vm_clock_ns(VM_CLOCK_REALTIME));
}

static int run_later(Request *r)
{
    if (!r) {
        return 1;
    }
    if (r->invalid) {
        count_invalid(r);
        request_free(r);
        return 0;
    }
    r->session->in_flight++;
    coroutine_start(aio_coroutine, r);
    return 0;
}

void io_wait_for_requests(IoSession *session)
{
    if (session->in_flight) {
        session->flusher = coroutine_current();
        coroutine_yield();
    }
}

int io_cmd_aio_read(IoSession *session, int argc, char **argv)
{
    return run_later(parse_request(session, VERB_READ, "readv", "CP:iqv", true, argc, argv));
}

int io_cmd_aio_write(IoSession *session, int argc, char **argv)
{
    return run_later(parse_request(session, VERB_WRITE, "aio_write", "CfiP:quz", true, argc,
                                   argv));
}
