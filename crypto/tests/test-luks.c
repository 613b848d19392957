/* SPDX-License-Identifier: Apache-2.0 */
/* LUKS volumes in memory: creating, opening, changing keys, and headers that lie. */
#include "crypto/block.h"
#include "crypto/cipher.h"
#include "crypto/luks-keys.h"
#include "crypto/random.h"
#include "crypto/tests/luks-memory.h"
#include "util/bits.h"
#include "util/coroutine.h"

#define PAYLOAD_SECTORS 100

static QCryptoBlockCreateOptions quick_options(void)
{
    QCryptoBlockCreateOptions options = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };

    options.u.luks.key_secret = (char *)"alpha";
    options.u.luks.has_iter_time = true;
    options.u.luks.iter_time = 1;
    return options;
}

static CryptoBlock *create(Volume *volume, const QCryptoBlockCreateOptions *options)
{
    CryptoBlockIo io = volume_io(volume);
    g_autoptr(GError) error = NULL;
    CryptoBlock *block;

    volume->writes_left = ~0u;
    block = crypto_block_create(options, "", &io, &error);
    g_assert_no_error(error);
    return block;
}

static CryptoBlock *open_with(Volume *volume, const char *secret, unsigned flags, GError **error)
{
    QCryptoBlockOpenOptions options = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };
    CryptoBlockIo io = volume_io(volume);

    options.u.luks.key_secret = (char *)secret;
    return crypto_block_open(&options, "encrypt.", &io, flags, error);
}

static bool opens(Volume *volume, const char *secret)
{
    g_autoptr(CryptoBlock) block = open_with(volume, secret, 0, NULL);

    return block != NULL;
}

static void assert_same_data(const CryptoBlock *a, const CryptoBlock *b)
{
    uint8_t plain[PAYLOAD_SECTORS * CRYPTO_BLOCK_SECTOR], copy[sizeof(plain)];

    g_assert_true(crypto_random_bytes(plain, sizeof(plain), NULL));
    crypto_block_encrypt(a, 1 << 20, plain, copy, sizeof(plain));
    g_assert_true(memcmp(plain, copy, sizeof(plain)) != 0);
    /* In two parts, the second where it was. */
    crypto_block_decrypt(b, 1 << 20, copy, copy, 512);
    crypto_block_decrypt(b, (1 << 20) + 512, copy + 512, copy + 512, sizeof(copy) - 512);
    g_assert_cmpmem(plain, sizeof(plain), copy, sizeof(copy));
}

static void test_defaults(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };
    g_autoptr(CryptoBlock) block = create(&volume, &options);
    g_autoptr(CryptoBlock) again = open_with(&volume, "alpha", 0, NULL);
    g_autoptr(CryptoBlock) no_io = open_with(&volume, NULL, CRYPTO_BLOCK_NO_IO, NULL);
    g_autoptr(QCryptoBlockInfo) info = crypto_block_info(no_io);
    const QCryptoBlockInfoLUKS *luks = &info->u.luks;
    const QCryptoBlockInfoLUKSSlot *slot = g_ptr_array_index(luks->slots, 1);
    uint64_t measured;

    g_assert_true(crypto_block_probe(QCRYPTO_BLOCK_FORMAT_LUKS, volume.bytes, volume.len));
    g_assert_cmpint(luks->cipher_alg, ==, QCRYPTO_CIPHER_ALG_AES_256);
    g_assert_cmpint(luks->cipher_mode, ==, QCRYPTO_CIPHER_MODE_XTS);
    g_assert_cmpint(luks->ivgen_alg, ==, QCRYPTO_IVGEN_ALG_PLAIN64);
    g_assert_cmpint(luks->hash_alg, ==, QCRYPTO_HASH_ALG_SHA256);
    g_assert_cmpint(luks->payload_offset, ==, 2068480);
    g_assert_cmpuint(luks->slots->len, ==, 8);
    g_assert_false(slot->active);
    g_assert_cmpint(slot->key_offset, ==, 262144);
    g_assert_cmpuint(volume.init_len, ==, 2068480);
    g_assert_true(crypto_block_measure(&options, &measured, NULL));
    g_assert_cmpuint(measured, ==, 2068480);
    assert_same_data(block, again);
    g_assert_false(opens(&volume, "beta"));
    g_free(volume.bytes);
}

