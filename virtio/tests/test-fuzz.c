/* SPDX-License-Identifier: Apache-2.0 */
/* Random frontends, always the same ones, for the fuzzer's way in. */
#include <glib.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>

#include "virtio/tests/fuzz-vhost-user.h"
#include "virtio/vhost-user-proto.h"

static void random_bytes(GRand *rand, GByteArray *out, unsigned n)
{
    while (n--) {
        uint8_t byte = (uint8_t)g_rand_int(rand);

        g_byte_array_append(out, &byte, 1);
    }
}

static void add(GByteArray *out, uint8_t byte)
{
    g_byte_array_append(out, &byte, 1);
}

static void write_memory(GByteArray *out, unsigned at, const void *bytes, uint8_t len)
{
    add(out, FUZZ_WRITE);
    add(out, (uint8_t)(at >> 8));
    add(out, (uint8_t)at);
    add(out, len);
    g_byte_array_append(out, bytes, len);
}

/* A chain, mostly as it should be, in the ring that FUZZ_SET_UP makes. */
static void offer_chain(GRand *rand, GByteArray *out, uint16_t *idx)
{
    bool wrong = g_rand_int_range(rand, 0, 16) == 0;
    uint16_t head = (uint16_t)g_rand_int_range(rand, 0, wrong ? 20 : 15);
    struct vring_desc desc[2] = {
        { .addr = (uint64_t)g_rand_int_range(rand, 4096, FUZZ_MEMORY - (wrong ? 0 : 400)),
          .len = (uint32_t)g_rand_int_range(rand, !wrong, 400),
          .flags = (uint16_t)g_rand_int_range(rand, 0, wrong ? 8 : 2), .next = head + 1 },
        { .addr = (uint64_t)g_rand_int_range(rand, 0, 4096), .len = 16,
          .flags = VRING_DESC_F_WRITE, .next = (uint16_t)g_rand_int_range(rand, 0, 17) },
    };

    write_memory(out, head * 16u, desc, sizeof(desc));
    write_memory(out, 1028 + *idx % 16 * 2u, &head, sizeof(head));
    *idx += wrong ? (uint16_t)g_rand_int_range(rand, 0, 20) : 1;
    write_memory(out, 1026, idx, sizeof(*idx));
    add(out, FUZZ_KICK);
}

static void random_message(GRand *rand, GByteArray *out)
{
    static const uint8_t sizes[] = { 0, 4, 8, 13, 16, 20, 24, 40, 72, 255 };

    add(out, (uint8_t)g_rand_int_range(rand, 0, VHOST_USER__MAX + 1));
    add(out, (uint8_t)g_rand_int_range(rand, 0, 256));
    add(out, sizes[g_rand_int_range(rand, 0, G_N_ELEMENTS(sizes))]);
    if (g_rand_boolean(rand)) {
        random_bytes(rand, out, out->data[out->len - 1]);
    } else {
        for (unsigned n = out->data[out->len - 1]; n; n--) {
            add(out, g_rand_int_range(rand, 0, 8) ? 0 : (uint8_t)g_rand_int(rand));
        }
    }
}

static void one_frontend(GRand *rand)
{
    g_autoptr(GByteArray) input = g_byte_array_new();
    uint16_t idx = 0;

    add(input, FUZZ_SET_UP);
    for (int steps = g_rand_int_range(rand, 1, 40); steps; steps--) {
        switch (g_rand_int_range(rand, 0, 24)) {
        case 0:
            random_message(rand, input);
            break;
        case 1:
            add(input, FUZZ_FINISH);
            break;
        case 2:
            add(input, FUZZ_SET_UP);
            break;
        case 3:
            random_bytes(rand, input, 16);
            break;
        case 4:
            add(input, g_rand_int_range(rand, 0, 8) ? FUZZ_KICK : FUZZ_CUT);
            break;
        default:
            offer_chain(rand, input, &idx);
        }
    }
    LLVMFuzzerTestOneInput(input->data, input->len);
}

static void test_random(void)
{
    GRand *rand = g_rand_new_with_seed(20260);

    for (int i = 0; i < 4000; i++) {
        one_frontend(rand);
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vhost-user/random", test_random);
    return g_test_run();
}
