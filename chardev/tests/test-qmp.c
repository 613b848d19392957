/* SPDX-License-Identifier: Apache-2.0 */
/* The QMP commands, from the JSON of a ChardevBackend on. */
#include <unistd.h>

#include "chardev/tests/harness.h"
#include "qapi/qapi-commands-char.h"

static ChardevReturn *add(const char *id, const char *json, bool change, GError **error)
{
    json_object *parsed = json_parse_text(json, error);
    ChardevBackend *backend = NULL;
    ChardevReturn *answer = NULL;

    if (parsed && qapi_from_json(&ChardevBackend_type, parsed, QAPI_JSON, (void **)&backend,
                                 error)) {
        answer = (change ? qmp_chardev_change : qmp_chardev_add)(id, backend, error);
    }
    json_object_put(parsed);
    qapi_free(&ChardevBackend_type, backend);
    return answer;
}

static void test_add(void)
{
    static const char *const backends[] = {
        "{'type': 'null', 'data': {}}",
        "{'type': 'file', 'data': {'out': '/dev/null', 'in': '/dev/null', 'append': true}}",
        "{'type': 'ringbuf', 'data': {'size': 4096}}",
        "{'type': 'memory', 'data': {}}",
        "{'type': 'pty', 'data': {}}",
        "{'type': 'udp', 'data': {'remote': {'type': 'inet', 'data': {'host': '127.0.0.1',"
        " 'port': '9'}}, 'local': {'type': 'inet', 'data': {'host': '127.0.0.1', 'port': '0'}}}}",
        "{'type': 'socket', 'data': {'addr': {'type': 'inet', 'data': {'host': '127.0.0.1',"
        " 'port': '0', 'ipv4': true}}}}",
        "{'type': 'socket', 'data': {'addr': {'type': 'unix', 'data': {'path': 'vireo-test-none',"
        " 'abstract': true}}, 'server': false, 'reconnect': 30}}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        g_autofree char *json = g_strdelimit(g_strdup(backends[i]), "'", '"');
        g_autoptr(GError) error = NULL;
        ChardevReturn *answer = add("a", json, false, &error);

        g_assert_no_error(error);
        g_assert_nonnull(answer);
        g_assert_cmpint(answer->pty != NULL, ==, strstr(json, "\"pty\"") != NULL);
        qapi_free(&ChardevReturn_type, answer);
        g_assert_true(qmp_chardev_remove("a", &error));
    }
}

static void test_add_fails(void)
{
    static const char *const backends[] = {
        "{'type': 'vc', 'data': {}}",
        "{'type': 'ringbuf', 'data': {'size': -1}}",
        "{'type': 'ringbuf', 'data': {'size': 3}}",
        "{'type': 'file', 'data': {'out': '/nonexistent/file'}}",
        "{'type': 'socket', 'data': {'addr': {'type': 'fd', 'data': {'str': 'x'}}}}",
        "{'type': 'socket', 'data': {'addr': {'type': 'vsock', 'data': {'cid': '1',"
        " 'port': '2'}}}}",
        "{'type': 'mux', 'data': {'chardev': 'nobody'}}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        g_autofree char *json = g_strdelimit(g_strdup(backends[i]), "'", '"');
        g_autoptr(GError) error = NULL;

        g_assert_null(add("a", json, false, &error));
        g_assert_nonnull(error);
        g_test_message("%s: %s", backends[i], error->message);
    }
}

static void test_query(void)
{
    GPtrArray *list, *kinds = qmp_query_chardev_backends(NULL);
    TestFrontend *test = test_attach(test_new("null,id=one"));

    test_new("null,id=two,mux=on");
    list = qmp_query_chardev(NULL);
    g_assert_cmpint(list->len, ==, 3);
    for (guint i = 0; i < list->len; i++) {
        const ChardevInfo *info = g_ptr_array_index(list, i);

        g_assert_cmpint(info->frontend_open, ==, !g_str_equal(info->label, "two"));
        g_assert_cmpstr(info->filename, ==, g_str_equal(info->label, "two") ? "mux" : "null");
    }
    g_assert_cmpint(kinds->len, >, 10);
    g_ptr_array_unref(kinds);
    g_ptr_array_unref(list);
    test_detach(test);
    chardev_cleanup_all();
}

static void test_break_and_change(void)
{
    TestFrontend *test = test_attach(test_new("null,id=b"));
    g_autoptr(GError) error = NULL;
    ChardevReturn *answer;

    g_assert_true(qmp_chardev_send_break("b", &error));
    g_assert_cmpint(test->breaks, ==, 1);
    g_assert_false(qmp_chardev_send_break("c", &error));
    g_clear_error(&error);
    answer = add("b", "{\"type\": \"ringbuf\", \"data\": {}}", true, &error);
    g_assert_no_error(error);
    qapi_free(&ChardevReturn_type, answer);
    g_assert_cmpint(test->changed, ==, 1);
    test_detach(test);
    test_remove("b");
}

static void test_ringbuf(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL, *base64 = NULL, *replaced = NULL;

    test_new("ringbuf,id=r,size=16");
    g_assert_true(qmp_ringbuf_write("r", "häuser", false, 0, &error));
    text = qmp_ringbuf_read("r", 100, true, DATA_FORMAT_UTF8, &error);
    g_assert_cmpstr(text, ==, "häuser");
    g_assert_true(qmp_ringbuf_write("r", "/wBB", true, DATA_FORMAT_BASE64, &error));
    base64 = qmp_ringbuf_read("r", 100, true, DATA_FORMAT_BASE64, &error);
    g_assert_cmpstr(base64, ==, "/wBB");
    g_assert_true(qmp_ringbuf_write("r", "/wBB", true, DATA_FORMAT_BASE64, &error));
    replaced = qmp_ringbuf_read("r", 100, false, 0, &error);
    g_assert_true(g_utf8_validate(replaced, -1, NULL));
    g_assert_true(g_str_has_suffix(replaced, "A"));
    g_assert_false(qmp_ringbuf_write("r", "!", true, DATA_FORMAT_BASE64, &error));
    g_clear_error(&error);
    g_assert_null(qmp_ringbuf_read("r", -5, false, 0, &error));
    g_clear_error(&error);
    g_assert_null(qmp_ringbuf_read("x", 5, false, 0, &error));
    test_remove("r");
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_lock();
    g_test_add_func("/chardev/qmp/add", test_add);
    g_test_add_func("/chardev/qmp/add-fails", test_add_fails);
    g_test_add_func("/chardev/qmp/query", test_query);
    g_test_add_func("/chardev/qmp/break-and-change", test_break_and_change);
    g_test_add_func("/chardev/qmp/ringbuf", test_ringbuf);
    ret = g_test_run();
    vm_unlock();
    return ret;
}
