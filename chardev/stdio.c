/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stdio backend: standard input and output, a terminal in raw mode if they are one. The
 * terminal is put back as it was when the chardev closes, when the process exits, and while it is
 * stopped (Ctrl-Z); after SIGCONT it is raw again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "io/channel-file.h"
#include "util/error.h"

typedef struct StdioChardev {
    StreamChardev stream;
    bool signals; /* Ctrl-C and the like are for us, not for the guest */
    bool echo;
    bool is_open; /* this is the one that has the terminal */
} StdioChardev;

/* The process has one terminal, and signal and exit handlers take no argument. */
static struct {
    volatile sig_atomic_t in_use, is_tty;
    bool handlers_set;
    struct termios original, raw;
    int in_flags, out_flags;
} terminal;

static void restore_terminal(void)
{
    if (!terminal.in_use) {
        return;
    }
    if (terminal.is_tty) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.original);
    }
    fcntl(STDIN_FILENO, F_SETFL, terminal.in_flags);
    fcntl(STDOUT_FILENO, F_SETFL, terminal.out_flags);
}

static void enter_raw(void)
{
    /* From the background, changing the terminal would stop us. */
    if (terminal.is_tty && tcgetpgrp(STDIN_FILENO) == getpgrp()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.raw);
    }
    fcntl(STDIN_FILENO, F_SETFL, terminal.in_flags | O_NONBLOCK);
    fcntl(STDOUT_FILENO, F_SETFL, terminal.out_flags | O_NONBLOCK);
}

/* Async-signal-safe calls only (signal-safety(7)). */
static void on_signal(int sig)
{
    int saved_errno = errno;

    if (sig == SIGCONT) {
        if (terminal.in_use) {
            enter_raw();
        }
    } else {
        struct sigaction ours, def = { .sa_handler = SIG_DFL };
        sigset_t mask;

        restore_terminal();
        sigaction(sig, &def, &ours);
        sigemptyset(&mask);
        sigaddset(&mask, sig);
        raise(sig);
        pthread_sigmask(SIG_UNBLOCK, &mask, NULL); /* stops here */
        sigaction(sig, &ours, NULL);
        enter_raw(); /* where the kernel would not stop us, no SIGCONT comes */
    }
    errno = saved_errno;
}

static void set_handlers(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    if (!terminal.handlers_set) {
        terminal.handlers_set = true;
        atexit(restore_terminal);
        sigaction(SIGCONT, &action, NULL);
        sigaction(SIGTSTP, &action, NULL);
    }
}

static void apply_mode(StdioChardev *std)
{
    struct termios *raw = &terminal.raw;

    *raw = terminal.original;
    if (!std->echo) {
        raw->c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        raw->c_oflag |= OPOST; /* our own lines end in \n only */
        raw->c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
        raw->c_cflag &= ~(CSIZE | PARENB);
        raw->c_cflag |= CS8;
        raw->c_cc[VMIN] = 1;
        raw->c_cc[VTIME] = 0;
    }
    if (!std->signals) {
        raw->c_lflag &= ~ISIG;
    }
    enter_raw();
}

static void stdio_set_echo(Chardev *chr, bool echo)
{
    StdioChardev *std = (StdioChardev *)chr;

    std->echo = echo;
    if (std->is_open) {
        apply_mode(std);
    }
}

static bool stdio_open(Chardev *chr, GError **error)
{
    StdioChardev *std = (StdioChardev *)chr;
    int in_flags, out_flags, in_fd, out_fd;

    if (terminal.in_use) {
        error_setf(error, "standard input and output are used by another chardev already");
        return false;
    }
    in_flags = fcntl(STDIN_FILENO, F_GETFL);
    out_flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (out_flags < 0) {
        error_set_errno(error, errno, "standard output is closed");
        return false;
    }
    /* Copies: closing the channel must not close the program's own descriptors. */
    in_fd = in_flags < 0 ? -1 : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (out_fd < 0) {
        error_set_errno(error, errno, "cannot use standard output");
        return false;
    }
    terminal.in_flags = in_flags < 0 ? 0 : in_flags;
    terminal.out_flags = out_flags;
    terminal.is_tty = tcgetattr(STDIN_FILENO, &terminal.original) == 0;
    set_handlers();
    terminal.in_use = true;
    std->is_open = true;
    apply_mode(std);
    std->stream.no_input = in_fd < 0;
    std->stream.wait_fd = out_fd;
    stream_chardev_set_channel(&std->stream, channel_file_new(in_fd, out_fd));
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void stdio_init(Object *obj)
{
    stream_chardev_init((StreamChardev *)obj);
}

static void stdio_finalize(Object *obj)
{
    StdioChardev *std = (StdioChardev *)obj;

    if (std->is_open) {
        stream_chardev_close(&std->stream);
        restore_terminal();
        terminal.in_use = false;
    }
}

static const Property stdio_properties[] = {
    PROP_BOOL("signal", StdioChardev, signals, true,
              "Ctrl-C ends the program (off: guest gets it)"),
    PROP_END,
};

static const ChardevOps stdio_ops = {
    .backend = "stdio",
    .flags = CHARDEV_CAN_BLOCK | CHARDEV_PATIENT,
    .open = stdio_open,
    .set_echo = stdio_set_echo,
    STREAM_CHARDEV_OPS,
};

static const TypeInfo stdio_type = {
    .name = "chardev-stdio",
    .parent = TYPE_CHARDEV,
    .description = "the terminal: standard input and output",
    .instance_size = sizeof(StdioChardev),
    .properties = stdio_properties,
    .instance_init = stdio_init,
    .instance_finalize = stdio_finalize,
    .ops = &stdio_ops,
};
QOM_TYPE(stdio_type);
