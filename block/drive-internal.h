/* SPDX-License-Identifier: Apache-2.0 */
/* What drive.c and drive-open.c share. */
#ifndef VIREO_BLOCK_DRIVE_INTERNAL_H
#define VIREO_BLOCK_DRIVE_INTERNAL_H

#include "block/drive.h"

/* Text, or NULL. Borrowed. */
const char *drive_own(const DriveOptions *options, const char *key);
/* *value stays as it is without the key; the error names it. */
bool drive_own_bool(const DriveOptions *options, const char *key, bool *value, GError **error);

/*
 * drive-open.c: the backend with its medium and policies, without a name. is_cdrom: read-only
 * unless said otherwise. id: the throttle group's name, if none is given. NULL with the error set.
 */
BlockBackend *drive_open(const DriveOptions *options, bool is_cdrom, const char *id,
                         GError **error);

#endif
