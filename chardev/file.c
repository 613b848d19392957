/* SPDX-License-Identifier: Apache-2.0 */
/* The file backend: output goes to a file; input, if asked for, comes from another. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "io/channel-file.h"
#include "util/error.h"
#include "util/fd-store.h"

typedef struct FileChardev {
    StreamChardev stream;
    char *path;
    char *input_path;
    bool append;
} FileChardev;

static int open_path(const char *path, int flags, GError **error)
{
    int fd;

    if (fdset_is_path(path)) {
        return fdset_open(path, flags, error);
    }
    fd = open(path, flags | O_CLOEXEC, 0666);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", path);
    }
    return fd;
}

static bool file_open(Chardev *chr, GError **error)
{
    FileChardev *file = (FileChardev *)chr;
    int in_fd = -1, out_fd;

    if (!file->path) {
        error_setf(error, "backend 'file' needs path=FILE");
        return false;
    }
    out_fd = open_path(file->path, O_WRONLY | O_CREAT | (file->append ? O_APPEND : O_TRUNC),
                       error);
    if (out_fd < 0) {
        return false;
    }
    if (file->input_path) {
        in_fd = open_path(file->input_path, O_RDONLY | O_NONBLOCK, error);
        if (in_fd < 0) {
            close(out_fd);
            return false;
        }
    }
    file->stream.no_input = in_fd < 0;
    file->stream.wait_fd = out_fd;
    stream_chardev_set_channel(&file->stream, channel_file_new(in_fd, out_fd));
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void file_init(Object *obj)
{
    stream_chardev_init((StreamChardev *)obj);
}

static void file_finalize(Object *obj)
{
    stream_chardev_close((StreamChardev *)obj);
}

static const Property file_properties[] = {
    PROP_STRING("path", FileChardev, path, NULL, "file that is written"),
    PROP_STRING("input-path", FileChardev, input_path, NULL, "file that is read"),
    PROP_BOOL("append", FileChardev, append, false, "append instead of truncating"),
    PROP_END,
};

static const ChardevOps file_ops = {
    .backend = "file",
    .flags = CHARDEV_CAN_BLOCK | CHARDEV_PATIENT,
    .open = file_open,
    STREAM_CHARDEV_OPS,
};

static const TypeInfo file_type = {
    .name = "chardev-file",
    .parent = TYPE_CHARDEV,
    .description = "a file",
    .instance_size = sizeof(FileChardev),
    .properties = file_properties,
    .instance_init = file_init,
    .instance_finalize = file_finalize,
    .ops = &file_ops,
};
QOM_TYPE(file_type);
