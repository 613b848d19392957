/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/disk.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "block/driver.h"
#include "block/io.h"
#include "block/node.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

typedef struct File {
    uint8_t *bytes; /* FUZZ_FILE_MAX of them, zero behind size */
    int64_t size;
} File;

static File files[FUZZ_FILES];
static uint64_t requests;
/* An image that is its own backing file is opened hundreds of times, which says nothing new. */
#define MAX_OPEN 12
static unsigned open_nodes;

static void clear_files(void)
{
    for (unsigned i = 0; i < FUZZ_FILES; i++) {
        if (!files[i].bytes) {
            files[i].bytes = mmap(NULL, FUZZ_FILE_MAX, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            g_assert_true(files[i].bytes != MAP_FAILED);
        }
        madvise(files[i].bytes, FUZZ_FILE_MAX, MADV_DONTNEED);
        files[i].size = 0;
    }
    requests = 0;
}

static size_t records_at(const uint8_t *data, size_t size)
{
    return MIN(FUZZ_HEADER + 4 * (size_t)MIN(data[1], FUZZ_MAX_OPS), size);
}

GArray *fuzz_disk_records(const uint8_t *data, size_t size)
{
    GArray *records = g_array_new(FALSE, FALSE, sizeof(FuzzRecord));
    size_t at = size < FUZZ_HEADER ? size : records_at(data, size);

    while (size - at > FUZZ_RECORD) {
        size_t wanted = ldw_le(data + at + 1);
        FuzzRecord record = { at + FUZZ_RECORD, MIN(wanted, size - at - FUZZ_RECORD) };

        g_array_append_val(records, record);
        at = record.at + record.len;
    }
    return records;
}

static void lay_out(const uint8_t *data, size_t size)
{
    g_autoptr(GArray) records = fuzz_disk_records(data, size);

    for (guint i = 0; i < records->len; i++) {
        const FuzzRecord *record = &g_array_index(records, FuzzRecord, i);
        const uint8_t *head = data + record->at - FUZZ_RECORD;
        File *file = &files[head[0] % FUZZ_FILES];
        int64_t offset = ldl_le(head + 3);
        int64_t room = file->size - offset;

        if (room > 0) {
            memcpy(file->bytes + offset, data + record->at, MIN(record->len, (size_t)room));
        }
    }
}

bool fuzz_disk_load(const uint8_t *data, size_t size, FuzzInput *input)
{
    *input = (FuzzInput) { 0 };
    if (size < FUZZ_HEADER) {
        return false;
    }
    clear_files();
    input->flags = data[0];
    for (unsigned i = 0; i < FUZZ_FILES; i++) {
        files[i].size = ldl_le(data + 4 + 4 * i) % (FUZZ_FILE_MAX + 1);
    }
    for (size_t at = FUZZ_HEADER; at + 4 <= records_at(data, size); at += 4) {
        input->ops[input->n_ops++] = (FuzzOp) { data[at], data[at + 1], ldw_le(data + at + 2) };
    }
    lay_out(data, size);
    return true;
}

uint8_t *fuzz_disk_bytes(size_t *size)
{
    *size = (size_t)files[0].size;
    return files[0].bytes;
}

uint64_t fuzz_disk_requests(void)
{
    return requests;
}

/* ---- The protocol ---- */

/* Its options are those of a protocol that lives in a module, which is not loaded here. */
#define DRIVER_NAME "ftps"

static File *file_of(BlockNode *node)
{
    return *(File **)node->opaque;
}

static bool disk_parse_filename(const char *filename, json_object *options, GError **error)
{
    json_object_object_add(options, "url", json_object_new_string(filename));
    return true;
}

static bool disk_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error)
{
    const char *url = options->u.ftps.url;
    size_t len = strlen(url);

    if (open_nodes >= MAX_OPEN) {
        error_setf(error, "'%s': enough files are open", url);
        return false;
    }
    open_nodes++;
    /* Whatever name a header has, some file is it. */
    *(File **)node->opaque = &files[len ? (uint8_t)url[len - 1] % FUZZ_FILES : 0];
    node->size = file_of(node)->size;
    node->zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    node->truncate_flags = BLOCK_REQ_ZERO_WRITE;
    return true;
}

static void disk_close(BlockNode *node)
{
    open_nodes--;
}

static bool disk_refresh_filename(BlockNode *node)
{
    json_object *url;

    g_free(node->filename);
    json_object_object_get_ex(node->options, "url", &url);
    node->filename = g_strdup(json_object_get_string(url));
    return true;
}

static int64_t disk_getlength(BlockNode *node)
{
    return file_of(node)->size;
}

static int disk_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    requests++;
    if (!range_ok((uint64_t)offset, (uint64_t)bytes, FUZZ_FILE_MAX)) {
        return -EIO; /* another node of the same file has cut it */
    }
    iov_from_buf(vec->iov, vec->n, vec_offset, file_of(node)->bytes + offset, (size_t)bytes);
    return 0;
}

static int make_room(BlockNode *node, int64_t offset, int64_t bytes)
{
    File *file = file_of(node);

    requests++;
    if (!range_ok((uint64_t)offset, (uint64_t)bytes, FUZZ_FILE_MAX)) {
        return -ENOSPC;
    }
    file->size = MAX(file->size, offset + bytes);
    return 0;
}

static int disk_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags)
{
    int ret = make_room(node, offset, bytes);

    if (ret == 0) {
        iov_to_buf(vec->iov, vec->n, vec_offset, file_of(node)->bytes + offset, (size_t)bytes);
    }
    return ret;
}

static int disk_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    int ret = make_room(node, offset, bytes);

    if (ret == 0) {
        memset(file_of(node)->bytes + offset, 0, (size_t)bytes);
    }
    return ret;
}

static int disk_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    requests++;
    return 0;
}

static int disk_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    File *file = file_of(node);

    requests++;
    if (truncate->size > FUZZ_FILE_MAX) {
        error_setf(error, "the test's disk is full");
        return -ENOSPC;
    }
    if (truncate->size < file->size) {
        memset(file->bytes + truncate->size, 0, (size_t)(file->size - truncate->size));
    }
    file->size = node->size = truncate->size;
    return 0;
}

static const BlockDriver disk_driver = {
    .name = DRIVER_NAME,
    .kind = BLOCKDEV_DRIVER_FTPS,
    .protocol = "mem",
    .instance_size = sizeof(File *),
    .has_variable_size = true,
    .grows_on_write = true,
    .parse_filename = disk_parse_filename,
    .open = disk_open,
    .close = disk_close,
    .refresh_filename = disk_refresh_filename,
    .getlength = disk_getlength,
    .preadv = disk_preadv,
    .pwritev = disk_pwritev,
    .pwrite_zeroes = disk_pwrite_zeroes,
    .pdiscard = disk_pdiscard,
    .truncate = disk_truncate,
};
BLOCK_DRIVER(disk_driver);
