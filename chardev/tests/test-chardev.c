/* SPDX-License-Identifier: Apache-2.0 */
/* The core: options, registry, short forms, files, ring buffers, logs, hot change, the mux. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/ringbuf.h"
#include "chardev/tests/harness.h"
#include "util/error.h"

static char *tmp_dir;

static char *tmp_path(const char *name)
{
    return g_build_filename(tmp_dir, name, NULL);
}

static void assert_file(const char *path, const char *expected)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

static void put(TestFrontend *test, const char *text)
{
    int len = strlen(text);

    g_assert_cmpint(char_frontend_write_all(&test->fe, (const uint8_t *)text, len), ==, len);
}

static void test_errors(void)
{
    static const struct {
        const char *options, *expected;
    } cases[] = {
        { "nul,id=a", "*no chardev backend 'nul'*did you mean 'null'*" },
        { "null", "*needs an id*" },
        { "null,id=1a", "*'1a' is not a name*" },
        { "file,id=a", "*'a'*path=FILE*" },
        { "file,id=a,pth=x", "*no option 'pth'*did you mean 'path'*" },
        { "file,id=a,path=/nonexistent/x", "*'/nonexistent/x'*No such file*" },
        { "file,id=a,path=x,append=maybe", "*append*maybe*" },
        { "ringbuf,id=a,size=1000", "*1000*power of two*" },
        { "socket,id=a", "*path=PATH*" },
        { "socket,id=a,path=x,host=y,port=1", "*needs one of*" },
        { "socket,id=a,path=x,server=on,reconnect=1", "*reconnect*" },
        { "socket,id=a,path=/nonexistent/x", "*/nonexistent/x'*" },
        { "socket,id=a,fd=9999", "*9999*" },
        { "vc,id=a", "*display*" },
        { "mux,id=a,chardev=b", "*no chardev 'b'*" },
        { "id=a", "*no backend*" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *message = test_new_fails(cases[i].options);

        g_test_message("%s: %s", cases[i].options, message);
        g_assert_true(g_pattern_match_simple(cases[i].expected, message));
        g_assert_null(strchr(message, '\n'));
    }
    g_assert_null(object_child(object_container("/chardevs"), "a"));
}

static void test_registry(void)
{
    Chardev *chr = test_new("null,id=one");
    g_autofree char *taken = test_new_fails("null,id=one");
    g_autoptr(GError) error = NULL;
    TestFrontend *test = test_attach(chr);
    CharFrontend second = { 0 };
    g_autofree char *filename = chardev_filename(chr);

    g_assert_true(g_pattern_match_simple("*already*", taken));
    g_assert_true(chardev_find("one", NULL) == chr);
    g_assert_cmpstr(chardev_id(chr), ==, "one");
    g_assert_cmpstr(filename, ==, "null");
    g_assert_cmpint(test->opened, ==, 1);
    g_assert_false(char_frontend_attach(&second, chr, &error));
    g_clear_error(&error);
    g_assert_false(chardev_remove("one", &error));
    g_clear_error(&error);
    put(test, "vanishes");
    test_detach(test);
    test_remove("one");
    g_assert_false(chardev_remove("one", &error));
    g_assert_error(error, VIREO_ERROR, VIREO_ERROR_DEVICE_NOT_FOUND);
}

static void test_unattached(void)
{
    CharFrontend fe = { 0 };

    g_assert_cmpint(char_frontend_write(&fe, (const uint8_t *)"x", 1), ==, 1);
    g_assert_cmpint(char_frontend_ioctl(&fe, CHAR_IOCTL_SERIAL_GET_TIOCM, NULL), ==, -ENOTSUP);
    char_frontend_accept_input(&fe);
    char_frontend_detach(&fe);
}

static void test_file(void)
{
    g_autofree char *path = tmp_path("out");
    g_autofree char *in = tmp_path("in");
    g_autofree char *log = tmp_path("log");
    g_autofree char *options = g_strdup_printf("file,id=f,path=%s,input-path=%s,logfile=%s", path,
                                               in, log);
    TestFrontend *test;

    g_assert_true(g_file_set_contents(in, "input", -1, NULL));
    test = test_attach(test_new(options));
    test->room = 3;
    put(test, "hello ");
    char_frontend_printf(&test->fe, "%d\n", 42);
    SPIN_UNTIL(test->input->len == 5);
    g_assert_cmpstr(test->input->str, ==, "input");
    test_detach(test);
    test_remove("f");
    assert_file(path, "hello 42\n");
    assert_file(log, "hello 42\n");
}

static void test_append(void)
{
    g_autofree char *path = tmp_path("appended");
    g_autofree char *log = tmp_path("log2");
    g_autofree char *options = g_strdup_printf("file,id=f,path=%s,append=on,logfile=%s,logappend",
                                               path, log);

    for (int i = 0; i < 2; i++) {
        TestFrontend *test = test_attach(test_new(options));

        put(test, "ab");
        test_detach(test);
        test_remove("f");
    }
    assert_file(path, "abab");
    assert_file(log, "abab");
}

