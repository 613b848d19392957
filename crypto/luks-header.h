/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of LUKS version 1 (on-disk format specification 1.2, section 3). All numbers are
 * big-endian; a sector has 512 bytes.
 *
 *     offset  length
 *          0       6  magic "LUKS" 0xba 0xbe
 *          6       2  version, 1
 *          8      32  cipher's name: "aes"
 *         40      32  mode: "xts-plain64", "cbc-essiv:sha256"
 *         72      32  hash: "sha256"
 *        104       4  where data begins, in sectors
 *        108       4  length of the master key, in bytes
 *        112      20  digest of the master key (PBKDF2)
 *        132      32  salt of that digest
 *        164       4  iterations of that digest
 *        168      40  UUID as text
 *        208  8 x 48  key slots: state, iterations, salt (32 bytes), where the key material is in
 *                     sectors, stripes of the anti-forensic splitter
 *
 * Key material is the master key, split into stripes and encrypted with a password's key.
 */
#ifndef VIREO_CRYPTO_LUKS_HEADER_H
#define VIREO_CRYPTO_LUKS_HEADER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi/qapi-types-crypto.h"

#define LUKS_HEADER_LEN 592
#define LUKS_SECTOR 512
#define LUKS_SLOTS 8
#define LUKS_DIGEST_LEN 20
#define LUKS_SALT_LEN 32
#define LUKS_UUID_LEN 40
/* What every program writes, and the most that is accepted. */
#define LUKS_STRIPES 4000
/* The longest key of all ciphers and modes: AES-256 in XTS. */
#define LUKS_MAX_KEY 64
/*
 * Of one slot, and of all that a password is tried on. More is refused, as a hostile header could
 * ask for hours: at this number a password takes a minute or two, and ordinary slots have a few
 * millions.
 */
#define LUKS_MAX_ITERATIONS 100000000

typedef struct LuksSlot {
    bool active;
    uint32_t iterations;
    uint8_t salt[LUKS_SALT_LEN];
    uint32_t material_sector;
    uint32_t stripes;
} LuksSlot;

typedef struct LuksHeader {
    QCryptoCipherAlgorithm cipher;
    QCryptoCipherMode mode;
    QCryptoIVGenAlgorithm ivgen;
    QCryptoHashAlgorithm ivgen_hash; /* essiv only */
    QCryptoHashAlgorithm hash;
    uint32_t payload_sector;
    uint32_t key_len;
    uint8_t digest[LUKS_DIGEST_LEN];
    uint8_t salt[LUKS_SALT_LEN];
    uint32_t iterations;
    char uuid[LUKS_UUID_LEN];        /* ends with a 0 */
    LuksSlot slots[LUKS_SLOTS];
} LuksHeader;

bool luks_header_probe(const void *data, size_t len);
/*
 * Checks everything: known names that go together, key's length, counts, and that headers, key
 * material and data do not overlap. On failure the error names the field.
 */
bool luks_header_parse(const uint8_t raw[LUKS_HEADER_LEN], LuksHeader *header, GError **error);
void luks_header_format(const LuksHeader *header, uint8_t raw[LUKS_HEADER_LEN]);
/*
 * Sets key_len, payload_sector and the slots' places from cipher, mode, ivgen and hashes, after
 * checking that these go together and have names in LUKS.
 */
bool luks_header_layout(LuksHeader *header, GError **error);

/* What it takes to try a password on all active slots, with the digest of the key behind each. */
uint64_t luks_header_iterations(const LuksHeader *header);

/* Key material of a slot with the most stripes, in bytes. */
size_t luks_material_len(const LuksHeader *header);

#endif
