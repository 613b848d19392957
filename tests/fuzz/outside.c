/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzed image or name may point anywhere. The linker brings calls by which a program reaches
 * files and peers here (--wrap), and they fail.
 */
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

#include "tests/fuzz/outside.h"

int __wrap_open(const char *path, int flags, ...)
{
    errno = ENOENT;
    return -1;
}

int __wrap_open64(const char *path, int flags, ...)
{
    errno = ENOENT;
    return -1;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    errno = ECONNREFUSED;
    return -1;
}

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    return EAI_NONAME;
}

void *__wrap_dlopen(const char *path, int flags)
{
    return NULL;
}

char *__wrap_dlerror(void)
{
    static char text[] = "not here";

    return text;
}
