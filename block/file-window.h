/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of an image that are too long to be kept in memory: what was asked for last is, in windows
 * of the file. In a coroutine, on the node's loop; results are 0 or -errno.
 */
#ifndef VIREO_BLOCK_FILE_WINDOW_H
#define VIREO_BLOCK_FILE_WINDOW_H

#include "block/node.h"
#include "util/co-lock.h"

#define FILE_WINDOW (64 * 1024)

typedef struct FileWindow {
    int64_t at;          /* in the file; -1: nothing yet */
    uint8_t *data;
} FileWindow;

typedef struct FileWindows {
    BlockNode *node;     /* whose child "file" has the tables */
    FileWindow *windows;
    unsigned n, next;    /* the one that goes next */
    unsigned recent;     /* was asked for last */
    CoMutex lock;        /* of filling and writing */
} FileWindows;

/* At most n windows are in memory. */
void file_windows_init(FileWindows *windows, BlockNode *node, unsigned n);
void file_windows_cleanup(FileWindows *windows);

int file_windows_read(FileWindows *windows, int64_t offset, void *buf, size_t bytes);
/* Through to the file, inside one sector, all of which is written. */
int file_windows_write(FileWindows *windows, int64_t offset, const void *buf, size_t bytes);

#endif
