/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, numbers, booleans and UUIDs as people type them. */
#include "util/parse.h"

#include <string.h>

#include "util/bits.h"

static void test_size(void)
{
    static const struct {
        const char *text;
        uint64_t unit;
        uint64_t bytes;
    } good[] = {
        { "0", 1, 0 },
        { "512", 1, 512 },
        { "512", MiB, 512 * MiB },
        { "1.5G", 1, 3 * GiB / 2 },
        { "0.5", MiB, MiB / 2 },
        { "64k", MiB, 64 * KiB },
        { "64K", 1, 64 * KiB },
        { "7b", MiB, 7 },
        { "0x1000", 1, 4096 },
        { "0x10M", 1, 16 * MiB },
        { "0x1b", 1, 27 },
        { "1.0000000000000000000000001k", 1, 1024 },
        { "15E", 1, 15ULL << 60 },
        { "18446744073709551615", 1, UINT64_MAX },
    };
    static const char *const bad[] = {
        "", "k", "-1", "+1", " 1", "1 ", "1kk", "1kb", "1x", "0x", "0xg", "1.", ".5", "1.5", "1.5b",
        "16E", "18446744073709551616", "1e3", "nan", "inf", "1,5G", "0x1.8k",
    };
    uint64_t bytes;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(parse_size(good[i].text, good[i].unit, &bytes, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(bytes, ==, good[i].bytes);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        bytes = 42;
        g_assert_false(parse_size(bad[i], 1, &bytes, &error));
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, bad[i]));
        g_assert_cmpuint(bytes, ==, 42);
    }
    g_assert_false(parse_size("16777216P", 1, &bytes, NULL));
}

static void test_unsigned(void)
{
    static const char *const bad[] = { "", "-1", "08", "0x", "1.0", "1 ", "1k",
                                       "18446744073709551616" };
    uint64_t value;

    g_assert_true(parse_uint64("18446744073709551615", &value, NULL));
    g_assert_cmpuint(value, ==, UINT64_MAX);
    g_assert_true(parse_uint64("0x3f8", &value, NULL));
    g_assert_cmpuint(value, ==, 0x3f8);
    g_assert_true(parse_uint64("017", &value, NULL));
    g_assert_cmpuint(value, ==, 15);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(parse_uint64(bad[i], &value, &error));
        g_assert_nonnull(strstr(error->message, bad[i]));
    }
}

static void test_signed(void)
{
    static const char *const bad[] = { "", "-", "--1", "9223372036854775808",
                                       "-9223372036854775809", "1x" };
    int64_t value;

    g_assert_true(parse_int64("-9223372036854775808", &value, NULL));
    g_assert_cmpint(value, ==, INT64_MIN);
    g_assert_true(parse_int64("9223372036854775807", &value, NULL));
    g_assert_cmpint(value, ==, INT64_MAX);
    g_assert_true(parse_int64("-0x10", &value, NULL));
    g_assert_cmpint(value, ==, -16);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(parse_int64(bad[i], &value, NULL));
    }
}

static void test_bool(void)
{
    g_autoptr(GError) error = NULL;
    bool value = false;

    g_assert_true(parse_bool("on", &value, NULL) && value);
    g_assert_true(parse_bool("no", &value, NULL) && !value);
    g_assert_true(parse_bool("true", &value, NULL) && value);
    g_assert_true(parse_bool("n", &value, NULL) && !value);
    g_assert_false(parse_bool("ON", &value, &error));
    g_assert_nonnull(strstr(error->message, "'ON'"));
    g_assert_false(parse_bool("1", &value, NULL));
}

static void test_uuid(void)
{
    static const char text[] = "00112233-4455-6677-8899-aabbccddeeff";
    static const char *const bad[] = {
        "", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeefff",
        "0011223344556677-8899-aabbccddeeff", "g0112233-4455-6677-8899-aabbccddeeff",
        "00112233445566778899aabbccddeeff",
    };
    g_autofree char *back = NULL;
    uint8_t uuid[16];

    g_assert_true(parse_uuid(text, uuid, NULL));
    g_assert_cmpuint(uuid[0], ==, 0x00);
    g_assert_cmpuint(uuid[1], ==, 0x11);
    g_assert_cmpuint(uuid[15], ==, 0xff);
    back = format_uuid(uuid);
    g_assert_cmpstr(back, ==, text);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(parse_uuid(bad[i], uuid, NULL));
    }
}

static void test_format_size(void)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        { 0, "0 B" },           { 1023, "1023 B" },         { 1024, "1 KiB" },
        { 3 * GiB / 2, "1.5 GiB" }, { 128 * MiB, "128 MiB" }, { UINT64_MAX, "16 EiB" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = format_size(rows[i].bytes);

        g_assert_cmpstr(text, ==, rows[i].text);
    }
}

static void test_bits(void)
{
    uint8_t bytes[9] = { 0xaa, 1, 2, 3, 4, 5, 6, 7, 8 };

    g_assert_cmphex(ldw_le(bytes + 1), ==, 0x0201);
    g_assert_cmphex(ldl_be(bytes + 1), ==, 0x01020304);
    g_assert_cmphex(ldq_be(bytes + 1), ==, 0x0102030405060708);
    stn_le(bytes + 1, 4, 0x11223344);
    g_assert_cmphex(ldn_le(bytes + 1, 2), ==, 0x3344);
    g_assert_cmphex(extract64(0xff00, 8, 8), ==, 0xff);
    g_assert_cmphex(deposit64(0, 60, 4, 0xf), ==, 0xf000000000000000);
    g_assert_cmphex(MASK_ULL(63, 0), ==, ~0ULL);
    g_assert_cmphex(MASK_ULL(7, 4), ==, 0xf0);
    g_assert_true(range_ok(10, 0, 10));
    g_assert_false(range_ok(UINT64_MAX, 2, 10));
    g_assert_false(range_ok(5, UINT64_MAX, 10));
    g_assert_true(ranges_overlap(0, 10, 9, 1));
    g_assert_false(ranges_overlap(0, 10, 10, 1));
    g_assert_true(ranges_overlap(UINT64_MAX, 1, 0, UINT64_MAX) == false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/parse/size", test_size);
    g_test_add_func("/parse/unsigned", test_unsigned);
    g_test_add_func("/parse/signed", test_signed);
    g_test_add_func("/parse/bool", test_bool);
    g_test_add_func("/parse/uuid", test_uuid);
    g_test_add_func("/parse/format-size", test_format_size);
    g_test_add_func("/bits", test_bits);
    return g_test_run();
}
