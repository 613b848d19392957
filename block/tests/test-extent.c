/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The read-only formats: small images made here, by other programs where they can, and a table of
 * broken ones.
 *
 * Every image made here has a disk of 8 KiB: 4 KiB of 'A', and then 4 KiB of zeroes.
 */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "block/io.h"
#include "block/tests/file-fixture.h"
#include "crypto/tests/luks-memory.h"
#include "util/bits.h"

#define HALF 4096
#define DISK (2 * HALF)
#define MEMBER "driver=%s,read-only=on,file.driver=file,file.filename=%s"

/* The images are shorter than this. */
typedef struct Image {
    uint8_t bytes[64 * 1024];
    size_t len;
} Image;

static void put_data(Image *image, size_t at)
{
    memset(image->bytes + at, 'A', HALF);
    image->len = MAX(image->len, at + HALF);
}

static size_t put_zlib(Image *image, size_t at, int byte)
{
    uint8_t plain[HALF];
    uLongf len = sizeof(image->bytes) - at;

    memset(plain, byte, sizeof(plain));
    g_assert_cmpint(compress(image->bytes + at, &len, plain, sizeof(plain)), ==, Z_OK);
    image->len = MAX(image->len, at + len);
    return at + len;
}

static void make_parallels(Image *image)
{
    uint8_t *h = image->bytes;

    memcpy(h, "WithoutFreeSpace", 16);
    stl_le(h + 16, 2);
    stl_le(h + 28, HALF / 512);
    stl_le(h + 32, 2);
    stl_le(h + 36, DISK / 512);
    stl_le(h + 64, 8);
    put_data(image, 8 * 512);
}

/* The first cluster is compressed. */
static void make_qcow(Image *image)
{
    uint8_t *h = image->bytes;
    size_t end;

    memcpy(h, "QFI\xfb", 4);
    stl_be(h + 4, 1);
    stq_be(h + 24, DISK);
    h[32] = 12;
    h[33] = 6;
    stq_be(h + 40, 512);
    stq_be(h + 512, 1024);
    /* A zlib stream is a deflate stream between a header of 2 and a checksum of 4 bytes. */
    end = put_zlib(image, 4096, 'A');
    stq_be(h + 1024, 1ULL << 63 | (uint64_t)(end - 4096 - 6) << (63 - 12) | (4096 + 2));
}

static void make_qed(Image *image)
{
    uint8_t *h = image->bytes;

    memcpy(h, "QED", 4);
    stl_le(h + 4, 4096);
    stl_le(h + 8, 2);
    stl_le(h + 12, 1);
    stq_le(h + 40, 4096);
    stq_le(h + 48, DISK);
    stq_le(h + 4096, 12288);
    stq_le(h + 12288, 20480);
    stq_le(h + 12296, 1);
    put_data(image, 20480);
}

static void make_bochs(Image *image)
{
    uint8_t *h = image->bytes;

    strcpy((char *)h, "Bochs Virtual HD Image");
    strcpy((char *)h + 32, "Redolog");
    strcpy((char *)h + 48, "Growing");
    stl_le(h + 64, 0x20000);
    stl_le(h + 68, 512);
    stl_le(h + 72, 2);
    stl_le(h + 76, 1);
    stl_le(h + 80, HALF);
    stq_le(h + 88, DISK);
    stl_le(h + 512, 0);
    stl_le(h + 516, UINT32_MAX);
    h[520] = 0xff;
    put_data(image, 520 + 512);
}

static void make_cloop(Image *image)
{
    uint8_t *h = image->bytes;
    size_t middle, end;

    strcpy((char *)h, "#!/bin/sh\n#V2.0 Format\n");
    stl_be(h + 128, HALF);
    stl_be(h + 132, 2);
    middle = put_zlib(image, 160, 'A');
    end = put_zlib(image, middle, 0);
    stq_be(h + 136, 160);
    stq_be(h + 144, middle);
    stq_be(h + 152, end);
}

static void put_chunk(uint8_t *c, uint32_t type, uint64_t sector, uint64_t at, uint64_t bytes)
{
    stl_be(c, type);
    stq_be(c + 8, sector);
    stq_be(c + 16, HALF / 512);
    stq_be(c + 24, at);
    stq_be(c + 32, bytes);
}

