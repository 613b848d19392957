/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file on an SSH server as a disk. The module block-ssh.
 *
 * libssh waits inside its functions, and one session is for one thread at a time. So every request
 * is done by a thread of the pool, under the disk's lock, while the loop goes on. Nothing of it is
 * bound to a loop: a node may move at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "block/driver.h"
#include "block/io.h"
#include "block/node.h"
#include "block/ssh-session.h"
#include "util/bits.h"
#include "util/co-lock.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/thread-pool.h"

/* The lock is held so long by one request. */
#define MAX_TRANSFER (4 * (int64_t)MiB)

typedef struct SshDisk {
    SshFile file;
    CoMutex lock;
    bool warned;            /* that nothing reaches stable storage */
    char *name;             /* "ssh://..."; NULL: only options can say it */
} SshDisk;

/* ---- Work on the pool ---- */

typedef struct SshWork {
    SshFile *file;
    const BlockdevOptionsSsh *options;
    int access;
    int64_t offset, size;
    const struct iovec *iov;
    unsigned n;
    sftp_file handle;
    GError **error;
    ThreadPoolWork *fn;
    int result;
} SshWork;

static void work_coroutine(void *opaque)
{
    SshWork *work = opaque;

    work->result = thread_pool_run(work->fn, work);
}

/* In a coroutine or, on the main thread, not. */
static int run_work(SshWork *work, ThreadPoolWork *fn)
{
    work->fn = fn;
    if (coroutine_current()) {
        work_coroutine(work);
    } else {
        coroutine_run(work_coroutine, work);
    }
    return work->result;
}

static int run_locked(SshDisk *disk, SshWork *work, ThreadPoolWork *fn)
{
    int ret;

    work->file = &disk->file;
    co_mutex_lock(&disk->lock);
    ret = run_work(work, fn);
    co_mutex_unlock(&disk->lock);
    return ret;
}

static int open_work(void *opaque)
{
    SshWork *work = opaque;

    if (!ssh_file_open(work->file, work->options, work->access, work->error)) {
        return -EIO;
    }
    work->size = ssh_file_size(work->file);
    if (work->size < 0 || work->size > BLOCK_MAX_LENGTH) {
        error_setf(work->error, "The server does not tell the size of '%s'", work->file->path);
        ssh_file_close(work->file);
        return -EIO;
    }
    return 0;
}

static int close_work(void *opaque)
{
    ssh_file_close(((SshWork *)opaque)->file);
    return 0;
}

static int handle_work(void *opaque)
{
    SshWork *work = opaque;

    work->handle = ssh_file_open_handle(work->file, work->access, work->error);
    return work->handle ? 0 : -EIO;
}

static int close_handle_work(void *opaque)
{
    sftp_close(((SshWork *)opaque)->handle);
    return 0;
}

static int read_work(void *opaque)
{
    SshWork *work = opaque;

    return ssh_file_read(work->file, work->offset, work->iov, work->n);
}

static int write_work(void *opaque)
{
    SshWork *work = opaque;

    return ssh_file_write(work->file, work->offset, work->iov, work->n);
}

static int sync_work(void *opaque)
{
    return ssh_file_sync(((SshWork *)opaque)->file);
}

static int resize_work(void *opaque)
{
    SshWork *work = opaque;
    int ret = ssh_file_resize(work->file, work->size);

    if (ret < 0) {
        error_setf(work->error, "Could not resize '%s' on the server: %s", work->file->path,
                   ssh_file_why(work->file));
    }
    return ret;
}

static int unlink_work(void *opaque)
{
    SshWork *work = opaque;
    int ret = ssh_file_unlink(work->file);

    if (ret < 0) {
        error_setf(work->error, "Could not delete '%s' on the server: %s", work->file->path,
                   ssh_file_why(work->file));
    }
    return ret;
}

/* ---- File names ---- */

static void add_text(json_object *to, const char *key, const char *value)
{
    json_object_object_add(to, key, json_object_new_string(value));
}

