/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS as a channel over another channel, which from then on belongs to it: nobody else may read,
 * write or watch that one. Nothing can be read or written before the handshake is done. Small
 * writes cost a record each; vectors are gathered into records.
 *
 * After a write gave -EAGAIN the next one must begin with the same bytes, as part of them may be on
 * their way already.
 */
#ifndef VIREO_IO_CHANNEL_TLS_H
#define VIREO_IO_CHANNEL_TLS_H

#include "crypto/tls-creds.h"
#include "io/channel.h"

/*
 * Main thread, VM lock held. A reference to each of `below` and creds is taken. The end is that of
 * creds. For hostname and authzid see tls_session_new().
 */
Channel *channel_tls_new(Channel *below, TlsCreds *creds, const char *hostname,
                         const char *authzid, GError **error);
/* Shake hands and verify the peer: in a coroutine by yielding, elsewhere by blocking the thread. */
bool channel_tls_handshake(Channel *channel, GError **error);
bool channel_is_tls(const Channel *channel);

#endif