static void make_dmg_with(Image *image, const uint8_t *mish, size_t mish_len)
{
    g_autofree char *base64 = g_base64_encode(mish, mish_len);
    g_autofree char *xml = g_strdup_printf("<plist><dict><key>blkx</key><array><dict><key>Data"
                                           "</key><data>\n%s\n</data></dict></array></dict>"
                                           "</plist>", base64);
    size_t at = image->len;
    uint8_t *koly;

    memcpy(image->bytes + at, xml, strlen(xml));
    koly = image->bytes + at + strlen(xml);
    memcpy(koly, "koly", 4);
    stq_be(koly + 0xd8, at);
    stq_be(koly + 0xe0, strlen(xml));
    stq_be(koly + 0x1ec, DISK / 512);
    image->len = at + strlen(xml) + 512;
}

static void make_dmg(Image *image)
{
    uint8_t mish[204 + 3 * 40] = "mish";
    size_t end = put_zlib(image, 0, 'A');

    stq_be(mish + 16, DISK / 512);
    stl_be(mish + 200, 3);
    put_chunk(mish + 204, 0x80000005, 0, 0, end);
    put_chunk(mish + 244, 2, HALF / 512, 0, 0);
    put_chunk(mish + 284, UINT32_MAX, DISK / 512, 0, 0);
    make_dmg_with(image, mish, sizeof(mish));
}

static const struct {
    const char *format;
    void (*make)(Image *image);
} formats[] = {
    { "parallels", make_parallels }, { "qcow", make_qcow }, { "qed", make_qed },
    { "bochs", make_bochs }, { "cloop", make_cloop }, { "dmg", make_dmg },
};

static Image *new_image(const char *format)
{
    Image *image = g_new0(Image, 1);

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (strcmp(formats[i].format, format) == 0) {
            formats[i].make(image);
        }
    }
    g_assert_cmpint(image->len, >, 0);
    return image;
}

typedef struct Fixture {
    char *dir, *path;
} Fixture;

static void setup(Fixture *f, const void *data)
{
    f->dir = fixture_dir_new();
    f->path = g_build_filename(f->dir, "image", NULL);
}

static void teardown(Fixture *f, const void *data)
{
    g_free(f->path);
    fixture_dir_free(f->dir);
}

static void save(const Fixture *f, const Image *image)
{
    g_assert_true(g_file_set_contents(f->path, (const char *)image->bytes, (gssize)image->len,
                                      NULL));
}

static void test_read(Fixture *f, const void *data)
{
    const char *format = data;
    g_autofree Image *image = new_image(format);
    uint8_t disk[DISK], part[600];
    BlockStatus status;
    BlockChild *child;

    save(f, image);
    child = fixture_open(MEMBER, format, f->path);
    g_assert_cmpint(block_getlength(child->node), ==, DISK);
    g_assert_cmpint(fixture_read(child, 0, DISK, disk), ==, 0);
    for (int i = 0; i < DISK; i++) {
        g_assert_cmpint(disk[i], ==, i < HALF ? 'A' : 0);
    }
    g_assert_cmpint(fixture_read(child, HALF - 300, 600, part), ==, 0);
    g_assert_cmpint(part[299], ==, 'A');
    g_assert_cmpint(part[300], ==, 0);
    g_assert_cmpint(fixture_status(child, 0, 512, &status), ==, 0);
    g_assert_true(status.flags & BLOCK_STATUS_DATA);
    fixture_close(child);
    fixture_expect_refusal(fixture_options("driver=%s,file.driver=file,file.filename=%s", format,
                                           f->path), "cannot write");
}

/* What QEMU sees in the same file. */
static void test_peer_reads(Fixture *f, const void *data)
{
    const char *format = data;
    g_autofree Image *image = new_image(format);
    g_autofree char *raw = g_build_filename(f->dir, "raw", NULL);
    g_autofree char *disk = g_malloc0(DISK);

    save(f, image);
    memset(disk, 'A', HALF);
    g_assert_true(g_file_set_contents(raw, disk, DISK, NULL));
    fixture_peer("qemu-img compare -f %s -F raw %s %s", format, f->path, raw);
}

