/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting, checking the server's key, logging in, and SFTP.
 *
 * A read sends its requests ahead, up to READS_AHEAD of them, so that a far server costs one round
 * trip and not one each. libssh can only write in step.
 */
#include "block/ssh-session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/socket.h"
#include "util/bits.h"
#include "util/error.h"

/* What every server must take in one message, by the protocol; OpenSSH takes more. */
#define CHUNK (32 * KiB)
#define OPENSSH_CHUNK (128 * KiB)
#define READS_AHEAD 64
#define CONNECT_TIMEOUT_S 30L

/* ---- Errors ---- */

static const struct {
    int sftp, err;
} error_codes[] = {
    { SSH_FX_NO_SUCH_FILE, ENOENT },        { SSH_FX_NO_SUCH_PATH, ENOENT },
    { SSH_FX_PERMISSION_DENIED, EACCES },   { SSH_FX_WRITE_PROTECT, EROFS },
    { SSH_FX_NO_CONNECTION, ENOTCONN },     { SSH_FX_CONNECTION_LOST, ENOTCONN },
    { SSH_FX_OP_UNSUPPORTED, ENOTSUP },     { SSH_FX_FILE_ALREADY_EXISTS, EEXIST },
    { SSH_FX_NO_MEDIA, ENOMEDIUM },
};

static int last_errno(SshFile *file)
{
    int code = sftp_get_error(file->sftp);

    for (size_t i = 0; i < G_N_ELEMENTS(error_codes); i++) {
        if (error_codes[i].sftp == code) {
            return error_codes[i].err;
        }
    }
    return EIO;
}

const char *ssh_file_why(SshFile *file)
{
    int code = file->sftp ? sftp_get_error(file->sftp) : SSH_FX_OK;

    return code == SSH_FX_OK || code == SSH_FX_FAILURE ? ssh_get_error(file->session)
                                                       : g_strerror(last_errno(file));
}

/* ---- The server's key ---- */

static const enum ssh_publickey_hash_type hash_types[] = {
    [SSH_HOST_KEY_CHECK_HASH_TYPE_MD5] = SSH_PUBLICKEY_HASH_MD5,
    [SSH_HOST_KEY_CHECK_HASH_TYPE_SHA1] = SSH_PUBLICKEY_HASH_SHA1,
    [SSH_HOST_KEY_CHECK_HASH_TYPE_SHA256] = SSH_PUBLICKEY_HASH_SHA256,
};

/* Hexadecimal digits, with or without colons. */
static bool same_fingerprint(const uint8_t *hash, size_t len, const char *text)
{
    for (size_t i = 0; i < len; i++) {
        int high, low;

        text += *text == ':' && i;
        high = g_ascii_xdigit_value(text[0]);
        low = high < 0 ? -1 : g_ascii_xdigit_value(text[1]);
        if (low < 0 || hash[i] != (high << 4 | low)) {
            return false;
        }
        text += 2;
    }
    return *text == '\0';
}

static bool check_hash(SshFile *file, const SshHostKeyHash *wanted, GError **error)
{
    ssh_key key = NULL;
    uint8_t *hash = NULL;
    size_t len;
    bool ok;

    if (ssh_get_server_publickey(file->session, &key) != SSH_OK) {
        error_setf(error, "Could not read the server's key: %s", ssh_get_error(file->session));
        return false;
    }
    if (ssh_get_publickey_hash(key, hash_types[wanted->type], &hash, &len) != 0) {
        ssh_key_free(key);
        error_setf(error, "Could not make the fingerprint of the server's key");
        return false;
    }
    ssh_key_free(key);
    ok = same_fingerprint(hash, len, wanted->hash);
    if (!ok) {
        g_autofree char *is = ssh_get_hexa(hash, len);

        error_setf(error, "The server's key has another %s fingerprint than '%s': %s",
                   SshHostKeyCheckHashType_str(wanted->type), wanted->hash, is);
    }
    ssh_clean_pubkey_hash(&hash);
    return ok;
}

static bool check_known_hosts(SshFile *file, const char *host, GError **error)
{
    switch (ssh_session_is_known_server(file->session)) {
    case SSH_KNOWN_HOSTS_OK:
        return true;
    case SSH_KNOWN_HOSTS_CHANGED:
        error_setf(error, "The key of server '%s' is not the one in known_hosts: somebody may be "
                   "listening in", host);
        return false;
    case SSH_KNOWN_HOSTS_OTHER:
        error_setf(error, "Server '%s' shows another kind of key than known_hosts has", host);
        return false;
    case SSH_KNOWN_HOSTS_UNKNOWN:
    case SSH_KNOWN_HOSTS_NOT_FOUND:
        error_setf(error, "The key of server '%s' is not in known_hosts: connect once with ssh(1), "
                   "or give its fingerprint (host-key-check.mode=hash)", host);
        return false;
    default:
        error_setf(error, "Could not check the server's key: %s", ssh_get_error(file->session));
        return false;
    }
}

