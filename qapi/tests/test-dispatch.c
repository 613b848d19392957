/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to responses through generated marshalling; events; introspection. */
#include <string.h>

#include "qapi/event.h"
#include "qapi/keyval.h"
#include "qapi/tests/test-qapi-commands-test-part.h"
#include "qapi/tests/test-qapi-commands-test-schema.h"
#include "qapi/tests/test-qapi-commands.h"
#include "qapi/tests/test-qapi-events-test-schema.h"
#include "qapi/tests/test-qapi-events.h"
#include "qapi/tests/test-qapi-introspect.h"
#include "util/error.h"

static int void_calls;

bool qmp_test_void(GError **error)
{
    void_calls++;
    return true;
}

char *qmp_test_args(int64_t a, bool has_b, bool b, const char *c, const TestPoint *p,
                    GError **error)
{
    if (a < 0) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "no device %d", (int)a);
        return NULL;
    }
    if (a == 99) {
        return NULL; /* a handler's mistake */
    }
    return g_strdup_printf("%d %d %d %s %d", (int)a, has_b, b, c ? c : "-", p ? (int)p->x : -1);
}

TestShape *qmp_test_boxed(const TestShape *arg, GError **error)
{
    return TestShape_clone(arg);
}

GPtrArray *qmp_test_list(GPtrArray *points, GError **error)
{
    GPtrArray *list = TestPoint_list_new();

    for (guint i = points->len; i-- > 0;) {
        g_ptr_array_add(list, TestPoint_clone(g_ptr_array_index(points, i)));
    }
    return list;
}

bool qmp_test_scalar(int64_t x, int64_t y, const char *label, int64_t *ret, GError **error)
{
    *ret = x + y;
    return true;
}

json_object *qmp_test_any(json_object *value, GError **error)
{
    return json_object_get(value);
}

TestPart *qmp_test_part(int64_t n, GError **error)
{
    TestPart *part = g_new0(TestPart, 1);

    part->n = -n;
    return part;
}

bool qmp_test_silent(bool fail, GError **error)
{
    if (fail) {
        error_setf(error, "asked to");
    }
    return !fail;
}

bool qmp_test_raw(json_object *args, json_object **ret, GError **error)
{
    *ret = json_object_get(args);
    return true;
}

/* The response to a request, without blanks; "" if there is none. */
static char *ask(const char *request, bool oob)
{
    json_object *json = json_parse_text(request, NULL);
    json_object *response = qmp_dispatch(&test_qapi_commands, json, oob);
    char *text =
        g_strdup(response ? json_object_to_json_string_ext(response, JSON_C_TO_STRING_PLAIN) : "");

    json_object_put(json);
    json_object_put(response);
    return text;
}