typedef struct Broken {
    const char *format;
    size_t offset;
    const char *bytes;
    size_t len;
    const char *words; /* of the refusal; NULL: opens, but reading fails */
} Broken;

#define FF8 "\xff\xff\xff\xff\xff\xff\xff\xff"
#define BROKEN(f, o, b, w) { f, o, b, sizeof(b) - 1, w }

static const Broken broken[] = {
    BROKEN("parallels", 0, "X", "not in Parallels format"),
    BROKEN("parallels", 16, "\3", "not in Parallels format"),
    BROKEN("parallels", 28, "\0", "clusters of 0 sectors"),
    BROKEN("parallels", 28, "\xff\xff\xff\xff", "not possible"),
    BROKEN("parallels", 32, "\xff\xff\xff\xff", "beyond the end"),
    BROKEN("qcow", 0, "X", "not in qcow format"),
    BROKEN("qcow", 24, "\0\0\0\0\0\0\0\0", "image size 0"),
    BROKEN("qcow", 24, FF8, "not possible"),
    BROKEN("qcow", 24, "\0\0\1\0\0\0\0\0", "L1 table"),
    BROKEN("qcow", 32, "\10", "cluster size"),
    BROKEN("qcow", 32, "\21", "cluster size"),
    BROKEN("qcow", 33, "\5", "L2 table size"),
    BROKEN("qcow", 33, "\16", "L2 table size"),
    BROKEN("qcow", 36, "\0\0\0\1", "key-secret"),
    BROKEN("qcow", 36, "\0\0\0\2", "encryption method 2"),
    BROKEN("qcow", 40, FF8, "L1 table"),
    BROKEN("qcow", 8, "\0\0\0\0\0\0\0\1\xff\xff\xff\xff", "backing file name"),
    BROKEN("qcow", 8, "\0\0\0\1\0\0\0\0\0\0\0\5", "beyond the end"),
    BROKEN("qcow", 512, FF8, NULL),
    BROKEN("qcow", 1024, "\x7f" FF8, NULL),
    BROKEN("qcow", 4100, FF8 FF8 FF8, NULL),
    BROKEN("qed", 0, "X", "not in QED format"),
    BROKEN("qed", 4, "\0\0\0\0", "cluster size"),
    BROKEN("qed", 4, "\0\x18\0\0", "cluster size"),
    BROKEN("qed", 8, "\3", "table size"),
    BROKEN("qed", 8, "\x20", "table size"),
    BROKEN("qed", 16, "\x10", "features"),
    BROKEN("qed", 40, FF8, "L1 table"),
    BROKEN("qed", 40, "\0\0\1\0", "L1 table"),
    BROKEN("qed", 48, FF8, "image size"),
    BROKEN("qed", 48, "\0\0\0\0\0\1\0\0", "image size"),
    BROKEN("qed", 48, "\1", "image size"),
    BROKEN("qed", 4096, FF8, NULL),
    BROKEN("qed", 4096, "\1", NULL),
    BROKEN("qed", 12288, FF8, NULL),
    BROKEN("bochs", 0, "X", "not in Bochs format"),
    BROKEN("bochs", 68, "\xff\xff\xff\xff", "beyond the end"),
    BROKEN("bochs", 72, "\0\0\x11\0", "too large"),
    BROKEN("bochs", 72, "\1", "too small"),
    BROKEN("bochs", 76, "\0", "bitmaps of 0"),
    BROKEN("bochs", 76, "\xff\xff\xff\xff", "bitmaps of"),
    BROKEN("bochs", 80, "\0\0", "extents of"),
    BROKEN("bochs", 80, "\0\0\0\1", "extents of"),
    BROKEN("bochs", 88, FF8, "too small"),
    BROKEN("bochs", 512, "\xfe\xff\xff\xff", NULL),
    BROKEN("cloop", 128, "\0\0\0\0", "blocks of 0"),
    BROKEN("cloop", 128, "\0\0\0\1", "blocks of"),
    BROKEN("cloop", 128, "\x10\0\0\0", "blocks of"),
    BROKEN("cloop", 132, "\xff\xff\xff\xff", "too many"),
    BROKEN("cloop", 136, FF8, NULL),
    BROKEN("cloop", 144, "\0\0\0\0\0\0\0\0", NULL),
    BROKEN("cloop", 144, FF8, NULL),
    BROKEN("cloop", 162, FF8, NULL),
    BROKEN("dmg", 0, FF8, NULL),
};

