/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block layer's types with what managers and people write: unions in unions, alternates that
 * hold objects, lists. What is read and written again must be what was given.
 */
#include "qapi/keyval.h"
#include "qapi/qapi-types-block-create.h"
#include "qapi/qapi-types-block-export.h"
#include "qapi/qapi-types-transaction.h"

/* text (JSON or keyval) through the type and a copy of the result; free with g_free. */
static char *round_trip(const QapiType *type, const char *text, GError **error)
{
    json_object *json = keyval_parse(text, NULL, NULL, error);
    void *obj = NULL, *copy;
    char *result = NULL;

    g_assert_nonnull(json);
    if (qapi_from_json(type, json, keyval_flags(text), &obj, error)) {
        json_object *again;

        copy = qapi_clone(type, obj);
        qapi_free(type, obj);
        again = qapi_to_json(type, copy);
        qapi_free(type, copy);
        result = g_strdup(json_object_to_json_string_ext(
            again, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(again);
    }
    json_object_put(json);
    return result;
}

static void expect(const QapiType *type, const char *text, const char *json)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *result = round_trip(type, text, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(result, ==, json);
}

static void test_same(void)
{
    static const struct {
        const QapiType *type;
        const char *json;
    } cases[] = {
        { &BlockdevOptions_type,
          "{\"driver\":\"file\",\"node-name\":\"libvirt-1-storage\",\"discard\":\"unmap\","
          "\"cache\":{\"direct\":true,\"no-flush\":false},\"auto-read-only\":true,"
          "\"filename\":\"/a.qcow2\",\"aio\":\"io_uring\"}" },
        { &BlockdevOptions_type,
          "{\"driver\":\"qcow2\",\"node-name\":\"libvirt-1-format\",\"read-only\":false,"
          "\"file\":\"libvirt-1-storage\",\"backing\":null,"
          "\"encrypt\":{\"format\":\"luks\",\"key-secret\":\"s0\"}}" },
        { &BlockdevOptions_type,
          "{\"driver\":\"qcow2\",\"file\":{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\","
          "\"path\":\"/s\"},\"export\":\"e\"},\"backing\":{\"driver\":\"qcow2\",\"file\":"
          "{\"driver\":\"https\",\"url\":\"https://h/x\",\"sslverify\":true}},"
          "\"overlap-check\":{\"template\":\"all\",\"active-l2\":false}}" },
        { &BlockdevOptions_type,
          "{\"driver\":\"blkdebug\",\"image\":\"n\",\"inject-error\":[{\"event\":\"none\","
          "\"iotype\":\"write-zeroes\",\"errno\":28,\"once\":true},{\"event\":\"pwritev\"}],"
          "\"take-child-perms\":[\"write\",\"resize\"]}" },
        { &BlockdevOptions_type,
          "{\"driver\":\"ssh\",\"server\":{\"host\":\"h\",\"port\":\"22\"},\"path\":\"p\","
          "\"host-key-check\":{\"mode\":\"hash\",\"type\":\"sha256\",\"hash\":\"00\"}}" },
        { &BlockdevOptions_type,
          "{\"driver\":\"copy-before-write\",\"file\":\"a\",\"target\":\"b\",\"bitmap\":"
          "{\"node\":\"a\",\"name\":\"m\"},\"on-cbw-error\":\"break-snapshot\"}" },
        { &BlockdevCreateOptions_type,
          "{\"driver\":\"luks\",\"key-secret\":\"s\",\"cipher-alg\":\"aes-256\",\"file\":\"n\","
          "\"size\":18446744073709551615}" },
        { &BlockdevCreateOptions_type,
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"size\":1024,\"version\":\"v3\","
          "\"backing-fmt\":\"raw\",\"encrypt\":{\"format\":\"luks\",\"key-secret\":\"s\","
          "\"iter-time\":10},\"compression-type\":\"zstd\"}" },
        { &BlockExportOptions_type,
          "{\"type\":\"nbd\",\"id\":\"x\",\"node-name\":\"n\",\"writable\":true,\"name\":\"e\","
          "\"bitmaps\":[\"b\",{\"node\":\"m\",\"name\":\"c\"}]}" },
        { &TransactionAction_type,
          "{\"type\":\"block-dirty-bitmap-merge\",\"data\":{\"node\":\"n\",\"target\":\"t\","
          "\"bitmaps\":[{\"node\":\"m\",\"name\":\"b\"},\"c\"]}}" },
        { &TransactionAction_type, "{\"type\":\"abort\",\"data\":{}}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        expect(cases[i].type, cases[i].json, cases[i].json);
    }
}

static void test_command_line(void)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        { "driver=qcow2,node-name=d,file.driver=file,file.filename=a,,b,cache.direct=on",
          "{\"driver\":\"qcow2\",\"node-name\":\"d\",\"cache\":{\"direct\":true},"
          "\"file\":{\"driver\":\"file\",\"filename\":\"a,b\"}}" },
        { "driver=qcow2,file=n,backing=,overlap-check=all",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"backing\":\"\",\"overlap-check\":\"all\"}" },
        { "driver=qcow2,file=n,overlap-check.main-header=off",
          "{\"driver\":\"qcow2\",\"file\":\"n\",\"overlap-check\":{\"main-header\":false}}" },
        { "driver=blkdebug,image=n,inject-error.0.event=flush_to_disk,inject-error.0.state=2",
          "{\"driver\":\"blkdebug\",\"image\":\"n\",\"inject-error\":"
          "[{\"event\":\"flush_to_disk\",\"state\":2}]}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        expect(&BlockdevOptions_type, cases[i].text, cases[i].json);
    }
}

static void test_mistakes(void)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "{}", "Parameter 'driver' is missing" },
        { "{\"driver\":\"qcow3\"}",
          "Parameter 'driver': 'qcow3' is not a valid BlockdevDriver; did you mean 'qcow*'?" },
        { "{\"driver\":\"qcow2\"}", "Parameter 'file' is missing" },
        { "{\"driver\":\"qcow2\",\"file\":null}", "Parameter 'file' must not be null" },
        { "{\"driver\":\"raw\",\"file\":\"n\",\"backing\":\"b\"}",
          "Parameter 'backing' is unexpected*" },
        { "{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filenam\":\"x\"}}",
          "Parameter 'file.filename' is missing" },
        { "{\"driver\":\"luks\",\"file\":\"n\",\"key-secrte\":\"x\"}",
          "Parameter 'key-secrte' is unexpected; did you mean 'key-secret'?" },
        { "driver=null-co,size=1Q", "Parameter 'size'*" },
        { "driver=null-co,latency-ns=-1", "Parameter 'latency-ns' is out of range*" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *result = round_trip(&BlockdevOptions_type, cases[i].text, &error);

        g_assert_null(result);
        if (!g_pattern_match_simple(cases[i].expected, error->message)) {
            g_error("%s: '%s' is not like '%s'", cases[i].text, error->message,
                    cases[i].expected);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/block/same", test_same);
    g_test_add_func("/qapi/block/command-line", test_command_line);
    g_test_add_func("/qapi/block/mistakes", test_mistakes);
    return g_test_run();
}