static void test_no_secret(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };
    g_autoptr(GError) error = NULL;

    crypto_block_free(create(&volume, &options));
    g_assert_null(open_with(&volume, NULL, 0, &error));
    g_assert_cmpstr(error->message, ==,
                    "an encrypted image needs 'encrypt.key-secret', the id of a secret object");
    g_clear_error(&error);
    g_assert_null(open_with(&volume, "nobody", 0, &error));
    g_assert_cmpstr(error->message, ==, "there is no object 'nobody'");
    g_clear_error(&error);
    g_assert_null(open_with(&volume, "beta", 0, &error));
    g_assert_cmpstr(error->message, ==,
                    "the password in secret 'beta' opens no key slot: Invalid password");
    g_free(volume.bytes);
}

static void check_combination(const QCryptoBlockCreateOptions *options)
{
    Volume volume = { .writes_left = ~0u };
    CryptoBlockIo io = volume_io(&volume);
    g_autoptr(GError) error = NULL;
    g_autoptr(CryptoBlock) block = crypto_block_create(options, "", &io, &error);
    g_autoptr(CryptoBlock) again = NULL;

    if (!block) {
        g_assert_nonnull(error);
        g_assert_null(volume.bytes); /* refused before anything was written */
        return;
    }
    again = open_with(&volume, "alpha", 0, &error);
    g_assert_no_error(error);
    assert_same_data(block, again);
    g_free(volume.bytes);
}

static void test_combinations(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    QCryptoBlockCreateOptionsLUKS *luks = &options.u.luks;

    luks->has_cipher_alg = luks->has_cipher_mode = luks->has_ivgen_alg = true;
    luks->has_ivgen_hash_alg = luks->has_hash_alg = true;
    for (int cipher = 0; cipher < QCRYPTO_CIPHER_ALG__MAX; cipher++) {
        for (int mode = 0; mode < QCRYPTO_CIPHER_MODE__MAX; mode++) {
            for (int ivgen = 0; ivgen < QCRYPTO_IVGEN_ALG__MAX; ivgen++) {
                luks->cipher_alg = cipher;
                luks->cipher_mode = mode;
                luks->ivgen_alg = ivgen;
                luks->hash_alg = (cipher + mode + ivgen) % QCRYPTO_HASH_ALG__MAX;
                luks->ivgen_hash_alg = cipher % 2 ? QCRYPTO_HASH_ALG_SHA256 : QCRYPTO_HASH_ALG_MD5;
                check_combination(&options);
            }
        }
    }
}

typedef struct AmendCase {
    QCryptoBlockLUKSKeyslotState state;
    const char *new_secret, *old_secret, *secret;
    int keyslot; /* -1: not given */
    bool force;
    const char *error; /* NULL: it works */
} AmendCase;

#define ADD QCRYPTO_BLOCK_LUKS_KEYSLOT_STATE_ACTIVE
#define ERASE QCRYPTO_BLOCK_LUKS_KEYSLOT_STATE_INACTIVE