static void test_ringbuf(void)
{
    TestFrontend *test = test_attach(test_new("ringbuf,id=r,size=8"));
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) got = NULL;

    put(test, "0123456789");
    got = chardev_ringbuf_read("r", 4, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(got->data, got->len, "2345", 4);
    g_byte_array_unref(got);
    g_assert_true(chardev_ringbuf_write("r", (const uint8_t *)"xy", 2, &error));
    got = chardev_ringbuf_read("r", INT64_MAX, &error);
    g_assert_cmpmem(got->data, got->len, "6789xy", 6);
    g_byte_array_unref(got);
    got = chardev_ringbuf_read("r", 1, &error);
    g_assert_cmpint(got->len, ==, 0);
    g_assert_null(chardev_ringbuf_read("r", 0, &error));
    g_clear_error(&error);
    test_detach(test);
    test_remove("r");
    test_new("memory,id=r,size=1K");
    test_remove("r");
    test_new("null,id=n");
    g_assert_null(chardev_ringbuf_read("n", 1, &error));
    test_remove("n");
}

static void test_short_forms(void)
{
    g_autofree char *path = tmp_path("short,name");
    g_autofree char *text = g_strdup_printf("file:%s/short,,name,append=on", tmp_dir);
    g_autoptr(GError) error = NULL;
    Chardev *chr;
    static const char *const bad[] = { "", "foo", "tcp:nowhere", "tcp::", "udp:", "stdioo", "file:",
                                       "vc", "chardev:none", "tcp:[::1:5" };

    g_assert_null(chardev_new_from_short("s", "none", &error));
    g_assert_no_error(error);
    chr = chardev_new_from_short("s", "null", &error);
    g_assert_nonnull(chr);
    g_assert_true(chardev_new_from_short("t", "chardev:s", &error) == chr);
    test_remove("s");
    g_assert_nonnull(chardev_new_from_short("s", text, &error));
    g_assert_no_error(error);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    test_remove("s");
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_null(chardev_new_from_short("s", bad[i], &error));
        g_assert_nonnull(error);
        g_test_message("'%s': %s", bad[i], error->message);
        g_clear_error(&error);
    }
}

static void test_old_words(void)
{
    g_autoptr(GError) error = NULL;
    bool help;
    json_object *options = chardev_parse_options("socket,path=a,,b,server,nowait,nodelay", &help,
                                                 &error);

    g_assert_no_error(error);
    g_assert_cmpstr(json_object_to_json_string_ext(options, JSON_C_TO_STRING_PLAIN), ==,
                    "{\"backend\":\"socket\",\"path\":\"a,b\",\"server\":\"on\",\"wait\":\"off\","
                    "\"nodelay\":\"on\"}");
    json_object_put(options);
    options = chardev_parse_options("help", &help, &error);
    g_assert_true(help);
    json_object_put(options);
    options = chardev_parse_options("file,help", &help, &error);
    g_assert_true(help);
    json_object_put(options);
}

static void test_help(void)
{
    g_autofree char *all = chardev_backends_help();
    g_autofree char *file = chardev_backend_help("file", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(strstr(all, "socket"));
    g_assert_nonnull(strstr(file, "input-path=<str>"));
    g_assert_nonnull(strstr(file, "logfile=<str>"));
    g_assert_null(chardev_backend_help("fil", &error));
}

static void test_change(void)
{
    TestFrontend *test = test_attach(test_new("ringbuf,id=c"));
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) got = NULL;
    json_object *options = chardev_parse_options("null", NULL, NULL);
    json_object *bad = chardev_parse_options("nonsense", NULL, NULL);

    test->refuse_change = true;
    g_assert_null(chardev_change("c", options, &error));
    g_clear_error(&error);
    g_assert_null(chardev_change("c", bad, &error));
    g_clear_error(&error);
    put(test, "old");
    got = chardev_ringbuf_read("c", 100, &error);
    g_assert_cmpmem(got->data, got->len, "old", 3);
    test->refuse_change = false;
    g_assert_nonnull(chardev_change("c", options, &error));
    g_assert_no_error(error);
    put(test, "new");
    g_assert_null(chardev_ringbuf_read("c", 100, NULL));
    g_assert_true(test->fe.chr == chardev_find("c", NULL));
    g_assert_null(object_child(object_container("/chardevs"), "c-new"));
    test_detach(test);
    test_remove("c");
    json_object_put(options);
    json_object_put(bad);
}

/* The mux, over a pair of FIFOs that we hold the other ends of. */

typedef struct MuxTest {
    int to, from;
    TestFrontend *console, *monitor;
} MuxTest;

static void mux_say(MuxTest *mux, const char *text)
{
    g_assert_cmpint(write(mux->to, text, strlen(text)), ==, strlen(text));
}

static char *mux_hear(MuxTest *mux)
{
    char buf[4096];
    ssize_t n = read(mux->from, buf, sizeof(buf));

    return g_strndup(buf, MAX(n, 0));
}

