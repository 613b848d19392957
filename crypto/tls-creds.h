/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS credentials: -object tls-creds-x509, tls-creds-psk and tls-creds-anon. Their files are in the
 * directory that property `dir` names:
 *
 *     x509  ca-cert.pem, ca-crl.pem (optional), server-cert.pem and server-key.pem or
 *           client-cert.pem and client-key.pem (both optional), dh-params.pem (optional)
 *     psk   keys.psk: lines of USER:HEXADECIMAL-KEY; dh-params.pem (optional)
 *     anon  dh-params.pem (optional)
 *
 * GnuTLS is loaded when the first of these objects is made. With the VM lock held.
 */
#ifndef VIREO_CRYPTO_TLS_CREDS_H
#define VIREO_CRYPTO_TLS_CREDS_H

#include "qapi/qapi-types-crypto.h"
#include "qom/object.h"

#define TYPE_TLS_CREDS "tls-creds"
#define TYPE_TLS_CREDS_X509 "tls-creds-x509"
#define TYPE_TLS_CREDS_PSK "tls-creds-psk"
#define TYPE_TLS_CREDS_ANON "tls-creds-anon"

typedef struct TlsCreds TlsCreds;

/*
 * The credentials with this id, for this end of connections. Borrowed; take a reference to keep
 * them. NULL if there are none or they are for the other end.
 */
TlsCreds *tls_creds_find(const char *id, QCryptoTLSCredsEndpoint endpoint, GError **error);

#endif
