/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the files of TLS credentials. */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "crypto/tls-gnutls.h"
#include "util/error.h"

bool gnutls_ok(int code, GError **error, const char *what, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (code >= 0) {
        return true;
    }
    va_start(args, what);
    text = g_strdup_vprintf(what, args);
    va_end(args);
    error_setf(error, "%s: %s", text, gnutls_strerror(code));
    return false;
}

/* The path of a file of the credentials; *path is NULL if it is absent and need not be there. */
static bool find_file(const TlsCreds *creds, const char *name, bool required, char **path,
                      GError **error)
{
    g_autofree char *found = g_build_filename(creds->dir, name, NULL);

    *path = NULL;
    if (access(found, R_OK) == 0) {
        *path = g_steal_pointer(&found);
    } else if (required) {
        error_setf(error, "TLS credentials need the file '%s', which cannot be read", found);
        return false;
    }
    return true;
}

/*
 * Diffie-Hellman parameters of our own. Without them GnuTLS has those of RFC 7919, which it must be
 * told to use with clients that do not ask for them.
 */
static bool load_dh(const TlsCreds *creds, GnutlsCreds *loaded, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    g_autoptr(GError) reason = NULL;
    gnutls_datum_t datum;
    gsize len;

    if (!creds->dir || creds->endpoint != QCRYPTO_TLS_CREDS_ENDPOINT_SERVER) {
        return true;
    }
    if (!find_file(creds, TLS_DH_PARAMS, false, &path, error) || !path) {
        return path == NULL;
    }
    if (!g_file_get_contents(path, &text, &len, &reason)) {
        error_setf(error, "%s", reason->message);
        return false;
    }
    datum = (gnutls_datum_t) { .data = (unsigned char *)text, .size = (unsigned)len };
    return gnutls_ok(gnutls_dh_params_init(&loaded->dh), error, "no memory for '%s'", path) &&
           gnutls_ok(gnutls_dh_params_import_pkcs3(loaded->dh, &datum, GNUTLS_X509_FMT_PEM), error,
                     "cannot use '%s'", path);
}

static bool load_key(const TlsCreds *creds, GnutlsCreds *loaded, const char *cert, const char *key,
                     GError **error)
{
    g_autoptr(SecretData) password = NULL;

    if (creds->passwordid) {
        password = secret_lookup_text(creds->passwordid, error);
        if (!password) {
            return false;
        }
    }
    return gnutls_ok(gnutls_certificate_set_x509_key_file2(
                         loaded->x509, cert, key, GNUTLS_X509_FMT_PEM,
                         password ? (const char *)password->data : NULL, 0),
                     error, "cannot use certificate '%s' with key '%s'", cert, key);
}

static bool load_x509(TlsCreds *creds, GnutlsCreds *loaded, GError **error)
{
    bool is_server = creds->endpoint == QCRYPTO_TLS_CREDS_ENDPOINT_SERVER;
    g_autofree char *ca = NULL, *crl = NULL, *cert = NULL, *key = NULL;

    if (!find_file(creds, TLS_CA_CERT, true, &ca, error) ||
        !find_file(creds, TLS_CA_CRL, false, &crl, error) ||
        !find_file(creds, is_server ? "server-cert.pem" : "client-cert.pem", is_server, &cert,
                   error) ||
        !find_file(creds, is_server ? "server-key.pem" : "client-key.pem", is_server || cert, &key,
                   error)) {
        return false;
    }
    if (creds->sanity_check && !gnutls_certs_check(ca, cert, is_server, error)) {
        return false;
    }
    if (!gnutls_ok(gnutls_certificate_allocate_credentials(&loaded->x509), error, "no memory") ||
        !gnutls_ok(gnutls_certificate_set_x509_trust_file(loaded->x509, ca, GNUTLS_X509_FMT_PEM),
                   error, "cannot use '%s'", ca) ||
        (cert && !load_key(creds, loaded, cert, key, error))) {
        return false;
    }
    if (crl && !gnutls_ok(gnutls_certificate_set_x509_crl_file(loaded->x509, crl,
                                                               GNUTLS_X509_FMT_PEM),
                          error, "cannot use '%s'", crl)) {
        return false;
    }
    if (loaded->dh) {
        gnutls_certificate_set_dh_params(loaded->x509, loaded->dh);
    } else {
        gnutls_certificate_set_known_dh_params(loaded->x509, GNUTLS_SEC_PARAM_MEDIUM);
    }
    return true;
}

