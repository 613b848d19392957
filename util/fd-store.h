/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors that a manager hands to this process, for use by name instead of opening files.
 *
 * Named descriptors (getfd) are taken once, by an option such as fd=NAME. Sets (add-fd) stay: the
 * file name /dev/fdset/N opens a copy of that descriptor of set N whose access mode fits. Any
 * thread.
 */
#ifndef VIREO_UTIL_FD_STORE_H
#define VIREO_UTIL_FD_STORE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes fd; closes one that had the name. */
void fd_store_put(const char *name, int fd);
/* The caller's; -1 with the error set if the name is unknown. */
int fd_store_take(const char *name, GError **error);
/* A number of an open descriptor (a copy is the caller's), or a name as fd_store_take(). */
int fd_store_parse(const char *text, GError **error);

/* The set of a new id. */
#define FDSET_NEW (-1)

typedef struct FdsetEntry {
    int64_t set;
    int fd;
    const char *opaque; /* or NULL */
} FdsetEntry;

/* Takes fd, but not if it fails. Returns the set's id, or -1. */
int64_t fdset_add(int64_t set, int fd, const char *opaque, GError **error);
/* fd -1: all of the set. */
bool fdset_remove(int64_t set, int fd, GError **error);
/* Every descriptor, by set and then in order of adding. */
void fdset_foreach(void (*fn)(const FdsetEntry *entry, void *opaque), void *opaque);

bool fdset_is_path(const char *path);
/* Open /dev/fdset/N with O_RDONLY, O_WRONLY or O_RDWR in flags: a new descriptor, or -1. */
int fdset_open(const char *path, int flags, GError **error);

#endif
