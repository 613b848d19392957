/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, suggestions, reports and the log. */
#include "util/error.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

static void test_set(void)
{
    g_autoptr(GError) error = NULL;

    error_setf(NULL, "nobody %s", "listens");
    error_set_errno(&error, ENOENT, "cannot open '%s'", "x");
    g_assert_true(g_error_matches(error, VIREO_ERROR, VIREO_ERROR_GENERIC));
    g_assert_cmpstr(error->message, ==, "cannot open 'x': No such file or directory");
    g_clear_error(&error);
    error_set_code(&error, VIREO_ERROR_DEVICE_NOT_FOUND, "gone");
    g_assert_true(g_error_matches(error, VIREO_ERROR, VIREO_ERROR_DEVICE_NOT_FOUND));
}

static void test_nearest(void)
{
    static const char *const words[] = { "socket", "stdio", "serial", "parallel", "pty", NULL };
    g_autoptr(GError) error = NULL;
    g_autofree char *huge = g_strnfill(100000, 'a');

    g_assert_cmpstr(nearest_word("sockte", words), ==, "socket");
    g_assert_cmpstr(nearest_word("STDIO", words), ==, "stdio");
    g_assert_cmpstr(nearest_word("seriall", words), ==, "serial");
    g_assert_null(nearest_word("zzz", words));
    g_assert_null(nearest_word("", words));
    g_assert_null(nearest_word("x", words));
    g_assert_null(nearest_word(huge, words));
    error_setf(&error, "no '%s'", "paralel");
    error_append_nearest(&error, "paralel", words);
    g_assert_cmpstr(error->message, ==, "no 'paralel'; did you mean 'parallel'?");
    error_append_nearest(NULL, "paralel", words);
}

static void speak(void)
{
    error_init("/usr/bin/vireo");
    error_report("one %d", 1);
    warn_report("two");
    info_report("three");
    error_set_guest_name("guest");
    error_set_timestamps(true);
    error_report("four");
}

static void test_report(void)
{
    if (g_test_subprocess()) {
        speak();
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("vireo: one 1\nvireo: warning: two\nvireo: info: three\n"
                              "20*T*:*:*.*Z guest vireo: four\n");
}

static void test_log_items(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *help = log_items_help();

    g_assert_nonnull(strstr(help, "guest_errors"));
    g_assert_false(log_enabled(LOG_UNIMP));
    g_assert_true(log_set_items("unimp,int", NULL));
    g_assert_true(log_enabled(LOG_UNIMP) && log_enabled(LOG_INT) &&
                  !log_enabled(LOG_GUEST_ERRORS));
    g_assert_false(log_set_items("unipm", &error));
    g_assert_cmpstr(error->message, ==, "'unipm' is not a log item; did you mean 'unimp'?");
    g_assert_true(log_enabled(LOG_UNIMP)); /* a bad word changes nothing */
    g_assert_true(log_set_items("none", NULL));
    g_assert_false(log_enabled(LOG_UNIMP));
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;

    for (; *text; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void test_log_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-log-XXXXXX", NULL);
    g_autofree char *pattern = g_build_filename(dir, "log-%d", NULL);
    g_autofree char *path = g_strdup_printf("%s/log-%d", dir, (int)getpid());
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(log_set_file("/tmp/%s", &error));
    g_clear_error(&error);
    g_assert_false(log_set_file("/nonexistent/dir/log", &error));
    g_assert_true(log_set_items("guest_errors,int", NULL));
    g_assert_true(log_set_file(pattern, NULL));
    log_printf(LOG_INT, "vector %d", 14);
    log_printf(LOG_UNIMP, "not asked for");
    for (int i = 0; i < 1000; i++) {
        log_guest_error("bad write %d\n", i);
    }
    g_assert_true(log_set_file(NULL, NULL));
    g_assert_true(log_set_items("none", NULL));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_true(g_str_has_prefix(text, "vector 14\nbad write 0\n"));
    g_assert_cmpuint(count_lines(text), <=, 1 + 2 * 17); /* the second may turn meanwhile */
    g_assert_null(strstr(text, "not asked for"));
    unlink(path);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/set", test_set);
    g_test_add_func("/error/nearest", test_nearest);
    g_test_add_func("/error/report", test_report);
    g_test_add_func("/log/items", test_log_items);
    g_test_add_func("/log/file", test_log_file);
    return g_test_run();
}
