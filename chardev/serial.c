/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serial backend: a serial port of the host, its line parameters and modem lines (termios(3),
 * tty_ioctl(4)).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "io/channel-file.h"
#include "util/error.h"

typedef struct SerialChardev {
    StreamChardev stream;
    char *path;
    int port_fd; /* the channel's, or -1 */
} SerialChardev;

static const struct {
    int rate;
    speed_t code;
} speeds[] = {
    { 50, B50 }, { 75, B75 }, { 110, B110 }, { 134, B134 }, { 150, B150 }, { 200, B200 },
    { 300, B300 }, { 600, B600 }, { 1200, B1200 }, { 1800, B1800 }, { 2400, B2400 },
    { 4800, B4800 }, { 9600, B9600 }, { 19200, B19200 }, { 38400, B38400 }, { 57600, B57600 },
    { 115200, B115200 }, { 230400, B230400 }, { 460800, B460800 }, { 500000, B500000 },
    { 576000, B576000 }, { 921600, B921600 }, { 1000000, B1000000 }, { 1152000, B1152000 },
    { 1500000, B1500000 }, { 2000000, B2000000 }, { 2500000, B2500000 }, { 3000000, B3000000 },
    { 3500000, B3500000 }, { 4000000, B4000000 },
};

/* A guest's divisor hits the nominal rates only roughly. */
static speed_t nearest_speed(int rate)
{
    size_t best = 0;

    for (size_t i = 1; i < G_N_ELEMENTS(speeds); i++) {
        if (abs(speeds[i].rate - rate) < abs(speeds[best].rate - rate)) {
            best = i;
        }
    }
    return speeds[best].code;
}

static int set_params(int fd, const CharSerialParams *params)
{
    static const tcflag_t sizes[] = { CS5, CS6, CS7, CS8 };
    struct termios mode;
    speed_t speed = nearest_speed(params->speed);

    if (tcgetattr(fd, &mode) < 0) {
        return -errno;
    }
    cfmakeraw(&mode);
    mode.c_cflag &= ~(CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS);
    mode.c_cflag |= CREAD | CLOCAL | sizes[CLAMP(params->data_bits, 5, 8) - 5];
    mode.c_cflag |= params->stop_bits == 2 ? CSTOPB : 0;
    mode.c_cflag |= params->parity == 'E' ? PARENB : params->parity == 'O' ? PARENB | PARODD : 0;
    cfsetispeed(&mode, speed);
    cfsetospeed(&mode, speed);
    return tcsetattr(fd, TCSANOW, &mode) < 0 ? -errno : 0;
}

static int set_modem_lines(int fd, int wanted)
{
    const int ours = TIOCM_DTR | TIOCM_RTS;
    int lines;

    if (ioctl(fd, TIOCMGET, &lines) < 0) {
        return -errno;
    }
    lines = (lines & ~ours) | (wanted & ours);
    return ioctl(fd, TIOCMSET, &lines) < 0 ? -errno : 0;
}

static int serial_ioctl(Chardev *chr, CharIoctl cmd, void *arg)
{
    int fd = ((SerialChardev *)chr)->port_fd;

    if (fd < 0) {
        return -ENOTSUP;
    }
    switch (cmd) {
    case CHAR_IOCTL_SERIAL_SET_PARAMS:
        return set_params(fd, arg);
    case CHAR_IOCTL_SERIAL_SET_BREAK:
        return ioctl(fd, *(int *)arg ? TIOCSBRK : TIOCCBRK) < 0 ? -errno : 0;
    case CHAR_IOCTL_SERIAL_GET_TIOCM:
        return ioctl(fd, TIOCMGET, arg) < 0 ? -errno : 0;
    case CHAR_IOCTL_SERIAL_SET_TIOCM:
        return set_modem_lines(fd, *(int *)arg);
    default:
        return -ENOTSUP;
    }
}

static bool serial_open(Chardev *chr, GError **error)
{
    static const CharSerialParams initial = { .speed = 115200, .data_bits = 8, .stop_bits = 1,
                                              .parity = 'N' };
    SerialChardev *serial = (SerialChardev *)chr;
    int fd;

    if (!serial->path) {
        error_setf(error, "backend 'serial' needs path=DEVICE");
        return false;
    }
    fd = open(serial->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot open '%s'", serial->path);
        return false;
    }
    if (!isatty(fd)) {
        error_setf(error, "'%s' is not a serial port", serial->path);
        close(fd);
        return false;
    }
    set_params(fd, &initial);
    serial->port_fd = fd;
    stream_chardev_set_channel(&serial->stream, channel_file_new(fd, fd));
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

/* The port is gone (unplugged adapter). */
static void serial_hangup(StreamChardev *stream)
{
    warn_report("chardev '%s': the serial port is gone", chardev_id(&stream->parent));
    ((SerialChardev *)stream)->port_fd = -1;
    stream_chardev_close(stream);
    chardev_send_event(&stream->parent, CHAR_EVENT_CLOSED);
}

static void serial_init(Object *obj)
{
    SerialChardev *serial = (SerialChardev *)obj;

    stream_chardev_init(&serial->stream);
    serial->stream.hangup = serial_hangup;
    serial->port_fd = -1;
}

static void serial_finalize(Object *obj)
{
    stream_chardev_close((StreamChardev *)obj);
}

static const Property serial_properties[] = {
    PROP_STRING("path", SerialChardev, path, NULL, "the port's device file"),
    PROP_END,
};

static const ChardevOps serial_ops = {
    .backend = "serial",
    .alias = "tty",
    .flags = CHARDEV_CAN_BLOCK,
    .open = serial_open,
    .ioctl = serial_ioctl,
    STREAM_CHARDEV_OPS,
};

static const TypeInfo serial_type = {
    .name = "chardev-serial",
    .parent = TYPE_CHARDEV,
    .description = "a serial port of the host",
    .instance_size = sizeof(SerialChardev),
    .properties = serial_properties,
    .instance_init = serial_init,
    .instance_finalize = serial_finalize,
    .ops = &serial_ops,
};
QOM_TYPE(serial_type);
