/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the module crypto-tls share. */
#ifndef VIREO_CRYPTO_TLS_GNUTLS_H
#define VIREO_CRYPTO_TLS_GNUTLS_H

#include <gnutls/gnutls.h>

#include "crypto/tls-backend.h"

#define TLS_CA_CERT "ca-cert.pem"
#define TLS_CA_CRL "ca-crl.pem"
#define TLS_DH_PARAMS "dh-params.pem"
#define TLS_PSK_KEYS "keys.psk"

/* TlsCreds.loaded: the member of the credentials' kind and end. */
typedef struct GnutlsCreds {
    gnutls_certificate_credentials_t x509;
    gnutls_psk_server_credentials_t psk_server;
    gnutls_psk_client_credentials_t psk_client;
    gnutls_anon_server_credentials_t anon_server;
    gnutls_anon_client_credentials_t anon_client;
    gnutls_dh_params_t dh;
} GnutlsCreds;

bool gnutls_creds_load(TlsCreds *creds, GError **error);
void gnutls_creds_unload(TlsCreds *creds);

/*
 * Mistakes that would show as failed handshakes later: times, uses and signatures of the
 * certificates in these files (cert NULL: there is none).
 */
bool gnutls_certs_check(const char *ca, const char *cert, bool is_server, GError **error);

/* Sets error to "<what>: <GnuTLS's reason>" unless code is 0 or positive. */
bool gnutls_ok(int code, GError **error, const char *what, ...) G_GNUC_PRINTF(3, 4);

#endif