static void test_responses(void)
{
    static const struct {
        const char *request, *expected;
        bool oob;
    } cases[] = {
        { "{\"execute\": \"test-void\"}", "{\"return\":{}}" },
        { "{\"execute\": \"test-void\", \"id\": [1, null]}", "{\"return\":{},\"id\":[1,null]}" },
        { "{\"execute\": \"test-void\", \"id\": null}", "{\"return\":{},\"id\":null}" },
        { "{\"execute\": \"test-void\", \"arguments\": {}}", "{\"return\":{}}" },
        { "{\"execute\": \"test-void\", \"arguments\": {\"x\": 1}}", "*'x' is unexpected*" },
        { "{\"execute\": \"test-args\", \"arguments\": {\"a\": 1}}",
          "{\"return\":\"1 0 0 - -1\"}" },
        { "{\"execute\": \"test-args\", \"arguments\": {\"a\": 1, \"b\": true, \"c\": \"s\","
          " \"p\": {\"x\": 5, \"y\": 6}}}",
          "{\"return\":\"1 1 1 s 5\"}" },
        { "{\"execute\": \"test-args\", \"arguments\": {\"a\": -3}, \"id\": 7}",
          "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"no device -3\"},\"id\":7}" },
        { "{\"execute\": \"test-args\", \"arguments\": {\"a\": 99}}", "*without saying why*" },
        { "{\"execute\": \"test-args\"}", "*Parameter 'a' is missing*" },
        { "{\"execute\": \"test-boxed\", \"arguments\": {\"kind\": \"square\", \"side\": 2}}",
          "{\"return\":{\"kind\":\"square\",\"side\":2}}" },
        { "{\"execute\": \"test-list\", \"arguments\": {\"points\": [{\"x\": 1, \"y\": 2},"
          "{\"x\": 3, \"y\": 4}]}}",
          "{\"return\":[{\"x\":3,\"y\":4},{\"x\":1,\"y\":2}]}" },
        { "{\"execute\": \"test-scalar\", \"arguments\": {\"x\": 40, \"y\": 2}}",
          "{\"return\":42}" },
        { "{\"execute\": \"test-part\", \"arguments\": {\"n\": 8}}", "{\"return\":{\"n\":-8}}" },
        { "{\"execute\": \"test-any\", \"arguments\": {\"value\": null}}", "{\"return\":{}}" },
        { "{\"execute\": \"test-any\", \"arguments\": {\"value\": [1]}}", "{\"return\":[1]}" },
        { "{\"execute\": \"test-silent\", \"arguments\": {\"fail\": false}}", "" },
        { "{\"execute\": \"test-silent\", \"arguments\": {\"fail\": true}}", "*asked to*" },
        { "{\"execute\": \"test-raw\", \"arguments\": {\"z\": 1}}", "{\"return\":{\"z\":1}}" },
        { "{\"execute\": \"test-pending\"}", "*not implemented yet*" },
        { "{\"execute\": \"test-uv\"}", "*CommandNotFound*" },
        { "{\"execute\": \"test-viod\", \"id\": 1}",
          "*CommandNotFound*test-viod*did you mean 'test-void'*\"id\":1}" },
        { "{\"execute\": \"test-void\", \"argument\": {}}",
          "*'argument' is unexpected*arguments*" },
        { "{\"execute\": \"test-void\", \"arguments\": []}", "*'arguments' must be an object*" },
        { "{\"execute\": 5}", "*'execute' must be a string*" },
        { "{\"id\": 5}", "*lacks member 'execute'*\"id\":5}" },
        { "{\"execute\": \"a\", \"exec-oob\": \"a\"}", "*both*" },
        { "[]", "*must be a JSON object*" },
        { "null", "*must be a JSON object*" },
        { "\"x\"", "*must be a JSON object*" },
        { "{\"exec-oob\": \"test-void\"}", "*does not support OOB*", true },
        { "{\"exec-oob\": \"test-list\", \"arguments\": {\"points\": []}}", "{\"return\":[]}",
          true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *response = ask(cases[i].request, cases[i].oob);

        if (!g_pattern_match_simple(cases[i].expected, response)) {
            g_error("%s: '%s' is not like '%s'", cases[i].request, response, cases[i].expected);
        }
    }
    g_assert_cmpint(void_calls, ==, 4);
}

static void test_table(void)
{
    for (size_t i = 1; i < test_qapi_commands.n_commands; i++) {
        g_assert_cmpstr(test_qapi_commands.commands[i - 1].name, <,
                        test_qapi_commands.commands[i].name);
    }
    g_assert_null(qapi_command_find(&test_qapi_commands, ""));
    g_assert_true(qapi_command_find(&test_qapi_commands, "test-list")->flags & QAPI_COMMAND_OOB);
}

static void record(int event, const char *name, json_object *data, void *opaque)
{
    g_string_append_printf(opaque, "%d %s %s;", event, name,
                           data ? json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN)
                                : "-");
}

static void test_events(void)
{
    g_autoptr(GString) log = g_string_new(NULL);
    const TestShape shape = { .kind = TEST_SHAPE_KIND_SQUARE, .u.square.side = 4 };

    test_qapi_event_send_test_plain(); /* no sink yet */
    qapi_set_event_sink(record, log);
    test_qapi_event_send_test_plain();
    test_qapi_event_send_test_data(5, NULL, false, 0);
    test_qapi_event_send_test_data(6, "s", true, TEST_COLOR_RED);
    test_qapi_event_send_test_boxed(&shape);
    qapi_set_event_sink(NULL, NULL);
    g_assert_cmpstr(log->str, ==,
                    "0 TEST_PLAIN -;1 TEST_DATA {\"n\":5};"
                    "1 TEST_DATA {\"n\":6,\"s\":\"s\",\"color\":\"red\"};"
                    "2 TEST_BOXED {\"kind\":\"square\",\"side\":4};");
    g_assert_cmpint(TEST_QAPI_EVENT__MAX, ==, 4);
}

/* Every type that is named exists exactly once. */
static void test_introspection(void)
{
    json_object *schema = json_parse_text(test_qapi_schema_json, NULL);
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    static const char *const refs[] = { "arg-type", "ret-type", "element-type" };

    g_assert_true(json_object_is_type(schema, json_type_array));
    for (size_t i = 0; i < json_object_array_length(schema); i++) {
        json_object *info = json_object_array_get_idx(schema, i);

        g_assert_true(g_hash_table_add(names, (char *)json_object_get_string(
                                                  json_object_object_get(info, "name"))));
    }
    g_assert_true(g_hash_table_contains(names, "test-args"));
    g_assert_false(g_hash_table_contains(names, "test-uv"));
    g_assert_false(g_hash_table_contains(names, "TestPoint"));
    for (size_t i = 0; i < json_object_array_length(schema); i++) {
        json_object *info = json_object_array_get_idx(schema, i), *ref;

        for (size_t k = 0; k < G_N_ELEMENTS(refs); k++) {
            if (json_object_object_get_ex(info, refs[k], &ref)) {
                g_assert_true(g_hash_table_contains(names, json_object_get_string(ref)));
            }
        }
    }
    json_object_put(schema);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/dispatch/responses", test_responses);
    g_test_add_func("/qapi/dispatch/table", test_table);
    g_test_add_func("/qapi/dispatch/events", test_events);
    g_test_add_func("/qapi/dispatch/introspection", test_introspection);
    return g_test_run();
}
