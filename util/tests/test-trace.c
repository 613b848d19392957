/* SPDX-License-Identifier: Apache-2.0 */
/* Trace points made by the generator from this folder's trace-events. */
#include "util/trace.h"

#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "util/tests/trace.h"

static bool is_on(const TracePoint *point)
{
    return trace_is_on(point);
}

static void test_switch(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(is_on(&trace_point_sample_read));
    g_assert_true(trace_set("sample_*", true, NULL));
    g_assert_true(is_on(&trace_point_sample_read) && is_on(&trace_point_sample_name));
    g_assert_true(trace_set("sample_read", false, NULL));
    g_assert_true(!is_on(&trace_point_sample_read) && is_on(&trace_point_sample_name));
    g_assert_true(trace_set("no_such_*", true, NULL)); /* a pattern may match nothing */
    g_assert_false(trace_set("sample_raed", true, &error));
    g_assert_cmpstr(error->message, ==,
                    "there is no trace event 'sample_raed'; did you mean 'sample_read'?");
    g_assert_true(trace_set("*", false, NULL));
    g_assert_true(log_set_items("trace:sample_n*,int", NULL));
    g_assert_true(is_on(&trace_point_sample_name) && log_enabled(LOG_INT));
    g_assert_false(log_set_items("trace:sample_bogus", NULL));
    g_assert_true(trace_set("*", false, NULL) && log_set_items("none", NULL));
}

static void test_help(void)
{
    g_autofree char *help = trace_help();

    g_assert_cmpstr(help, ==, "sample_name\nsample_nothing\nsample_read\n");
}

static void fire(void)
{
    trace_sample_read(0x1000, 4);
    trace_sample_name("x");
    trace_sample_nothing();
}

static void test_output(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-trace-XXXXXX", NULL);
    g_autofree char *events = g_build_filename(dir, "events", NULL);
    g_autofree char *log = g_build_filename(dir, "log", NULL);
    g_autofree char *option = g_strdup_printf("events=%s,file=%s", events, log);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(events, "# all but one\nsample_*\n\n-sample_name\n", -1,
                                      NULL));
    fire();
    g_assert_true(trace_option(option, &error));
    g_assert_no_error(error);
    fire();
    g_assert_true(trace_set("*", false, NULL));
    fire();
    g_assert_true(log_set_file(NULL, NULL));
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_assert_true(g_pattern_match_simple("*.* sample_read addr 0x1000 size 4\n"
                                         "*.* sample_nothing happened\n", text));
    g_assert_null(strstr(text, "sample_name"));
    g_assert_false(trace_option("events=/nonexistent/file", NULL));
    unlink(events);
    unlink(log);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trace/switch", test_switch);
    g_test_add_func("/trace/help", test_help);
    g_test_add_func("/trace/output", test_output);
    return g_test_run();
}