/* The key of a user in keys.psk, the caller's. */
static char *find_psk(const char *path, const char *user, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) reason = NULL;
    g_auto(GStrv) lines = NULL;
    size_t len = strlen(user);

    if (!g_file_get_contents(path, &text, NULL, &reason)) {
        error_setf(error, "%s", reason->message);
        return NULL;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (strncmp(*line, user, len) == 0 && (*line)[len] == ':') {
            return g_strdup(g_strchomp(*line + len + 1));
        }
    }
    error_setf(error, "'%s' has no key of user '%s'", path, user);
    return NULL;
}

static bool load_psk_client(TlsCreds *creds, GnutlsCreds *loaded, const char *path, GError **error)
{
    const char *user = creds->username ? creds->username : "qemu";
    g_autofree char *hex = find_psk(path, user, error);
    gnutls_datum_t key;

    if (!hex) {
        return false;
    }
    key = (gnutls_datum_t) { .data = (unsigned char *)hex, .size = (unsigned)strlen(hex) };
    return gnutls_ok(gnutls_psk_allocate_client_credentials(&loaded->psk_client), error,
                     "no memory") &&
           gnutls_ok(gnutls_psk_set_client_credentials(loaded->psk_client, user, &key,
                                                       GNUTLS_PSK_KEY_HEX),
                     error, "cannot use the key of user '%s' in '%s'", user, path);
}

static bool load_psk(TlsCreds *creds, GnutlsCreds *loaded, GError **error)
{
    g_autofree char *path = NULL;

    if (!find_file(creds, TLS_PSK_KEYS, true, &path, error)) {
        return false;
    }
    if (creds->endpoint == QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT) {
        return load_psk_client(creds, loaded, path, error);
    }
    if (creds->username) {
        error_setf(error, "'username' is for clients; a server takes all users of '%s'", path);
        return false;
    }
    if (!gnutls_ok(gnutls_psk_allocate_server_credentials(&loaded->psk_server), error,
                   "no memory") ||
        !gnutls_ok(gnutls_psk_set_server_credentials_file(loaded->psk_server, path), error,
                   "cannot use '%s'", path)) {
        return false;
    }
    if (loaded->dh) {
        gnutls_psk_set_server_dh_params(loaded->psk_server, loaded->dh);
    } else {
        gnutls_psk_set_server_known_dh_params(loaded->psk_server, GNUTLS_SEC_PARAM_MEDIUM);
    }
    return true;
}

static bool load_anon(TlsCreds *creds, GnutlsCreds *loaded, GError **error)
{
    if (creds->endpoint == QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT) {
        return gnutls_ok(gnutls_anon_allocate_client_credentials(&loaded->anon_client), error,
                         "no memory");
    }
    if (!gnutls_ok(gnutls_anon_allocate_server_credentials(&loaded->anon_server), error,
                   "no memory")) {
        return false;
    }
    if (loaded->dh) {
        gnutls_anon_set_server_dh_params(loaded->anon_server, loaded->dh);
    } else {
        gnutls_anon_set_server_known_dh_params(loaded->anon_server, GNUTLS_SEC_PARAM_MEDIUM);
    }
    return true;
}

bool gnutls_creds_load(TlsCreds *creds, GError **error)
{
    static bool (*const loaders[])(TlsCreds *, GnutlsCreds *, GError **) = {
        [TLS_KIND_X509] = load_x509,
        [TLS_KIND_PSK] = load_psk,
        [TLS_KIND_ANON] = load_anon,
    };
    GnutlsCreds *loaded;

    if (!creds->dir && creds->kind != TLS_KIND_ANON) {
        error_setf(error, "TLS credentials need 'dir', the directory of their files");
        return false;
    }
    creds->loaded = loaded = g_new0(GnutlsCreds, 1);
    if (!load_dh(creds, loaded, error) || !loaders[creds->kind](creds, loaded, error)) {
        gnutls_creds_unload(creds);
        return false;
    }
    return true;
}

void gnutls_creds_unload(TlsCreds *creds)
{
    GnutlsCreds *loaded = g_steal_pointer(&creds->loaded);

    g_clear_pointer(&loaded->x509, gnutls_certificate_free_credentials);
    g_clear_pointer(&loaded->psk_server, gnutls_psk_free_server_credentials);
    g_clear_pointer(&loaded->psk_client, gnutls_psk_free_client_credentials);
    g_clear_pointer(&loaded->anon_server, gnutls_anon_free_server_credentials);
    g_clear_pointer(&loaded->anon_client, gnutls_anon_free_client_credentials);
    g_clear_pointer(&loaded->dh, gnutls_dh_params_deinit);
    g_free(loaded);
}