static void mux_setup(MuxTest *mux)
{
    g_autofree char *path = tmp_path("fifo");
    g_autofree char *in = tmp_path("fifo.in");
    g_autofree char *out = tmp_path("fifo.out");
    g_autofree char *options = g_strdup_printf("pipe,id=m,path=%s,mux=on", path);
    Chardev *chr;

    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    chr = test_new(options);
    mux->to = open(in, O_WRONLY);
    mux->from = open(out, O_RDONLY | O_NONBLOCK);
    mux->console = test_attach(chr);
    mux->monitor = test_attach(chr);
    unlink(in);
    unlink(out);
}

static void mux_teardown(MuxTest *mux)
{
    test_detach(mux->console);
    test_detach(mux->monitor);
    test_remove("m");
    test_remove("m-base");
    close(mux->to);
    close(mux->from);
}

static void test_mux_focus(void)
{
    MuxTest mux;
    g_autofree char *heard = NULL;

    mux_setup(&mux);
    g_assert_cmpint(mux.console->opened, ==, 1);
    g_assert_cmpint(mux.console->mux_in, ==, 1);
    g_assert_cmpint(mux.monitor->mux_out, ==, 1);
    mux_say(&mux, "a\001cb\001\001");
    SPIN_UNTIL(mux.monitor->input->len == 2);
    g_assert_cmpstr(mux.console->input->str, ==, "a");
    g_assert_cmpstr(mux.monitor->input->str, ==, "b\001");
    g_assert_cmpint(mux.console->mux_out, ==, 1);
    g_assert_cmpint(mux.monitor->mux_in, ==, 1);
    put(mux.console, "one ");
    put(mux.monitor, "two");
    heard = mux_hear(&mux);
    g_assert_cmpstr(heard, ==, "one two");
    mux_say(&mux, "\001b");
    SPIN_UNTIL(mux.monitor->breaks == 1);
    char_frontend_take_focus(&mux.console->fe);
    mux_say(&mux, "\001zc");
    SPIN_UNTIL(mux.console->input->len == 2);
    g_assert_cmpstr(mux.console->input->str, ==, "ac");
    mux_teardown(&mux);
}

static void test_mux_busy(void)
{
    MuxTest mux;
    g_autofree char *typed = g_strnfill(200, 'x');

    mux_setup(&mux);
    mux.console->room = 0;
    mux_say(&mux, typed);
    mux_say(&mux, "\001c!");
    SPIN_UNTIL(mux.monitor->input->len == 1);
    g_assert_cmpint(mux.console->input->len, ==, 0);
    char_frontend_take_focus(&mux.console->fe);
    mux.console->room = 7;
    char_frontend_accept_input(&mux.console->fe);
    SPIN_UNTIL(mux.console->input->len == 200);
    mux_teardown(&mux);
}

static void test_mux_help_and_stamps(void)
{
    MuxTest mux;
    g_autofree char *help = NULL;
    g_autofree char *stamped = NULL;

    mux_setup(&mux);
    mux_say(&mux, "\001h\001t.");
    SPIN_UNTIL(mux.console->input->len == 1);
    help = mux_hear(&mux);
    g_assert_nonnull(strstr(help, "Ctrl-a c"));
    put(mux.console, "one\ntwo");
    put(mux.console, "\nthree\n");
    stamped = mux_hear(&mux);
    g_assert_true(g_pattern_match_simple("one\n[??:??:??.???] two\n[??:??:??.???] three\n",
                                         stamped));
    mux_teardown(&mux);
}

static void test_mux_cleanup(void)
{
    TestFrontend *test = test_attach(test_new("null,id=m,mux=on"));

    chardev_cleanup_all();
    g_assert_null(test->fe.chr);
    put(test, "nobody");
    test_detach(test);
}

static void remove_tmp_dir(void)
{
    GDir *dir = g_dir_open(tmp_dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = tmp_path(name);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(tmp_dir);
    g_free(tmp_dir);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    tmp_dir = g_dir_make_tmp("vireo-chardev-XXXXXX", NULL);
    vm_lock();
    g_test_add_func("/chardev/errors", test_errors);
    g_test_add_func("/chardev/registry", test_registry);
    g_test_add_func("/chardev/unattached", test_unattached);
    g_test_add_func("/chardev/file", test_file);
    g_test_add_func("/chardev/append", test_append);
    g_test_add_func("/chardev/ringbuf", test_ringbuf);
    g_test_add_func("/chardev/short-forms", test_short_forms);
    g_test_add_func("/chardev/old-words", test_old_words);
    g_test_add_func("/chardev/help", test_help);
    g_test_add_func("/chardev/change", test_change);
    g_test_add_func("/chardev/mux/focus", test_mux_focus);
    g_test_add_func("/chardev/mux/busy", test_mux_busy);
    g_test_add_func("/chardev/mux/help-and-stamps", test_mux_help_and_stamps);
    g_test_add_func("/chardev/mux/cleanup", test_mux_cleanup);
    ret = g_test_run();
    vm_unlock();
    remove_tmp_dir();
    return ret;
}
