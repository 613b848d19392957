/* SPDX-License-Identifier: Apache-2.0 */
/* For filters whose file names have other file names inside ("blkdebug:CONFIG:IMAGE"). */
#ifndef VIREO_BLOCK_IMAGE_OPTIONS_H
#define VIREO_BLOCK_IMAGE_OPTIONS_H

#include <glib.h>
#include <json-c/json.h>

/* Options that open a file name by its protocol's driver, without a format. Caller frees. */
json_object *block_image_options(const char *filename, GError **error);

#endif
