/* SPDX-License-Identifier: Apache-2.0 */
/* The linker's names for what outside.c puts in place of the C library's functions. */
#ifndef VIREO_TESTS_FUZZ_OUTSIDE_H
#define VIREO_TESTS_FUZZ_OUTSIDE_H

#include <netdb.h>
#include <sys/socket.h>

int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);
void *__wrap_dlopen(const char *path, int flags);
char *__wrap_dlerror(void);

#endif
