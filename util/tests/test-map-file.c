/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files as bytes: regular, empty, a pipe, and those that cannot be read. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/map-file.h"

static void check(const char *path, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = map_file(path, &error);

    g_assert_no_error(error);
    g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), expected,
                    strlen(expected));
}

static void test_regular(void)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-map-file-test", NULL);

    g_assert_true(g_file_set_contents(path, "contents", -1, NULL));
    check(path, "contents");
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    check(path, "");
    g_unlink(path);
    check("/dev/null", "");
}

static void test_pipe(void)
{
    g_autofree char *path = NULL;
    int ends[2];
    ssize_t wrote;

    g_assert_cmpint(pipe(ends), ==, 0);
    wrote = write(ends[1], "through a pipe", 14);
    g_assert_cmpint(wrote, ==, 14);
    close(ends[1]);
    path = g_strdup_printf("/dev/fd/%d", ends[0]);
    check(path, "through a pipe");
    close(ends[0]);
}

static void test_errors(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(map_file("/nonexistent", &error));
    g_assert_cmpstr(error->message, ==, "cannot read '/nonexistent': No such file or directory");
    g_clear_error(&error);
    g_assert_null(map_file("/tmp", &error));
    g_assert_cmpstr(error->message, ==, "cannot read '/tmp': Is a directory");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-file/regular", test_regular);
    g_test_add_func("/map-file/pipe", test_pipe);
    g_test_add_func("/map-file/errors", test_errors);
    return g_test_run();
}
