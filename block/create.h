/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, amending and measuring images. Main thread, in a coroutine.
 */
#ifndef VIREO_BLOCK_CREATE_H
#define VIREO_BLOCK_CREATE_H

#include "block/node.h"

/*
 * As `vireo-img create`: options as text by the driver's BlockOption names ("size" among them),
 * those of the protocol below included. Makes the file, then the format in it. The backing file, if
 * named, is opened to learn its size if none is given (unless `unsafe`), and its format must be
 * given. A file that was begun is deleted if this fails.
 */
bool block_create_image(const char *filename, const char *format, json_object *options, bool unsafe,
                        GError **error);
/* As blockdev-create. */
bool block_create(const BlockdevCreateOptions *options, GError **error);
/* For formats without one of their own (raw): the file as the protocol's options say. */
bool block_create_protocol(const char *filename, json_object *options, GError **error);
/* People's options in the schema's form, as text; what the table does not have is left out. */
json_object *block_options_to_qapi(const BlockOption *table, json_object *options);
/* NULL if the table (which may be NULL) does not have it. */
const BlockOption *block_option_find(const BlockOption *options, const char *name);

/*
 * Drivers, in create: open the node that a BlockdevRef of the options names, with write and resize
 * permission, as an outsider; free with block_create_close, which flushes.
 */
BlockChild *block_create_open(const BlockdevRef *ref, GError **error);
bool block_create_close(BlockChild *child, GError **error);

#endif
