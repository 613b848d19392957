/* SPDX-License-Identifier: Apache-2.0 */
/* -drive: taking its text apart, places, policies, and images that are opened by it. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "block/commit-image.h"
#include "block/create.h"
#include "block/drive.h"
#include "block/throttle-group.h"
#include "util/coroutine.h"

static Drive *add(const char *text, GError **error)
{
    g_autoptr(DriveOptions) options = drive_options_parse(text, error);

    return options ? drive_new(options, BLOCK_INTERFACE_IDE, text, error) : NULL;
}

static Drive *add_ok(const char *text)
{
    GError *error = NULL;
    Drive *drive = add(text, &error);

    g_assert_no_error(error);
    return drive;
}

static void refuse(const char *text, const char *words)
{
    GError *error = NULL;

    g_assert_null(add(text, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, words)) {
        g_error("'%s' says '%s', not '%s'", text, error->message, words);
    }
    g_error_free(error);
}

static void expect_place(const Drive *drive, BlockInterfaceType type, int bus, int unit,
                         const char *name)
{
    g_assert_cmpint(drive->type, ==, type);
    g_assert_cmpint(drive->bus, ==, bus);
    g_assert_cmpint(drive->unit, ==, unit);
    g_assert_cmpstr(block_backend_name(drive->blk), ==, name);
}

static void test_text(void)
{
    g_autoptr(DriveOptions) o = drive_options_parse(
        "file=a,,b=c,file.locking=off,snapshot,nocopy-on-read,cache=none,cache.direct=off,"
        "iops=5,readonly=on,format=raw", NULL);
    json_object *object;
    GError *error = NULL;

    g_assert_cmpstr(json_object_get_string(json_object_object_get(o->own, "file")), ==, "a,b=c");
    g_assert_cmpstr(json_object_get_string(json_object_object_get(o->own, "snapshot")), ==, "on");
    g_assert_cmpstr(json_object_get_string(json_object_object_get(o->own, "copy-on-read")), ==,
                    "off");
    g_assert_cmpstr(json_object_get_string(json_object_object_get(o->own, "read-only")), ==, "on");
    object = json_object_object_get(o->image, "file");
    g_assert_cmpstr(json_object_get_string(json_object_object_get(object, "locking")), ==, "off");
    object = json_object_object_get(o->image, "throttling");
    g_assert_cmpstr(json_object_get_string(json_object_object_get(object, "iops-total")), ==, "5");
    g_assert_null(drive_options_parse("readonly=on,read-only=on", &error));
    g_clear_error(&error);
    g_assert_null(drive_options_parse("a.b=1,a=2", &error));
    g_clear_error(&error);
}

static void test_places(void)
{
    Drive *drive;

    expect_place(add_ok("driver=null-co"), BLOCK_INTERFACE_IDE, 0, 0, "ide0-hd0");
    expect_place(add_ok("driver=null-co,index=2,media=cdrom"), BLOCK_INTERFACE_IDE, 1, 0,
                 "ide1-cd0");
    expect_place(add_ok("driver=null-co"), BLOCK_INTERFACE_IDE, 0, 1, "ide0-hd1");
    expect_place(add_ok("driver=null-co"), BLOCK_INTERFACE_IDE, 1, 1, "ide1-hd1");
    expect_place(add_ok("driver=null-co"), BLOCK_INTERFACE_IDE, 2, 0, "ide2-hd0");
    expect_place(add_ok("if=scsi,driver=null-co,bus=3,unit=6"), BLOCK_INTERFACE_SCSI, 3, 6,
                 "scsi3-hd6");
    expect_place(add_ok("if=floppy,index=1"), BLOCK_INTERFACE_FLOPPY, 0, 1, "floppy1");
    expect_place(add_ok("if=none,index=70,id=my"), BLOCK_INTERFACE_NONE, 0, 70, "my");
    refuse("if=ide,index=0", "drive with bus=0, unit=0 (index=0) exists");
    refuse("if=ide,unit=2", "unit 2 too big (max is 1)");
    refuse("if=ide,index=1,unit=1", "index cannot be used with bus and unit");
    refuse("if=idee", "did you mean 'ide'?");
    refuse("media=tape", "'tape' invalid media");
    refuse("if=none,index=-1", "index");
    refuse("if=none,unit=4294967296", "unit");
    refuse("if=none,id=my", "already exists");
    refuse("if=none,id=0x", "identifier");
    refuse("if=floppy,werror=stop", "werror is not supported by this bus type");

    g_assert_true(drive_get_by_index(BLOCK_INTERFACE_IDE, 3) ==
                  drive_get(BLOCK_INTERFACE_IDE, 1, 1));
    g_assert_null(drive_get_by_index(BLOCK_INTERFACE_IDE, UINT_MAX));
    g_assert_cmpint(drive_max_bus(BLOCK_INTERFACE_SCSI), ==, 3);
    g_assert_cmpint(drive_max_bus(BLOCK_INTERFACE_SD), ==, -1);
    drive = drive_get(BLOCK_INTERFACE_SCSI, 3, 6);
    g_assert_true(drive_of_backend(drive->blk) == drive);
    drive_free(drive);
    g_assert_null(block_backend_find("scsi3-hd6"));
    drive_close_all();
    g_assert_cmpint(drive_max_bus(BLOCK_INTERFACE_IDE), ==, -1);
}

static void test_claims(void)
{
    GError *error = NULL;
    Drive *drive = add_ok("if=sd,driver=null-co");

    add_ok("if=none,driver=null-co");
    add_ok("if=floppy")->is_default = true;
    g_assert_false(drive_check_claimed(&error));
    g_assert_cmpstr(error->message, ==, "if=sd,driver=null-co: machine type does not support "
                                        "if=sd,bus=0,unit=0");
    g_clear_error(&error);
    drive_claim(drive);
    g_assert_true(drive_check_claimed(NULL));
    drive_close_all();
}

static void test_policies(void)
{
    BlockBackend *blk;

    blk = add_ok("if=none,driver=null-co,cache=writethrough,rerror=stop,werror=ignore,"
                 "bps_rd=100,iops=5,iops_max=50,group=limited")->blk;
    g_assert_false(block_backend_write_cache(blk));
    g_assert_cmpint(block_backend_error_action(blk, true, EIO), ==, BLOCK_ERROR_ACTION_STOP);
    g_assert_cmpint(block_backend_error_action(blk, false, ENOSPC), ==, BLOCK_ERROR_ACTION_IGNORE);
    g_assert_nonnull(throttle_group_find("limited"));
    blk = add_ok("if=none,driver=null-co,cache=directsync,cache.writeback=on,cache.no-flush=on,"
                 "discard=on,detect-zeroes=unmap")->blk;
    g_assert_true(block_backend_write_cache(blk));
    g_assert_true(block_backend_node(blk)->mode.cache_direct);
    g_assert_true(block_backend_node(blk)->mode.cache_no_flush);
    g_assert_true(block_backend_node(blk)->mode.discard_unmap);
    g_assert_cmpint(block_backend_error_action(blk, true, EIO), ==, BLOCK_ERROR_ACTION_REPORT);
    g_assert_cmpint(block_backend_error_action(blk, false, ENOSPC), ==, BLOCK_ERROR_ACTION_STOP);
    refuse("if=none,driver=null-co,cache=fast", "invalid cache option 'fast'");
    refuse("if=none,driver=null-co,cache.direct=maybe", "maybe");
    refuse("if=none,driver=null-co,rerror=enospc", "invalid read error action");
    refuse("if=none,driver=null-co,werror=auto", "invalid write error action");
    refuse("if=none,driver=null-co,aio=fast", "invalid aio option");
    refuse("if=none,driver=null-co,discard=maybe", "Invalid discard option");
    refuse("if=none,driver=null-co,format=raw", "both 'driver' and 'format'");
    refuse("if=none,driver=null-co,bps=5,bps_rd=5", "same time");
    refuse("if=none,driver=null-co,throttling.foo=5", "foo");
    refuse("if=none,driver=null-co,stats-intervals.0=0", "Invalid interval length");
    refuse("if=none,driver=null-co,stats-intervals=0", "must be an array");
    refuse("if=none,driver=null-co,colour=red", "colour");
    refuse("if=none,driver=null-co,snapshot=maybe", "snapshot");
    drive_close_all();
    g_assert_null(throttle_group_find("limited"));
}

/* Without a medium: nothing to open, and how the next one will be. */
static void test_empty(void)
{
    BlockBackend *blk = add_ok("if=none,id=cd,media=cdrom,cache=none")->blk;
    BlockMode mode;

    g_assert_null(block_backend_node(blk));
    block_backend_medium_mode(blk, &mode);
    g_assert_true(mode.read_only && mode.cache_direct);
    add_ok("if=none,id=other,file=");
    drive_close_all();
}

