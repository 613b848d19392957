/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of LUKS: from a password to the master key and back into a slot. The work is slow; in a
 * coroutine the thread pool does it.
 */
#ifndef VIREO_CRYPTO_LUKS_KEYS_H
#define VIREO_CRYPTO_LUKS_KEYS_H

#include "crypto/block.h"
#include "crypto/luks-header.h"
#include "crypto/secret.h"

/* How much CPU time trying a password shall take, and how fast that work goes here. */
typedef struct LuksPace {
    uint64_t iter_time; /* milliseconds */
    uint64_t rate;      /* PBKDF2 iterations a second */
} LuksPace;

LuksPace luks_pace(const LuksHeader *header, uint64_t iter_time);

/* Reads the slot's material and sets *fits if the password opens it; then master_key is known. */
bool luks_slot_try(const LuksHeader *header, int slot, const SecretData *password,
                   const CryptoBlockIo *io, uint8_t master_key[LUKS_MAX_KEY], bool *fits,
                   GError **error);
/*
 * Puts the master key into a slot of header and its material through io. The header itself is
 * not written.
 */
bool luks_slot_fill(LuksHeader *header, int slot, const SecretData *password, const LuksPace *pace,
                    const uint8_t master_key[LUKS_MAX_KEY], const CryptoBlockIo *io,
                    GError **error);
/* Overwrites the material so that nobody can read it, and clears the slot in header. */
bool luks_slot_erase(LuksHeader *header, int slot, const CryptoBlockIo *io, GError **error);
/* Makes a new master key's digest, salt and iterations; checking it takes an eighth of the time. */
bool luks_digest_make(LuksHeader *header, const LuksPace *pace,
                      const uint8_t master_key[LUKS_MAX_KEY], GError **error);

bool luks_header_write(const LuksHeader *header, const CryptoBlockIo *io, GError **error);

#endif
