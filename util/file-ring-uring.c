/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop's io_uring. Requests wait in `pending` until a deferred callback, which runs once per
 * round of the loop, puts them into the ring and submits them together. What the kernel could do
 * at once (data in the page cache) is complete then. For the rest, the ring's descriptor is
 * readable while completions wait, so that the loop watches it like any other.
 */
#include <errno.h>
#include <liburing.h>

#include "util/file-io-internal.h"

/* In flight at once; the completion queue has room for all of them. */
#define RING_ENTRIES 128

struct FileRing {
    struct io_uring uring;
    Loop *loop;
    LoopBh *round;
    GQueue pending; /* of FileRequest */
    unsigned in_flight;
};

static void prepare(struct io_uring_sqe *sqe, FileRequest *request)
{
    switch (request->op) {
    case FILE_OP_READ:
        io_uring_prep_readv(sqe, request->io->fd, request->iov, request->n,
                            (uint64_t)request->offset);
        break;
    case FILE_OP_WRITE:
        io_uring_prep_writev2(sqe, request->io->fd, request->iov, request->n,
                              (uint64_t)request->offset, request->flags);
        break;
    default:
        io_uring_prep_fsync(sqe, request->io->fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data(sqe, request);
}

static void submit_pending(FileRing *ring)
{
    int result;

    while (ring->in_flight < RING_ENTRIES && ring->pending.head) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
        GList *link;

        if (!sqe) {
            break; /* earlier ones were not taken yet, see below */
        }
        link = g_queue_pop_head_link(&ring->pending);
        prepare(sqe, link->data);
        ring->in_flight++;
    }
    result = io_uring_submit(&ring->uring);
    if (result < 0) {
        /* No memory or interrupted: what is in the ring stays there for another try. */
        loop_bh_schedule(ring->round);
    }
}

static void complete(void *opaque)
{
    FileRing *ring = opaque;
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
        FileRequest *request = io_uring_cqe_get_data(cqe);

        request->result = cqe->res;
        io_uring_cqe_seen(&ring->uring, cqe);
        ring->in_flight--;
        if (request->result == -EINTR) {
            file_ring_submit(ring, request);
        } else {
            coroutine_enter(request->co);
        }
    }
    if (ring->pending.head) {
        loop_bh_schedule(ring->round);
    }
}

static void end_round(void *opaque)
{
    submit_pending(opaque);
    complete(opaque);
}

FileRing *file_ring_new(Loop *loop)
{
    FileRing *ring = g_new0(FileRing, 1);

    if (io_uring_queue_init(RING_ENTRIES, &ring->uring, IORING_SETUP_CLAMP) < 0) {
        g_free(ring); /* an old kernel, or one that forbids it */
        return NULL;
    }
    ring->loop = loop;
    ring->round = loop_bh_new(loop, end_round, ring);
    loop_set_fd(loop, ring->uring.ring_fd, complete, NULL, ring);
    return ring;
}

void file_ring_free(FileRing *ring)
{
    if (ring) {
        g_assert(ring->in_flight == 0 && !ring->pending.head);
        loop_set_fd(ring->loop, ring->uring.ring_fd, NULL, NULL, NULL);
        loop_bh_free(ring->round);
        io_uring_queue_exit(&ring->uring);
        g_free(ring);
    }
}

void file_ring_submit(FileRing *ring, FileRequest *request)
{
    request->link = (GList) { .data = request };
    g_queue_push_tail_link(&ring->pending, &request->link);
    if (request->io->max_batch && ring->pending.length >= request->io->max_batch) {
        submit_pending(ring);
    } else {
        loop_bh_schedule(ring->round);
    }
}
