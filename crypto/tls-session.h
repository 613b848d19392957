/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a TLS connection, over any transport. Sessions are made on the main thread with the VM
 * lock held; afterwards one thread at a time uses one.
 */
#ifndef VIREO_CRYPTO_TLS_SESSION_H
#define VIREO_CRYPTO_TLS_SESSION_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "crypto/tls-creds.h"

typedef struct TlsSession TlsSession;

/* Moves ciphertext: bytes, 0 at the end of the stream, -EAGAIN, or another -errno. */
typedef struct TlsTransport {
    ssize_t (*push)(void *opaque, const void *buf, size_t len);
    ssize_t (*pull)(void *opaque, void *buf, size_t len);
    void *opaque;
} TlsTransport;

/*
 * The end is that of the credentials. hostname (clients with x509: who the certificate must be for)
 * and authzid (servers: the authz object that is asked about the client's distinguished name) may
 * be NULL; both are copied.
 */
TlsSession *tls_session_new(TlsCreds *creds, const char *hostname, const char *authzid,
                            const TlsTransport *transport, GError **error);
/* NULL is ignored. */
void tls_session_free(TlsSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TlsSession, tls_session_free)

/* 0: done, -EAGAIN: call again when the transport is ready, another -errno with error set. */
int tls_session_handshake(TlsSession *session, GError **error);
/*
 * After the handshake: is the peer who it should be? With an authzid, with the VM lock held. Data
 * must not be believed before.
 */
bool tls_session_verify(TlsSession *session, GError **error);
/*
 * Bytes, 0 at the end that the peer announced, -ECONNABORTED at one that it did not, -EAGAIN, or
 * another -errno. A write that gave -EAGAIN is repeated with the same bytes.
 */
ssize_t tls_session_read(TlsSession *session, void *buf, size_t len);
ssize_t tls_session_write(TlsSession *session, const void *buf, size_t len);
/* Decrypted bytes that were not read yet. */
size_t tls_session_pending(const TlsSession *session);
/* After -EAGAIN: did it want to write? Else it wanted to read. */
bool tls_session_wants_write(const TlsSession *session);
/* Tell the peer that nothing more will be written. 0, -EAGAIN or another -errno. */
int tls_session_bye(TlsSession *session);

#endif
