/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, checking and writing LUKS headers. */
#include "crypto/luks-header.h"

#include <string.h>

#include "crypto/cipher.h"
#include "crypto/ivgen.h"
#include "util/bits.h"
#include "util/error.h"

#define SLOT_ACTIVE 0x00ac71f3u
#define SLOT_INACTIVE 0x0000deadu
#define NAME_LEN 32
/* Key material begins at multiples of this, for disks with large sectors. */
#define MATERIAL_ALIGN 4096

enum {
    AT_VERSION = 6, AT_CIPHER = 8, AT_MODE = 40, AT_HASH = 72, AT_PAYLOAD = 104, AT_KEY_LEN = 108,
    AT_DIGEST = 112, AT_SALT = 132, AT_ITERATIONS = 164, AT_UUID = 168, AT_SLOTS = 208,
};
enum {
    SLOT_STATE = 0, SLOT_ITERATIONS = 4, SLOT_SALT = 8, SLOT_MATERIAL = 40, SLOT_STRIPES = 44,
    SLOT_LEN = 48,
};

static const uint8_t magic[6] = { 'L', 'U', 'K', 'S', 0xba, 0xbe };

/* LUKS names the cipher; the key's length says which of its kin it is. */
typedef struct CipherName {
    const char *name;
    QCryptoCipherAlgorithm alg;
} CipherName;

static const CipherName cipher_names[] = {
    { "aes", QCRYPTO_CIPHER_ALG_AES_128 },
    { "aes", QCRYPTO_CIPHER_ALG_AES_192 },
    { "aes", QCRYPTO_CIPHER_ALG_AES_256 },
    { "cast5", QCRYPTO_CIPHER_ALG_CAST5_128 },
    { "serpent", QCRYPTO_CIPHER_ALG_SERPENT_128 },
    { "serpent", QCRYPTO_CIPHER_ALG_SERPENT_192 },
    { "serpent", QCRYPTO_CIPHER_ALG_SERPENT_256 },
    { "twofish", QCRYPTO_CIPHER_ALG_TWOFISH_128 },
    { "twofish", QCRYPTO_CIPHER_ALG_TWOFISH_192 },
    { "twofish", QCRYPTO_CIPHER_ALG_TWOFISH_256 },
};

bool luks_header_probe(const void *data, size_t len)
{
    return len >= sizeof(magic) + 2 && memcmp(data, magic, sizeof(magic)) == 0 &&
           ldw_be((const uint8_t *)data + AT_VERSION) == 1;
}

size_t luks_material_len(const LuksHeader *header)
{
    return ROUND_UP((size_t)header->key_len * LUKS_STRIPES, LUKS_SECTOR);
}

uint64_t luks_header_iterations(const LuksHeader *header)
{
    uint64_t sum = 0;

    for (int i = 0; i < LUKS_SLOTS; i++) {
        if (header->slots[i].active) {
            sum += (uint64_t)header->slots[i].iterations + header->iterations;
        }
    }
    return sum;
}

/* A name in 32 bytes, the last of which is 0. Borrowed. */
static const char *get_name(const uint8_t *raw, size_t at, const char *what, GError **error)
{
    const char *name = (const char *)raw + at;

    if (!memchr(name, 0, NAME_LEN)) {
        error_setf(error, "LUKS header: the %s's name at offset %zu has no end", what, at);
        return NULL;
    }
    if (!g_utf8_validate(name, -1, NULL)) {
        error_setf(error, "LUKS header: the %s's name at offset %zu is not text", what, at);
        return NULL;
    }
    return name;
}

static bool parse_hash(const char *name, const char *what, QCryptoHashAlgorithm *hash,
                       GError **error)
{
    if (!QCryptoHashAlgorithm_parse(name, hash, NULL)) {
        error_setf(error, "LUKS header: %s '%s' is not supported", what, name);
        return false;
    }
    return true;
}

/* MODE, MODE-IVGEN or MODE-IVGEN:HASH. */
static bool parse_mode(const char *spec, LuksHeader *header, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(spec, "-", 2);
    char *hash = parts[0] && parts[1] ? strchr(parts[1], ':') : NULL;
    bool ok;

    if (hash) {
        *hash++ = '\0';
    }
    ok = parts[0] && QCryptoCipherMode_parse(parts[0], &header->mode, NULL);
    if (ok && parts[1]) {
        ok = QCryptoIVGenAlgorithm_parse(parts[1], &header->ivgen, NULL);
    } else if (ok) {
        header->ivgen = QCRYPTO_IVGEN_ALG_PLAIN;
        ok = header->mode == QCRYPTO_CIPHER_MODE_ECB; /* has no use for vectors */
    }
    if (!ok || (header->ivgen == QCRYPTO_IVGEN_ALG_ESSIV) != (hash != NULL)) {
        error_setf(error, "LUKS header: cipher mode '%s' is not supported", spec);
        return false;
    }
    return !hash || parse_hash(hash, "hash of the cipher mode", &header->ivgen_hash, error);
}

