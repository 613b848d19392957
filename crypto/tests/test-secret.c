/* SPDX-License-Identifier: Apache-2.0 */
/* Secret objects, as -object and object-add make them. */
#include "crypto/secret.h"

#include <glib/gstdio.h>
#include <string.h>

#include "qapi/keyval.h"
#include "qom/object.h"

/* The key's 32 bytes, and "the quick brown fox" encrypted with it by openssl enc -aes-256-cbc. */
#define KEY64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define IV64 "YWJjZGVmZ2hpamtsbW5vcA=="
#define ENCRYPTED64 "Omq1KXhdH/nmZjMPWDzvnz5XA0Mt9ihlIl93N1RdVtA="

/* NULL if it worked. The text is the caller's. */
static char *add(const char *options)
{
    g_autoptr(GError) error = NULL;
    json_object *parsed = keyval_parse(options, NULL, NULL, &error);

    g_assert_no_error(error);
    user_object_create(parsed, true, &error);
    json_object_put(parsed);
    return error ? g_strdup(error->message) : NULL;
}

static void assert_added(const char *options)
{
    g_autofree char *message = add(options);

    g_assert_cmpstr(message, ==, NULL);
}

static void assert_refused(const char *options, const char *expected)
{
    g_autofree char *message = add(options);

    g_assert_cmpstr(message, ==, expected);
}

static void assert_secret(const char *id, const char *expected, size_t len)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SecretData) secret = secret_lookup(id, &error);

    g_assert_no_error(error);
    g_assert_cmpmem(secret->data, secret->len, expected, len);
    g_assert_cmpuint(secret->data[len], ==, 0);
}

static void test_data(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SecretData) text = NULL;
    json_object *value;

    assert_added("qom-type=secret,id=plain,data=top=secret");
    assert_secret("plain", "top=secret", 10);
    value = object_property_get(user_object_find("plain", TYPE_SECRET, NULL), "data", &error);
    g_assert_no_error(error);
    g_assert_null(strstr(json_object_to_json_string(value), "top")); /* QMP does not tell it */
    json_object_put(value);
    assert_added("qom-type=secret,id=coded,format=base64,data=AP8Q AA==");
    assert_secret("coded", "\0\xff\x10\0", 4);
    text = secret_lookup_text("coded", &error);
    g_assert_null(text);
    g_assert_cmpstr(error->message, ==, "secret 'coded' is not text");
    assert_added("qom-type=secret,id=empty,data=");
    assert_secret("empty", "", 0);
}

static void test_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-secret-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "secret", NULL);
    g_autofree char *options = g_strdup_printf("qom-type=secret,id=filed,file=%s", path);
    g_autofree char *no_file = g_strdup_printf("cannot read secret: Failed to open file “%s”: No "
                                               "such file or directory", path);

    assert_refused(options, no_file);
    g_assert_true(g_file_set_contents(path, "a\0b\n", 4, NULL));
    assert_added(options);
    assert_secret("filed", "a\0b\n", 4);
    g_unlink(path);
    g_rmdir(dir);
}

static void test_encrypted(void)
{
    assert_added("qom-type=secret,id=key,format=base64,data=" KEY64);
    assert_added("qom-type=secret,id=short,data=0123456789");
    assert_added("qom-type=secret,id=locked,format=base64,keyid=key,iv=" IV64
                 ",data=" ENCRYPTED64);
    assert_secret("locked", "the quick brown fox", 19);
    assert_refused("qom-type=secret,id=e1,format=base64,keyid=nokey,iv=" IV64
                   ",data=" ENCRYPTED64, "there is no object 'nokey'");
    assert_refused("qom-type=secret,id=e2,format=base64,keyid=short,iv=" IV64
                   ",data=" ENCRYPTED64, "secret 'short' has 10 bytes; a key for secrets has 32");
    assert_refused("qom-type=secret,id=e3,format=base64,keyid=key,data=" ENCRYPTED64,
                   "a secret with 'keyid' needs 'iv'");
    assert_refused("qom-type=secret,id=e4,format=base64,keyid=key,iv=AAAA,data=" ENCRYPTED64,
                   "'iv' has 3 bytes, not 16");
    assert_refused("qom-type=secret,id=e5,format=base64,keyid=key,iv=" IV64 ",data=AAAA",
                   "an encrypted secret of 3 bytes is not whole");
    assert_refused("qom-type=secret,id=e6,format=base64,keyid=key,iv=" IV64 ",data=",
                   "the padding of the decrypted secret is wrong; key or iv may be wrong");
    assert_refused("qom-type=secret,id=e7,format=base64,keyid=key,iv=AAAAAAAAAAAAAAAAAAAAAA==,"
                   "data=AAAAAAAAAAAAAAAAAAAAAA==",
                   "the padding of the decrypted secret is wrong; key or iv may be wrong");
}

static void test_refused(void)
{
    assert_refused("qom-type=secret,id=r1", "a secret needs either 'data' or 'file'");
    assert_refused("qom-type=secret,id=r1,data=a,file=b", "a secret needs either 'data' or 'file'");
    assert_refused("qom-type=secret,id=r1,format=base64,data=A*==", "the secret is not base64");
    assert_refused("qom-type=secret,id=r1,format=base64,data=A=AA", "the secret is not base64");
    assert_refused("qom-type=secret,id=r1,format=base64,data=AAAAA",
                   "the secret is not base64: its end is missing");
    assert_added("qom-type=secret,id=r1,data=b"); /* nothing was left behind */
}

static void test_keyring(void)
{
    g_autofree char *message = add("qom-type=secret_keyring,id=k1,serial=1");

    g_assert_nonnull(message);
    g_assert_true(g_str_has_prefix(message, "cannot read key 1 of the keyring: "));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crypto/secret/data", test_data);
    g_test_add_func("/crypto/secret/file", test_file);
    g_test_add_func("/crypto/secret/encrypted", test_encrypted);
    g_test_add_func("/crypto/secret/refused", test_refused);
    g_test_add_func("/crypto/secret/keyring", test_keyring);
    return g_test_run();
}
