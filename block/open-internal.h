/* SPDX-License-Identifier: Apache-2.0 */
/* What opening and reopening share. Main thread. */
#ifndef VIREO_BLOCK_OPEN_INTERNAL_H
#define VIREO_BLOCK_OPEN_INTERNAL_H

#include "block/open.h"

/* A copy whose scalars are text, as a command line's are. */
json_object *block_options_as_text(json_object *value);
/* The generic options over what is in *mode. */
void block_mode_from_options(BlockMode *mode, const BlockdevOptions *options);
/* Do they go together? */
bool block_mode_check(const BlockMode *mode, GError **error);

#endif
