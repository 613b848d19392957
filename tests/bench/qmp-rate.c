/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp-rate SOCKET COUNT: send COUNT commands one after another over QMP on a Unix socket, each
 * after the reply to the one before, and print round trips per second.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char capabilities[] = "{\"execute\":\"qmp_capabilities\"}\n";
static const char query[] = "{\"execute\":\"query-status\"}\n";

static void die(const char *what)
{
    fprintf(stderr, "qmp-rate: %s: %s\n", what, errno ? strerror(errno) : "end of stream");
    exit(1);
}

/* Reads to the end of a line; events are not expected on an idle machine. */
static void read_line(int fd)
{
    char buffer[4096];
    ssize_t got;

    do {
        got = read(fd, buffer, sizeof(buffer));
        if (got <= 0) {
            die("read");
        }
    } while (buffer[got - 1] != '\n');
}

static void round_trip(int fd, const char *request, size_t length)
{
    if (write(fd, request, length) != (ssize_t)length) {
        die("write");
    }
    read_line(fd);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (argc != 3) {
        fprintf(stderr, "usage: qmp-rate SOCKET COUNT\n");
        return 2;
    }
    long count = strtol(argv[2], NULL, 10);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        die(argv[1]);
    }
    read_line(fd);
    round_trip(fd, capabilities, sizeof(capabilities) - 1);
    double start = now();
    for (long i = 0; i < count; i++) {
        round_trip(fd, query, sizeof(query) - 1);
    }
    printf("%.0f\n", (double)count / (now() - start));
    return 0;
}
