/* SPDX-License-Identifier: Apache-2.0 */
/* The process around the machine: see process.h. */
#include "system/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system/runstate.h"
#include "util/error.h"
#include "util/loop.h"
#include "util/parse.h"

static struct {
    int ready_fd;    /* written to by process_ready(); -1 if not in the background */
    int pidfile_fd;
    char *pidfile;
    int signal_fd;
} process = { .ready_fd = -1, .pidfile_fd = -1, .signal_fd = -1 };

/* The parent's part of -daemonize. */
static G_NORETURN void wait_for_child(pid_t child, int fd)
{
    char byte;
    ssize_t got;

    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1) {
        _exit(0);
    }
    waitpid(child, NULL, 0);
    _exit(1); /* it said why on stderr */
}

bool process_daemonize(GError **error)
{
    int fds[2];
    pid_t child;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_set_errno(error, errno, "-daemonize: cannot create a pipe");
        return false;
    }
    child = fork();
    if (child < 0) {
        error_set_errno(error, errno, "-daemonize: cannot fork");
        return false;
    }
    if (child > 0) {
        close(fds[1]);
        wait_for_child(child, fds[0]);
    }
    close(fds[0]);
    process.ready_fd = fds[1];
    setsid();
    umask(027);
    return true;
}

void process_ready(void)
{
    int null_fd;
    ssize_t done;

    if (process.ready_fd < 0) {
        return;
    }
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0) {
        dup2(null_fd, STDIN_FILENO);
        dup2(null_fd, STDOUT_FILENO);
        dup2(null_fd, STDERR_FILENO);
        close(null_fd);
    }
    if (chdir("/") < 0) {
        warn_report("cannot change to the root directory: %s", g_strerror(errno));
    }
    do {
        done = write(process.ready_fd, "", 1);
    } while (done < 0 && errno == EINTR);
    close(process.ready_fd);
    process.ready_fd = -1;
}

bool process_write_pidfile(const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", getpid());
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot create PID file '%s'", path);
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        char owner[16] = "";
        ssize_t len = read(fd, owner, sizeof(owner) - 1);

        error_setf(error, "PID file '%s' is held by process %s", path,
                   len > 0 ? g_strchomp(owner) : "?");
        close(fd);
        return false;
    }
    if (ftruncate(fd, 0) < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        error_set_errno(error, errno, "cannot write PID file '%s'", path);
        close(fd);
        return false;
    }
    process.pidfile_fd = fd;
    process.pidfile = g_canonicalize_filename(path, NULL);
    return true;
}

static void signal_arrived(void *opaque)
{
    struct signalfd_siginfo info = { 0 };
    ssize_t got = read(process.signal_fd, &info, sizeof(info));

    if (got != sizeof(info)) {
        return;
    }
    if (info.ssi_signo != SIGINT || info.ssi_pid) {
        error_report("terminating on signal %u from pid %u", info.ssi_signo, info.ssi_pid);
    }
    vm_request_shutdown(VM_CAUSE_HOST_SIGNAL);
}

bool process_handle_signals(GError **error)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    process.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (process.signal_fd < 0) {
        error_set_errno(error, errno, "cannot create a signalfd");
        return false;
    }
    loop_set_fd(loop_main(), process.signal_fd, signal_arrived, NULL, NULL);
    return true;
}

bool process_apply_settings(const VmOptions *options, GError **error)
{
    const char *name = options_member(options->name, "process");
    const char *root = options_member(options->run_with, "chroot");
    bool timestamps = false, lock_memory = false;

    if (!options_switch(options->msg, "timestamp", &timestamps, error)) {
        return false;
    }
    error_set_timestamps(timestamps);
    if (name) {
        prctl(PR_SET_NAME, name);
    }
    if (!options_switch(options->overcommit, "mem-lock", &lock_memory, error)) {
        return false;
    }
    if (lock_memory && mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
        error_set_errno(error, errno, "-overcommit mem-lock=on: cannot lock memory");
        return false;
    }
    if (root && (chroot(root) < 0 || chdir("/") < 0)) {
        error_set_errno(error, errno, "-run-with chroot=%s", root);
        return false;
    }
    return true;
}

void process_cleanup(void)
{
    if (process.pidfile) {
        unlink(process.pidfile);
        g_clear_pointer(&process.pidfile, g_free);
    }
    if (process.signal_fd >= 0) {
        loop_set_fd(loop_main(), process.signal_fd, NULL, NULL, NULL);
        close(process.signal_fd);
        process.signal_fd = -1;
    }
}
