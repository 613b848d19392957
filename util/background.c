/* SPDX-License-Identifier: Apache-2.0 */
#include "util/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"

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

bool background_fork(int *ready_fd, GError **error)
{
    int fds[2];
    pid_t child;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_set_errno(error, errno, "cannot create a pipe");
        return false;
    }
    fflush(NULL);
    child = fork();
    if (child < 0) {
        error_set_errno(error, errno, "cannot fork");
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    if (child > 0) {
        close(fds[1]);
        wait_for_child(child, fds[0]);
    }
    close(fds[0]);
    *ready_fd = fds[1];
    setsid();
    return true;
}

void background_ready(int *ready_fd)
{
    int null_fd;
    ssize_t done;

    if (*ready_fd < 0) {
        return;
    }
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0) {
        dup2(null_fd, STDIN_FILENO);
        dup2(null_fd, STDOUT_FILENO);
        dup2(null_fd, STDERR_FILENO);
        close(null_fd);
    }
    do {
        done = write(*ready_fd, "", 1);
    } while (done < 0 && errno == EINTR);
    close(*ready_fd);
    *ready_fd = -1;
}

int pid_file_create(const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", getpid());
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot create PID file '%s'", path);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        char owner[16] = "";
        ssize_t len = read(fd, owner, sizeof(owner) - 1);

        error_setf(error, "PID file '%s' is held by process %s", path,
                   len > 0 ? g_strchomp(owner) : "?");
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        error_set_errno(error, errno, "cannot write PID file '%s'", path);
        close(fd);
        return -1;
    }
    return fd;
}
