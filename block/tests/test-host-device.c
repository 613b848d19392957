/* SPDX-License-Identifier: Apache-2.0 */
/* The host_device driver on a loop device, where we may make one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/io.h"
#include "block/tests/file-fixture.h"
#include "util/bits.h"

#define SIZE ((int64_t)(8 * MiB))

typedef struct Fixture {
    char *dir, *path;
    char device[32];
    int fd; /* of the device; -1: there is none */
} Fixture;

/* Another process may take the same one first; then there is a next. */
static int attach_loop(const char *path, char *device, size_t size)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(path, O_RDWR | O_CLOEXEC);
    int fd = -1;

    for (int tries = 0; control >= 0 && file >= 0 && fd < 0 && tries < 16; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        struct loop_config config = { .fd = (unsigned)file };

        config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
        snprintf(device, size, "/dev/loop%d", number);
        fd = number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
            close(fd);
            fd = -1;
        }
    }
    if (control >= 0) {
        close(control);
    }
    close(file);
    return fd;
}

static void setup(Fixture *f, const void *data)
{
    f->dir = fixture_dir_new();
    f->path = fixture_file(f->dir, "disk", SIZE);
    f->fd = attach_loop(f->path, f->device, sizeof(f->device));
}

static void teardown(Fixture *f, const void *data)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    g_free(f->path);
    fixture_dir_free(f->dir);
}

static bool no_device(const Fixture *f)
{
    if (f->fd < 0) {
        g_test_skip("no loop device to be had");
    }
    return f->fd < 0;
}

static void test_requests(Fixture *f, const void *options)
{
    g_autofree uint8_t *out = g_malloc(MiB);
    g_autofree uint8_t *in = g_malloc(MiB);
    BlockChild *child;

    if (no_device(f)) {
        return;
    }
    memset(out, 0x77, MiB);
    /* A plain name is enough to find the driver. */
    child = fixture_open("driver=raw,discard=unmap,file.filename=%s%s", f->device,
                         (const char *)options);
    g_assert_cmpstr(child->node->file->node->driver->name, ==, "host_device");
    g_assert_cmpint(block_getlength(child->node), ==, SIZE);
    g_assert_cmpint(fixture_write(child, 12345, 600000, out, BLOCK_REQ_FUA), ==, 0);
    g_assert_cmpint(fixture_zero(child, 50000, 100000, 0), ==, 0);
    g_assert_cmpint(fixture_zero(child, 262144, 65536, BLOCK_REQ_MAY_UNMAP), ==, 0);
    memset(out + 50000 - 12345, 0, 100000);
    memset(out + 262144 - 12345, 0, 65536);
    g_assert_cmpint(fixture_read(child, 12345, 600000, in), ==, 0);
    g_assert_true(memcmp(in, out, 600000) == 0);
    g_assert_cmpint(fixture_discard(child, 0, SIZE), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, 0);
    fixture_close(child);
}

static void test_sizes(Fixture *f, const void *data)
{
    g_autoptr(GError) error = NULL;
    BlockChild *child;

    if (no_device(f)) {
        return;
    }
    child = fixture_open("driver=host_device,filename=%s", f->device);
    g_assert_cmpint(fixture_truncate(child, &(BlockTruncate) { .size = SIZE, .exact = true },
                                     NULL), ==, 0);
    g_assert_cmpint(fixture_truncate(child, &(BlockTruncate) { .size = SIZE / 2 }, NULL), ==, 0);
    g_assert_cmpint(block_getlength(child->node), ==, SIZE);
    g_assert_cmpint(fixture_truncate(child, &(BlockTruncate) { .size = SIZE / 2, .exact = true },
                                     &error), <, 0);
    g_clear_error(&error);
    g_assert_cmpint(fixture_truncate(child, &(BlockTruncate) { .size = SIZE * 2 }, &error), <, 0);
    g_assert_nonnull(strstr(error->message, "Cannot grow device"));
    fixture_close(child);
}

