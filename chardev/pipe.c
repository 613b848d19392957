/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipe backend: two FIFOs, PATH.in (the guest's input) and PATH.out, or one file PATH for both
 * directions. FIFOs are opened for reading and writing, so that no end waits for, or notices, the
 * other.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "io/channel-file.h"
#include "util/error.h"

typedef struct PipeChardev {
    StreamChardev stream;
    char *path;
} PipeChardev;

static bool pipe_open(Chardev *chr, GError **error)
{
    PipeChardev *pipe = (PipeChardev *)chr;
    g_autofree char *in_path = NULL, *out_path = NULL;
    int in_fd, out_fd;

    if (!pipe->path) {
        error_setf(error, "backend 'pipe' needs path=PATH");
        return false;
    }
    in_path = g_strdup_printf("%s.in", pipe->path);
    out_path = g_strdup_printf("%s.out", pipe->path);
    in_fd = open(in_path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    out_fd = open(out_path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (in_fd < 0 || out_fd < 0) {
        if (in_fd >= 0) {
            close(in_fd);
        }
        if (out_fd >= 0) {
            close(out_fd);
        }
        in_fd = out_fd = open(pipe->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (in_fd < 0) {
            error_set_errno(error, errno, "cannot open '%s' and '%s', nor '%s'", in_path,
                            out_path, pipe->path);
            return false;
        }
    }
    stream_chardev_set_channel(&pipe->stream, channel_file_new(in_fd, out_fd));
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void pipe_init(Object *obj)
{
    stream_chardev_init((StreamChardev *)obj);
}

static void pipe_finalize(Object *obj)
{
    stream_chardev_close((StreamChardev *)obj);
}

static const Property pipe_properties[] = {
    PROP_STRING("path", PipeChardev, path, NULL, "FIFOs PATH.in and PATH.out, or one PATH"),
    PROP_END,
};

/* Nobody may be reading the FIFO: not CHARDEV_PATIENT. */
static const ChardevOps pipe_ops = {
    .backend = "pipe",
    .flags = CHARDEV_CAN_BLOCK,
    .open = pipe_open,
    STREAM_CHARDEV_OPS,
};

static const TypeInfo pipe_type = {
    .name = "chardev-pipe",
    .parent = TYPE_CHARDEV,
    .description = "a pair of named pipes",
    .instance_size = sizeof(PipeChardev),
    .properties = pipe_properties,
    .instance_init = pipe_init,
    .instance_finalize = pipe_finalize,
    .ops = &pipe_ops,
};
QOM_TYPE(pipe_type);
