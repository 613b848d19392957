/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cost COMMAND...: run COMMAND with its output thrown away, and print what it cost on one line:
 * nanoseconds from before its start to its end, microseconds of user and of system time, KiB of
 * peak resident memory. SIGTERM goes on to the command, so that servers can be measured. The exit
 * status is the command's.
 *
 * A process's peak counts the memory that it shared with its parent until it called exec: that is
 * why this is a program of its own, and a small one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_BROKEN = 125 };

/* For the signal handler. */
static volatile pid_t command_pid;

static void die(const char *what)
{
    fprintf(stderr, "cost: %s: %s\n", what, strerror(errno));
    _exit(EXIT_BROKEN);
}

static void forward(int number)
{
    kill(command_pid, number);
}

static long long now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static long long microseconds(struct timeval t)
{
    return t.tv_sec * 1000000LL + t.tv_usec;
}

static void start(char **command, const sigset_t *mask)
{
    command_pid = fork();
    if (command_pid < 0) {
        die("fork");
    }
    if (command_pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, mask, NULL);
        dup2(null, STDOUT_FILENO);
        execvp(command[0], command);
        die(command[0]);
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = forward, .sa_flags = SA_RESTART };
    sigset_t term, before;
    struct rusage usage;
    long long began;
    int status;

    if (argc < 2) {
        fprintf(stderr, "usage: cost COMMAND...\n");
        return EXIT_BROKEN;
    }
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    began = now_ns();
    start(argv + 1, &before);
    sigaction(SIGTERM, &action, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (wait4(command_pid, &status, 0, &usage) < 0) {
        die("wait4");
    }
    printf("%lld %lld %lld %ld\n", now_ns() - began, microseconds(usage.ru_utime),
           microseconds(usage.ru_stime), usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
