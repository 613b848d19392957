/* SPDX-License-Identifier: Apache-2.0 */
/* TLS sessions: what does not need GnuTLS. */
#include "crypto/tls-session.h"

#include "crypto/authz.h"
#include "crypto/tls-backend.h"
#include "util/error.h"
#include "util/module.h"

static const TlsBackend *registered;

void tls_backend_register(const TlsBackend *backend)
{
    registered = backend;
}

const TlsBackend *tls_backend(GError **error)
{
    if (!registered && module_load("crypto-tls", error) && !registered) {
        error_setf(error, "the module 'crypto-tls' is not one of this program's");
    }
    return registered;
}

TlsSession *tls_session_new(TlsCreds *creds, const char *hostname, const char *authzid,
                            const TlsTransport *transport, GError **error)
{
    TlsSession *session;

    if (authzid && !authz_exists(authzid, error)) {
        return NULL;
    }
    session = g_new0(TlsSession, 1);
    session->creds = (TlsCreds *)object_ref(OBJECT(creds));
    session->hostname = g_strdup(hostname);
    session->authzid = g_strdup(authzid);
    session->transport = *transport;
    if (!registered->session_init(session, error)) {
        g_clear_pointer(&session, tls_session_free);
    }
    return session;
}

void tls_session_free(TlsSession *session)
{
    if (session) {
        registered->session_cleanup(session);
        object_unref(OBJECT(session->creds));
        g_free(session->hostname);
        g_free(session->authzid);
        g_free(session);
    }
}

int tls_session_handshake(TlsSession *session, GError **error)
{
    return registered->handshake(session, error);
}

bool tls_session_verify(TlsSession *session, GError **error)
{
    return registered->verify(session, error);
}

ssize_t tls_session_read(TlsSession *session, void *buf, size_t len)
{
    return registered->read(session, buf, len);
}

ssize_t tls_session_write(TlsSession *session, const void *buf, size_t len)
{
    return registered->write(session, buf, len);
}

size_t tls_session_pending(const TlsSession *session)
{
    return registered->pending(session);
}

bool tls_session_wants_write(const TlsSession *session)
{
    return registered->wants_write(session);
}

int tls_session_bye(TlsSession *session)
{
    return registered->bye(session);
}
