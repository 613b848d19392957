/* SPDX-License-Identifier: Apache-2.0 */
#include "block/file-window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"

void file_windows_init(FileWindows *windows, BlockNode *node, unsigned n)
{
    *windows = (FileWindows) { .node = node, .n = n, .windows = g_new0(FileWindow, n) };
    for (unsigned i = 0; i < n; i++) {
        windows->windows[i].at = -1;
    }
    co_mutex_init(&windows->lock);
}

void file_windows_cleanup(FileWindows *windows)
{
    for (unsigned i = 0; i < windows->n; i++) {
        g_free(windows->windows[i].data);
    }
    g_free(windows->windows);
    co_mutex_cleanup(&windows->lock);
}

static int64_t start_of(int64_t offset)
{
    return offset & ~(int64_t)(FILE_WINDOW - 1);
}

static FileWindow *find(FileWindows *windows, int64_t at)
{
    if (windows->windows[windows->recent].at == at) {
        return &windows->windows[windows->recent];
    }
    for (unsigned i = 0; i < windows->n; i++) {
        if (windows->windows[i].at == at) {
            windows->recent = i;
            return &windows->windows[i];
        }
    }
    return NULL;
}

/* With the lock held. The oldest window goes. */
static int fill(FileWindows *windows, int64_t at)
{
    FileWindow *window = &windows->windows[windows->next];
    int ret;

    windows->next = (windows->next + 1) % windows->n;
    window->at = -1;
    if (!window->data) {
        window->data = g_try_malloc(FILE_WINDOW);
    }
    if (!window->data) {
        return -ENOMEM;
    }
    ret = block_pread(windows->node->file, at, FILE_WINDOW, window->data);
    window->at = ret < 0 ? -1 : at;
    return MIN(ret, 0);
}

int file_windows_read(FileWindows *windows, int64_t offset, void *buf, size_t bytes)
{
    int64_t at = start_of(offset);
    FileWindow *window = find(windows, at);
    int ret = 0;

    if (offset - at + (int64_t)bytes > FILE_WINDOW) {
        return block_pread(windows->node->file, offset, (int64_t)bytes, buf);
    }
    if (!window) {
        co_mutex_lock(&windows->lock);
        ret = find(windows, at) ? 0 : fill(windows, at);
        window = find(windows, at);
        co_mutex_unlock(&windows->lock);
    }
    if (ret >= 0) {
        memcpy(buf, window->data + (offset - at), bytes);
    }
    return ret;
}

int file_windows_write(FileWindows *windows, int64_t offset, const void *buf, size_t bytes)
{
    int64_t at = start_of(offset), sector = (offset - at) & ~(int64_t)(BLOCK_SECTOR - 1);
    size_t in_sector = (size_t)(offset % BLOCK_SECTOR);
    uint8_t changed[BLOCK_SECTOR];
    int ret;

    g_assert(in_sector + bytes <= BLOCK_SECTOR);
    co_mutex_lock(&windows->lock);
    ret = find(windows, at) ? 0 : fill(windows, at);
    if (ret >= 0) {
        uint8_t *data = find(windows, at)->data + sector;

        memcpy(changed, data, BLOCK_SECTOR);
        memcpy(changed + in_sector, buf, bytes);
        ret = block_pwrite(windows->node->file, at + sector, BLOCK_SECTOR, changed, 0);
        if (ret >= 0) {
            memcpy(data, changed, BLOCK_SECTOR);
        }
    }
    co_mutex_unlock(&windows->lock);
    return MIN(ret, 0);
}
