/* SPDX-License-Identifier: Apache-2.0 */
/* For tests that open files: a temporary directory, and an edge to a node with full permissions. */
#ifndef VIREO_BLOCK_TESTS_FILE_FIXTURE_H
#define VIREO_BLOCK_TESTS_FILE_FIXTURE_H

#include "block/node.h"

/* A new directory, and away with it and all files in it. */
char *fixture_dir_new(void);
void fixture_dir_free(char *dir);
/* A file of this size without data; returns its path, the caller's. */
char *fixture_file(const char *dir, const char *name, int64_t size);

/* Options as on a command line: "driver=file,filename=x". The caller's. */
json_object *fixture_options(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* A node and an edge to it; both go with fixture_close. Failure fails the test. */
BlockChild *fixture_open(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* The same; NULL with the error set. shared as in block_parent_attach, perm all if writable. */
BlockChild *fixture_try_open(json_object *options, unsigned perm, unsigned shared, GError **error);
void fixture_close(BlockChild *child);
/* Opening to read and write fails, and the error has this text in it. */
void fixture_expect_refusal(json_object *options, const char *text);
/* A file made by the file driver's create. */
bool fixture_create(const char *path, uint64_t size, PreallocMode prealloc, GError **error);
/* An image by name, as a person makes it: options "size=1M,...". */
bool fixture_create_image(const char *filename, const char *format, const char *options,
                          GError **error);
/*
 * Another program that knows the format ("qemu-img create ..."); it has to succeed. Where it is not
 * installed the test is skipped and this returns false.
 */
bool fixture_peer(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* Run requests to the end, from outside of coroutines; results as in block/io.h. */
int fixture_read(BlockChild *child, int64_t offset, int64_t bytes, void *buf);
int fixture_write(BlockChild *child, int64_t offset, int64_t bytes, const void *buf,
                  unsigned flags);
int fixture_zero(BlockChild *child, int64_t offset, int64_t bytes, unsigned flags);
int fixture_discard(BlockChild *child, int64_t offset, int64_t bytes);
int fixture_flush(BlockChild *child);
int fixture_truncate(BlockChild *child, const BlockTruncate *truncate, GError **error);
int fixture_status(BlockChild *child, int64_t offset, int64_t bytes, BlockStatus *status);

#endif
