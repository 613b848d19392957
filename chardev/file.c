/* SPDX-License-Identifier: Apache-2.0 */
/* The file backend: output goes to a file; input, if asked for, comes from another. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "chardev/fd.h"
#include "util/error.h"

typedef struct FileChardev {
    FdChardev fd;
    char *path;
    char *input_path;
    bool append;
} FileChardev;

static bool file_open(Chardev *chr, GError **error)
{
    FileChardev *file = (FileChardev *)chr;
    int in_fd = -1, out_fd;

    if (!file->path) {
        error_setf(error, "backend 'file' needs path=FILE");
        return false;
    }
    out_fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC |
                  (file->append ? O_APPEND : O_TRUNC), 0666);
    if (out_fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", file->path);
        return false;
    }
    if (file->input_path) {
        in_fd = open(file->input_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (in_fd < 0) {
            error_set_errno(error, errno, "cannot open '%s'", file->input_path);
            close(out_fd);
            return false;
        }
    }
    fd_chardev_set_fds(&file->fd, in_fd, out_fd);
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void file_init(Object *obj)
{
    fd_chardev_init((FdChardev *)obj);
}

static void file_finalize(Object *obj)
{
    fd_chardev_close((FdChardev *)obj);
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
    FD_CHARDEV_OPS,
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
