/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C: published values, and the two ways compared. */
#include <glib.h>
#include <string.h>

#include "util/crc32c.h"

typedef uint32_t Crc(uint32_t crc, const void *buf, size_t len);

static Crc *const both[] = { crc32c, crc32c_by_table };

/* RFC 3720, B.4, and the usual check value. */
static void test_known(void)
{
    uint8_t zeroes[32] = { 0 }, ones[32], up[32];

    memset(ones, 0xff, sizeof(ones));
    for (unsigned i = 0; i < sizeof(up); i++) {
        up[i] = i;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(both); i++) {
        g_assert_cmphex(both[i](0, "", 0), ==, 0);
        g_assert_cmphex(both[i](0, "123456789", 9), ==, 0xe3069283);
        g_assert_cmphex(both[i](0, zeroes, 32), ==, 0x8a9136aa);
        g_assert_cmphex(both[i](0, ones, 32), ==, 0x62a8ab43);
        g_assert_cmphex(both[i](0, up, 32), ==, 0x46dd794e);
    }
}

static void test_pieces(void)
{
    uint8_t buf[300];

    for (unsigned i = 0; i < sizeof(buf); i++) {
        buf[i] = g_test_rand_int();
    }
    for (unsigned len = 0; len <= sizeof(buf); len++) {
        uint32_t whole = crc32c_by_table(0, buf, len);
        unsigned cut = len ? g_test_rand_int_range(0, len) : 0;

        g_assert_cmphex(crc32c(0, buf, len), ==, whole);
        g_assert_cmphex(crc32c(crc32c(0, buf, cut), buf + cut, len - cut), ==, whole);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crc32c/known", test_known);
    g_test_add_func("/crc32c/pieces", test_pieces);
    return g_test_run();
}
