/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stdio backend on a terminal: a child with a pseudo-terminal of its own runs a mux on stdio,
 * and we look at the terminal's mode from outside: raw while it runs, as before while it is
 * stopped and after it ended.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/tests/harness.h"

typedef struct Terminal {
    int master, slave;
    pid_t child;
    struct termios before;
} Terminal;

/* The child: what is typed comes back in brackets. */
static void echo_read(void *opaque, const uint8_t *buf, int size)
{
    CharFrontend *fe = opaque;

    char_frontend_printf(fe, "[%.*s]", size, (const char *)buf);
}

static int always_room(void *opaque)
{
    return 16;
}

static G_GNUC_NORETURN void run_child(const char *options)
{
    static const CharFrontendOps ops = { .can_read = always_room, .read = echo_read };
    json_object *parsed = chardev_parse_options(options, NULL, NULL);
    CharFrontend fe = { 0 };

    vm_lock();
    if (!char_frontend_attach(&fe, chardev_new_from_options(parsed, NULL), NULL)) {
        _exit(3);
    }
    char_frontend_set_handlers(&fe, &ops, &fe, NULL);
    char_frontend_printf(&fe, "ready");
    for (;;) {
        loop_iterate(loop_main(), true);
    }
}

/* A session leader with a foreground job, as a shell has: only jobs can be stopped. */
static G_GNUC_NORETURN void be_shell(const char *options)
{
    pid_t job = fork();
    int status;

    if (job == 0) {
        setpgid(0, 0);
        while (tcgetpgrp(STDIN_FILENO) != getpgrp()) {
            g_usleep(1000);
        }
        run_child(options);
    }
    signal(SIGTTOU, SIG_IGN);
    setpgid(job, job);
    tcsetpgrp(STDIN_FILENO, job);
    waitpid(job, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 4);
}

static void start(Terminal *term, const char *options)
{
    term->master = posix_openpt(O_RDWR | O_NOCTTY);
    g_assert_cmpint(grantpt(term->master), ==, 0);
    g_assert_cmpint(unlockpt(term->master), ==, 0);
    term->slave = open(ptsname(term->master), O_RDWR | O_NOCTTY);
    g_assert_cmpint(tcgetattr(term->slave, &term->before), ==, 0);
    term->child = fork();
    if (term->child == 0) {
        setsid();
        ioctl(term->slave, TIOCSCTTY, 0);
        dup2(term->slave, STDIN_FILENO);
        dup2(term->slave, STDOUT_FILENO);
        close(term->master);
        be_shell(options);
    }
    g_assert_cmpint(term->child, >, 0);
}

/* Read until the text came. */
static void expect(Terminal *term, const char *text)
{
    g_autoptr(GString) got = g_string_new(NULL);

    while (!strstr(got->str, text)) {
        struct pollfd pfd = { .fd = term->master, .events = POLLIN };
        char buf[256];
        ssize_t n;

        g_assert_cmpint(poll(&pfd, 1, -1), ==, 1);
        n = read(term->master, buf, sizeof(buf));
        g_assert_cmpint(n, >, 0);
        g_string_append_len(got, buf, n);
    }
}

static void type(Terminal *term, const char *text)
{
    g_assert_cmpint(write(term->master, text, strlen(text)), ==, strlen(text));
}

static tcflag_t local_modes(Terminal *term)
{
    struct termios now;

    g_assert_cmpint(tcgetattr(term->slave, &now), ==, 0);
    return now.c_lflag;
}

static void wait_for_mode(Terminal *term, tcflag_t mask, tcflag_t want)
{
    for (int i = 0; i < 5000 && (local_modes(term) & mask) != want; i++) {
        g_usleep(1000);
    }
    g_assert_cmphex(local_modes(term) & mask, ==, want);
}

/* Once the terminal is as it was, it is about to stop: continued before that, it stays stopped. */
static void wait_for_stop(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    bool stopped = false;

    while (!stopped) {
        g_autofree char *stat = NULL;

        g_assert_true(g_file_get_contents(path, &stat, NULL, NULL));
        stopped = g_str_has_prefix(strrchr(stat, ')'), ") T");
        g_usleep(1000);
    }
}

static void finish(Terminal *term, int want_status)
{
    int status;

    g_assert_cmpint(waitpid(term->child, &status, 0), ==, term->child);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, want_status);
    g_assert_cmphex(local_modes(term), ==, term->before.c_lflag);
    close(term->slave);
    close(term->master);
}

static void test_modes(void)
{
    Terminal term;

    start(&term, "stdio,id=s,mux=on,signal=off");
    expect(&term, "ready");
    g_assert_cmphex(local_modes(&term) & (ICANON | ECHO | ISIG), ==, 0);
    type(&term, "x\003"); /* Ctrl-C is a byte like any other */
    expect(&term, "[x\003]");
    type(&term, "\001h");
    expect(&term, "Ctrl-a x");
    type(&term, "\001x");
    finish(&term, 0);
}

static void test_stop_and_continue(void)
{
    Terminal term;
    pid_t job;

    start(&term, "stdio,id=s,mux=on");
    expect(&term, "ready");
    g_assert_cmphex(local_modes(&term) & (ICANON | ISIG), ==, ISIG);
    job = tcgetpgrp(term.master);
    for (int round = 0; round < 2; round++) {
        type(&term, "\032"); /* Ctrl-Z */
        wait_for_mode(&term, ICANON | ECHO, term.before.c_lflag & (ICANON | ECHO));
        wait_for_stop(job);
        kill(-job, SIGCONT);
        wait_for_mode(&term, ICANON | ECHO, 0);
        type(&term, "y");
        expect(&term, "[y]");
    }
    type(&term, "\001x");
    finish(&term, 0);
}

/* Input that ended leaves output working; the program's own descriptors stay open. */
static void test_end_of_input(void)
{
    int out[2], in = open("/dev/null", O_RDONLY), status;
    char buf[16];
    pid_t child;

    g_assert_cmpint(pipe(out), ==, 0);
    child = fork();
    if (child == 0) {
        CharFrontend fe = { 0 };
        static const CharFrontendOps ops = { .can_read = always_room, .read = echo_read };
        json_object *parsed = chardev_parse_options("stdio,id=s", NULL, NULL);

        dup2(in, STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        vm_lock();
        char_frontend_attach(&fe, chardev_new_from_options(parsed, NULL), NULL);
        char_frontend_set_handlers(&fe, &ops, &fe, NULL);
        for (int i = 0; i < 10; i++) {
            loop_iterate(loop_main(), false);
        }
        char_frontend_printf(&fe, "still here");
        char_frontend_detach(&fe);
        chardev_cleanup_all();
        _exit(fcntl(STDIN_FILENO, F_GETFD) == 0 && fcntl(STDOUT_FILENO, F_GETFD) == 0 ? 0 : 1);
    }
    g_assert_cmpint(read(out[0], buf, sizeof(buf)), ==, 10);
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    /* The open file's mode is as it was: it is shared with whoever started us. */
    g_assert_cmphex(fcntl(out[1], F_GETFL) & O_NONBLOCK, ==, 0);
    close(in);
    close(out[0]);
    close(out[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stdio/modes", test_modes);
    g_test_add_func("/stdio/stop-and-continue", test_stop_and_continue);
    g_test_add_func("/stdio/end-of-input", test_end_of_input);
    return g_test_run();
}
