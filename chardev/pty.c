/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pty backend: a new pseudo-terminal whose name is told to the user. It is open while
 * somebody has the other side open. The kernel tells when they leave (end of file); that they
 * came is learned from inotify on the terminal's name, or by looking once a second where inotify
 * is not to be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "io/channel-file.h"
#include "util/error.h"
#include "util/timer.h"

typedef struct PtyChardev {
    StreamChardev stream;
    int master;     /* the channel's, which stays while nobody is there; or -1 */
    char name[64];
    int notify_fd;  /* inotify, or -1 */
    bool watching;
    Timer *timer;   /* on the main loop; only without inotify */
} PtyChardev;

static bool somebody_is_there(PtyChardev *pty)
{
    struct pollfd pfd = { .fd = pty->master, .events = POLLIN };

    return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & POLLHUP);
}

static void on_notify(void *opaque)
{
    PtyChardev *pty = opaque;
    char events[1024];

    while (read(pty->notify_fd, events, sizeof(events)) > 0) {
    }
    pty->stream.parent.ops->update(&pty->stream.parent);
}

static void watch_arrival(PtyChardev *pty, bool on)
{
    if (pty->notify_fd >= 0 && pty->watching != on) {
        loop_set_fd(pty->stream.parent.loop, pty->notify_fd, on ? on_notify : NULL, NULL, pty);
        pty->watching = on;
    }
    if (pty->timer && on) {
        timer_mod(pty->timer, vm_clock_ns(VM_CLOCK_REALTIME) + NS_PER_SEC);
    }
}

static void pty_update(Chardev *chr)
{
    PtyChardev *pty = (PtyChardev *)chr;

    if (!chr->be_open && pty->master >= 0) {
        watch_arrival(pty, true);
        if (!somebody_is_there(pty)) {
            return;
        }
        watch_arrival(pty, false);
        chardev_send_event(chr, CHAR_EVENT_OPENED);
    }
    stream_chardev_update(chr);
}

/* The channel stays for the next one who comes. */
static void pty_hangup(StreamChardev *stream)
{
    stream_chardev_detach_loop(&stream->parent);
    g_mutex_lock(&stream->parent.lock);
    stream->hung_up = false;
    g_mutex_unlock(&stream->parent.lock);
    chardev_send_event(&stream->parent, CHAR_EVENT_CLOSED);
}

static void pty_detach_loop(Chardev *chr)
{
    stream_chardev_detach_loop(chr);
    watch_arrival((PtyChardev *)chr, false);
}

static void on_timer(void *opaque)
{
    chardev_schedule_update(opaque);
}

/* The other side is opened once and closed: only then does poll(2) tell that nobody is there. */
static bool set_up_slave(PtyChardev *pty, GError **error)
{
    struct termios mode;
    int slave = open(pty->name, O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (slave < 0) {
        error_set_errno(error, errno, "cannot open '%s'", pty->name);
        return false;
    }
    if (tcgetattr(slave, &mode) == 0) {
        cfmakeraw(&mode);
        tcsetattr(slave, TCSAFLUSH, &mode);
    }
    close(slave);
    return true;
}

static bool pty_open(Chardev *chr, GError **error)
{
    PtyChardev *pty = (PtyChardev *)chr;

    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (pty->master >= 0) {
        stream_chardev_set_channel(&pty->stream, channel_file_new(pty->master, pty->master));
    }
    if (pty->master < 0 || grantpt(pty->master) < 0 || unlockpt(pty->master) < 0 ||
        ptsname_r(pty->master, pty->name, sizeof(pty->name)) != 0) {
        error_set_errno(error, errno, "cannot make a pseudo-terminal");
        return false;
    }
    if (!set_up_slave(pty, error)) {
        return false;
    }
    pty->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (pty->notify_fd >= 0 && inotify_add_watch(pty->notify_fd, pty->name, IN_OPEN) < 0) {
        close(pty->notify_fd);
        pty->notify_fd = -1;
    }
    if (pty->notify_fd < 0) {
        pty->timer = timer_new(loop_main(), VM_CLOCK_REALTIME, on_timer, pty);
    }
    /* On standard output and in these words: scripts look for them. */
    printf("char device redirected to %s (label %s)\n", pty->name, chardev_id(chr));
    fflush(stdout);
    chardev_schedule_update(chr);
    return true;
}

static char *pty_filename(Chardev *chr)
{
    return g_strdup_printf("pty:%s", ((PtyChardev *)chr)->name);
}

static void pty_init(Object *obj)
{
    PtyChardev *pty = (PtyChardev *)obj;

    stream_chardev_init(&pty->stream);
    pty->stream.hangup = pty_hangup;
    pty->master = pty->notify_fd = -1;
}

static void pty_finalize(Object *obj)
{
    PtyChardev *pty = (PtyChardev *)obj;

    pty_detach_loop(&pty->stream.parent);
    timer_free(pty->timer);
    if (pty->notify_fd >= 0) {
        close(pty->notify_fd);
    }
    stream_chardev_close(&pty->stream);
}

static const ChardevOps pty_ops = {
    .backend = "pty",
    .flags = CHARDEV_CAN_BLOCK,
    .open = pty_open,
    .write = stream_chardev_write,
    .update = pty_update,
    .detach_loop = pty_detach_loop,
    .filename = pty_filename,
};

static const TypeInfo pty_type = {
    .name = "chardev-pty",
    .parent = TYPE_CHARDEV,
    .description = "a new pseudo-terminal",
    .instance_size = sizeof(PtyChardev),
    .instance_init = pty_init,
    .instance_finalize = pty_finalize,
    .ops = &pty_ops,
};
QOM_TYPE(pty_type);