/* The mode must be known already. */
static bool parse_cipher(const char *name, LuksHeader *header, GError **error)
{
    unsigned keys = header->mode == QCRYPTO_CIPHER_MODE_XTS ? 2 : 1;
    bool known = false;

    for (size_t i = 0; i < G_N_ELEMENTS(cipher_names); i++) {
        if (strcmp(cipher_names[i].name, name) != 0) {
            continue;
        }
        known = true;
        if (keys * crypto_cipher_key_len(cipher_names[i].alg) == header->key_len) {
            header->cipher = cipher_names[i].alg;
            return true;
        }
    }
    if (known) {
        error_setf(error, "LUKS header: a key of %u bytes does not suit cipher '%s' in mode %s",
                   header->key_len, name, QCryptoCipherMode_str(header->mode));
    } else {
        error_setf(error, "LUKS header: cipher '%s' is not supported", name);
    }
    return false;
}

/* Can the ciphers and hashes be used together? */
static bool check_combination(const LuksHeader *header, GError **error)
{
    if (!crypto_cipher_supports(header->cipher, header->mode)) {
        error_setf(error, "cipher %s cannot be used in mode %s",
                   QCryptoCipherAlgorithm_str(header->cipher), QCryptoCipherMode_str(header->mode));
        return false;
    }
    if (header->ivgen == QCRYPTO_IVGEN_ALG_ESSIV &&
        !crypto_ivgen_essiv_supports(header->cipher, header->ivgen_hash)) {
        error_setf(error, "essiv with hash %s does not go with cipher %s",
                   QCryptoHashAlgorithm_str(header->ivgen_hash),
                   QCryptoCipherAlgorithm_str(header->cipher));
        return false;
    }
    return true;
}

static bool check_iterations(uint32_t iterations, const char *what, int slot, GError **error)
{
    g_autofree char *number = slot < 0 ? g_strdup("") : g_strdup_printf(" %d", slot);

    if (iterations == 0 || iterations > LUKS_MAX_ITERATIONS) {
        error_setf(error, "LUKS header: %s%s has %u iterations; 1 to %u are possible", what, number,
                   iterations, LUKS_MAX_ITERATIONS);
        return false;
    }
    return true;
}

static bool parse_slot(const uint8_t *raw, int number, LuksSlot *slot, GError **error)
{
    uint32_t state = ldl_be(raw + SLOT_STATE);

    if (state != SLOT_ACTIVE && state != SLOT_INACTIVE) {
        error_setf(error, "LUKS header: key slot %d has the unknown state 0x%08x", number, state);
        return false;
    }
    slot->active = state == SLOT_ACTIVE;
    slot->iterations = ldl_be(raw + SLOT_ITERATIONS);
    memcpy(slot->salt, raw + SLOT_SALT, LUKS_SALT_LEN);
    slot->material_sector = ldl_be(raw + SLOT_MATERIAL);
    slot->stripes = ldl_be(raw + SLOT_STRIPES);
    if (!slot->active) {
        return true;
    }
    if (slot->stripes == 0 || slot->stripes > LUKS_STRIPES) {
        error_setf(error, "LUKS header: key slot %d has %u stripes; 1 to %u are possible", number,
                   slot->stripes, LUKS_STRIPES);
        return false;
    }
    return check_iterations(slot->iterations, "key slot", number, error);
}

/* Header, slots' material and data must lie apart, and material before data. */
static bool check_places(const LuksHeader *header, GError **error)
{
    uint64_t sectors = luks_material_len(header) / LUKS_SECTOR;

    for (int i = 0; i < LUKS_SLOTS; i++) {
        uint64_t start = header->slots[i].material_sector;

        if (start * LUKS_SECTOR < LUKS_HEADER_LEN) {
            error_setf(error, "LUKS header: key slot %d at sector %" G_GUINT64_FORMAT
                       " overlaps the header", i, start);
            return false;
        }
        if (!range_ok(start, sectors, header->payload_sector)) {
            error_setf(error, "LUKS header: key slot %d at sector %" G_GUINT64_FORMAT
                       " overlaps the data at sector %u", i, start, header->payload_sector);
            return false;
        }
        for (int j = 0; j < i; j++) {
            if (ranges_overlap(start, sectors, header->slots[j].material_sector, sectors)) {
                error_setf(error, "LUKS header: key slots %d and %d overlap", j, i);
                return false;
            }
        }
    }
    return true;
}

static bool parse_names(const uint8_t *raw, LuksHeader *header, GError **error)
{
    const char *cipher = get_name(raw, AT_CIPHER, "cipher", error);
    const char *mode = cipher ? get_name(raw, AT_MODE, "cipher mode", error) : NULL;
    const char *hash = mode ? get_name(raw, AT_HASH, "hash", error) : NULL;

    return hash && parse_mode(mode, header, error) && parse_cipher(cipher, header, error) &&
           parse_hash(hash, "hash", &header->hash, error) && check_combination(header, error);
}