typedef struct Image {
    const char *path, *format;
} Image;

static void create(void *opaque)
{
    const Image *image = opaque;
    json_object *options = json_object_new_object();
    GError *error = NULL;

    json_object_object_add(options, "size", json_object_new_string("1M"));
    block_create_image(image->path, image->format, options, false, &error);
    g_assert_no_error(error);
    json_object_put(options);
}

static BlockBackend *at_work;

static void write_and_read(void)
{
    uint8_t out[4096], in[4096] = { 0 };

    memset(out, 'x', sizeof(out));
    g_assert_true(block_backend_set_perm(at_work, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                                         BLOCK_PERM_ALL, NULL));
    g_assert_cmpint(block_backend_pwrite(at_work, 0, sizeof(out), out, 0), ==, 0);
    g_assert_cmpint(block_backend_pread(at_work, 0, sizeof(in), in), ==, 0);
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
}

static void run_work(void *opaque)
{
    write_and_read();
}

/* The overlay is empty, and what it had is read from below. */
static void run_commit_check(void *opaque)
{
    uint8_t in[4096];
    int64_t n;

    g_assert_cmpint(block_is_allocated(block_backend_node(at_work), 0, 4096, &n), ==, 0);
    g_assert_cmpint(block_backend_pread(at_work, 0, sizeof(in), in), ==, 0);
    g_assert_cmpint(in[17], ==, 'x');
}