/* In order, on one volume that begins with "alpha" in slot 0. */
static const AmendCase amends[] = {
    { ERASE, NULL, "alpha", NULL, -1, false,
      "this would erase the last key, and all data with it; force does it" },
    { ERASE, NULL, NULL, NULL, 0, false,
      "this would erase the last key, and all data with it; force does it" },
    { ERASE, NULL, NULL, NULL, -1, false, "erasing needs 'keyslot' or 'old-secret'" },
    { ERASE, NULL, NULL, NULL, 3, false, "key slot 3 is not active" },
    { ERASE, "beta", NULL, NULL, 0, false, "'new-secret' has no meaning with state 'inactive'" },
    { ERASE, NULL, "beta", NULL, -1, false,
      "the password in secret 'beta' opens none of these key slots" },
    { ADD, NULL, NULL, NULL, -1, false,
      "an encrypted image needs 'new-secret', the id of a secret object" },
    { ADD, "beta", "alpha", NULL, -1, false, "'old-secret' has no meaning with state 'active'" },
    { ADD, "beta", NULL, NULL, 8, false, "'keyslot' is 8; slots are 0 to 7" },
    { ADD, "beta", NULL, NULL, 0, false, "key slot 0 is active; erase it first" },
    { ADD, "beta", NULL, "gamma", -1, false,
      "the password in secret 'gamma' opens no key slot: Invalid password" },
    { ADD, "beta", NULL, NULL, -1, false, NULL },     /* slot 1 */
    { ADD, "gamma", NULL, "beta", 5, false, NULL },
    { ADD, "beta", NULL, NULL, 7, false, NULL },
    { ERASE, NULL, "beta", NULL, 5, false,
      "the password in secret 'beta' opens none of these key slots" },
    { ERASE, NULL, "alpha", NULL, -1, false, NULL },  /* slot 0 */
    { ADD, "alpha", NULL, NULL, 0, false,             /* what opened it is gone */
      "the password in secret 'alpha' opens no key slot: Invalid password" },
    { ADD, "alpha", NULL, "gamma", 0, false, NULL },
    { ADD, "alpha", NULL, NULL, 7, true, NULL },      /* over "beta" */
    { ERASE, NULL, "beta", NULL, -1, false, NULL },   /* slot 1 */
};

static void run_amend(CryptoBlock *block, Volume *volume, const AmendCase *amend)
{
    QCryptoBlockAmendOptions options = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };
    QCryptoBlockAmendOptionsLUKS *luks = &options.u.luks;
    CryptoBlockIo io = volume_io(volume);
    g_autoptr(GError) error = NULL;

    luks->state = amend->state;
    luks->new_secret = (char *)amend->new_secret;
    luks->old_secret = (char *)amend->old_secret;
    luks->secret = (char *)amend->secret;
    luks->has_keyslot = amend->keyslot >= 0;
    luks->keyslot = amend->keyslot;
    luks->has_iter_time = amend->state == QCRYPTO_BLOCK_LUKS_KEYSLOT_STATE_ACTIVE;
    luks->iter_time = 1;
    crypto_block_amend(block, &options, "", &io, amend->force, &error);
    g_assert_cmpstr(error ? error->message : NULL, ==, amend->error);
}

static void test_amend(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };
    g_autoptr(CryptoBlock) block = create(&volume, &options);
    g_autoptr(CryptoBlock) again = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(amends); i++) {
        run_amend(block, &volume, &amends[i]);
    }
    g_assert_true(opens(&volume, "alpha"));
    g_assert_false(opens(&volume, "beta"));
    again = open_with(&volume, "gamma", 0, NULL);
    assert_same_data(block, again);
    run_amend(block, &volume, &(AmendCase) { ERASE, NULL, "gamma", NULL, -1, false, NULL });
    run_amend(block, &volume, &(AmendCase) { ERASE, NULL, "alpha", NULL, -1, true, NULL });
    g_assert_false(opens(&volume, "alpha"));
    g_free(volume.bytes);
}

/* Wherever writing stops, a password that was not to be erased opens the volume. */
static void test_interrupted(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };
    g_autoptr(CryptoBlock) block = create(&volume, &options);
    AmendCase add = { ADD, "beta", NULL, NULL, -1, false, "no more writes" };
    AmendCase erase = { ERASE, NULL, "beta", NULL, -1, false, "no more writes" };

    volume.writes_left = 1;
    run_amend(block, &volume, &add);
    g_assert_true(opens(&volume, "alpha"));
    g_assert_false(opens(&volume, "beta"));
    volume.writes_left = ~0u;
    add.error = NULL;
    run_amend(block, &volume, &add);
    g_assert_true(opens(&volume, "beta"));
    volume.writes_left = 1;
    run_amend(block, &volume, &erase);
    g_assert_true(opens(&volume, "alpha"));
    g_assert_false(opens(&volume, "beta"));
    g_free(volume.bytes);
}

