/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory-backend-file: memory that is a file's contents, or a nameless file in a directory (a
 * hugetlbfs mount, say). A file that is absent is made, an empty one gets the size, a larger one is
 * used in part.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/ram-backend.h"
#include "util/bits.h"
#include "util/error.h"

typedef struct FileBackend {
    RamBackend backend;
    char *mem_path;
    uint64_t align;
    bool discard_data;
    bool readonly;
    bool pmem;
} FileBackend;

/* A file in directory that has no name any more. */
static int open_in_directory(const char *directory, GError **error)
{
    g_autofree char *name = g_build_filename(directory, "vireo-ram-XXXXXX", NULL);
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) { /* not every file system has O_TMPFILE; hugetlbfs got it in Linux 6.x */
        fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0) {
            error_set_errno(error, errno, "cannot make a file in '%s'", directory);
            return -1;
        }
        unlink(name);
    }
    return fd;
}

static int open_memory(const FileBackend *file, GError **error)
{
    int flags = O_CLOEXEC | (file->readonly ? O_RDONLY : O_RDWR);
    struct stat info;
    int fd;

    if (stat(file->mem_path, &info) == 0 && S_ISDIR(info.st_mode)) {
        if (file->readonly) {
            error_setf(error, "mem-path '%s' is a directory; readonly=on needs a file",
                       file->mem_path);
            return -1;
        }
        return open_in_directory(file->mem_path, error);
    }
    fd = open(file->mem_path, flags);
    if (fd < 0 && errno == ENOENT && !file->readonly) {
        fd = open(file->mem_path, flags | O_CREAT | O_EXCL, 0644);
    }
    if (fd < 0) {
        error_set_errno(error, errno, "cannot open mem-path '%s'", file->mem_path);
    }
    return fd;
}

/* Devices (DAX) have a size of their own, which stat does not tell. */
static bool fit_file(const FileBackend *file, uint64_t page, GError **error)
{
    const RamBackend *backend = &file->backend;
    uint64_t size = ROUND_UP(backend->size, page);
    struct stat info;

    if (fstat(backend->fd, &info) != 0) {
        error_set_errno(error, errno, "cannot look at mem-path '%s'", file->mem_path);
        return false;
    }
    if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size >= backend->size) {
        return true;
    }
    if (info.st_size || file->readonly) {
        error_setf(error, "mem-path '%s' has %" G_GINT64_FORMAT " bytes, less than size %"
                   G_GUINT64_FORMAT, file->mem_path, (int64_t)info.st_size, backend->size);
        return false;
    }
    if (ftruncate(backend->fd, size) != 0) {
        error_set_errno(error, errno, "cannot give mem-path '%s' its size", file->mem_path);
        return false;
    }
    return true;
}

static bool check_align(const FileBackend *file, uint64_t page, GError **error)
{
    if (file->align && (file->align & (file->align - 1) || file->align % page)) {
        error_setf(error, "align %" G_GUINT64_FORMAT " is not a power of two and a multiple of the "
                   "page size %" G_GUINT64_FORMAT, file->align, page);
        return false;
    }
    return true;
}

static bool file_prepare(RamBackend *backend, RamMapping *mapping, GError **error)
{
    FileBackend *file = (FileBackend *)backend;
    uint64_t page;

    if (file->pmem) {
        error_setf(error, "pmem=on is not supported: this program is built without libpmem");
        return false;
    }
    backend->fd = open_memory(file, error);
    if (backend->fd < 0) {
        return false;
    }
    page = ram_fd_page_size(backend->fd);
    if (!check_align(file, page, error) || !fit_file(file, page, error)) {
        return false;
    }
    mapping->align = file->align;
    mapping->readonly = file->readonly;
    return true;
}

/* Spare the host writing it to the disk. */
static void file_discard(RamBackend *backend)
{
    const FileBackend *file = (FileBackend *)backend;

    if (file->discard_data && backend->share && !file->readonly) {
        madvise(backend->host, backend->size, MADV_REMOVE);
    }
}

static const Property file_properties[] = {
    { PROP_FIELD_(prop_kind_string, "mem-path", FileBackend, mem_path,
                  "the file, or a directory to make one in"), .flags = PROP_REQUIRED },
    PROP_SIZE("align", FileBackend, align, 0, "alignment of the memory in this process"),
    PROP_BOOL("discard-data", FileBackend, discard_data, false,
              "the contents need not survive this process"),
    PROP_BOOL("readonly", FileBackend, readonly, false, "the guest cannot write"),
    PROP_BOOL("pmem", FileBackend, pmem, false, "the file is on persistent memory"),
    PROP_END,
};

static const RamBackendOps file_ops = {
    .prepare = file_prepare,
    .discard = file_discard,
};

static const TypeInfo hostmem_file_type = {
    .name = TYPE_MEMORY_BACKEND_FILE,
    .parent = TYPE_MEMORY_BACKEND,
    .description = "host memory that is a file, such as on hugetlbfs",
    .instance_size = sizeof(FileBackend),
    .user_creatable = true,
    .properties = file_properties,
    .ops = &file_ops,
};
QOM_TYPE(hostmem_file_type);
