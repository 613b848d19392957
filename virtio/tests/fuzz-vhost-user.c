/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user server without a socket, whose frontend is a string of bytes: steps of the header's
 * enum, and messages: request, which descriptors come along (low 2 bits: none, memory, eventfd;
 * above: how many), length of the payload, payload. The device reads everything that it is given,
 * writes everything that it may, and finishes at once or later.
 */
#include "virtio/tests/fuzz-vhost-user.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/coroutine.h"
#include "util/iov.h"
#include "util/vm-lock.h"
#include "virtio/vhost-user-server.h"

#define USER 0x10000u /* where the frontend has its memory; the guest has it at 0 */

typedef struct Fuzz {
    const uint8_t *data;
    size_t left;
    int memfd;
    VhostUserServer server;
    GPtrArray *pending;      /* VhostUserElement */
    LoopBh *finish;          /* all of them */
} Fuzz;

static uint8_t take(Fuzz *fuzz)
{
    if (!fuzz->left) {
        return 0;
    }
    fuzz->left--;
    return *fuzz->data++;
}

/* ---- The device ---- */

static void finish_one(Fuzz *fuzz, VhostUserElement *element)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < element->n_out; i++) {
        for (size_t at = 0; at < element->out[i].iov_len; at += 509) {
            sum ^= ((volatile uint8_t *)element->out[i].iov_base)[at];
        }
    }
    iov_memset(element->in, element->n_in, 0, sum, SIZE_MAX);
    vhost_user_element_done(element, (uint32_t)iov_size(element->in, element->n_in));
}

static void process(void *opaque, VhostUserElement *element)
{
    Fuzz *fuzz = opaque;

    if (element->head & 1) {
        g_ptr_array_add(fuzz->pending, element);
    } else {
        finish_one(fuzz, element);
    }
}

static void finish_all(void *opaque)
{
    Fuzz *fuzz = opaque;

    while (fuzz->pending->len) {
        finish_one(fuzz, g_ptr_array_steal_index(fuzz->pending, 0));
    }
}

static void get_config(void *opaque, uint8_t config[VHOST_USER_CONFIG_MAX])
{
    memset(config, 0x5a, VHOST_USER_CONFIG_MAX);
}

static bool set_config(void *opaque, uint32_t offset, const uint8_t *data, uint32_t len)
{
    return len && data[0];
}

static const VhostUserDeviceOps ops = {
    .process = process,
    .get_config = get_config,
    .set_config = set_config,
};

/* ---- The frontend ---- */

/* False: the connection is over. */
static bool tell(Fuzz *fuzz, VhostUserMessage *message)
{
    bool reply, ok;

    message->header.flags |= VHOST_USER_VERSION;
    /* Some messages wait for what is in flight. */
    loop_bh_schedule(fuzz->finish);
    ok = vhost_user_server_handle(&fuzz->server, message, &reply, NULL);
    while (ok && message->n_fds) {
        close(message->fds[--message->n_fds]);
    }
    return ok;
}

static bool tell_simply(Fuzz *fuzz, uint32_t request, const VhostUserPayload *payload,
                        uint32_t size, int fd)
{
    VhostUserMessage message = { .header = { request, 0, size }, .payload = *payload };

    if (fd >= 0) {
        message.fds[message.n_fds++] = fd;
    }
    return tell(fuzz, &message);
}

static bool set_up(Fuzz *fuzz)
{
    const VhostUserPayload table = { .table = { 1, 0, { { 0, FUZZ_MEMORY, USER, 0 } } } };
    const VhostUserPayload num = { .state = { 0, 16 } };
    const VhostUserPayload addr = {
        .addr = { .desc = USER, .avail = USER + 1024, .used = USER + 2048 },
    };
    const VhostUserPayload on = { .state = { 0, 1 } };
    const VhostUserPayload zero = { 0 };

    return tell_simply(fuzz, VHOST_USER_SET_MEM_TABLE, &table,
                       offsetof(VhostUserMemTable, regions[1]), dup(fuzz->memfd)) &&
           (fuzz->server.queues[0].started ||
            tell_simply(fuzz, VHOST_USER_SET_VRING_NUM, &num, sizeof(num.state), -1)) &&
           tell_simply(fuzz, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr.addr), -1) &&
           tell_simply(fuzz, VHOST_USER_SET_VRING_KICK, &zero, sizeof(zero.u64),
                       eventfd(0, EFD_CLOEXEC)) &&
           tell_simply(fuzz, VHOST_USER_SET_VRING_ENABLE, &on, sizeof(on.state), -1);
}

static bool message_step(Fuzz *fuzz, uint8_t request)
{
    VhostUserMessage message = { .header.request = request };
    uint8_t kind = take(fuzz);
    unsigned n = MIN((kind >> 2) & 7, VHOST_USER_MAX_FDS);

    G_STATIC_ASSERT(sizeof(message.payload) >= UINT8_MAX);
    message.header.size = take(fuzz);
    message.header.flags = kind & 0x80 ? VHOST_USER_FLAG_NEED_REPLY : 0;
    for (uint32_t i = 0; i < message.header.size; i++) {
        ((uint8_t *)&message.payload)[i] = take(fuzz);
    }
    for (unsigned i = 0; (kind & 3) && i < n; i++) {
        message.fds[message.n_fds++] = (kind & 3) == 1 ? dup(fuzz->memfd)
                                                       : eventfd(0, EFD_CLOEXEC);
    }
    return tell(fuzz, &message);
}

static void write_step(Fuzz *fuzz)
{
    off_t offset = take(fuzz) << 8;
    uint8_t bytes[256];
    size_t len;

    offset |= take(fuzz);
    len = take(fuzz);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = take(fuzz);
    }
    if (pwrite(fuzz->memfd, bytes, len, offset) < 0) {
        return; /* cut short, then */
    }
}

static bool step(Fuzz *fuzz)
{
    uint8_t what = take(fuzz);

    switch (what) {
    case FUZZ_SET_UP:
        return set_up(fuzz);
    case FUZZ_WRITE:
        write_step(fuzz);
        return true;
    case FUZZ_KICK:
        vhost_user_queue_process(&fuzz->server.queues[0]);
        return true;
    case FUZZ_FINISH:
        finish_all(fuzz);
        return true;
    case FUZZ_CUT:
        return ftruncate(fuzz->memfd, 4096) == 0;
    default:
        return message_step(fuzz, what);
    }
}

static void run(void *opaque)
{
    Fuzz *fuzz = opaque;

    vhost_user_server_init(&fuzz->server, loop_main());
    while (fuzz->left && step(fuzz)) {
    }
    loop_bh_schedule(fuzz->finish);
    vhost_user_server_cleanup(&fuzz->server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree Fuzz *fuzz = g_new0(Fuzz, 1);

    if (!vm_lock_held()) {
        vm_lock();
    }
    fuzz->data = data;
    fuzz->left = size;
    fuzz->memfd = memfd_create("fuzz", MFD_CLOEXEC);
    g_assert_true(ftruncate(fuzz->memfd, FUZZ_MEMORY) == 0);
    fuzz->pending = g_ptr_array_new();
    fuzz->server.ops = &ops;
    fuzz->server.opaque = fuzz;
    fuzz->server.n_queues = 2;
    fuzz->finish = loop_bh_new(loop_main(), finish_all, fuzz);
    coroutine_run(run, fuzz);
    loop_bh_free(fuzz->finish);
    g_ptr_array_unref(fuzz->pending);
    close(fuzz->memfd);
    return 0;
}