static bool check_host_key(SshFile *file, const BlockdevOptionsSsh *options, GError **error)
{
    const SshHostKeyCheck *check = options->host_key_check;

    switch (check ? check->mode : SSH_HOST_KEY_CHECK_MODE_KNOWN_HOSTS) {
    case SSH_HOST_KEY_CHECK_MODE_NONE:
        return true;
    case SSH_HOST_KEY_CHECK_MODE_HASH:
        return check_hash(file, &check->u.hash, error);
    default:
        return check_known_hosts(file, options->server->host, error);
    }
}

/* ---- Connecting ---- */

/* A server that is gone must not keep a thread for ever. */
static void watch_connection(int fd)
{
    int on = 1, idle = 15, interval = 5, count = 6, unanswered_ms = 60000;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int connect_socket(const InetSocketAddress *server, GError **error)
{
    const SocketAddress address = { .type = SOCKET_ADDRESS_TYPE_INET, .u.inet = *server };
    int fd = socket_connect_fd(&address, error);

    if (fd >= 0) {
        watch_connection(fd);
    }
    return fd;
}

/* The user's ~/.ssh/config counts where the options say nothing. */
static bool configure(SshFile *file, const BlockdevOptionsSsh *options, int fd)
{
    ssh_session s = file->session;
    long timeout = CONNECT_TIMEOUT_S;

    return ssh_options_set(s, SSH_OPTIONS_HOST, options->server->host) == SSH_OK &&
           ssh_options_parse_config(s, NULL) == SSH_OK &&
           ssh_options_set(s, SSH_OPTIONS_PORT_STR, options->server->port) == SSH_OK &&
           (!options->user || ssh_options_set(s, SSH_OPTIONS_USER, options->user) == SSH_OK) &&
           ssh_options_set(s, SSH_OPTIONS_COMPRESSION, "none") == SSH_OK &&
           ssh_options_set(s, SSH_OPTIONS_TIMEOUT, &timeout) == SSH_OK &&
           ssh_options_set(s, SSH_OPTIONS_FD, &fd) == SSH_OK;
}

static bool connect_session(SshFile *file, const BlockdevOptionsSsh *options, GError **error)
{
    int fd = connect_socket(options->server, error);

    if (fd < 0) {
        return false;
    }
    file->session = ssh_new();
    if (!file->session || !configure(file, options, fd)) {
        close(fd);
        error_setf(error, "Could not set up SSH: %s",
                   file->session ? ssh_get_error(file->session) : "no memory");
        return false;
    }
    if (ssh_connect(file->session) != SSH_OK) { /* fd is libssh's from here on */
        error_setf(error, "Could not begin SSH with server '%s': %s", options->server->host,
                   ssh_get_error(file->session));
        return false;
    }
    return true;
}

/* Keys only: of the agent, then the user's files. */
static bool log_in(SshFile *file, GError **error)
{
    int ret = ssh_userauth_none(file->session, NULL);

    if (ret != SSH_AUTH_SUCCESS && ret != SSH_AUTH_ERROR &&
        (ssh_userauth_list(file->session, NULL) & SSH_AUTH_METHOD_PUBLICKEY)) {
        ret = ssh_userauth_publickey_auto(file->session, NULL, NULL);
    }
    if (ret == SSH_AUTH_SUCCESS) {
        return true;
    }
    if (ret == SSH_AUTH_ERROR) {
        error_setf(error, "Could not log in: %s", ssh_get_error(file->session));
    } else {
        error_setf(error, "Could not log in: the server took no key of the agent's or of ~/.ssh "
                   "(passwords are not supported)");
    }
    return false;
}

static bool start_sftp(SshFile *file, GError **error)
{
    file->sftp = sftp_new(file->session);
    if (!file->sftp || sftp_init(file->sftp) < 0) {
        error_setf(error, "The server does not do SFTP: %s", ssh_get_error(file->session));
        return false;
    }
    file->can_fsync = sftp_extension_supported(file->sftp, "fsync@openssh.com", "1");
    file->write_chunk = ssh_get_openssh_version(file->session) ? OPENSSH_CHUNK : CHUNK;
    return true;
}

sftp_file ssh_file_open_handle(SshFile *file, int access, GError **error)
{
    sftp_file handle = sftp_open(file->sftp, file->path, access, 0644);

    if (!handle) {
        error_set_errno(error, last_errno(file), "Could not open '%s' on the server", file->path);
    }
    return handle;
}

bool ssh_file_open(SshFile *file, const BlockdevOptionsSsh *options, int access, GError **error)
{
    file->path = g_strdup(options->path);
    if (connect_session(file, options, error) && check_host_key(file, options, error) &&
        log_in(file, error) && start_sftp(file, error) &&
        (file->handle = ssh_file_open_handle(file, access, error))) {
        return true;
    }
    ssh_file_close(file);
    return false;
}

void ssh_file_close(SshFile *file)
{
    if (file->handle) {
        sftp_close(file->handle);
    }
    if (file->sftp) {
        sftp_free(file->sftp);
    }
    if (file->session) {
        ssh_disconnect(file->session);
        ssh_free(file->session);
    }
    g_free(file->path);
    *file = (SshFile) { 0 };
}

/* ---- Requests ---- */

int64_t ssh_file_size(SshFile *file)
{
    sftp_attributes attributes = sftp_fstat(file->handle);
    int64_t size;

    if (!attributes) {
        return -last_errno(file);
    }
    size = attributes->flags & SSH_FILEXFER_ATTR_SIZE && attributes->size <= INT64_MAX
               ? (int64_t)attributes->size : -EIO;
    sftp_attributes_free(attributes);
    return size;
}

/* Scattered memory in pieces of at most `chunk` bytes. */
typedef struct Walk {
    const struct iovec *iov;
    unsigned n;
    size_t done; /* of *iov */
    int64_t offset;
} Walk;

typedef struct Piece {
    uint8_t *buf;
    size_t len;
    int64_t offset;
    uint32_t id;
} Piece;

static bool next_piece(Walk *walk, size_t chunk, Piece *piece)
{
    while (walk->n && walk->done == walk->iov->iov_len) {
        walk->iov++;
        walk->n--;
        walk->done = 0;
    }
    if (!walk->n) {
        return false;
    }
    *piece = (Piece) {
        .buf = (uint8_t *)walk->iov->iov_base + walk->done,
        .len = MIN(chunk, walk->iov->iov_len - walk->done), .offset = walk->offset,
    };
    walk->done += piece->len;
    walk->offset += (int64_t)piece->len;
    return true;
}

/* What a server left out of its answer, or all. */
static int read_rest(SshFile *file, const Piece *piece, size_t done)
{
    while (done < piece->len) {
        ssize_t got;

        if (sftp_seek64(file->handle, (uint64_t)piece->offset + done) < 0) {
            return -EIO;
        }
        got = sftp_read(file->handle, piece->buf + done, piece->len - done);
        if (got < 0) {
            return -last_errno(file);
        }
        if (got == 0) {
            memset(piece->buf + done, 0, piece->len - done);
            break;
        }
        done += (size_t)got;
    }
    return 0;
}

static int send_read(SshFile *file, Piece *piece)
{
    int id;

    if (sftp_seek64(file->handle, (uint64_t)piece->offset) < 0) {
        return -EIO;
    }
    id = sftp_async_read_begin(file->handle, (uint32_t)piece->len);
    piece->id = (uint32_t)id;
    return id < 0 ? -last_errno(file) : 0;
}

static int take_read(SshFile *file, const Piece *piece)
{
    int got;

    sftp_seek64(file->handle, 0); /* forgets an end of file that another answer has met */
    got = sftp_async_read(file->handle, piece->buf, (uint32_t)piece->len, piece->id);
    if (got < 0) {
        return -last_errno(file);
    }
    return (size_t)got < piece->len ? read_rest(file, piece, (size_t)got) : 0;
}

int ssh_file_read(SshFile *file, int64_t offset, const struct iovec *iov, unsigned n)
{
    Walk walk = { .iov = iov, .n = n, .offset = offset };
    Piece ring[READS_AHEAD];
    unsigned sent = 0, taken = 0;
    bool more = true;
    int ret = 0, each;

    for (;;) {
        while (ret == 0 && more && sent - taken < READS_AHEAD &&
               (more = next_piece(&walk, CHUNK, &ring[sent % READS_AHEAD]))) {
            ret = send_read(file, &ring[sent % READS_AHEAD]);
            sent += ret == 0;
        }
        if (taken == sent) {
            return ret;
        }
        /* After a failure the other answers are still taken: none may stay in libssh's queue. */
        each = take_read(file, &ring[taken++ % READS_AHEAD]);
        ret = ret < 0 ? ret : each;
    }
}

int ssh_file_write(SshFile *file, int64_t offset, const struct iovec *iov, unsigned n)
{
    Walk walk = { .iov = iov, .n = n, .offset = offset };
    Piece piece;

    if (sftp_seek64(file->handle, (uint64_t)offset) < 0) {
        return -EIO;
    }
    while (next_piece(&walk, file->write_chunk, &piece)) {
        ssize_t put = sftp_write(file->handle, piece.buf, piece.len);

        if (put < 0) {
            return -last_errno(file);
        }
        if ((size_t)put != piece.len) {
            return -EIO;
        }
    }
    return 0;
}

int ssh_file_sync(SshFile *file)
{
    if (!file->can_fsync) {
        return -ENOTSUP;
    }
    return sftp_fsync(file->handle) < 0 ? -last_errno(file) : 0;
}

int ssh_file_resize(SshFile *file, int64_t size)
{
    struct sftp_attributes_struct attributes = {
        .flags = SSH_FILEXFER_ATTR_SIZE, .size = (uint64_t)size,
    };

    return sftp_setstat(file->sftp, file->path, &attributes) < 0 ? -last_errno(file) : 0;
}

int ssh_file_unlink(SshFile *file)
{
    return sftp_unlink(file->sftp, file->path) < 0 ? -last_errno(file) : 0;
}
