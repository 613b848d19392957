/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports of type fuse, a module: a disk as the content of one regular file, over which it is
 * mounted. libfuse's low-level interface calls one function for each request; each starts a
 * coroutine, which answers when the disk is done.
 *
 * The descriptor of the mount is watched on one loop, the one that the node lived on when the
 * export was made; if the node has moved since, requests go there. The watch holds a reference to
 * the export, and so does each request.
 */
#define FUSE_USE_VERSION 35

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/backend-internal.h"
#include "block/export.h"
#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"

/* What one read may ask for. */
#define MAX_READ (1u << 20)
/* Attributes can change behind the kernel's back: it asks each time. */
#define ATTR_TIMEOUT 0.0

typedef struct Export {
    BlockExport base;
    char *mountpoint;
    struct fuse_session *session;
    struct fuse_buf buffer;
    bool buffer_taken;        /* by a write */
    bool growable;
    Loop *loop;               /* of the watch */
    /* What the file shows. */
    mode_t mode;
    uid_t uid;
    gid_t gid;
} Export;

typedef struct Request Request;
struct Request {
    Export *export;
    fuse_req_t req;
    void (*run)(Request *request);
    off_t offset;
    size_t size;
    int mode;                 /* fallocate's, or lseek's whence */
    const char *data;         /* of a write */
    void *memory;             /* which it stands in; owned */
    struct stat attr;
    int to_set;
};

/* ---- Going to the disk and coming back ---- */

static void request_run(void *opaque)
{
    Request *request = opaque;
    BlockExport *export = &request->export->base;

    coroutine_move(block_backend_loop(export->blk));
    request->run(request);
    free(request->memory);
    g_free(request);
    block_export_unref(export);
}

static void start(fuse_req_t req, void (*run)(Request *request), const Request *what)
{
    Request *request = g_memdup2(what, sizeof(*what));

    request->export = fuse_req_userdata(req);
    request->req = req;
    request->run = run;
    block_export_ref(&request->export->base);
    coroutine_start(request_run, request);
}

static BlockBackend *disk_of(const Request *request)
{
    return request->export->base.blk;
}

static void reply_result(Request *request, int ret)
{
    fuse_reply_err(request->req, ret < 0 ? -ret : 0);
}

/* ---- Attributes ---- */

static void reply_attr(Request *request)
{
    const Export *export = request->export;
    BlockBackend *blk = disk_of(request);
    int64_t length = block_backend_getlength(blk), allocated;
    struct stat attr = {
        .st_ino = FUSE_ROOT_ID, .st_mode = S_IFREG | export->mode, .st_nlink = 1,
        .st_uid = export->uid, .st_gid = export->gid, .st_size = length, .st_blksize = 4096,
    };

    if (length < 0) {
        reply_result(request, (int)length);
        return;
    }
    block_backend_enter(blk);
    allocated = block_allocated_size(block_backend_node(blk));
    block_backend_leave(blk);
    attr.st_blocks = (allocated < 0 ? length : allocated) / 512;
    clock_gettime(CLOCK_REALTIME, &attr.st_mtim);
    attr.st_atim = attr.st_ctim = attr.st_mtim;
    fuse_reply_attr(request->req, &attr, ATTR_TIMEOUT);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    start(req, reply_attr, &(Request){ 0 });
}

/* ---- Size ---- */

/* Permissions belong to the main thread. */
static bool allow_resizing(Request *request, bool allow)
{
    const BlockExport *export = &request->export->base;
    unsigned perm = BLOCK_PERM_CONSISTENT_READ | (export->writable ? BLOCK_PERM_WRITE : 0) |
                    (allow ? BLOCK_PERM_RESIZE : 0);
    bool ok;

    coroutine_move(loop_main());
    ok = block_backend_set_perm(export->blk, perm, BLOCK_PERM_ALL, NULL);
    coroutine_move(block_backend_loop(export->blk));
    return ok;
}

static int set_size(Request *request, int64_t size, PreallocMode prealloc)
{
    Export *export = request->export;
    BlockTruncate truncate = { .size = size, .exact = true, .prealloc = prealloc,
                               .flags = BLOCK_REQ_ZERO_WRITE };
    int ret;

    if (!export->base.writable) {
        return -EACCES;
    }
    if (size < 0 || size > BLOCK_MAX_LENGTH) {
        return -EFBIG;
    }
    if (!export->growable && !allow_resizing(request, true)) {
        return -EPERM;
    }
    ret = block_backend_truncate(export->base.blk, &truncate, NULL);
    if (!export->growable) {
        allow_resizing(request, false);
    }
    return ret;
}

