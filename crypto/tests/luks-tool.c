/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LUKS files by hand, for comparing with other programs and for measuring:
 *     luks-tool create FILE PASSWORD SIZE OPTIONS   OPTIONS as in -o, may be ""
 *     luks-tool write FILE PASSWORD OFFSET LENGTH BYTE
 *     luks-tool read FILE PASSWORD OFFSET LENGTH    to standard output
 *     luks-tool amend FILE PASSWORD NEW OPTIONS     adds (state=active) or erases
 *     luks-tool speed CIPHER MODE                   MB/s of CPU time
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/cipher.h"
#include "crypto/tests/luks-memory.h"
#include "qapi/keyval.h"

#define CHUNK MiB

static void die(GError *error)
{
    fprintf(stderr, "luks-tool: %s\n", error->message);
    exit(1);
}

static bool file_read(void *opaque, uint64_t offset, void *buf, size_t len, GError **error)
{
    if (pread(*(int *)opaque, buf, len, (off_t)offset) != (ssize_t)len) {
        error_setf(error, "cannot read %zu bytes at %" G_GUINT64_FORMAT, len, offset);
        return false;
    }
    return true;
}

static bool file_write(void *opaque, uint64_t offset, const void *buf, size_t len, GError **error)
{
    if (pwrite(*(int *)opaque, buf, len, (off_t)offset) != (ssize_t)len) {
        error_setf(error, "cannot write");
        return false;
    }
    return true;
}

static bool file_init(void *opaque, uint64_t len, GError **error)
{
    return ftruncate(*(int *)opaque, (off_t)len) == 0;
}

static CryptoBlockIo file_io(int *fd)
{
    return (CryptoBlockIo) { .read = file_read, .write = file_write, .init = file_init,
                             .opaque = fd };
}

/* Text and "format=luks,key-secret=s0" as a schema type. */
static json_object *parse(const char *text)
{
    g_autofree char *whole = g_strdup_printf("format=luks,%s", text);
    GError *error = NULL;
    json_object *parsed = keyval_parse(whole, NULL, NULL, &error);

    if (!parsed) {
        die(error);
    }
    return parsed;
}

static CryptoBlock *open_file(const char *path, int *fd)
{
    QCryptoBlockOpenOptions options = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };
    CryptoBlockIo io = file_io(fd);
    GError *error = NULL;
    CryptoBlock *block;

    *fd = open(path, O_RDWR | O_CLOEXEC);
    options.u.luks.key_secret = (char *)"s0";
    block = crypto_block_open(&options, "", &io, 0, &error);
    if (!block) {
        die(error);
    }
    return block;
}

static int do_create(char **args)
{
    json_object *parsed = parse(args[3]);
    GError *error = NULL;
    g_autoptr(QCryptoBlockCreateOptions) options = NULL;
    bool ok = QCryptoBlockCreateOptions_from_json(parsed, QAPI_KEYVAL, &options, &error);
    int fd = open(args[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CryptoBlockIo io = file_io(&fd);
    g_autoptr(CryptoBlock) block = ok ? crypto_block_create(options, "", &io, &error) : NULL;
    uint64_t size = strtoull(args[2], NULL, 0);

    if (!block) {
        die(error);
    }
    json_object_put(parsed);
    return ftruncate(fd, (off_t)(crypto_block_payload_offset(block) + size)) != 0;
}

static int do_write(char **args)
{
    uint64_t offset = strtoull(args[2], NULL, 0), len = strtoull(args[3], NULL, 0);
    g_autofree uint8_t *buf = g_malloc(len);
    int fd;
    g_autoptr(CryptoBlock) block = open_file(args[0], &fd);

    memset(buf, atoi(args[4]), len);
    crypto_block_encrypt(block, offset, buf, buf, len);
    return pwrite(fd, buf, len, (off_t)(crypto_block_payload_offset(block) + offset)) !=
           (ssize_t)len;
}

static int do_read(char **args)
{
    uint64_t offset = strtoull(args[2], NULL, 0), len = strtoull(args[3], NULL, 0);
    g_autofree uint8_t *buf = g_malloc(len);
    int fd;
    g_autoptr(CryptoBlock) block = open_file(args[0], &fd);

    if (pread(fd, buf, len, (off_t)(crypto_block_payload_offset(block) + offset)) !=
        (ssize_t)len) {
        return 1;
    }
    crypto_block_decrypt(block, offset, buf, buf, len);
    return fwrite(buf, 1, len, stdout) != len;
}

static int do_amend(char **args)
{
    json_object *parsed = parse(args[3]);
    GError *error = NULL;
    g_autoptr(QCryptoBlockAmendOptions) options = NULL;
    bool ok = QCryptoBlockAmendOptions_from_json(parsed, QAPI_KEYVAL, &options, &error);
    int fd;
    g_autoptr(CryptoBlock) block = open_file(args[0], &fd);
    CryptoBlockIo io = file_io(&fd);

    add_secret("s1", args[2]);
    if (!ok || !crypto_block_amend(block, options, "", &io, false, &error)) {
        die(error);
    }
    json_object_put(parsed);
    return 0;
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int do_speed(char **args)
{
    QCryptoBlockCreateOptions options = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };
    QCryptoBlockCreateOptionsLUKS *luks = &options.u.luks;
    Volume volume = { .writes_left = ~0u };
    CryptoBlockIo io = volume_io(&volume);
    g_autofree uint8_t *buf = g_malloc0(CHUNK);
    g_autoptr(CryptoBlock) block = NULL;
    GError *error = NULL;

    add_secret("s0", "x");
    luks->key_secret = (char *)"s0";
    luks->has_iter_time = luks->has_cipher_alg = luks->has_cipher_mode = true;
    luks->iter_time = 1;
    if (!QCryptoCipherAlgorithm_parse(args[0], &luks->cipher_alg, &error) ||
        !QCryptoCipherMode_parse(args[1], &luks->cipher_mode, &error)) {
        die(error);
    }
    block = crypto_block_create(&options, "", &io, &error);
    if (!block) {
        die(error);
    }
    for (int decrypt = 0; decrypt < 2; decrypt++) {
        double start = cpu_seconds(), elapsed = 0;
        unsigned rounds = 0;

        while (elapsed < 0.5) {
            (decrypt ? crypto_block_decrypt : crypto_block_encrypt)(block, 0, buf, buf, CHUNK);
            rounds++;
            elapsed = cpu_seconds() - start;
        }
        printf("%s %s %s: %.0f MB/s\n", args[0], args[1], decrypt ? "decrypt" : "encrypt",
               rounds * (double)CHUNK / elapsed / 1e6);
    }
    return 0;
}

typedef struct Verb {
    const char *name;
    int args; /* after the verb; the second is the password, but for "speed" */
    int (*run)(char **args);
} Verb;

static const Verb verbs[] = {
    { "create", 4, do_create }, { "write", 5, do_write }, { "read", 4, do_read },
    { "amend", 4, do_amend },   { "speed", 2, do_speed },
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0 && argc == verbs[i].args + 2) {
            if (verbs[i].args > 2) {
                add_secret("s0", argv[3]);
            }
            return verbs[i].run(argv + 2);
        }
    }
    fprintf(stderr, "luks-tool: see the head of luks-tool.c\n");
    return 2;
}
