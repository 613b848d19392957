/* SPDX-License-Identifier: Apache-2.0 */
/* The module crypto-tls: TLS sessions by GnuTLS. */
#include "crypto/tls-gnutls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>

#include "crypto/authz.h"
#include "util/error.h"

#define DEFAULT_PRIORITY "NORMAL"

/* A peer that can do both must not choose certificates, of which we have none. */
#define NO_CERTS ":-ECDHE-RSA:-ECDHE-ECDSA:-RSA:-DHE-RSA:-DHE-DSS"

/* Key exchanges that no priority string has unless it is asked. */
static const char *const extra_priority[] = {
    [TLS_KIND_X509] = "",
    [TLS_KIND_PSK] = NO_CERTS ":+ECDHE-PSK:+DHE-PSK:+PSK",
    [TLS_KIND_ANON] = NO_CERTS ":+ANON-ECDH:+ANON-DH",
};

/* The transport's results as GnuTLS wants them: -1 and errno. */
static ssize_t as_errno(TlsSession *session, ssize_t result)
{
    gnutls_session_t impl = session->impl;

    if (result >= 0) {
        return result;
    }
    if (result != -EAGAIN) {
        session->transport_errno = (int)result;
    }
    gnutls_transport_set_errno(impl, (int)-result);
    return -1;
}

static ssize_t push(gnutls_transport_ptr_t opaque, const void *buf, size_t len)
{
    TlsSession *session = opaque;

    return as_errno(session, session->transport.push(session->transport.opaque, buf, len));
}

static ssize_t pull(gnutls_transport_ptr_t opaque, void *buf, size_t len)
{
    TlsSession *session = opaque;

    return as_errno(session, session->transport.pull(session->transport.opaque, buf, len));
}

static bool is_server(const TlsSession *session)
{
    return session->creds->endpoint == QCRYPTO_TLS_CREDS_ENDPOINT_SERVER;
}

static bool set_priority(TlsSession *session, GError **error)
{
    const TlsCreds *creds = session->creds;
    const char *base = creds->priority ? creds->priority : DEFAULT_PRIORITY;
    g_autofree char *priority = g_strconcat(base, extra_priority[creds->kind], NULL);

    return gnutls_ok(gnutls_priority_set_direct(session->impl, priority, NULL), error,
                     "cannot use TLS priority '%s'", priority);
}

static int set_credentials(TlsSession *session)
{
    const GnutlsCreds *loaded = session->creds->loaded;

    switch (session->creds->kind) {
    case TLS_KIND_PSK:
        return gnutls_credentials_set(session->impl, GNUTLS_CRD_PSK,
                                      is_server(session) ? (void *)loaded->psk_server
                                                         : (void *)loaded->psk_client);
    case TLS_KIND_ANON:
        return gnutls_credentials_set(session->impl, GNUTLS_CRD_ANON,
                                      is_server(session) ? (void *)loaded->anon_server
                                                         : (void *)loaded->anon_client);
    default:
        return gnutls_credentials_set(session->impl, GNUTLS_CRD_CERTIFICATE, loaded->x509);
    }
}

/* A client names the server that it wants, unless it knows an address only (RFC 6066). */
static bool set_server_name(TlsSession *session, GError **error)
{
    const char *name = session->hostname;

    if (is_server(session) || !name || g_hostname_is_ip_address(name)) {
        return true;
    }
    return gnutls_ok(gnutls_server_name_set(session->impl, GNUTLS_NAME_DNS, name, strlen(name)),
                     error, "cannot ask for the server '%s'", name);
}

static bool session_init(TlsSession *session, GError **error)
{
    unsigned flags = (is_server(session) ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
                     GNUTLS_NO_SIGNAL;
    gnutls_session_t impl = NULL;

    if (!gnutls_ok(gnutls_init(&impl, flags), error, "cannot begin a TLS session")) {
        return false;
    }
    session->impl = impl;
    if (!set_priority(session, error) ||
        !gnutls_ok(set_credentials(session), error, "cannot use the TLS credentials") ||
        !set_server_name(session, error)) {
        return false;
    }
    if (is_server(session) && session->creds->kind == TLS_KIND_X509) {
        gnutls_certificate_server_set_request(impl, session->creds->verify_peer
                                                        ? GNUTLS_CERT_REQUEST
                                                        : GNUTLS_CERT_IGNORE);
    }
    gnutls_transport_set_ptr(impl, session);
    gnutls_transport_set_push_function(impl, push);
    gnutls_transport_set_pull_function(impl, pull);
    return true;
}

static void session_cleanup(TlsSession *session)
{
    if (session->impl) {
        gnutls_deinit(session->impl);
    }
}

/* A failure as -errno; the transport's own is nearer to the truth. */
static int to_errno(const TlsSession *session, int code)
{
    switch (code) {
    case GNUTLS_E_AGAIN:
    case GNUTLS_E_INTERRUPTED:
        return -EAGAIN;
    case GNUTLS_E_PREMATURE_TERMINATION:
        return -ECONNABORTED;
    default:
        return session->transport_errno ? session->transport_errno : -EPROTO;
    }
}

static int session_handshake(TlsSession *session, GError **error)
{
    int code = gnutls_handshake(session->impl);
    int result;

    if (code == 0) {
        return 0;
    }
    if (!gnutls_error_is_fatal(code)) {
        return -EAGAIN;
    }
    result = to_errno(session, code);
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        error_setf(error, "TLS handshake failed: the peer says: %s",
                   gnutls_alert_get_name(gnutls_alert_get(session->impl)));
    } else if (session->transport_errno) {
        error_set_errno(error, -result, "TLS handshake failed");
    } else {
        error_setf(error, "TLS handshake failed: %s", gnutls_strerror(code));
        gnutls_alert_send_appropriate(session->impl, code);
    }
    return result;
}

