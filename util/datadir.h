/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where firmware, option ROMs and other read-only data files are found: -L directories first, then
 * Vireo's own, then those of the distribution's packages (SeaBIOS, iPXE, OVMF).
 */
#ifndef VIREO_UTIL_DATADIR_H
#define VIREO_UTIL_DATADIR_H

#include <glib.h>

/* Searched before all earlier ones' successors: in order of adding, ahead of the built-in list. */
void datadir_add(const char *path);
/* The file's path (the caller's), or NULL with an error that lists where it was sought. A name with
   a '/' that exists is taken as it is. */
char *datadir_find(const char *name, GError **error);
/* -L help: one directory per line. The caller's. */
char *datadir_list(void);

#endif
