/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of TLS credentials. What reads their files is in the module crypto-tls. */
#include "crypto/tls-creds.h"

#include "crypto/tls-backend.h"
#include "util/error.h"

TlsCreds *tls_creds_find(const char *id, QCryptoTLSCredsEndpoint endpoint, GError **error)
{
    TlsCreds *creds = (TlsCreds *)user_object_find(id, TYPE_TLS_CREDS, error);

    if (!creds) {
        return NULL;
    }
    if (creds->endpoint != (int)endpoint) {
        error_setf(error, "TLS credentials '%s' are for a %s; this end is a %s", id,
                   QCryptoTLSCredsEndpoint_str((QCryptoTLSCredsEndpoint)creds->endpoint),
                   QCryptoTLSCredsEndpoint_str(endpoint));
        return NULL;
    }
    if (!creds->loaded) {
        error_setf(error, "TLS credentials '%s' are not complete", id);
        return NULL;
    }
    return creds;
}

static bool creds_complete(Object *obj, GError **error)
{
    TlsCreds *creds = (TlsCreds *)obj;
    const TlsBackend *backend = tls_backend(error);

    creds->kind = *(const TlsKind *)object_ops(obj);
    return backend && backend->load(creds, error);
}

static void creds_finalize(Object *obj)
{
    TlsCreds *creds = (TlsCreds *)obj;

    if (creds->loaded) {
        tls_backend(NULL)->unload(creds);
    }
}

static const char *const endpoint_names[] = {
    [QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT] = "client",
    [QCRYPTO_TLS_CREDS_ENDPOINT_SERVER] = "server",
    [QCRYPTO_TLS_CREDS_ENDPOINT__MAX] = NULL,
};

static const Property creds_properties[] = {
    PROP_BOOL("verify-peer", TlsCreds, verify_peer, true, "refuse peers that cannot be verified"),
    PROP_STRING("dir", TlsCreds, dir, NULL, "directory of the files"),
    PROP_ENUM("endpoint", TlsCreds, endpoint, endpoint_names, QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT,
              "which end of connections this is"),
    PROP_STRING("priority", TlsCreds, priority, NULL, "GnuTLS priority string"),
    PROP_BOOL("loaded", TlsCreds, loaded_option, false, "has no effect"),
    PROP_END,
};

static const Property x509_properties[] = {
    PROP_BOOL("sanity-check", TlsCreds, sanity_check, true, "look for mistakes in certificates"),
    PROP_STRING("passwordid", TlsCreds, passwordid, NULL, "secret with the private key's password"),
    PROP_END,
};

static const Property psk_properties[] = {
    PROP_STRING("username", TlsCreds, username, NULL, "name that a client gives"),
    PROP_END,
};

static const UserObjectHooks creds_hooks = {
    .complete = creds_complete,
};

static const TypeInfo creds_type = {
    .name = TYPE_TLS_CREDS,
    .parent = TYPE_USER_OBJECT,
    .description = "TLS credentials",
    .instance_size = sizeof(TlsCreds),
    .is_abstract = true,
    .properties = creds_properties,
    .instance_finalize = creds_finalize,
    .hooks = &creds_hooks,
};
QOM_TYPE(creds_type);

static const TlsKind kind_x509 = TLS_KIND_X509, kind_psk = TLS_KIND_PSK, kind_anon = TLS_KIND_ANON;

static const TypeInfo x509_type = {
    .name = TYPE_TLS_CREDS_X509,
    .parent = TYPE_TLS_CREDS,
    .description = "TLS with certificates",
    .instance_size = sizeof(TlsCreds),
    .user_creatable = true,
    .properties = x509_properties,
    .ops = &kind_x509,
};
QOM_TYPE(x509_type);

static const TypeInfo psk_type = {
    .name = TYPE_TLS_CREDS_PSK,
    .parent = TYPE_TLS_CREDS,
    .description = "TLS with keys that both ends have",
    .instance_size = sizeof(TlsCreds),
    .user_creatable = true,
    .properties = psk_properties,
    .ops = &kind_psk,
};
QOM_TYPE(psk_type);

static const TypeInfo anon_type = {
    .name = TYPE_TLS_CREDS_ANON,
    .parent = TYPE_TLS_CREDS,
    .description = "TLS without identities",
    .instance_size = sizeof(TlsCreds),
    .user_creatable = true,
    .ops = &kind_anon,
};
QOM_TYPE(anon_type);
