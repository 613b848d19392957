/* SPDX-License-Identifier: Apache-2.0 */
/* LUKS images: against a flat model, against qemu-img and cryptsetup, and with broken headers. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "block/create.h"
#include "block/io.h"
#include "block/open.h"
#include "block/tests/file-fixture.h"
#include "crypto/tests/luks-memory.h"
#include "util/bits.h"
#include "util/coroutine.h"

#define SIZE ((int64_t)(3 * MiB))
#define MEMBER "driver=luks,file.driver=file,file.filename=%s,key-secret=%s"
#define PEER "--object secret,id=alpha,data=first "
#define PEER_IMAGE "--image-opts driver=luks,file.filename=%s,key-secret=alpha"

typedef struct Fixture {
    char *dir, *path;
} Fixture;

static void setup(Fixture *f, const void *data)
{
    g_autoptr(GError) error = NULL;

    f->dir = fixture_dir_new();
    f->path = g_build_filename(f->dir, "x.luks", NULL);
    fixture_create_image(f->path, "luks", "size=3M,key-secret=alpha,iter-time=10", &error);
    g_assert_no_error(error);
}

static void teardown(Fixture *f, const void *data)
{
    g_free(f->path);
    fixture_dir_free(f->dir);
}

static void patch(const char *path, int64_t offset, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(pwrite(fd, data, len, offset), ==, (gssize)len);
    close(fd);
}

/* Long requests too, which take more than one piece and the thread pool. */
static void test_model(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open(MEMBER, f->path, "alpha");
    g_autofree uint8_t *model = g_malloc0(SIZE), *buf = g_malloc(SIZE);
    g_autofree uint8_t *fill = g_malloc(SIZE);

    g_assert_cmpint(child->node->size, ==, SIZE);
    memset(fill, 0, SIZE);
    g_assert_cmpint(fixture_write(child, 0, SIZE, fill, 0), ==, 0);
    for (int i = 0; i < 60; i++) {
        int64_t offset = g_test_rand_int_range(0, SIZE - 1);
        int64_t bytes = g_test_rand_int_range(1, i % 4 ? 9000 : SIZE);

        bytes = MIN(bytes, SIZE - offset);
        memset(fill, i + 1, (size_t)bytes);
        memcpy(model + offset, fill, (size_t)bytes);
        g_assert_cmpint(fixture_write(child, offset, bytes, fill, i % 8 ? 0 : BLOCK_REQ_FUA), ==,
                        0);
    }
    fixture_close(child);
    child = fixture_open(MEMBER, f->path, "alpha");
    g_assert_cmpint(fixture_read(child, 0, SIZE, buf), ==, 0);
    g_assert_cmpmem(buf, SIZE, model, SIZE);
    g_assert_cmpint(fixture_read(child, 100001, 1000, buf), ==, 0);
    g_assert_cmpmem(buf, 1000, model + 100001, 1000);
    fixture_close(child);
}

/* The file has something else than what was written. */
static void test_is_encrypted(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open(MEMBER, f->path, "alpha");
    uint8_t plain[512], raw[512];
    int64_t end;

    memset(plain, 0x5a, sizeof(plain));
    g_assert_cmpint(fixture_write(child, SIZE - 512, 512, plain, 0), ==, 0);
    fixture_close(child);
    child = fixture_open("driver=file,filename=%s", f->path);
    end = block_getlength(child->node);
    g_assert_cmpint(fixture_read(child, end - 512, 512, raw), ==, 0);
    g_assert_cmpint(memcmp(raw, plain, 512), !=, 0);
    fixture_close(child);
}

