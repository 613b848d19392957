/* SPDX-License-Identifier: Apache-2.0 */
/* A whole file as bytes. */
#include "util/map-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/error.h"

#define STREAM_MAX (2 * GiB)
#define STREAM_CHUNK (64 * KiB)

static GBytes *read_stream(int fd, const char *path, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree uint8_t *chunk = g_malloc(STREAM_CHUNK);
    ssize_t got;

    while ((got = TEMP_FAILURE_RETRY(read(fd, chunk, STREAM_CHUNK))) > 0) {
        if (bytes->len + (uint64_t)got > STREAM_MAX) {
            error_setf(error, "cannot read '%s': it does not end within 2 GiB", path);
            return NULL;
        }
        g_byte_array_append(bytes, chunk, got);
    }
    if (got < 0) {
        error_set_errno(error, errno, "cannot read '%s'", path);
        return NULL;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

static GBytes *map_open_file(int fd, const char *path, GError **error)
{
    g_autoptr(GMappedFile) map = NULL;
    struct stat info;

    if (fstat(fd, &info) < 0) {
        error_set_errno(error, errno, "cannot read '%s'", path);
        return NULL;
    }
    if (!S_ISREG(info.st_mode)) {
        return read_stream(fd, path, error);
    }
    map = g_mapped_file_new_from_fd(fd, false, NULL);
    if (!map) {
        error_set_errno(error, errno, "cannot map '%s'", path);
        return NULL;
    }
    return g_mapped_file_get_bytes(map);
}

GBytes *map_file(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    GBytes *bytes;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot read '%s'", path);
        return NULL;
    }
    bytes = map_open_file(fd, path, error);
    close(fd);
    return bytes;
}
