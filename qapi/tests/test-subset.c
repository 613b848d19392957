/* SPDX-License-Identifier: Apache-2.0 */
/* A second program's table of commands: only its own, on the types and marshalling of the first. */
#include "qapi/dispatch.h"
#include "qapi/tests/subset-qapi-commands.h"
#include "qapi/tests/test-qapi-commands-test-part.h"
#include "util/error.h"

TestPart *qmp_test_part(int64_t n, GError **error)
{
    TestPart *part = g_new0(TestPart, 1);

    part->n = n + 1;
    return part;
}

static char *run(const char *text)
{
    json_object *request = json_tokener_parse(text);
    json_object *response = qmp_dispatch(&subset_qapi_commands, request, false);
    char *answer = g_strdup(json_object_to_json_string_ext(response, JSON_C_TO_STRING_PLAIN));

    json_object_put(request);
    json_object_put(response);
    return answer;
}

static void test_table(void)
{
    g_autofree char *own = run("{\"execute\": \"test-part\", \"arguments\": {\"n\": 41}}");
    g_autofree char *other = run("{\"execute\": \"test-void\"}");

    g_assert_cmpuint(subset_qapi_commands.n_commands, ==, 1);
    g_assert_cmpstr(own, ==, "{\"return\":{\"n\":42}}");
    g_assert_nonnull(strstr(other, "\"CommandNotFound\""));
}

static void test_introspection(void)
{
    json_object *list = json_tokener_parse(subset_qapi_commands.schema_json);
    g_autoptr(GString) names = g_string_new(NULL);

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *info = json_object_array_get_idx(list, i);
        const char *meta = json_object_get_string(json_object_object_get(info, "meta-type"));

        if (g_str_equal(meta, "command") || g_str_equal(meta, "event")) {
            g_string_append_printf(names, "%s ", json_object_get_string(
                                                     json_object_object_get(info, "name")));
        }
    }
    g_assert_cmpstr(names->str, ==, "test-part TEST_PART ");
    json_object_put(list);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/subset/table", test_table);
    g_test_add_func("/qapi/subset/introspection", test_introspection);
    return g_test_run();
}
