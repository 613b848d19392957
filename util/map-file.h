/* SPDX-License-Identifier: Apache-2.0 */
/* A whole file as bytes. */
#ifndef VIREO_UTIL_MAP_FILE_H
#define VIREO_UTIL_MAP_FILE_H

#include <glib.h>

/*
 * A regular file is mapped, not read; a pipe or device is read to its end, at most 2 GiB. "cannot
 * read 'path': reason" is the error. The caller's.
 */
GBytes *map_file(const char *path, GError **error);

#endif