/* "no", "yes", "md5:DIGITS", "sha1:DIGITS", "sha256:DIGITS". */
static bool add_host_key_check(json_object *options, const char *text, GError **error)
{
    const char *colon = strchr(text, ':');
    g_autofree char *type = g_strndup(text, colon ? (size_t)(colon - text) : strlen(text));
    json_object *check;

    if (strcmp(text, "no") != 0 && strcmp(text, "yes") != 0 &&
        !(colon && (!strcmp(type, "md5") || !strcmp(type, "sha1") || !strcmp(type, "sha256")))) {
        error_setf(error, "host_key_check is 'yes', 'no', or a fingerprint: 'md5:', 'sha1:' or "
                   "'sha256:' and its digits; not '%s'", text);
        return false;
    }
    check = json_object_new_object();
    add_text(check, "mode", colon ? "hash" : !strcmp(text, "no") ? "none" : "known_hosts");
    if (colon) {
        add_text(check, "type", type);
        add_text(check, "hash", colon + 1);
    }
    json_object_object_add(options, "host-key-check", check);
    return true;
}

static bool take_query(const char *query, json_object *options, GError **error)
{
    g_autoptr(GHashTable) words = query ? g_uri_parse_params(query, -1, "&", G_URI_PARAMS_NONE,
                                                             error) : NULL;
    GHashTableIter iter;
    void *key, *value;

    if (!query) {
        return true;
    }
    if (!words) {
        return false;
    }
    g_hash_table_iter_init(&iter, words);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (strcmp(key, "host_key_check") != 0) {
            error_setf(error, "'%s' is no word of an ssh file name; only 'host_key_check' is",
                       (const char *)key);
            return false;
        }
        if (!add_host_key_check(options, value, error)) {
            return false;
        }
    }
    return true;
}

/* "ssh://[USER@]HOST[:PORT]/PATH[?host_key_check=...]". */
static bool ssh_parse_filename(const char *filename, json_object *options, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(filename, G_URI_FLAGS_HAS_PASSWORD, error);
    g_autofree char *port = NULL;
    json_object *server;

    if (!uri) {
        g_prefix_error(error, "'%s': ", filename);
        return false;
    }
    if (json_object_object_get_ex(options, "server", NULL) ||
        json_object_object_get_ex(options, "path", NULL)) {
        error_setf(error, "The file name '%s' and the options name two files", filename);
        return false;
    }
    if (!g_uri_get_host(uri) || !*g_uri_get_host(uri) || strlen(g_uri_get_path(uri)) < 2) {
        error_setf(error, "'%s' is not \"ssh://[USER@]HOST[:PORT]/PATH\"", filename);
        return false;
    }
    if (g_uri_get_password(uri)) {
        error_setf(error, "ssh file names have no passwords: keys of the agent and of ~/.ssh are "
                   "used");
        return false;
    }
    server = json_object_new_object();
    port = g_strdup_printf("%d", g_uri_get_port(uri) == -1 ? 22 : g_uri_get_port(uri));
    add_text(server, "host", g_uri_get_host(uri));
    add_text(server, "port", port);
    json_object_object_add(options, "server", server);
    add_text(options, "path", g_uri_get_path(uri));
    if (g_uri_get_user(uri)) {
        add_text(options, "user", g_uri_get_user(uri));
    }
    return take_query(g_uri_get_query(uri), options, error);
}

static bool ssh_take_old_options(json_object *options, GError **error)
{
    json_object *check;

    if (!block_server_from_old_options(options, "22", false, error)) {
        return false;
    }
    if (!json_object_object_get_ex(options, "host_key_check", &check)) {
        return true;
    }
    if (json_object_object_get_ex(options, "host-key-check", NULL)) {
        error_setf(error, "'host_key_check' and 'host-key-check' are the same option");
        return false;
    }
    if (!add_host_key_check(options, json_object_get_string(check), error)) {
        return false;
    }
    json_object_object_del(options, "host_key_check");
    return true;
}

static char *key_check_text(const SshHostKeyCheck *check)
{
    if (!check || check->mode == SSH_HOST_KEY_CHECK_MODE_KNOWN_HOSTS) {
        return g_strdup("");
    }
    return check->mode == SSH_HOST_KEY_CHECK_MODE_NONE
               ? g_strdup("?host_key_check=no")
               : g_strdup_printf("?host_key_check=%s:%s",
                                 SshHostKeyCheckHashType_str(check->u.hash.type),
                                 check->u.hash.hash);
}

