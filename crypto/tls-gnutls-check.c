/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for mistakes in certificates (RFC 5280) before a peer meets them: they must be valid now,
 * ours must not be an authority's and must be for its end, authorities must be such, and one of
 * them must have signed ours.
 */
#include <gnutls/x509.h>
#include <time.h>

#include "crypto/tls-gnutls.h"
#include "util/error.h"

typedef struct CertList {
    const char *path;
    gnutls_x509_crt_t *certs;
    unsigned n;
} CertList;

static void cert_list_clear(CertList *list)
{
    for (unsigned i = 0; i < list->n; i++) {
        gnutls_x509_crt_deinit(list->certs[i]);
    }
    gnutls_free(list->certs);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CertList, cert_list_clear)

static bool cert_list_read(CertList *list, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) reason = NULL;
    gnutls_datum_t datum;
    gsize len;

    list->path = path;
    if (!g_file_get_contents(path, &text, &len, &reason)) {
        error_setf(error, "%s", reason->message);
        return false;
    }
    datum = (gnutls_datum_t) { .data = (unsigned char *)text, .size = (unsigned)len };
    return gnutls_ok(gnutls_x509_crt_list_import2(&list->certs, &list->n, &datum,
                                                  GNUTLS_X509_FMT_PEM, 0),
                     error, "cannot read certificates of '%s'", path);
}

static bool check_times(gnutls_x509_crt_t cert, const char *path, GError **error)
{
    time_t now = time(NULL);

    if (gnutls_x509_crt_get_activation_time(cert) > now) {
        error_setf(error, "certificate '%s' is not valid yet", path);
        return false;
    }
    if (gnutls_x509_crt_get_expiration_time(cert) < now) {
        error_setf(error, "certificate '%s' has expired", path);
        return false;
    }
    return true;
}

/* Basic constraints: 1 an authority, 0 not, negative if the certificate does not say. */
static bool check_authority(gnutls_x509_crt_t cert, const char *path, bool is_ca, GError **error)
{
    unsigned critical;
    int says = gnutls_x509_crt_get_basic_constraints(cert, &critical, NULL, NULL);

    if (is_ca && says <= 0) {
        error_setf(error, "certificate '%s' is not an authority's (basic constraints)", path);
        return false;
    }
    if (!is_ca && says > 0) {
        error_setf(error, "certificate '%s' is an authority's, not that of a %s", path,
                   "client or server (basic constraints)");
        return false;
    }
    return true;
}

/* Key usage matters if the certificate has it and it is critical. */
static bool check_usage(gnutls_x509_crt_t cert, const char *path, bool is_ca, GError **error)
{
    unsigned wanted = is_ca ? GNUTLS_KEY_KEY_CERT_SIGN
                            : GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT;
    unsigned usage = 0, critical = 0;
    int code = gnutls_x509_crt_get_key_usage(cert, &usage, &critical);

    if (code < 0 || (usage & wanted) || !critical) {
        return true;
    }
    error_setf(error, "the key usage of certificate '%s' does not permit %s", path,
               is_ca ? "signing certificates" : "TLS");
    return false;
}

/* Extended key usage, if there is any, must name our end of TLS, or everything. */
static bool check_purpose(gnutls_x509_crt_t cert, const char *path, bool is_server, GError **error)
{
    const char *wanted = is_server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
    bool any_critical = false;
    char oid[128];

    for (unsigned i = 0;; i++) {
        size_t len = sizeof(oid);
        unsigned critical = 0;
        int code = gnutls_x509_crt_get_key_purpose_oid(cert, i, oid, &len, &critical);

        if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            if (i == 0 || !any_critical) {
                return true;
            }
            error_setf(error, "the purposes of certificate '%s' do not include being a TLS %s",
                       path, is_server ? "server" : "client");
            return false;
        }
        if (code < 0) {
            return gnutls_ok(code, error, "cannot read the purposes of certificate '%s'", path);
        }
        any_critical = any_critical || critical;
        if (g_str_equal(oid, wanted) || g_str_equal(oid, GNUTLS_KP_ANY)) {
            return true;
        }
    }
}

static bool check_chain(const CertList *own, const CertList *ca, GError **error)
{
    gnutls_datum_t text = { 0 };
    unsigned status = 0;

    if (!gnutls_ok(gnutls_x509_crt_list_verify(own->certs, (int)own->n, ca->certs, (int)ca->n,
                                               NULL, 0, 0, &status),
                   error, "cannot verify certificate '%s'", own->path)) {
        return false;
    }
    if (status) {
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
        error_setf(error, "certificate '%s' does not stand up to '%s': %s", own->path, ca->path,
                   text.data ? (char *)text.data : "");
        gnutls_free(text.data);
    }
    return status == 0;
}

bool gnutls_certs_check(const char *ca_path, const char *cert_path, bool is_server, GError **error)
{
    g_auto(CertList) ca = { 0 };
    g_auto(CertList) own = { 0 };

    if (!cert_list_read(&ca, ca_path, error)) {
        return false;
    }
    for (unsigned i = 0; i < ca.n; i++) {
        if (!check_times(ca.certs[i], ca_path, error) ||
            !check_authority(ca.certs[i], ca_path, true, error) ||
            !check_usage(ca.certs[i], ca_path, true, error)) {
            return false;
        }
    }
    if (!cert_path) {
        return true;
    }
    return cert_list_read(&own, cert_path, error) &&
           check_times(own.certs[0], cert_path, error) &&
           check_authority(own.certs[0], cert_path, false, error) &&
           check_usage(own.certs[0], cert_path, false, error) &&
           check_purpose(own.certs[0], cert_path, is_server, error) &&
           check_chain(&own, &ca, error);
}