/* An image on a device: the device stays as long as it is, and forgets what it was. */
static void test_create(Fixture *f, const void *data)
{
    uint8_t old[512] = { 'Q', 'F', 'I', 0xfb }, now[512];
    g_autoptr(GError) error = NULL;

    if (no_device(f)) {
        return;
    }
    g_assert_cmpint(pwrite(f->fd, old, sizeof(old), 0), ==, sizeof(old));
    g_assert_true(fixture_create_image(f->device, "raw", "size=4M", &error));
    g_assert_no_error(error);
    g_assert_cmpint(pread(f->fd, now, sizeof(now), 0), ==, sizeof(now));
    memset(old, 0, sizeof(old));
    g_assert_cmpmem(now, sizeof(now), old, sizeof(old));
    g_assert_false(fixture_create_image(f->device, "raw", "size=400M", &error));
    g_assert_nonnull(strstr(error->message, "cannot grow"));
}

static void test_refusals(Fixture *f, const void *data)
{
    if (no_device(f)) {
        return;
    }
    fixture_expect_refusal(fixture_options("driver=file,filename=%s", f->device), "regular file");
    fixture_expect_refusal(fixture_options("driver=host_cdrom,filename=%s", f->device),
                           "read-only");
}

static void test_locks(Fixture *f, const void *data)
{
    BlockChild *child;

    if (no_device(f)) {
        return;
    }
    child = fixture_try_open(fixture_options("driver=host_device,filename=%s", f->device),
                             BLOCK_PERM_ALL, BLOCK_PERM_CONSISTENT_READ, NULL);
    g_assert_nonnull(child);
    fixture_expect_refusal(fixture_options("driver=host_device,filename=%s", f->device),
                           "by this process already");
    fixture_close(child);
}

/*
 * A disk whose second half cannot be written: the loop device's file has been cut there and must
 * not grow again.
 */
static int attach_broken(char *device, size_t size)
{
    int memory = memfd_create("broken disk", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", memory);
    int fd;

    g_assert_cmpint(ftruncate(memory, SIZE), ==, 0);
    fd = attach_loop(path, device, size);
    g_assert_cmpint(ftruncate(memory, SIZE / 2), ==, 0);
    g_assert_cmpint(fcntl(memory, F_ADD_SEALS, F_SEAL_GROW), ==, 0);
    close(memory);
    return fd;
}

static void test_failed_flush(Fixture *f, const void *data)
{
    char device[32];
    uint8_t buf[4096] = { 1 };
    int fd = attach_broken(device, sizeof(device));
    BlockChild *child;

    if (fd < 0) {
        g_test_skip("no loop device to be had");
        return;
    }
    /* Direct writes fail themselves; what failed is known, and a flush has nothing to hide. */
    child = fixture_open("driver=host_device,filename=%s,cache.direct=on", device);
    g_assert_cmpint(fixture_write(child, SIZE - 4096, sizeof(buf), buf, 0), ==, -EIO);
    g_assert_cmpint(fixture_write(child, 0, sizeof(buf), buf, 0), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, 0);
    fixture_close(child);
    child = fixture_open("driver=host_device,filename=%s", device);
    g_assert_cmpint(fixture_write(child, 0, sizeof(buf), buf, 0), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, 0);
    g_assert_cmpint(fixture_write(child, SIZE - 4096, sizeof(buf), buf, 0), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, -EIO);
    /* Linux would call this a success: it has forgotten the page that it could not write. */
    g_assert_cmpint(fixture_flush(child), ==, -EIO);
    g_assert_cmpint(fixture_flush(child), ==, -EIO);
    fixture_close(child);

    /* The failure of a durable write may be news of an earlier one, too. */
    child = fixture_open("driver=host_device,filename=%s", device);
    g_assert_cmpint(fixture_write(child, SIZE - 8192, 4096, buf, BLOCK_REQ_FUA), ==, -EIO);
    g_assert_cmpint(fixture_write(child, 0, 4096, buf, 0), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, -EIO);
    fixture_close(child);
    close(fd);
}

#define ADD(name, data, fn) g_test_add(name, Fixture, data, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/host-device/requests", "", test_requests);
    ADD("/host-device/requests-direct", ",file.cache.direct=on", test_requests);
    ADD("/host-device/sizes", NULL, test_sizes);
    ADD("/host-device/create", NULL, test_create);
    ADD("/host-device/refusals", NULL, test_refusals);
    ADD("/host-device/locks", NULL, test_locks);
    ADD("/host-device/failed-flush", NULL, test_failed_flush);
    return g_test_run();
}