/* Before something is done up to `end`: 0, or -errno. */
static int grow_to(Request *request, int64_t end)
{
    int64_t length = block_backend_getlength(disk_of(request));

    if (length < 0 || end <= length) {
        return length < 0 ? (int)length : 0;
    }
    return request->export->growable ? set_size(request, end, PREALLOC_MODE_OFF) : -ENOSPC;
}

static void run_setattr(Request *request)
{
    Export *export = request->export;
    int known = FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID |
                FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
                FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME;
    int ret = 0;

    if (request->to_set & ~known) {
        ret = -ENOTSUP;
    } else if (request->to_set & FUSE_SET_ATTR_SIZE) {
        ret = set_size(request, request->attr.st_size, PREALLOC_MODE_OFF);
    }
    if (ret < 0) {
        reply_result(request, ret);
        return;
    }
    if (request->to_set & FUSE_SET_ATTR_MODE) {
        export->mode = request->attr.st_mode & 0777;
    }
    if (request->to_set & FUSE_SET_ATTR_UID) {
        export->uid = request->attr.st_uid;
    }
    if (request->to_set & FUSE_SET_ATTR_GID) {
        export->gid = request->attr.st_gid;
    }
    reply_attr(request);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *info)
{
    start(req, run_setattr, &(Request){ .attr = *attr, .to_set = to_set });
}

/* ---- Data ---- */

static void run_read(Request *request)
{
    BlockBackend *blk = disk_of(request);
    int64_t length = block_backend_getlength(blk);
    size_t size = request->size;
    void *memory = NULL;
    int ret;

    if (length < 0 || request->offset < 0 || size > MAX_READ) {
        reply_result(request, length < 0 ? (int)length : -EINVAL);
        return;
    }
    size = request->offset < length ? MIN(size, (uint64_t)(length - request->offset)) : 0;
    ret = size && posix_memalign(&memory, 4096, ROUND_UP(size, 4096)) != 0 ? -ENOMEM : 0;
    if (size && ret == 0) {
        ret = block_backend_pread(blk, request->offset, (int64_t)size, memory);
    }
    if (ret < 0) {
        reply_result(request, ret);
    } else {
        fuse_reply_buf(request->req, memory, size);
    }
    free(memory);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
    start(req, run_read, &(Request){ .offset = offset, .size = size });
}

static void run_write(Request *request)
{
    BlockBackend *blk = disk_of(request);
    int64_t length;
    size_t size = request->size;
    int ret;

    if (!request->export->base.writable || request->offset < 0 ||
        request->offset > BLOCK_MAX_LENGTH - (int64_t)MAX_READ) {
        reply_result(request, request->export->base.writable ? -EFBIG : -EACCES);
        return;
    }
    ret = grow_to(request, request->offset + (int64_t)size);
    length = block_backend_getlength(blk);
    if (ret == -ENOSPC && request->offset < length) {
        size = (size_t)(length - request->offset); /* a short write */
        ret = 0;
    }
    if (ret == 0 && size) {
        ret = block_backend_pwrite(blk, request->offset, (int64_t)size, request->data, 0);
    }
    if (ret < 0) {
        reply_result(request, ret);
    } else {
        fuse_reply_write(request->req, size);
    }
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *info)
{
    Export *export = fuse_req_userdata(req);
    Request what = { .offset = offset, .size = size, .data = data,
                     .memory = export->buffer.mem };

    export->buffer_taken = true;
    start(req, run_write, &what);
}

static void run_flush(Request *request)
{
    reply_result(request, block_backend_flush(disk_of(request)));
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    start(req, run_flush, &(Request){ 0 });
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
    start(req, run_flush, &(Request){ 0 });
}

/* ---- Holes ---- */

/* The block layer takes shorter requests. */
static int zero(BlockBackend *blk, int64_t offset, int64_t bytes, unsigned flags)
{
    int ret = 0;

    while (bytes > 0 && ret == 0) {
        int64_t part = MIN(bytes, (int64_t)GiB);

        ret = block_backend_pwrite_zeroes(blk, offset, part, flags);
        offset += part;
        bytes -= part;
    }
    return ret;
}