typedef struct BadCase {
    size_t offset;
    uint64_t value;
    unsigned len; /* of the value, big-endian; 0: fill with the byte */
    const char *error;
} BadCase;

#define SLOT(n, field) (208 + 48 * (n) + (field))

static const BadCase bad_cases[] = {
    { 0, 'l', 1, "this is not a LUKS header" },
    { 6, 0, 2, "LUKS version 0 is not supported; version 1 is" },
    { 6, 2, 2, "LUKS version 2 is not supported; version 1 is" },
    { 8, 'x', 0, "LUKS header: the cipher's name at offset 8 has no end" },
    { 8, 'x', 1, "LUKS header: cipher 'xes' is not supported" },
    { 8, 0, 1, "LUKS header: cipher '' is not supported" },
    { 8, 0xff, 1, "LUKS header: the cipher's name at offset 8 is not text" },
    { 8, 0x63617374350000, 7, "LUKS header: a key of 64 bytes does not suit cipher 'cast5' in mode "
      "xts" },
    { 40, 'x', 0, "LUKS header: the cipher mode's name at offset 40 has no end" },
    { 40, 0, 1, "LUKS header: cipher mode '' is not supported" },
    { 43, 0, 1, "LUKS header: cipher mode 'xts' is not supported" },
    { 44, 0, 1, "LUKS header: cipher mode 'xts-' is not supported" },
    { 49, ':', 1, "LUKS header: cipher mode 'xts-plain:4' is not supported" },
    { 44, 0x65737369760000, 7, "LUKS header: cipher mode 'xts-essiv' is not supported" },
    { 44, 0x65737369763a78, 7, "LUKS header: hash of the cipher mode 'x' is not supported" },
    { 40, 'c', 1, "LUKS header: cipher mode 'cts-plain64' is not supported" },
    { 72, 'x', 0, "LUKS header: the hash's name at offset 72 has no end" },
    { 72, 'x', 1, "LUKS header: hash 'xha256' is not supported" },
    { 104, 0, 4, "LUKS header: key slot 0 at sector 8 overlaps the data at sector 0" },
    { 104, 4039, 4, NULL },
    { 104, 4030, 4, "LUKS header: key slot 7 at sector 3536 overlaps the data at sector 4030" },
    { 108, 0, 4, "LUKS header: a key of 0 bytes does not suit cipher 'aes' in mode xts" },
    { 108, 16, 4, "LUKS header: a key of 16 bytes does not suit cipher 'aes' in mode xts" },
    { 108, 0xffffffff, 4,
      "LUKS header: a key of 4294967295 bytes does not suit cipher 'aes' in mode xts" },
    { 164, 0, 4, "LUKS header: the master key's digest has 0 iterations; 1 to 100000000 are "
      "possible" },
    { 164, 0xffffffff, 4, "LUKS header: the master key's digest has 4294967295 iterations; 1 to "
      "100000000 are possible" },
    { 168, 0xff, 1, "LUKS header: the UUID at offset 168 is not text" },
    { SLOT(0, 0), 1, 4, "LUKS header: key slot 0 has the unknown state 0x00000001" },
    { SLOT(7, 0), 0, 4, "LUKS header: key slot 7 has the unknown state 0x00000000" },
    { SLOT(0, 4), 0, 4, "LUKS header: key slot 0 has 0 iterations; 1 to 100000000 are possible" },
    { SLOT(0, 4), 100000001, 4,
      "LUKS header: key slot 0 has 100000001 iterations; 1 to 100000000 are possible" },
    { SLOT(1, 4), 0xffffffff, 4, NULL }, /* not active */
    { SLOT(0, 40), 0, 4, "LUKS header: key slot 0 at sector 0 overlaps the header" },
    { SLOT(0, 40), 1, 4, "LUKS header: key slot 0 at sector 1 overlaps the header" },
    { SLOT(0, 40), 2, 4, NULL },
    { SLOT(0, 40), 100, 4, "LUKS header: key slots 0 and 1 overlap" },
    { SLOT(7, 40), 8, 4, "LUKS header: key slots 0 and 7 overlap" },
    { SLOT(3, 40), 0xffffffff, 4,
      "LUKS header: key slot 3 at sector 4294967295 overlaps the data at sector 4040" },
    { SLOT(7, 40), 3700, 4,
      "LUKS header: key slot 7 at sector 3700 overlaps the data at sector 4040" },
    { SLOT(0, 44), 0, 4, "LUKS header: key slot 0 has 0 stripes; 1 to 4000 are possible" },
    { SLOT(0, 44), 4001, 4, "LUKS header: key slot 0 has 4001 stripes; 1 to 4000 are possible" },
    { SLOT(0, 44), 0xffffffff, 4,
      "LUKS header: key slot 0 has 4294967295 stripes; 1 to 4000 are possible" },
};