static void test_broken(Fixture *f, const void *data)
{
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        const Broken *b = &broken[i];
        g_autofree Image *image = new_image(b->format);
        json_object *options = fixture_options(MEMBER, b->format, f->path);
        uint8_t disk[DISK];
        BlockChild *child;

        g_test_message("%s at %zu", b->format, b->offset);
        memcpy(image->bytes + b->offset, b->bytes, b->len);
        save(f, image);
        if (b->words) {
            fixture_expect_refusal(options, b->words);
            continue;
        }
        json_object_put(options);
        child = fixture_open(MEMBER, b->format, f->path);
        g_assert_cmpint(fixture_read(child, 0, DISK, disk), ==, -EIO);
        fixture_close(child);
    }
}

/* Every length that the file may have been cut to: no crash, and no data made up. */
static void test_cut(Fixture *f, const void *data)
{
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree Image *image = new_image(formats[i].format);
        size_t whole = image->len;

        for (size_t len = 0; len < whole; len += len < 700 ? 37 : 997) {
            json_object *options = fixture_options(MEMBER, formats[i].format, f->path);
            g_autoptr(GError) error = NULL;
            uint8_t disk[DISK];
            BlockChild *child;

            image->len = len;
            save(f, image);
            child = fixture_try_open(options, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, &error);
            g_assert_true((child == NULL) == (error != NULL));
            if (child) {
                fixture_read(child, 0, MIN(DISK, block_getlength(child->node)), disk);
                fixture_close(child);
            }
        }
    }
}

static void broken_dmg(Fixture *f, const uint8_t *mish, size_t len, const char *words)
{
    g_autofree Image *image = g_new0(Image, 1);

    image->len = 1000;
    make_dmg_with(image, mish, len);
    save(f, image);
    fixture_expect_refusal(fixture_options(MEMBER, "dmg", f->path), words);
}

static void test_broken_dmg(Fixture *f, const void *data)
{
    uint8_t mish[204 + 2 * 40] = "mish";
    g_autofree Image *image = new_image("dmg");

    broken_dmg(f, (const uint8_t *)"mess", 4, "'mish'");
    stl_be(mish + 200, UINT32_MAX);
    broken_dmg(f, mish, sizeof(mish), "chunks in");
    stl_be(mish + 200, 2);
    put_chunk(mish + 204, 1, 0, 0, 512);
    broken_dmg(f, mish, sizeof(mish), "not possible");
    put_chunk(mish + 204, 0x80000005, 0, 0, 1 << 30);
    broken_dmg(f, mish, sizeof(mish), "beyond the end");
    put_chunk(mish + 204, 0x80000005, UINT64_MAX, 0, 10);
    broken_dmg(f, mish, sizeof(mish), "not possible");
    put_chunk(mish + 204, 0x80000005, 0, 0, 10);
    stq_be(mish + 204 + 16, 1 << 20);
    broken_dmg(f, mish, sizeof(mish), "not possible");
    put_chunk(mish + 204, 0x80000005, 0, 0, 10);
    put_chunk(mish + 244, 0x80000005, 1, 0, 10);
    broken_dmg(f, mish, sizeof(mish), "two chunks");
    memset(image->bytes + image->len - 512 + 0xe0, 0x7f, 8);
    save(f, image);
    fixture_expect_refusal(fixture_options(MEMBER, "dmg", f->path), "property list");
    image->bytes[image->len - 512] = 'X';
    save(f, image);
    fixture_expect_refusal(fixture_options(MEMBER, "dmg", f->path), "trailer");
}