static bool check_status(TlsSession *session, GError **error)
{
    gnutls_datum_t text = { 0 };
    unsigned status = 0;
    int code = gnutls_certificate_verify_peers2(session->impl, &status);

    if (code == GNUTLS_E_NO_CERTIFICATE_FOUND) {
        error_setf(error, "the TLS peer has sent no certificate");
        return false;
    }
    if (!gnutls_ok(code, error, "cannot verify the TLS peer's certificate")) {
        return false;
    }
    if (status) {
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
        error_setf(error, "the TLS peer's certificate is not trusted: %s",
                   text.data ? (char *)text.data : "");
        gnutls_free(text.data);
    }
    return status == 0;
}

static bool check_name(TlsSession *session, gnutls_x509_crt_t cert, GError **error)
{
    if (is_server(session)) {
        return true;
    }
    if (!session->hostname) {
        error_setf(error, "the server's certificate cannot be checked without a host name");
        return false;
    }
    if (!gnutls_x509_crt_check_hostname(cert, session->hostname)) {
        error_setf(error, "the server's certificate is not for '%s'", session->hostname);
        return false;
    }
    return true;
}

static bool check_authz(TlsSession *session, gnutls_x509_crt_t cert, GError **error)
{
    char name[1024];
    size_t len = sizeof(name);

    if (!session->authzid) {
        return true;
    }
    return gnutls_ok(gnutls_x509_crt_get_dn(cert, name, &len), error,
                     "cannot read the distinguished name of the peer's certificate") &&
           authz_check(session->authzid, name, error);
}

static bool check_certificate(TlsSession *session, GError **error)
{
    const gnutls_datum_t *chain;
    gnutls_x509_crt_t cert;
    unsigned n = 0;
    bool ok;

    if (!check_status(session, error)) {
        return false;
    }
    chain = gnutls_certificate_get_peers(session->impl, &n);
    if (!chain || n == 0) {
        error_setf(error, "the TLS peer has sent no certificate");
        return false;
    }
    if (!gnutls_ok(gnutls_x509_crt_init(&cert), error, "no memory for a certificate")) {
        return false;
    }
    ok = gnutls_ok(gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER), error,
                   "cannot read the peer's certificate") &&
         check_name(session, cert, error) && check_authz(session, cert, error);
    gnutls_x509_crt_deinit(cert);
    return ok;
}

static bool session_verify(TlsSession *session, GError **error)
{
    if (session->creds->kind == TLS_KIND_X509 && session->creds->verify_peer) {
        return check_certificate(session, error);
    }
    if (session->authzid) {
        error_setf(error, "authorization needs the peer's certificate, which is not asked for");
        return false;
    }
    return true;
}

static ssize_t session_read(TlsSession *session, void *buf, size_t len)
{
    ssize_t result = gnutls_record_recv(session->impl, buf, len);

    return result >= 0 ? result : to_errno(session, (int)result);
}

static ssize_t session_write(TlsSession *session, const void *buf, size_t len)
{
    ssize_t result = gnutls_record_send(session->impl, buf, len);

    return result >= 0 ? result : to_errno(session, (int)result);
}

static size_t session_pending(const TlsSession *session)
{
    return gnutls_record_check_pending(session->impl);
}

static bool session_wants_write(const TlsSession *session)
{
    return gnutls_record_get_direction(session->impl) == 1;
}

static int session_bye(TlsSession *session)
{
    int code = gnutls_bye(session->impl, GNUTLS_SHUT_WR);

    return code >= 0 ? 0 : to_errno(session, code);
}

static const TlsBackend gnutls_backend = {
    .load = gnutls_creds_load,
    .unload = gnutls_creds_unload,
    .session_init = session_init,
    .session_cleanup = session_cleanup,
    .handshake = session_handshake,
    .verify = session_verify,
    .read = session_read,
    .write = session_write,
    .pending = session_pending,
    .wants_write = session_wants_write,
    .bye = session_bye,
};

static __attribute__((constructor)) void register_backend(void)
{
    tls_backend_register(&gnutls_backend);
}