static int zero_range(Request *request, unsigned flags)
{
    int64_t end = request->offset + (int64_t)request->size, length;

    if (!(request->mode & FALLOC_FL_KEEP_SIZE)) {
        int ret = grow_to(request, end);

        if (ret < 0) {
            return ret;
        }
    }
    length = block_backend_getlength(disk_of(request));
    return zero(disk_of(request), request->offset, MIN(end, length) - request->offset, flags);
}

/* Plain allocation is done for what is added behind the end; the rest is there already. */
static int allocate(Request *request)
{
    int64_t end = request->offset + (int64_t)request->size;
    int64_t length = block_backend_getlength(disk_of(request));

    if (end <= length) {
        return 0;
    }
    return request->export->growable ? set_size(request, end, PREALLOC_MODE_FALLOC) : -ENOSPC;
}

static void run_fallocate(Request *request)
{
    int mode = request->mode & ~FALLOC_FL_KEEP_SIZE;
    int ret;

    if (!request->export->base.writable) {
        ret = -EACCES;
    } else if (request->offset < 0 || (int64_t)request->size <= 0 ||
               !range_ok((uint64_t)request->offset, request->size, BLOCK_MAX_LENGTH)) {
        ret = -EFBIG;
    } else if (mode == FALLOC_FL_PUNCH_HOLE && (request->mode & FALLOC_FL_KEEP_SIZE)) {
        ret = zero_range(request, BLOCK_REQ_MAY_UNMAP);
    } else if (mode == FALLOC_FL_ZERO_RANGE) {
        ret = zero_range(request, 0);
    } else {
        ret = request->mode == 0 ? allocate(request) : -EOPNOTSUPP;
    }
    reply_result(request, ret);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                         struct fuse_file_info *info)
{
    start(req, run_fallocate,
          &(Request){ .mode = mode, .offset = offset, .size = (size_t)length });
}

/* The first offset from `offset` on that is data, or a hole; the end of the file is a hole. */
static int64_t seek(Request *request)
{
    BlockBackend *blk = disk_of(request);
    int64_t offset = request->offset, length = block_backend_getlength(blk);
    bool want_data = request->mode == SEEK_DATA;

    if (length < 0 || offset < 0 || offset >= length) {
        return length < 0 ? length : -ENXIO;
    }
    while (offset < length) {
        BlockStatus status;
        int ret = block_status_above(block_backend_node(blk), NULL, false, offset,
                                     length - offset, &status);

        if (ret < 0) {
            return ret;
        }
        if (status.bytes <= 0 || !(status.flags & BLOCK_STATUS_ZERO) == want_data) {
            return offset;
        }
        offset += status.bytes;
    }
    return want_data ? -ENXIO : length;
}

static void run_seek(Request *request)
{
    int64_t found;

    block_backend_enter(disk_of(request));
    found = seek(request);
    block_backend_leave(disk_of(request));
    if (found < 0) {
        reply_result(request, (int)found);
    } else {
        fuse_reply_lseek(request->req, found);
    }
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
                     struct fuse_file_info *info)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    start(req, run_seek, &(Request){ .offset = offset, .mode = whence });
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    fuse_reply_err(req, ENOENT);
}

static void op_init(void *opaque, struct fuse_conn_info *conn)
{
    conn->max_read = MAX_READ; /* as the mount option says */
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init,
    .lookup = op_lookup,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .read = op_read,
    .write = op_write,
    .fallocate = op_fallocate,
    .flush = op_flush,
    .fsync = op_fsync,
    .lseek = op_lseek,
};

/* ---- The mount ---- */

static void request_comes(void *opaque)
{
    Export *export = opaque;
    int ret = fuse_session_receive_buf(export->session, &export->buffer);

    if (ret == -EINTR || ret == -EAGAIN) {
        return;
    }
    if (ret <= 0) {
        /* Somebody else has unmounted it: nobody will ask again. */
        loop_set_fd(export->loop, fuse_session_fd(export->session), NULL, NULL, NULL);
        return;
    }
    block_export_ref(&export->base);
    fuse_session_process_buf(export->session, &export->buffer);
    if (export->buffer_taken) {
        export->buffer.mem = NULL;
        export->buffer_taken = false;
    }
    block_export_unref(&export->base);
}