bool luks_header_parse(const uint8_t raw[LUKS_HEADER_LEN], LuksHeader *header, GError **error)
{
    *header = (LuksHeader) { 0 };
    if (memcmp(raw, magic, sizeof(magic)) != 0) {
        error_setf(error, "this is not a LUKS header");
        return false;
    }
    if (ldw_be(raw + AT_VERSION) != 1) {
        error_setf(error, "LUKS version %u is not supported; version 1 is",
                   ldw_be(raw + AT_VERSION));
        return false;
    }
    header->payload_sector = ldl_be(raw + AT_PAYLOAD);
    header->key_len = ldl_be(raw + AT_KEY_LEN);
    header->iterations = ldl_be(raw + AT_ITERATIONS);
    memcpy(header->digest, raw + AT_DIGEST, LUKS_DIGEST_LEN);
    memcpy(header->salt, raw + AT_SALT, LUKS_SALT_LEN);
    memcpy(header->uuid, raw + AT_UUID, LUKS_UUID_LEN - 1);
    if (!g_utf8_validate(header->uuid, -1, NULL)) {
        error_setf(error, "LUKS header: the UUID at offset %d is not text", AT_UUID);
        return false;
    }
    if (!parse_names(raw, header, error) ||
        !check_iterations(header->iterations, "the master key's digest", -1, error)) {
        return false;
    }
    for (int i = 0; i < LUKS_SLOTS; i++) {
        if (!parse_slot(raw + AT_SLOTS + i * SLOT_LEN, i, &header->slots[i], error)) {
            return false;
        }
    }
    return check_places(header, error);
}

static const char *cipher_name(QCryptoCipherAlgorithm alg)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cipher_names); i++) {
        if (cipher_names[i].alg == alg) {
            return cipher_names[i].name;
        }
    }
    return NULL;
}

void luks_header_format(const LuksHeader *header, uint8_t raw[LUKS_HEADER_LEN])
{
    bool essiv = header->ivgen == QCRYPTO_IVGEN_ALG_ESSIV;

    memset(raw, 0, LUKS_HEADER_LEN);
    memcpy(raw, magic, sizeof(magic));
    stw_be(raw + AT_VERSION, 1);
    g_strlcpy((char *)raw + AT_CIPHER, cipher_name(header->cipher), NAME_LEN);
    g_snprintf((char *)raw + AT_MODE, NAME_LEN, "%s-%s%s%s", QCryptoCipherMode_str(header->mode),
               QCryptoIVGenAlgorithm_str(header->ivgen), essiv ? ":" : "",
               essiv ? QCryptoHashAlgorithm_str(header->ivgen_hash) : "");
    g_strlcpy((char *)raw + AT_HASH, QCryptoHashAlgorithm_str(header->hash), NAME_LEN);
    stl_be(raw + AT_PAYLOAD, header->payload_sector);
    stl_be(raw + AT_KEY_LEN, header->key_len);
    memcpy(raw + AT_DIGEST, header->digest, LUKS_DIGEST_LEN);
    memcpy(raw + AT_SALT, header->salt, LUKS_SALT_LEN);
    stl_be(raw + AT_ITERATIONS, header->iterations);
    g_strlcpy((char *)raw + AT_UUID, header->uuid, LUKS_UUID_LEN);
    for (int i = 0; i < LUKS_SLOTS; i++) {
        const LuksSlot *slot = &header->slots[i];
        uint8_t *at = raw + AT_SLOTS + i * SLOT_LEN;

        stl_be(at + SLOT_STATE, slot->active ? SLOT_ACTIVE : SLOT_INACTIVE);
        stl_be(at + SLOT_ITERATIONS, slot->iterations);
        memcpy(at + SLOT_SALT, slot->salt, LUKS_SALT_LEN);
        stl_be(at + SLOT_MATERIAL, slot->material_sector);
        stl_be(at + SLOT_STRIPES, slot->stripes);
    }
}

bool luks_header_layout(LuksHeader *header, GError **error)
{
    unsigned keys = header->mode == QCRYPTO_CIPHER_MODE_XTS ? 2 : 1;
    uint64_t at = MATERIAL_ALIGN;
    uint64_t room;

    if (!cipher_name(header->cipher)) {
        error_setf(error, "LUKS has no name for cipher %s",
                   QCryptoCipherAlgorithm_str(header->cipher));
        return false;
    }
    if (!check_combination(header, error)) {
        return false;
    }
    header->key_len = (uint32_t)(keys * crypto_cipher_key_len(header->cipher));
    room = ROUND_UP(luks_material_len(header), MATERIAL_ALIGN);
    for (int i = 0; i < LUKS_SLOTS; i++) {
        header->slots[i].material_sector = (uint32_t)(at / LUKS_SECTOR);
        header->slots[i].stripes = LUKS_STRIPES;
        at += room;
    }
    header->payload_sector = (uint32_t)(at / LUKS_SECTOR);
    return true;
}