static void spoil(uint8_t *bytes, const BadCase *bad)
{
    if (!bad->len) {
        memset(bytes + bad->offset, (int)bad->value, 32);
    }
    for (unsigned i = 0; i < bad->len; i++) {
        bytes[bad->offset + i] = (uint8_t)(bad->value >> 8 * (bad->len - 1 - i));
    }
}

static void test_malformed(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };
    g_autofree uint8_t *good = NULL;

    crypto_block_free(create(&volume, &options));
    good = g_memdup2(volume.bytes, 592);
    for (size_t i = 0; i < G_N_ELEMENTS(bad_cases); i++) {
        g_autoptr(CryptoBlock) opened = NULL;
        g_autoptr(GError) error = NULL;

        memcpy(volume.bytes, good, 592);
        spoil(volume.bytes, &bad_cases[i]);
        opened = open_with(&volume, NULL, CRYPTO_BLOCK_NO_IO, &error);
        g_assert_cmpstr(error ? error->message : NULL, ==, bad_cases[i].error);
        g_assert_true((opened != NULL) == (bad_cases[i].error == NULL));
    }
    g_free(volume.bytes);
}

/* No slot alone takes too long, but all of them would. Telling of them needs no password. */
static void test_too_slow(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };
    CryptoBlockIo io = volume_io(&volume);
    g_autoptr(CryptoBlock) info = NULL;
    g_autoptr(GError) error = NULL;
    LuksPace pace = { 1, 1 };
    LuksHeader header;

    crypto_block_free(create(&volume, &options));
    stl_be(volume.bytes + 164, 1000);
    for (int i = 0; i < 2; i++) {
        memcpy(volume.bytes + SLOT(i, 0), volume.bytes + SLOT(0, 0), 4);
        stl_be(volume.bytes + SLOT(i, 4), 50 * 1000 * 1000);
    }
    g_assert_null(open_with(&volume, "alpha", 0, &error));
    g_assert_cmpstr(error->message, ==, "LUKS header: the key slots have 100002000 iterations in "
                    "all; 100000000 are possible");
    g_clear_error(&error);
    info = open_with(&volume, NULL, CRYPTO_BLOCK_NO_IO, NULL);
    g_assert_nonnull(info);
    g_assert_true(luks_header_parse(volume.bytes, &header, NULL));
    header.slots[0].iterations -= 3001;
    g_assert_false(luks_slot_fill(&header, 2, NULL, &pace, NULL, &io, &error));
    g_assert_cmpstr(error->message, ==, "with key slot 2 of 1000 iterations, all slots would have "
                    "100000999, more than the 100000000 that are possible; choose a shorter "
                    "iter-time");
    g_free(volume.bytes);
}

/* Every shorter file is refused, wherever it ends. */
static void test_truncated(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };

    crypto_block_free(create(&volume, &options));
    for (volume.len = 0; volume.len < 600; volume.len++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(crypto_block_probe(QCRYPTO_BLOCK_FORMAT_LUKS, volume.bytes,
                                          MIN(volume.len, 7)));
        g_assert_null(open_with(&volume, "alpha", 0, &error));
        g_assert_cmpstr(error->message, ==, "read past the end");
    }
    g_free(volume.bytes);
}

