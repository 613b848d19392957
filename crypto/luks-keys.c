/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key slots. A password and the slot's salt make (PBKDF2) a key, which encrypts the split master
 * key like a disk that begins at sector 0.
 */
#include "crypto/luks-keys.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/afsplit.h"
#include "crypto/cipher.h"
#include "crypto/ivgen.h"
#include "crypto/pbkdf.h"
#include "crypto/random.h"
#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/thread-pool.h"

/* A digest or slot that is too quick to try is worth little. */
#define MIN_ITERATIONS 1000
/* Random passes over material that is erased: disks may keep some writes elsewhere. */
#define ERASE_PASSES 4
/* Checking the digest happens once for each slot tried, so it gets a small part of the time. */
#define DIGEST_SHARE 8

/* One slot's work, for the thread pool. */
typedef struct SlotWork {
    const LuksHeader *header;
    const LuksSlot *slot;
    const SecretData *password;
    uint8_t *material; /* of material_len bytes; ciphertext outside, plain inside */
    size_t material_len;
    uint8_t *master_key;
    bool fits;
    uint64_t rate;
    GError *error;
} SlotWork;

/* Run in the thread pool if that can be waited for. */
static void run_slow(ThreadPoolWork *work, SlotWork *opaque)
{
    if (coroutine_current()) {
        thread_pool_run(work, opaque);
    } else {
        work(opaque);
    }
}

static size_t material_len(const LuksHeader *header, const LuksSlot *slot)
{
    return ROUND_UP((size_t)header->key_len * slot->stripes, LUKS_SECTOR);
}

static void wipe_and_free(uint8_t *buf, size_t len)
{
    explicit_bzero(buf, len);
    g_free(buf);
}

/* Encrypt or decrypt the material in place with the slot's key. */
static bool crypt_material(const LuksHeader *header, bool encrypt, const uint8_t *key,
                           uint8_t *material, size_t len, GError **error)
{
    g_autoptr(CryptoCipher) cipher = crypto_cipher_new(header->cipher, header->mode, key,
                                                       header->key_len, error);
    g_autoptr(IvGen) ivgen = NULL;
    g_autofree uint8_t *ivs = NULL;
    size_t sectors = len / LUKS_SECTOR;

    if (!cipher) {
        return false;
    }
    ivgen = crypto_ivgen_new(header->ivgen, header->cipher, header->ivgen_hash, key,
                             header->key_len, error);
    if (!ivgen) {
        return false;
    }
    ivs = g_malloc(sectors * CRYPTO_MAX_BLOCK);
    crypto_ivgen_vectors(ivgen, 0, sectors, ivs);
    if (encrypt) {
        crypto_cipher_encrypt_sectors(cipher, ivs, material, material, LUKS_SECTOR, sectors);
    } else {
        crypto_cipher_decrypt_sectors(cipher, ivs, material, material, LUKS_SECTOR, sectors);
    }
    return true;
}

static void slot_key(const SlotWork *work, uint8_t key[LUKS_MAX_KEY])
{
    crypto_pbkdf2(work->header->hash, work->password->data, work->password->len, work->slot->salt,
                  LUKS_SALT_LEN, work->slot->iterations, key, work->header->key_len);
}

static void make_digest(const LuksHeader *header, const uint8_t *master_key,
                        uint8_t digest[LUKS_DIGEST_LEN])
{
    crypto_pbkdf2(header->hash, master_key, header->key_len, header->salt, LUKS_SALT_LEN,
                  header->iterations, digest, LUKS_DIGEST_LEN);
}

static int do_try(void *opaque)
{
    SlotWork *work = opaque;
    const LuksHeader *header = work->header;
    uint8_t key[LUKS_MAX_KEY];
    uint8_t digest[LUKS_DIGEST_LEN];

    slot_key(work, key);
    if (crypt_material(header, false, key, work->material, work->material_len, &work->error)) {
        crypto_af_merge(header->hash, work->material, header->key_len, work->slot->stripes,
                        work->master_key);
        make_digest(header, work->master_key, digest);
        work->fits = memcmp(digest, header->digest, sizeof(digest)) == 0;
    }
    explicit_bzero(key, sizeof(key));
    return 0;
}

bool luks_slot_try(const LuksHeader *header, int slot, const SecretData *password,
                   const CryptoBlockIo *io, uint8_t master_key[LUKS_MAX_KEY], bool *fits,
                   GError **error)
{
    SlotWork work = {
        .header = header,
        .slot = &header->slots[slot],
        .password = password,
        .master_key = master_key,
    };
    bool ok;

    *fits = false;
    work.material_len = material_len(header, work.slot);
    work.material = g_malloc(work.material_len);
    ok = io->read(io->opaque, (uint64_t)work.slot->material_sector * LUKS_SECTOR, work.material,
                  work.material_len, error);
    if (ok) {
        run_slow(do_try, &work);
        *fits = work.fits;
        if (work.error) {
            g_propagate_error(error, work.error);
            ok = false;
        }
    }
    wipe_and_free(work.material, work.material_len);
    return ok;
}

