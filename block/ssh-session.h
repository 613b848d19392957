/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file on an SSH server, by libssh. For block/ssh*.c, the module block-ssh.
 *
 * libssh waits inside its functions, so all of these block: they are for threads of the pool, one
 * at a time for each SshFile. (libssh has no functions for writing that return at once.)
 */
#ifndef VIREO_BLOCK_SSH_SESSION_H
#define VIREO_BLOCK_SSH_SESSION_H

/* Leave out its old names, some of which are io/channel.h's too. */
#define LIBSSH_LEGACY_0_4

#include <glib.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "qapi-types-block-options.h"

typedef struct SshFile {
    ssh_session session;
    sftp_session sftp;
    sftp_file handle;
    char *path;         /* owned */
    bool can_fsync;
    size_t write_chunk; /* bytes of one message */
} SshFile;

/* access: O_RDONLY, O_RDWR, with O_CREAT and O_TRUNC. On failure nothing is left. */
bool ssh_file_open(SshFile *file, const BlockdevOptionsSsh *options, int access, GError **error);
void ssh_file_close(SshFile *file);
/* Another handle of the same file; NULL with the error set. */
sftp_file ssh_file_open_handle(SshFile *file, int access, GError **error);
/* Bytes, or -errno. */
int64_t ssh_file_size(SshFile *file);
/* 0 or -errno. What lies beyond the file's end reads as zeroes. */
int ssh_file_read(SshFile *file, int64_t offset, const struct iovec *iov, unsigned n);
int ssh_file_write(SshFile *file, int64_t offset, const struct iovec *iov, unsigned n);
/* -ENOTSUP: the server cannot. */
int ssh_file_sync(SshFile *file);
int ssh_file_resize(SshFile *file, int64_t size);
int ssh_file_unlink(SshFile *file);
/* The reason of the last failure, for people. Borrowed. */
const char *ssh_file_why(SshFile *file);

#endif