static void run_late_write(void *opaque)
{
    g_assert_cmpint(block_backend_pwrite(at_work, 0, 1, "y", 0), ==, 0);
}

/* What is written to a snapshot does not reach the image, and no file is left. */
static void test_snapshot(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-drive-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "disk,1", NULL);
    g_autofree char *text = g_strdup_printf("if=none,file=%s/disk,,1,format=raw,snapshot=on", dir);
    g_autofree char *plain = g_strdup_printf("if=none,file=%s/disk,,1,read-only", dir);
    g_autofree char *content = NULL;
    Image image = { path, "raw" };
    gsize len;

    coroutine_run(create, &image);
    g_setenv("TMPDIR", dir, TRUE);
    at_work = add_ok(text)->blk;
    g_assert_cmpstr(block_backend_node(at_work)->driver->name, ==, "qcow2");
    coroutine_run(run_work, NULL);
    drive_close_all();
    g_assert_true(g_file_get_contents(path, &content, &len, NULL));
    g_assert_cmpuint(len, ==, 1024 * 1024);
    g_assert_cmpint(content[0], ==, 0);
    g_clear_pointer(&content, g_free);

    /* Unless it is committed. What is written later stays out again. */
    at_work = add_ok(text)->blk;
    coroutine_run(run_work, NULL);
    g_assert_true(block_commit_image(block_backend_node(at_work), NULL));
    g_assert_true(block_backend_node(at_work)->backing->node->mode.read_only);
    coroutine_run(run_commit_check, NULL);
    g_assert_true(block_commit_image(block_backend_node(at_work), NULL));
    coroutine_run(run_late_write, NULL);
    drive_close_all();
    g_assert_true(g_file_get_contents(path, &content, &len, NULL));
    g_assert_cmpint(content[0], ==, 'x');
    g_assert_cmpint(content[4095], ==, 'x');
    g_assert_cmpint(content[4096], ==, 0);
    at_work = add_ok(plain)->blk;
    g_assert_true(block_backend_node(at_work)->mode.read_only);
    g_assert_true(block_backend_node(at_work)->probed);
    drive_close_all();
    g_unlink(path);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

/* Options of the file below a name; a file that may not be written, and one that is not there. */
static void test_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-drive-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "disk", NULL);
    g_autofree char *text = g_strdup_printf("if=none,format=raw,file=%s,file.locking=off,"
                                            "aio=threads,node-name=top", path);
    g_autofree char *readonly = g_strdup_printf("if=none,file=%s,format=raw", path);
    Image image = { path, "raw" };

    coroutine_run(create, &image);
    at_work = add_ok(text)->blk;
    g_assert_cmpstr(block_backend_node(at_work)->name, ==, "top");
    coroutine_run(run_work, NULL);
    drive_close_all();
    if (geteuid() != 0) {
        g_chmod(path, 0400);
        g_assert_true(block_backend_node(add_ok(readonly)->blk)->mode.auto_read_only);
        drive_close_all();
    }
    g_unlink(path);
    refuse(readonly, "No such file");
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/drive/text", test_text);
    g_test_add_func("/drive/places", test_places);
    g_test_add_func("/drive/claims", test_claims);
    g_test_add_func("/drive/policies", test_policies);
    g_test_add_func("/drive/empty", test_empty);
    g_test_add_func("/drive/snapshot", test_snapshot);
    g_test_add_func("/drive/file", test_file);
    return g_test_run();
}
