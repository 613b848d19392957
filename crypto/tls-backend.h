/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TLS needs of GnuTLS. The module crypto-tls has it and registers itself when it is loaded, so
 * that a program without TLS does without the library.
 */
#ifndef VIREO_CRYPTO_TLS_BACKEND_H
#define VIREO_CRYPTO_TLS_BACKEND_H

#include "crypto/tls-creds.h"
#include "crypto/tls-session.h"

typedef enum TlsKind { TLS_KIND_X509, TLS_KIND_PSK, TLS_KIND_ANON } TlsKind;

struct TlsCreds {
    Object parent;
    bool verify_peer;
    char *dir;
    int endpoint;    /* QCryptoTLSCredsEndpoint */
    char *priority;
    TlsKind kind;
    bool loaded_option; /* obsolete, without effect */
    /* x509 */
    bool sanity_check;
    char *passwordid;
    /* psk */
    char *username;
    void *loaded;    /* the backend's; NULL until complete */
};

struct TlsSession {
    TlsCreds *creds; /* a reference */
    char *hostname;
    char *authzid;
    TlsTransport transport;
    int transport_errno; /* -errno of the last transfer that failed, or 0 */
    void *impl;      /* the backend's */
};

typedef struct TlsBackend {
    /* Reads files; sets creds->loaded. */
    bool (*load)(TlsCreds *creds, GError **error);
    void (*unload)(TlsCreds *creds);
    bool (*session_init)(TlsSession *session, GError **error);
    void (*session_cleanup)(TlsSession *session); /* also after init failed */
    int (*handshake)(TlsSession *session, GError **error);
    bool (*verify)(TlsSession *session, GError **error);
    ssize_t (*read)(TlsSession *session, void *buf, size_t len);
    ssize_t (*write)(TlsSession *session, const void *buf, size_t len);
    size_t (*pending)(const TlsSession *session);
    bool (*wants_write)(const TlsSession *session);
    int (*bye)(TlsSession *session);
} TlsBackend;

/* Loads the module if need be. Main thread. */
const TlsBackend *tls_backend(GError **error);
/* By the module's constructor. */
void tls_backend_register(const TlsBackend *backend);

#endif