static void begin_watch(void *opaque)
{
    Export *export = opaque;

    loop_set_fd(export->loop, fuse_session_fd(export->session), request_comes, NULL, export);
}

static void unmount(void *opaque)
{
    Export *export = opaque;

    fuse_session_unmount(export->session);
    block_export_unref(&export->base);
}

static void give_up_watch(void *opaque)
{
    Export *export = opaque;

    loop_set_fd(export->loop, fuse_session_fd(export->session), NULL, NULL, NULL);
    loop_post(loop_main(), unmount, export);
}

/* libfuse says on stderr why it fails. */
static bool mount_with(Export *export, const char *more, GError **error)
{
    g_autofree char *options =
        g_strdup_printf("-ofsname=vireo,subtype=disk,default_permissions,max_read=%u%s", MAX_READ,
                        more);
    char *argv[] = { (char *)"vireo", options, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(2, argv);

    export->session = fuse_session_new(&args, &ops, sizeof(ops), export);
    fuse_opt_free_args(&args);
    if (export->session && fuse_session_mount(export->session, export->mountpoint) == 0) {
        return true;
    }
    g_clear_pointer(&export->session, fuse_session_destroy);
    error_setf(error, "Failed to mount a FUSE session on '%s'", export->mountpoint);
    return false;
}

static bool mount_session(Export *export, const BlockExportOptionsFuse *options, GError **error)
{
    FuseExportAllowOther others = options->has_allow_other ? options->allow_other
                                                           : FUSE_EXPORT_ALLOW_OTHER_AUTO;

    if (others != FUSE_EXPORT_ALLOW_OTHER_OFF &&
        mount_with(export, ",allow_other",
                   others == FUSE_EXPORT_ALLOW_OTHER_ON ? error : NULL)) {
        return true;
    }
    return others != FUSE_EXPORT_ALLOW_OTHER_ON && mount_with(export, "", error);
}

/* ---- The kind ---- */

static bool check_mountpoint(const char *path, GError **error)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        error_set_errno(error, errno, "Failed to stat '%s'", path);
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        error_setf(error, "'%s' is not a regular file", path);
        return false;
    }
    return true;
}

static bool is_taken(const char *path, GError **error);

static bool export_start(BlockExport *base, const BlockExportOptions *all, GError **error)
{
    const BlockExportOptionsFuse *options = &all->u.fuse;
    Export *export = (Export *)base;
    unsigned perm = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;

    export->growable = options->has_growable && options->growable && base->writable;
    if (is_taken(options->mountpoint, error) || !check_mountpoint(options->mountpoint, error) ||
        (export->growable &&
         !block_backend_set_perm(base->blk, perm, BLOCK_PERM_ALL, error))) {
        return false;
    }
    export->mountpoint = g_strdup(options->mountpoint);
    export->mode = base->writable ? 0600 : 0400;
    export->uid = getuid();
    export->gid = getgid();
    export->loop = block_backend_loop(base->blk);
    if (!mount_session(export, options, error)) {
        g_free(export->mountpoint);
        return false;
    }
    block_export_ref(base); /* of the watch */
    loop_post(export->loop, begin_watch, export);
    return true;
}

static void export_stop(BlockExport *base)
{
    loop_post(((Export *)base)->loop, give_up_watch, base);
}

static void export_cleanup(BlockExport *base)
{
    Export *export = (Export *)base;

    fuse_session_destroy(export->session);
    free(export->buffer.mem);
    g_free(export->mountpoint);
}

static const BlockExportKind fuse_export_kind = {
    .type = BLOCK_EXPORT_TYPE_FUSE,
    .instance_size = sizeof(Export),
    .start = export_start,
    .stop = export_stop,
    .cleanup = export_cleanup,
};

static bool is_taken(const char *path, GError **error)
{
    g_autoptr(GPtrArray) list = block_export_list();

    for (guint i = 0; i < list->len; i++) {
        const BlockExport *export = g_ptr_array_index(list, i);

        if (export->kind == &fuse_export_kind &&
            strcmp(((const Export *)export)->mountpoint, path) == 0) {
            error_setf(error, "There already is a FUSE export on '%s'", path);
            return true;
        }
    }
    return false;
}

static __attribute__((constructor)) void register_kind(void)
{
    block_export_kind_register(&fuse_export_kind);
}