/* Images that QEMU made, with backing files, compression and encryption. */
static void expect_pattern(BlockChild *child, int64_t offset, int64_t bytes, int byte)
{
    g_autofree uint8_t *buf = g_malloc((gsize)bytes);

    g_assert_cmpint(fixture_read(child, offset, bytes, buf), ==, 0);
    for (int64_t i = 0; i < bytes; i++) {
        g_assert_cmpint(buf[i], ==, byte);
    }
    fixture_close(child);
}

static void test_peer_writes(Fixture *f, const void *data)
{
    const char *format = data;

    if (fixture_peer("qemu-img create -f %s %s 10M", format, f->path) &&
        fixture_peer("qemu-io -f %s -c 'write -P 5 100k 3M' %s", format, f->path)) {
        expect_pattern(fixture_open(MEMBER, format, f->path), 100 * KiB, 3 * MiB, 5);
        expect_pattern(fixture_open(MEMBER, format, f->path), 4 * MiB, 6 * MiB, 0);
    }
}

static void test_peer_backing(Fixture *f, const void *data)
{
    const char *format = data;
    g_autofree char *base = fixture_file(f->dir, "base", MiB);

    if (fixture_peer("qemu-io -f raw -c 'write -P 3 0 1M' %s", base) &&
        fixture_peer("qemu-img create -f %s -b %s -F raw %s 2M", format, base, f->path) &&
        fixture_peer("qemu-io -f %s -c 'write -P 5 0 64k' %s", format, f->path)) {
        expect_pattern(fixture_open(MEMBER, format, f->path), 0, 64 * KiB, 5);
        expect_pattern(fixture_open(MEMBER, format, f->path), 64 * KiB, MiB - 64 * KiB, 3);
        expect_pattern(fixture_open(MEMBER, format, f->path), MiB, MiB, 0);
    }
}

#define AES "encrypt.format=aes,encrypt.key-secret=alpha"

static void test_peer_qcow(Fixture *f, const void *data)
{
    if (fixture_peer("qemu-img create -f qcow %s 1M", f->path) &&
        fixture_peer("qemu-io -f qcow -c 'write -c -P 7 8k 4k' %s", f->path)) {
        expect_pattern(fixture_open(MEMBER, "qcow", f->path), 8 * KiB, 4 * KiB, 7);
    }
    if (fixture_peer("qemu-img create --object secret,id=alpha,data=first -f qcow -o " AES
                     " %s 1M", f->path) &&
        fixture_peer("qemu-io --object secret,id=alpha,data=first --image-opts driver=qcow,"
                     "file.filename=%s," AES " -c 'write -P 7 0 1M'", f->path)) {
        expect_pattern(fixture_open(MEMBER "," AES, "qcow", f->path), 1, MiB - 1, 7);
    }
}

static void add_each(const char *test, void (*fn)(Fixture *, const void *))
{
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *path = g_strdup_printf("/extent/%s/%s", formats[i].format, test);

        g_test_add(path, Fixture, formats[i].format, setup, fn, teardown);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_secret("alpha", "first");
    add_each("read", test_read);
    add_each("peer-reads", test_peer_reads);
    g_test_add("/extent/broken", Fixture, NULL, setup, test_broken, teardown);
    g_test_add("/extent/cut", Fixture, NULL, setup, test_cut, teardown);
    g_test_add("/extent/broken-dmg", Fixture, NULL, setup, test_broken_dmg, teardown);
    g_test_add("/extent/parallels/peer-writes", Fixture, "parallels", setup, test_peer_writes,
               teardown);
    g_test_add("/extent/qcow/peer-writes", Fixture, "qcow", setup, test_peer_writes, teardown);
    g_test_add("/extent/qed/peer-writes", Fixture, "qed", setup, test_peer_writes, teardown);
    g_test_add("/extent/qcow/peer-backing", Fixture, "qcow", setup, test_peer_backing, teardown);
    g_test_add("/extent/qed/peer-backing", Fixture, "qed", setup, test_peer_backing, teardown);
    g_test_add("/extent/qcow/peer-qcow", Fixture, NULL, setup, test_peer_qcow, teardown);
    return g_test_run();
}