/* NULL: no file name says it. */
static char *name_of(const BlockdevOptionsSsh *o)
{
    g_autofree char *check = key_check_text(o->host_key_check);
    g_autofree char *path = g_uri_escape_string(o->path, "/", TRUE);
    g_autofree char *user = o->user ? g_uri_escape_string(o->user, NULL, TRUE) : NULL;
    bool is_ipv6 = strchr(o->server->host, ':');

    if (o->path[0] != '/' || o->server->has_ipv4 || o->server->has_ipv6) {
        return NULL;
    }
    return g_strdup_printf("ssh://%s%s%s%s%s:%s%s%s", user ? user : "", user ? "@" : "",
                           is_ipv6 ? "[" : "", o->server->host, is_ipv6 ? "]" : "",
                           o->server->port, path, check);
}

static bool ssh_refresh_filename(BlockNode *node)
{
    SshDisk *disk = node->opaque;

    if (!disk->name) {
        return false;
    }
    g_free(node->filename);
    node->filename = g_strdup(disk->name);
    return true;
}

/* ---- Life ---- */

static bool ssh_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    SshDisk *disk = node->opaque;
    GError *why = NULL;
    SshWork work = {
        .file = &disk->file, .options = &options->u.ssh, .error = &why,
        .access = node->mode.read_only ? O_RDONLY : O_RDWR,
    };

    if (run_work(&work, open_work) < 0 && work.access == O_RDWR && node->mode.auto_read_only) {
        g_clear_error(&why);
        node->mode.read_only = true;
        work.access = O_RDONLY;
        run_work(&work, open_work);
    }
    if (why) {
        g_propagate_error(error, why);
        return false;
    }
    co_mutex_init(&disk->lock);
    disk->name = name_of(&options->u.ssh);
    node->size = work.size;
    return true;
}

static void ssh_close(BlockNode *node)
{
    SshDisk *disk = node->opaque;
    SshWork work = { .file = &disk->file };

    run_work(&work, close_work);
    co_mutex_cleanup(&disk->lock);
    g_free(disk->name);
}

/* A handle with the access that the new mode needs. */
static bool ssh_reopen_prepare(BlockReopen *reopen, GError **error)
{
    SshDisk *disk = reopen->node->opaque;
    SshWork work = {
        .file = &disk->file, .access = reopen->read_only ? O_RDONLY : O_RDWR, .error = error,
    };

    if (reopen->read_only != reopen->node->mode.read_only &&
        run_work(&work, handle_work) < 0) {
        return false;
    }
    reopen->opaque = work.handle;
    return true;
}

static void drop_handle(sftp_file handle)
{
    SshWork work = { .handle = handle };

    if (handle) {
        run_work(&work, close_handle_work);
    }
}

static void ssh_reopen_commit(BlockReopen *reopen)
{
    SshDisk *disk = reopen->node->opaque;
    sftp_file old = disk->file.handle;

    if (reopen->opaque) {
        disk->file.handle = reopen->opaque;
        drop_handle(old);
    }
}

static void ssh_reopen_abort(BlockReopen *reopen)
{
    drop_handle(reopen->opaque);
}

static void ssh_refresh_limits(BlockNode *node)
{
    node->limits.max_transfer = MAX_TRANSFER;
}

/* ---- Requests ---- */

static int transfer(BlockNode *node, ThreadPoolWork *fn, int64_t offset, int64_t bytes,
                    const BlockVec *vec, size_t vec_offset)
{
    g_autofree struct iovec *iov = g_new(struct iovec, vec->n);
    SshWork work = {
        .offset = offset, .iov = iov,
        .n = iov_slice(iov, vec->n, vec->iov, vec->n, vec_offset, (size_t)bytes),
    };

    return run_locked(node->opaque, &work, fn);
}

static int ssh_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    return transfer(node, read_work, offset, bytes, vec, vec_offset);
}

static int ssh_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    return transfer(node, write_work, offset, bytes, vec, vec_offset);
}

