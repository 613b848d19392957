/* SPDX-License-Identifier: Apache-2.0 */
/* The process around the machine: see process.h. */
#include "system/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/runstate.h"
#include "util/background.h"
#include "util/error.h"
#include "util/loop.h"
#include "util/parse.h"

static struct {
    int ready_fd;    /* written to by process_ready(); -1 if not in the background */
    int pidfile_fd;
    char *pidfile;
    int signal_fd;
} process = { .ready_fd = -1, .pidfile_fd = -1, .signal_fd = -1 };

bool process_daemonize(GError **error)
{
    if (!background_fork(&process.ready_fd, error)) {
        g_prefix_error(error, "-daemonize: ");
        return false;
    }
    umask(027);
    return true;
}

void process_ready(void)
{
    if (process.ready_fd >= 0 && chdir("/") < 0) {
        warn_report("cannot change to the root directory: %s", g_strerror(errno));
    }
    background_ready(&process.ready_fd);
}

bool process_write_pidfile(const char *path, GError **error)
{
    process.pidfile_fd = pid_file_create(path, error);
    if (process.pidfile_fd < 0) {
        return false;
    }
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
