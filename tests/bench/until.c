/* SPDX-License-Identifier: Apache-2.0 */
/*
 * until LOCK TEXT COMMAND...: start COMMAND and return as soon as its output contains TEXT (at
 * least one byte, if TEXT is empty). Made for timing: what it takes to end the command afterwards
 * is no part of the caller's wait. A second process does that, holding a lock on the file LOCK
 * until the command is gone, so that `flock LOCK true` waits for quiet before the next
 * measurement.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OUTPUT_LIMIT = 1 << 20,
    TIME_LIMIT_SECONDS = 60,
    EXIT_NOT_SEEN = 1,
    EXIT_BROKEN = 2,
};

static void die(const char *what)
{
    fprintf(stderr, "until: %s: %s\n", what, strerror(errno));
    exit(EXIT_BROKEN);
}

static pid_t start_command(char **command, int output_fd)
{
    pid_t child = fork();

    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(output_fd, STDOUT_FILENO);
        execvp(command[0], command);
        die(command[0]);
    }
    return child;
}

/* Whether the text came before the output's end or its limit. */
static bool wait_for_text(int fd, const char *text)
{
    char *output = malloc(OUTPUT_LIMIT);
    size_t length = 0;
    size_t text_length = strlen(text);

    if (!output) {
        die("malloc");
    }
    while (length < OUTPUT_LIMIT) {
        ssize_t got = read(fd, output + length, OUTPUT_LIMIT - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
        if (text_length == 0 || memmem(output, length, text, text_length)) {
            free(output);
            return true;
        }
    }
    free(output);
    return false;
}

/* The second process: runs the command, reports one byte, then ends the command. */
static int supervise(const char *lock_path, const char *text, char **command, int report_fd)
{
    int lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int output[2];

    if (lock_fd < 0 || flock(lock_fd, LOCK_EX) < 0) {
        die(lock_path);
    }
    if (pipe2(output, O_CLOEXEC) < 0) {
        die("pipe");
    }
    pid_t child = start_command(command, output[1]);
    close(output[1]);
    alarm(TIME_LIMIT_SECONDS);
    bool seen = wait_for_text(output[0], text);
    if (write(report_fd, seen ? "1" : "0", 1) < 0) {
        seen = false;
    }
    close(report_fd);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return seen ? 0 : EXIT_NOT_SEEN;
}

int main(int argc, char **argv)
{
    int report[2];
    char seen = '0';

    if (argc < 4) {
        fprintf(stderr, "usage: until LOCK TEXT COMMAND...\n");
        return EXIT_BROKEN;
    }
    if (pipe2(report, O_CLOEXEC) < 0) {
        die("pipe");
    }
    pid_t second = fork();
    if (second < 0) {
        die("fork");
    }
    if (second == 0) {
        close(report[0]);
        return supervise(argv[1], argv[2], argv + 3, report[1]);
    }
    close(report[1]);
    return read(report[0], &seen, 1) == 1 && seen == '1' ? 0 : EXIT_NOT_SEEN;
}