typedef struct InCoroutine {
    Volume *volume;
    bool opened, interleaved, ticked;
} InCoroutine;

static void open_in_coroutine(void *opaque)
{
    InCoroutine *test = opaque;

    test->opened = opens(test->volume, "alpha");
    test->interleaved = test->ticked;
}

static void tick(void *opaque)
{
    ((InCoroutine *)opaque)->ticked = true;
}

/* The loop goes on while keys are derived. */
static void test_coroutine(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { 0 };
    g_autoptr(CryptoBlock) block = NULL;
    InCoroutine test = { .volume = &volume };

    options.u.luks.iter_time = 200;
    block = create(&volume, &options);
    loop_post(loop_main(), tick, &test);
    coroutine_run(open_in_coroutine, &test);
    g_assert_true(test.opened);
    g_assert_true(test.interleaved);
    g_free(volume.bytes);
}

static void test_bad_options(void)
{
    QCryptoBlockCreateOptions options = quick_options();
    Volume volume = { .writes_left = ~0u };
    CryptoBlockIo io = volume_io(&volume);
    g_autoptr(GError) error = NULL;

    options.u.luks.iter_time = 0;
    g_assert_null(crypto_block_create(&options, "", &io, &error));
    g_assert_cmpstr(error->message, ==,
                    "iter-time must be a positive number of milliseconds, not 0");
    g_clear_error(&error);
    options.u.luks.iter_time = INT64_MAX;
    g_assert_null(crypto_block_create(&options, "", &io, &error));
    g_assert_nonnull(strstr(error->message, "more than the 100000000 that are possible"));
    g_clear_error(&error);
    options = quick_options();
    options.u.luks.has_cipher_alg = true;
    options.u.luks.cipher_alg = QCRYPTO_CIPHER_ALG_3DES;
    g_assert_null(crypto_block_create(&options, "", &io, &error));
    g_assert_cmpstr(error->message, ==, "LUKS has no name for cipher 3des");
}

/* AES-128-CBC with the password as key and the sector as vector. */
static void test_qcow(void)
{
    QCryptoBlockOpenOptions options = { .format = QCRYPTO_BLOCK_FORMAT_QCOW };
    g_autoptr(CryptoBlock) block = NULL;
    g_autoptr(CryptoCipher) cipher = NULL;
    uint8_t zeroes[512] = { 0 }, out[512], expected[512];
    uint8_t key[16] = "alpha", iv[16] = { 7 };

    options.u.qcow.key_secret = (char *)"alpha";
    block = crypto_block_open(&options, "encrypt.", NULL, 0, NULL);
    crypto_block_encrypt(block, 7 * 512, zeroes, out, sizeof(out));
    cipher = crypto_cipher_new(QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_MODE_CBC, key, 16, NULL);
    crypto_cipher_encrypt(cipher, iv, zeroes, expected, sizeof(expected));
    g_assert_cmpmem(out, sizeof(out), expected, sizeof(expected));
    g_assert_cmpuint(crypto_block_payload_offset(block), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_secret("alpha", "alpha");
    add_secret("beta", "second password");
    add_secret("gamma", "");
    g_test_add_func("/crypto/luks/defaults", test_defaults);
    g_test_add_func("/crypto/luks/no-secret", test_no_secret);
    g_test_add_func("/crypto/luks/combinations", test_combinations);
    g_test_add_func("/crypto/luks/amend", test_amend);
    g_test_add_func("/crypto/luks/interrupted", test_interrupted);
    g_test_add_func("/crypto/luks/malformed", test_malformed);
    g_test_add_func("/crypto/luks/too-slow", test_too_slow);
    g_test_add_func("/crypto/luks/truncated", test_truncated);
    g_test_add_func("/crypto/luks/coroutine", test_coroutine);
    g_test_add_func("/crypto/luks/bad-options", test_bad_options);
    g_test_add_func("/crypto/qcow", test_qcow);
    return g_test_run();
}
