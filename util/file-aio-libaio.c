/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop's Linux AIO context. Requests wait in `pending` until a deferred callback, which runs once
 * per round of the loop, hands them over together. Completions signal an eventfd. What the kernel
 * does not take goes back as -EAGAIN, and a thread finds out why.
 */
#include <errno.h>
#include <libaio.h>

#include "util/event-notifier.h"
#include "util/file-io-internal.h"

/* In flight at once. */
#define AIO_EVENTS 128

struct FileAio {
    io_context_t context;
    Loop *loop;
    EventNotifier done;
    LoopBh *round;
    GQueue pending, finished; /* of FileRequest */
    unsigned in_flight;
};

static void prepare(FileAio *aio, struct iocb *iocb, FileRequest *request)
{
    switch (request->op) {
    case FILE_OP_READ:
        io_prep_preadv(iocb, request->io->fd, request->iov, (int)request->n, request->offset);
        break;
    case FILE_OP_WRITE:
        io_prep_pwritev2(iocb, request->io->fd, request->iov, (int)request->n, request->offset,
                         request->flags);
        break;
    default:
        io_prep_fdsync(iocb, request->io->fd);
        break;
    }
    iocb->data = request;
    io_set_eventfd(iocb, aio->done.fd);
}

static void finish(FileAio *aio, FileRequest *request, int result)
{
    request->result = result;
    request->link = (GList) { .data = request };
    g_queue_push_tail_link(&aio->finished, &request->link);
    loop_bh_schedule(aio->round);
}

/* One system call; true if there may be more to do. */
static bool submit_some(FileAio *aio)
{
    struct iocb iocbs[32];
    struct iocb *list[G_N_ELEMENTS(iocbs)];
    unsigned room = MIN(G_N_ELEMENTS(iocbs), AIO_EVENTS - aio->in_flight);
    unsigned n = 0;
    int taken;

    for (GList *link = aio->pending.head; link && n < room; link = link->next, n++) {
        prepare(aio, &iocbs[n], link->data);
        list[n] = &iocbs[n];
    }
    if (n == 0) {
        return false;
    }
    taken = io_submit(aio->context, n, list);
    for (int i = 0; i < taken; i++) {
        g_queue_pop_head_link(&aio->pending);
        aio->in_flight++;
    }
    if (taken <= 0 && (taken != -EAGAIN || aio->in_flight == 0)) {
        finish(aio, g_queue_pop_head_link(&aio->pending)->data, -EAGAIN);
    }
    return taken != -EAGAIN;
}

static void submit_pending(FileAio *aio)
{
    while (submit_some(aio)) {
        continue;
    }
}

static void end_round(void *opaque)
{
    FileAio *aio = opaque;
    GList *link;

    submit_pending(aio);
    while ((link = g_queue_pop_head_link(&aio->finished))) {
        FileRequest *request = link->data;

        if (aio->finished.head) {
            loop_bh_schedule(aio->round); /* the coroutine may run the loop until another is done */
        }
        coroutine_enter(request->co);
    }
}

static void reap(void *opaque)
{
    FileAio *aio = opaque;
    struct io_event events[32];
    struct timespec no_wait = { 0 };
    int n;

    event_notifier_test_and_clear(&aio->done);
    do {
        n = io_getevents(aio->context, 0, G_N_ELEMENTS(events), events, &no_wait);
        for (int i = 0; i < n; i++) {
            aio->in_flight--;
            finish(aio, events[i].data, (int)(long)events[i].res);
        }
    } while (n == (int)G_N_ELEMENTS(events));
    end_round(aio);
}

FileAio *file_aio_new(Loop *loop)
{
    FileAio *aio = g_new0(FileAio, 1);

    if (!event_notifier_init(&aio->done, NULL)) {
        g_free(aio);
        return NULL;
    }
    if (io_setup(AIO_EVENTS, &aio->context) < 0) {
        event_notifier_cleanup(&aio->done);
        g_free(aio);
        return NULL;
    }
    aio->loop = loop;
    aio->round = loop_bh_new(loop, end_round, aio);
    loop_set_fd(loop, aio->done.fd, reap, NULL, aio);
    return aio;
}

void file_aio_free(FileAio *aio)
{
    if (aio) {
        g_assert(aio->in_flight == 0 && !aio->pending.head && !aio->finished.head);
        loop_set_fd(aio->loop, aio->done.fd, NULL, NULL, NULL);
        loop_bh_free(aio->round);
        io_destroy(aio->context);
        event_notifier_cleanup(&aio->done);
        g_free(aio);
    }
}

void file_aio_submit(FileAio *aio, FileRequest *request)
{
    request->link = (GList) { .data = request };
    g_queue_push_tail_link(&aio->pending, &request->link);
    if (request->io->max_batch && aio->pending.length >= request->io->max_batch) {
        submit_pending(aio);
    } else {
        loop_bh_schedule(aio->round);
    }
}
