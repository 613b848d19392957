/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parallel backend: a parallel port of the host through Linux's ppdev (parport-lowlevel and
 * ppdev documentation of the kernel). There is no byte stream: the frontend drives the lines with
 * ioctls.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ppdev.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "chardev/backend.h"
#include "util/error.h"

typedef struct ParallelChardev {
    Chardev parent;
    char *path;
    int port_fd;
} ParallelChardev;

static int parallel_ioctl(Chardev *chr, CharIoctl cmd, void *arg)
{
    static const struct {
        CharIoctl cmd;
        unsigned long request;
    } requests[] = {
        { CHAR_IOCTL_PP_READ_DATA, PPRDATA },
        { CHAR_IOCTL_PP_WRITE_DATA, PPWDATA },
        { CHAR_IOCTL_PP_READ_CONTROL, PPRCONTROL },
        { CHAR_IOCTL_PP_WRITE_CONTROL, PPWCONTROL },
        { CHAR_IOCTL_PP_READ_STATUS, PPRSTATUS },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
        if (requests[i].cmd == cmd) {
            return ioctl(((ParallelChardev *)chr)->port_fd, requests[i].request, arg) < 0 ? -errno
                                                                                          : 0;
        }
    }
    return -ENOTSUP;
}

static int parallel_write(Chardev *chr, const uint8_t *buf, int len)
{
    return len;
}

static bool parallel_open(Chardev *chr, GError **error)
{
    ParallelChardev *parallel = (ParallelChardev *)chr;

    if (!parallel->path) {
        error_setf(error, "backend 'parallel' needs path=DEVICE");
        return false;
    }
    parallel->port_fd = open(parallel->path, O_RDWR | O_CLOEXEC);
    if (parallel->port_fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", parallel->path);
        return false;
    }
    if (ioctl(parallel->port_fd, PPCLAIM) < 0) {
        error_set_errno(error, errno, "cannot claim parallel port '%s'", parallel->path);
        return false;
    }
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void parallel_init(Object *obj)
{
    ((ParallelChardev *)obj)->port_fd = -1;
}

static void parallel_finalize(Object *obj)
{
    ParallelChardev *parallel = (ParallelChardev *)obj;

    if (parallel->port_fd >= 0) {
        ioctl(parallel->port_fd, PPRELEASE);
        close(parallel->port_fd);
    }
}

static const Property parallel_properties[] = {
    PROP_STRING("path", ParallelChardev, path, NULL, "the port's device file, /dev/parportN"),
    PROP_END,
};

static const ChardevOps parallel_ops = {
    .backend = "parallel",
    .alias = "parport",
    .open = parallel_open,
    .write = parallel_write,
    .ioctl = parallel_ioctl,
};

static const TypeInfo parallel_type = {
    .name = "chardev-parallel",
    .parent = TYPE_CHARDEV,
    .description = "a parallel port of the host",
    .instance_size = sizeof(ParallelChardev),
    .properties = parallel_properties,
    .instance_init = parallel_init,
    .instance_finalize = parallel_finalize,
    .ops = &parallel_ops,
};
QOM_TYPE(parallel_type);