static int ssh_flush(BlockNode *node)
{
    SshDisk *disk = node->opaque;
    int ret = run_locked(disk, &(SshWork){ 0 }, sync_work);

    if (ret != -ENOTSUP) {
        return ret;
    }
    if (!disk->warned) {
        warn_report("The SSH server of '%s' does not know fsync: what was written may be lost if "
                    "it crashes", disk->file.path);
        disk->warned = true;
    }
    return 0;
}

static int ssh_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    SshWork work = { .size = truncate->size, .error = error };
    int ret;

    if (truncate->prealloc != PREALLOC_MODE_OFF) {
        error_setf(error, "Preallocation '%s' is not possible over SSH",
                   PreallocMode_str(truncate->prealloc));
        return -ENOTSUP;
    }
    ret = run_locked(node->opaque, &work, resize_work);
    if (ret == 0) {
        node->size = truncate->size;
    }
    return ret;
}

static int64_t ssh_allocated_size(BlockNode *node)
{
    return -ENOTSUP;
}

static bool ssh_has_zero_init(BlockNode *node)
{
    return true;
}

/* ---- Images ---- */

static const BlockOption ssh_create_options[] = {
    { "size", BLOCK_OPTION_SIZE, "size of the disk" },
    { NULL },
};

/* What says where the file is stands one level deeper in the schema. */
static bool ssh_translate_create_options(json_object *options, GError **error)
{
    static const char *const keys[] = { "server", "path", "user", "host-key-check" };
    json_object *location = json_object_new_object();
    json_object *value;

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (json_object_object_get_ex(options, keys[i], &value)) {
            json_object_object_add(location, keys[i], json_object_get(value));
            json_object_object_del(options, keys[i]);
        }
    }
    json_object_object_add(options, "location", location);
    return true;
}

static int create_work(void *opaque)
{
    SshWork *work = opaque;
    int ret;

    if (!ssh_file_open(work->file, work->options, work->access, work->error)) {
        return -EIO;
    }
    ret = work->size ? resize_work(work) : 0;
    ssh_file_close(work->file);
    return ret;
}

static bool ssh_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsSsh *o = &options->u.ssh;
    SshFile file = { 0 };
    SshWork work = {
        .file = &file, .options = o->location, .access = O_RDWR | O_CREAT | O_TRUNC,
        .size = (int64_t)o->size, .error = error,
    };

    if (o->size > BLOCK_MAX_LENGTH) {
        error_setf(error, "A disk cannot have %" PRIu64 " bytes", o->size);
        return false;
    }
    return run_work(&work, create_work) == 0;
}

static bool ssh_delete_file(BlockNode *node, GError **error)
{
    SshDisk *disk = node->opaque;
    SshWork work = { .file = &disk->file, .error = error };

    return run_work(&work, unlink_work) == 0;
}

static const char *const ssh_strong_options[] = {
    "server", "path", "user", "host-key-check", NULL,
};

static const BlockDriver ssh_driver = {
    .name = "ssh",
    .kind = BLOCKDEV_DRIVER_SSH,
    .protocol = "ssh",
    .instance_size = sizeof(SshDisk),
    .grows_on_write = true,
    .strong_options = ssh_strong_options,
    .parse_filename = ssh_parse_filename,
    .take_old_options = ssh_take_old_options,
    .open = ssh_open,
    .close = ssh_close,
    .reopen_prepare = ssh_reopen_prepare,
    .reopen_commit = ssh_reopen_commit,
    .reopen_abort = ssh_reopen_abort,
    .refresh_limits = ssh_refresh_limits,
    .refresh_filename = ssh_refresh_filename,
    .preadv = ssh_preadv,
    .pwritev = ssh_pwritev,
    .flush_to_disk = ssh_flush,
    .truncate = ssh_truncate,
    .allocated_size = ssh_allocated_size,
    .has_zero_init = ssh_has_zero_init,
    .create_options = ssh_create_options,
    .translate_create_options = ssh_translate_create_options,
    .create = ssh_create,
    .delete_file = ssh_delete_file,
};

static __attribute__((constructor)) void register_driver(void)
{
    block_driver_register(&ssh_driver);
}
