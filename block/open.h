/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options or a file name to nodes.
 *
 * Options are a JSON object in the form of blockdev-add; children are objects or names of nodes.
 * What stands there as text is read as on the command line (QAPI_KEYVAL). "driver" may be missing:
 * the child "file" is then opened first, and its content decides (never silently for writing: a
 * probed raw image refuses writes to its first sector that would make it look like another
 * format). A file name is "path", "protocol:rest", or "json:{...}".
 *
 * Files that an image's header names (backing, data file) are opened if the name is a plain path;
 * one with a protocol, or json:, only if the image's own format was given, not probed.
 *
 * Main thread; may run the loop while waiting, or yield if in a coroutine.
 */
#ifndef VIREO_BLOCK_OPEN_H
#define VIREO_BLOCK_OPEN_H

#include "block/node.h"

/*
 * filename or reference may be NULL, and so may options (borrowed; children named by text are
 * references). A new reference, or NULL with the error set: it names the file.
 */
BlockNode *block_open(const char *filename, const char *reference, json_object *options,
                      QapiFlags qapi_flags, unsigned open_flags, GError **error);
/* As blockdev-add: strict, node-name wanted. The monitor's own reference. */
BlockNode *block_open_blockdev(const BlockdevOptions *options, GError **error);
/* Nodes that blockdev-add made and blockdev-del may drop. */
bool block_monitor_owns(BlockNode *node);
bool block_monitor_del(const char *node_name, GError **error);
/*
 * snapshot=on: an overlay in a file without a name, which goes with the node
 * (temporary-overlay.c). Main thread.
 */
BlockNode *block_open_temporary_overlay(BlockNode *base, bool read_only, GError **error);
/* The program ends: all of them that nothing else uses are flushed and closed. */
void block_monitor_close_all(void);

/*
 * Drivers, in open: a child that the options do not have but the header names. filename is as the
 * header has it (relative to the parent's own file); format may be NULL. NULL with the error set.
 */
BlockChild *block_open_header_child(BlockNode *parent, const char *child_name, unsigned role,
                                    const char *filename, const char *format, GError **error);
/* The backing chain of a node that was opened without it, unless it has one by now. */
bool block_open_backing(BlockNode *node, GError **error);
/* The header's backing file, made absolute or relative to the cwd as the node's own name is. */
char *block_full_backing_filename(BlockNode *node, GError **error);
char *block_path_combine(const char *base, const char *filename);
bool block_path_has_protocol(const char *path);

/* What opening looks at; enough for every driver's probe. */
#define BLOCK_PROBE_SIZE 2048
/* The format with the best score for these bytes; raw if none. */
const BlockDriver *block_probe(const uint8_t *buf, size_t len, const char *filename);

/* blockdev-reopen: all or nothing. */
bool block_reopen(GPtrArray *options /* BlockdevOptions */, GError **error);
/*
 * A node's options as text for block_reopen, with these (text as well) in place of its own. The
 * caller's.
 */
json_object *block_options_with(BlockNode *node, json_object *changes);
/* For commit and friends: the cheap switch. */
bool block_reopen_read_only(BlockNode *node, bool read_only, GError **error);

/* cache=none|writeback|writethrough|directsync|unsafe; false: no such mode. */
bool block_parse_cache_mode(const char *mode, BlockMode *out, bool *writethrough);

#endif
