/* SPDX-License-Identifier: Apache-2.0 */
#include "block/tests/format-fixture.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/bits.h"

#define STEPS 150

char *format_create(const char *dir, const char *name, const char *format, const char *options)
{
    g_autoptr(GError) error = NULL;
    char *path = g_build_filename(dir, name, NULL);

    fixture_create_image(path, format, options, &error);
    g_assert_no_error(error);
    return path;
}

BlockChild *format_open(const char *format, const char *path)
{
    return fixture_open("driver=%s,file.driver=file,file.filename=%s,discard=unmap", format, path);
}

BlockChild *format_open_read_only(const char *format, const char *path)
{
    return fixture_open("driver=%s,file.driver=file,file.filename=%s,read-only=on", format, path);
}

/* ---- Bytes of the file ---- */

void format_peek(const char *path, int64_t offset, size_t len, void *buf)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(pread(fd, buf, len, offset), ==, len);
    close(fd);
}

void format_poke(const char *path, int64_t offset, size_t len, const void *buf)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(pwrite(fd, buf, len, offset), ==, len);
    close(fd);
}

char *format_copy(const char *path)
{
    g_autofree char *content = NULL;
    g_autoptr(GError) error = NULL;
    char *copy = g_strconcat(path, ".copy", NULL);
    gsize len;

    g_file_get_contents(path, &content, &len, &error);
    g_assert_no_error(error);
    g_file_set_contents(copy, content, len, &error);
    g_assert_no_error(error);
    return copy;
}

void format_expect_refusals(const char *format, const char *path, bool big_endian,
                            const FormatFault *faults, size_t n, void (*mend)(const char *path))
{
    for (size_t i = 0; i < n; i++) {
        const FormatFault *f = &faults[i];
        uint64_t value = big_endian ? htobe64(f->value << (64 - 8 * f->bytes)) : htole64(f->value);
        uint64_t old;

        g_test_message("%u bytes 0x%" G_GINT64_MODIFIER "x at %" G_GINT64_FORMAT, f->bytes,
                       f->value, f->offset);
        format_peek(path, f->offset, f->bytes, &old);
        format_poke(path, f->offset, f->bytes, &value);
        if (mend) {
            mend(path);
        }
        fixture_expect_refusal(fixture_options("driver=%s,file.driver=file,file.filename=%s",
                                               format, path), f->text);
        format_poke(path, f->offset, f->bytes, &old);
        if (mend) {
            mend(path);
        }
    }
    fixture_close(format_open(format, path));
}

/* ---- The model ---- */

typedef struct Model {
    const char *format;
    char *path, *flat;
    uint8_t *data, *buf;
    int64_t size;
    BlockChild *root;
} Model;

static void compare(Model *m)
{
    g_assert_cmpint(fixture_read(m->root, 0, m->size, m->buf), ==, 0);
    g_assert_cmpint(memcmp(m->buf, m->data, m->size), ==, 0);
}

/* Of any alignment, often small, sometimes across several blocks. */
static void random_range(const Model *m, int64_t *offset, int64_t *bytes)
{
    int64_t most = g_test_rand_int_range(0, 8) ? 20000 : m->size;

    *offset = g_test_rand_int_range(0, m->size);
    *bytes = g_test_rand_int_range(1, MIN(most, m->size - *offset) + 1);
}

static void random_step(Model *m)
{
    int64_t offset, bytes;

    random_range(m, &offset, &bytes);
    switch (g_test_rand_int_range(0, 12)) {
    case 0:
        fixture_close(m->root);
        m->root = format_open(m->format, m->path);
        compare(m);
        break;
    case 1:
        g_assert_cmpint(fixture_flush(m->root), ==, 0);
        break;
    case 2:
    case 3:
    case 4:
        g_assert_cmpint(fixture_zero(m->root, offset, bytes, 0), ==, 0);
        memset(m->data + offset, 0, bytes);
        break;
    default:
        memset(m->data + offset, g_test_rand_int_range(1, 256), bytes);
        g_assert_cmpint(fixture_write(m->root, offset, bytes, m->data + offset, 0), ==, 0);
    }
}

static void compare_with_peer(Model *m, bool check)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(m->flat, (char *)m->data, m->size, &error);
    g_assert_no_error(error);
    if (!fixture_peer("qemu-img compare -f %s -F raw %s %s", m->format, m->path, m->flat)) {
        return;
    }
    if (check) {
        fixture_peer("qemu-img check -f %s %s", m->format, m->path);
    }
    fixture_peer("qemu-io -f %s -c 'write -P 77 64k 192k' -c 'write -P 78 %dk 4k' %s", m->format,
                 (int)(m->size / 1024 / 2), m->path);
    memset(m->data + 64 * KiB, 77, 192 * KiB);
    memset(m->data + m->size / 1024 / 2 * 1024, 78, 4 * KiB);
    m->root = format_open(m->format, m->path);
    compare(m);
    fixture_close(m->root);
}

void format_against_model(const char *format, const char *options, int64_t size, bool check)
{
    char *dir = fixture_dir_new();
    g_autofree char *with_size = g_strdup_printf("size=%" G_GINT64_FORMAT "%s%s", size,
                                                 *options ? "," : "", options);
    g_autofree char *path = format_create(dir, "image", format, with_size);
    g_autofree char *flat = g_build_filename(dir, "flat", NULL);
    g_autofree uint8_t *data = g_malloc0(size), *buf = g_malloc(size);
    Model m = { .format = format, .path = path, .flat = flat, .data = data, .buf = buf,
                .size = size, .root = format_open(format, path) };

    g_assert_cmpint(m.root->node->size, ==, size);
    for (unsigned i = 0; i < STEPS; i++) {
        random_step(&m);
    }
    compare(&m);
    fixture_close(m.root);
    compare_with_peer(&m, check);
    fixture_dir_free(dir);
}