static int do_rate(void *opaque)
{
    SlotWork *work = opaque;

    work->rate = crypto_pbkdf2_rate(work->header->hash, work->header->key_len);
    return 0;
}

LuksPace luks_pace(const LuksHeader *header, uint64_t iter_time)
{
    SlotWork work = { .header = header };

    run_slow(do_rate, &work);
    return (LuksPace) { .iter_time = iter_time, .rate = work.rate };
}

/* How many iterations take 1 / share of the time. */
static bool count_iterations(const LuksPace *pace, unsigned share, uint32_t *iterations,
                             GError **error)
{
    double wanted = (double)pace->rate * (double)pace->iter_time / 1000 / share;

    if (wanted > LUKS_MAX_ITERATIONS) {
        error_setf(error, "iter-time %" G_GUINT64_FORMAT " would need %.0f iterations, more than "
                   "the %u that are possible", pace->iter_time, wanted, LUKS_MAX_ITERATIONS);
        return false;
    }
    *iterations = MAX((uint32_t)wanted, MIN_ITERATIONS);
    return true;
}

/* Would the header with this slot still be one that can be opened? */
static bool has_time_for(const LuksHeader *header, int slot, const LuksSlot *filled,
                         GError **error)
{
    LuksHeader after = *header;

    after.slots[slot] = *filled;
    if (luks_header_iterations(&after) > LUKS_MAX_ITERATIONS) {
        error_setf(error, "with key slot %d of %u iterations, all slots would have %" PRIu64
                   ", more than the %u that are possible; choose a shorter iter-time", slot,
                   filled->iterations, luks_header_iterations(&after), LUKS_MAX_ITERATIONS);
        return false;
    }
    return true;
}

static int do_fill(void *opaque)
{
    SlotWork *work = opaque;
    const LuksHeader *header = work->header;
    uint8_t key[LUKS_MAX_KEY];

    slot_key(work, key);
    if (crypto_af_split(header->hash, work->master_key, header->key_len, work->slot->stripes,
                        work->material, &work->error)) {
        crypt_material(header, true, key, work->material, work->material_len, &work->error);
    }
    explicit_bzero(key, sizeof(key));
    return 0;
}

bool luks_slot_fill(LuksHeader *header, int slot, const SecretData *password, const LuksPace *pace,
                    const uint8_t master_key[LUKS_MAX_KEY], const CryptoBlockIo *io,
                    GError **error)
{
    LuksSlot filled = {
        .active = true,
        .material_sector = header->slots[slot].material_sector,
        .stripes = LUKS_STRIPES,
    };
    SlotWork work = {
        .header = header,
        .slot = &filled,
        .password = password,
        .master_key = (uint8_t *)master_key,
    };
    bool ok;

    if (!crypto_random_bytes(filled.salt, LUKS_SALT_LEN, error) ||
        !count_iterations(pace, 1, &filled.iterations, error) ||
        !has_time_for(header, slot, &filled, error)) {
        return false;
    }
    work.material_len = material_len(header, &filled);
    work.material = g_malloc0(work.material_len);
    run_slow(do_fill, &work);
    if (work.error) {
        g_propagate_error(error, work.error);
        ok = false;
    } else {
        ok = io->write(io->opaque, (uint64_t)filled.material_sector * LUKS_SECTOR, work.material,
                       work.material_len, error);
    }
    wipe_and_free(work.material, work.material_len);
    if (ok) {
        header->slots[slot] = filled;
    }
    return ok;
}

bool luks_slot_erase(LuksHeader *header, int slot, const CryptoBlockIo *io, GError **error)
{
    LuksSlot *erased = &header->slots[slot];
    size_t len = luks_material_len(header);
    g_autofree uint8_t *noise = g_malloc(len);

    for (int pass = 0; pass < ERASE_PASSES; pass++) {
        if (!crypto_random_bytes(noise, len, error) ||
            !io->write(io->opaque, (uint64_t)erased->material_sector * LUKS_SECTOR, noise, len,
                       error)) {
            return false;
        }
    }
    *erased = (LuksSlot) {
        .material_sector = erased->material_sector,
        .stripes = LUKS_STRIPES,
    };
    return true;
}

bool luks_digest_make(LuksHeader *header, const LuksPace *pace,
                      const uint8_t master_key[LUKS_MAX_KEY], GError **error)
{
    if (!crypto_random_bytes(header->salt, LUKS_SALT_LEN, error) ||
        !count_iterations(pace, DIGEST_SHARE, &header->iterations, error)) {
        return false;
    }
    make_digest(header, master_key, header->digest);
    return true;
}

bool luks_header_write(const LuksHeader *header, const CryptoBlockIo *io, GError **error)
{
    uint8_t raw[LUKS_HEADER_LEN];

    luks_header_format(header, raw);
    return io->write(io->opaque, 0, raw, sizeof(raw), error);
}