static void test_resize(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open(MEMBER, f->path, "alpha");
    BlockTruncate larger = { .size = 2 * SIZE }, huge = { .size = BLOCK_MAX_LENGTH };
    uint8_t byte = 3, back;

    g_assert_cmpint(fixture_truncate(child, &larger, NULL), ==, 0);
    g_assert_cmpint(fixture_truncate(child, &huge, NULL), ==, -EFBIG);
    g_assert_cmpint(child->node->size, ==, 2 * SIZE);
    g_assert_cmpint(fixture_write(child, 2 * SIZE - 1, 1, &byte, 0), ==, 0);
    fixture_close(child);
    child = fixture_open(MEMBER, f->path, "alpha");
    g_assert_cmpint(child->node->size, ==, 2 * SIZE);
    g_assert_cmpint(fixture_read(child, 2 * SIZE - 1, 1, &back), ==, 0);
    g_assert_cmpint(back, ==, 3);
    fixture_close(child);
}

static void run_amend(void *opaque)
{
    BlockNode *node = opaque;
    g_autoptr(GError) error = NULL;
    BlockdevAmendOptions add = {
        .driver = BLOCKDEV_DRIVER_LUKS,
        .u.luks = { .state = QCRYPTO_BLOCK_LUKS_KEYSLOT_STATE_ACTIVE,
                    .new_secret = (char *)"beta", .has_iter_time = true, .iter_time = 10 },
    };
    BlockdevAmendOptions erase = {
        .driver = BLOCKDEV_DRIVER_LUKS,
        .u.luks = { .state = QCRYPTO_BLOCK_LUKS_KEYSLOT_STATE_INACTIVE,
                    .old_secret = (char *)"alpha" },
    };

    node->driver->amend(node, &add, false, NULL, NULL, &error);
    g_assert_no_error(error);
    node->driver->amend(node, &erase, false, NULL, NULL, &error);
    g_assert_no_error(error);
}

static void test_amend(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open(MEMBER, f->path, "alpha");

    coroutine_run(run_amend, child->node);
    fixture_close(child);
    fixture_expect_refusal(fixture_options(MEMBER, f->path, "alpha"), "opens no key slot");
    child = fixture_open(MEMBER, f->path, "beta");
    fixture_close(child);
}

static void test_info(Fixture *f, const void *data)
{
    const BlockDriver *driver = block_driver_find("luks", NULL);
    json_object *options = json_object_new_object();
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockMeasureInfo) measure = driver->measure(options, NULL, MiB, &error);
    g_autoptr(ImageInfoSpecific) info = NULL;
    json_object *open = fixture_options("driver=luks,file.driver=file,file.filename=%s", f->path);
    BlockNode *node = block_open(NULL, NULL, open, QAPI_KEYVAL, BLOCK_OPEN_NO_IO, &error);

    g_assert_no_error(error);
    info = node->driver->get_specific_info(node, &error);
    g_assert_no_error(error);
    g_assert_cmpint(info->u.luks.data->payload_offset, ==, 2068480);
    g_assert_cmpint(info->u.luks.data->slots->len, ==, 8);
    g_assert_cmpint(measure->required, ==, (int64_t)MiB + 2068480);
    block_node_unref(node);
    json_object_put(options);
    json_object_put(open);
}

