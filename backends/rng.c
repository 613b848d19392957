/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -object rng-builtin: the kernel's generator. -object rng-random: a file, read without waiting
 * for it.
 */
#include "backends/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "util/error.h"
#include "util/loop.h"

#define TYPE_RNG_RANDOM "rng-random"

typedef struct RngRequest {
    size_t len;
    RngFn *fn;
    void *opaque;
} RngRequest;

/* How much was read (0: the end), or -errno. */
typedef struct RngOps {
    ssize_t (*read)(RngBackend *rng, void *data, size_t len);
} RngOps;

struct RngBackend {
    Object parent_obj;
    bool opened;     /* property without effect */
    char *filename;  /* rng-random */
    int fd;
    GQueue requests;
    LoopBh *bh;
};

static void serve(void *opaque)
{
    RngBackend *rng = opaque;
    const RngOps *ops = object_ops(rng);
    uint8_t data[RNG_REQUEST_MAX];
    g_autofree RngRequest *request = NULL;
    ssize_t got;

    if (g_queue_is_empty(&rng->requests)) {
        return;
    }
    request = g_queue_peek_head(&rng->requests);
    got = ops->read(rng, data, request->len);
    if (got == -EAGAIN) {
        loop_set_fd(loop_main(), rng->fd, serve, NULL, rng);
        g_steal_pointer(&request);
        return;
    }
    g_queue_pop_head(&rng->requests);
    if (g_queue_is_empty(&rng->requests) && rng->fd >= 0) {
        loop_set_fd(loop_main(), rng->fd, NULL, NULL, NULL);
    } else {
        loop_bh_schedule(rng->bh);
    }
    request->fn(request->opaque, data, got > 0 ? (size_t)got : 0);
}

void rng_backend_request(RngBackend *rng, size_t len, RngFn *fn, void *opaque)
{
    RngRequest *request = g_new(RngRequest, 1);

    *request = (RngRequest) { MIN(len, RNG_REQUEST_MAX), fn, opaque };
    g_queue_push_tail(&rng->requests, request);
    loop_bh_schedule(rng->bh);
}

void rng_backend_cancel(RngBackend *rng, void *opaque)
{
    for (GList *at = rng->requests.head, *next; at; at = next) {
        RngRequest *request = at->data;

        next = at->next;
        if (request->opaque == opaque) {
            g_free(request);
            g_queue_delete_link(&rng->requests, at);
        }
    }
}

static ssize_t builtin_read(RngBackend *rng, void *data, size_t len)
{
    ssize_t got = getrandom(data, len, GRND_NONBLOCK);

    return got < 0 ? -errno : got;
}

static ssize_t random_read(RngBackend *rng, void *data, size_t len)
{
    ssize_t got = read(rng->fd, data, len);

    return got < 0 ? -errno : got;
}

static bool random_complete(Object *obj, GError **error)
{
    RngBackend *rng = (RngBackend *)obj;

    rng->fd = open(rng->filename, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (rng->fd < 0) {
        error_set_errno(error, errno, "Could not open '%s'", rng->filename);
    }
    return rng->fd >= 0;
}

static void rng_init(Object *obj)
{
    RngBackend *rng = (RngBackend *)obj;

    rng->fd = -1;
    g_queue_init(&rng->requests);
    rng->bh = loop_bh_new(loop_main(), serve, rng);
}

static void rng_finalize(Object *obj)
{
    RngBackend *rng = (RngBackend *)obj;

    if (rng->fd >= 0) {
        loop_set_fd(loop_main(), rng->fd, NULL, NULL, NULL);
        close(rng->fd);
    }
    g_queue_clear_full(&rng->requests, g_free);
    loop_bh_free(rng->bh);
}

static const Property rng_properties[] = {
    PROP_BOOL("opened", RngBackend, opened, false, "accepted, without effect"),
    PROP_END
};

static const TypeInfo rng_type = {
    .name = TYPE_RNG_BACKEND,
    .parent = TYPE_USER_OBJECT,
    .description = "a source of randomness",
    .instance_size = sizeof(RngBackend),
    .is_abstract = true,
    .properties = rng_properties,
    .instance_init = rng_init,
    .instance_finalize = rng_finalize,
};
QOM_TYPE(rng_type);

static const RngOps builtin_ops = { .read = builtin_read };

static const TypeInfo builtin_type = {
    .name = TYPE_RNG_BUILTIN,
    .parent = TYPE_RNG_BACKEND,
    .description = "randomness from the kernel",
    .instance_size = sizeof(RngBackend),
    .user_creatable = true,
    .ops = &builtin_ops,
};
QOM_TYPE(builtin_type);

static const RngOps random_ops = { .read = random_read };

static const Property random_properties[] = {
    PROP_STRING("filename", RngBackend, filename, "/dev/urandom", "where to read from"),
    PROP_END
};

static const UserObjectHooks random_hooks = { .complete = random_complete };

static const TypeInfo random_type = {
    .name = TYPE_RNG_RANDOM,
    .parent = TYPE_RNG_BACKEND,
    .description = "randomness from a file",
    .instance_size = sizeof(RngBackend),
    .user_creatable = true,
    .properties = random_properties,
    .hooks = &random_hooks,
    .ops = &random_ops,
};
QOM_TYPE(random_type);