static void test_refusals(Fixture *f, const void *data)
{
    static const struct {
        int64_t offset;
        const char *bytes;
        size_t len;
        const char *words;
    } table[] = {
        { 104, "\x7f\xff\xff\xff", 4, "beyond the end of the file" },
        { 104, "\0\0\0\0", 4, "" }, /* detached */
        { 108, "\0\0\xff\xff", 4, "" },
        { 8, "nonesuch", 9, "nonesuch" },
        { 6, "\0\2", 2, "" },
        { 0, "JUNK", 4, "" },
        { 212, "\xff\xff\xff\xff", 4, "" },
    };
    g_autofree char *good = NULL;
    gsize len;

    fixture_expect_refusal(fixture_options(MEMBER, f->path, "beta"), "opens no key slot");
    fixture_expect_refusal(fixture_options(MEMBER, f->path, "nobody"), "nobody");
    fixture_expect_refusal(fixture_options("driver=luks,file.driver=file,file.filename=%s",
                                           f->path), "key-secret");
    g_assert_true(g_file_get_contents(f->path, &good, &len, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        patch(f->path, table[i].offset, table[i].bytes, table[i].len);
        fixture_expect_refusal(fixture_options(MEMBER, f->path, "alpha"), table[i].words);
        patch(f->path, 0, good, 4096);
    }
    g_assert_cmpint(truncate(f->path, 300 * KiB), ==, 0);
    fixture_expect_refusal(fixture_options(MEMBER, f->path, "alpha"), "beyond the end");
    g_assert_cmpint(truncate(f->path, 100), ==, 0);
    fixture_expect_refusal(fixture_options(MEMBER, f->path, "alpha"), "");
}

static void test_bad_create(Fixture *f, const void *data)
{
    static const char *const table[][2] = {
        { "size=1M", "key-secret" },
        { "size=1M,key-secret=nobody", "nobody" },
        { "size=1M,key-secret=alpha,cipher-alg=rot13", "rot13" },
        { "size=1M,key-secret=alpha,iter-time=0", "iter-time" },
    };
    g_autofree char *path = g_build_filename(f->dir, "new.luks", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(fixture_create_image(path, "luks", table[i][0], &error));
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, table[i][1]));
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    }
}

/* Each reads what the other wrote. */
static void test_peers(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open(MEMBER, f->path, "alpha");
    g_autofree uint8_t *buf = g_malloc(MiB + 1);
    g_autofree char *password = g_build_filename(f->dir, "password", NULL);

    memset(buf, 7, MiB + 1);
    g_assert_cmpint(fixture_write(child, 1000, MiB + 1, buf, 0), ==, 0);
    fixture_close(child);
    g_assert_true(g_file_set_contents(password, "first", -1, NULL));
    if (!fixture_peer("cryptsetup luksOpen --test-passphrase --key-file %s %s", password,
                      f->path) ||
        !fixture_peer("qemu-io " PEER PEER_IMAGE " -c 'read -P 7 1000 1048577' "
                      "-c 'write -P 9 2M 4096'", f->path)) {
        return;
    }
    child = fixture_open(MEMBER, f->path, "alpha");
    g_assert_cmpint(fixture_read(child, 2 * MiB, 4096, buf), ==, 0);
    g_assert_cmpint(buf[0], ==, 9);
    g_assert_cmpint(buf[4095], ==, 9);
    fixture_close(child);
    if (!fixture_peer("qemu-img create -f luks " PEER "-o key-secret=alpha,iter-time=10,"
                      "cipher-alg=serpent-256,cipher-mode=cbc,ivgen-alg=essiv,"
                      "ivgen-hash-alg=sha256 %s 2M", f->path) ||
        !fixture_peer("qemu-io " PEER PEER_IMAGE " -c 'write -P 11 0 2M'", f->path)) {
        return;
    }
    child = fixture_open(MEMBER, f->path, "alpha");
    g_assert_cmpint(fixture_read(child, MiB - 1, MiB + 1, buf), ==, 0);
    g_assert_cmpint(buf[0], ==, 11);
    g_assert_cmpint(buf[MiB], ==, 11);
    fixture_close(child);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_secret("alpha", "first");
    add_secret("beta", "second");
    g_test_add("/luks/model", Fixture, NULL, setup, test_model, teardown);
    g_test_add("/luks/is-encrypted", Fixture, NULL, setup, test_is_encrypted, teardown);
    g_test_add("/luks/resize", Fixture, NULL, setup, test_resize, teardown);
    g_test_add("/luks/amend", Fixture, NULL, setup, test_amend, teardown);
    g_test_add("/luks/info", Fixture, NULL, setup, test_info, teardown);
    g_test_add("/luks/refusals", Fixture, NULL, setup, test_refusals, teardown);
    g_test_add("/luks/bad-create", Fixture, NULL, setup, test_bad_create, teardown);
    g_test_add("/luks/peers", Fixture, NULL, setup, test_peers, teardown);
    return g_test_run();
}
