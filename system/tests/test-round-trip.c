/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state of a whole machine: every device of a board, left in a state that guests make, is
 * saved, reset, loaded and saved again, which must give the same bytes. One machine a process: the
 * first argument names the board.
 */
#include <string.h>

#include "accel/accel.h"
#include "hw/core/machine.h"
#include "system/machine-setup.h"
#include "system/runstate.h"
#include "util/error.h"
#include "util/timer.h"
#include "util/vm-lock.h"

static const char *board;
/* The machine borrows from it to the end. */
static VmOptions *options;

static void build(void)
{
    g_autofree char *line = g_strdup_printf("test -M %s -accel qtest -m 64 -smp 2 -display none "
                                            "-monitor none -serial null -rtc clock=vm", board);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;

    options_parse(g_strv_length(argv), argv, &options, &error);
    g_assert_no_error(error);
    runstate_init();
    memory_init();
    memory_transaction_begin();
    g_assert_true(setup_machine_object(options, &error) && setup_chardevs(options, &error) &&
                  setup_objects(options, &error) && setup_accelerator(options, &error) &&
                  setup_drives(options, &error) &&
                  setup_memory(options, &error) && setup_board(options, &error) &&
                  setup_devices(options, &error));
    memory_transaction_commit();
    g_assert_true(setup_finish(options, &error));
}

/* Registers that hold what is written, of all that a PC has; none of these ends the machine. */
static const struct {
    uint16_t first, count;
} ports[] = {
    { 0x00, 16 },  { 0x20, 2 },    { 0x40, 4 },    { 0x61, 1 },   { 0x70, 2 },    { 0x80, 16 },
    { 0xa0, 2 },   { 0xc0, 32 },   { 0x3f8, 8 },   { 0x3b4, 2 },  { 0x3c0, 32 },  { 0x1ce, 2 },
    { 0x4d0, 2 },
    { 0x1f1, 6 },  { 0x171, 6 },   { 0x3f1, 5 },
};

static const struct {
    uint64_t first;
    uint32_t count; /* of 32-bit words */
} words[] = { { 0xfec00000, 5 }, { 0xfed00000, 128 }, { 0xa0000, 1024 }, { 0xfeb00000, 1024 } };

static void disturb(GRand *rand)
{
    for (unsigned n = 0; n < 4000; n++) {
        unsigned i = g_rand_int_range(rand, 0, G_N_ELEMENTS(ports));
        unsigned port = ports[i].first + g_rand_int_range(rand, 0, ports[i].count);

        address_space_store(address_space_io(), port, 1, g_rand_int(rand) & 0xff);
        i = g_rand_int_range(rand, 0, G_N_ELEMENTS(words));
        address_space_store(address_space_memory(),
                            words[i].first + 4 * g_rand_int_range(rand, 0, words[i].count), 4,
                            g_rand_int(rand));
        vm_clock_advance_to(vm_clock_ns(VM_CLOCK_VIRTUAL) + g_rand_int_range(rand, 0, 1000));
    }
}

typedef struct Saved {
    Device *dev;
    GByteArray *bytes;
} Saved;

static void saved_clear(void *opaque)
{
    g_byte_array_unref(((Saved *)opaque)->bytes);
}

static bool save_one(Device *dev, void *opaque)
{
    const VmState *state = device_vmstate(dev);
    Saved saved = { dev, g_byte_array_new() };

    if (state) {
        g_autofree char *wrong = vmstate_check(state);

        g_assert_cmpstr(wrong, ==, NULL);
        vmstate_save(state, dev, saved.bytes);
    }
    g_array_append_val((GArray *)opaque, saved);
    return true;
}

static GArray *save_all(void)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Saved));

    g_array_set_clear_func(all, saved_clear);
    device_foreach(save_one, all);
    return all;
}

static void load_all(const GArray *all)
{
    for (unsigned i = 0; i < all->len; i++) {
        const Saved *saved = &g_array_index(all, Saved, i);
        const VmState *state = device_vmstate(saved->dev);
        g_autoptr(GError) error = NULL;
        size_t used = 0;

        if (state) {
            vmstate_load(state, saved->dev, state->version, saved->bytes->data, saved->bytes->len,
                         &used, &error);
            g_assert_no_error(error);
            g_assert_cmpuint(used, ==, saved->bytes->len);
        }
    }
}

/* Returns how many devices differ. */
static unsigned compare(const GArray *before, const GArray *after, bool tell)
{
    unsigned differing = 0;

    g_assert_cmpuint(before->len, ==, after->len);
    for (unsigned i = 0; i < before->len; i++) {
        const Saved *a = &g_array_index(before, Saved, i), *b = &g_array_index(after, Saved, i);

        g_assert_true(a->dev == b->dev);
        if (a->bytes->len != b->bytes->len ||
            (a->bytes->len && memcmp(a->bytes->data, b->bytes->data, a->bytes->len))) {
            differing++;
            for (guint at = 0; tell && at < MIN(a->bytes->len, b->bytes->len); at++) {
                if (a->bytes->data[at] != b->bytes->data[at]) {
                    g_test_message("%s: byte %u of %u was %02x, is %02x",
                                   a->dev->parent_obj.type->name, at, a->bytes->len,
                                   a->bytes->data[at], b->bytes->data[at]);
                }
            }
        }
    }
    return differing;
}

static void test_round_trip(void)
{
    GRand *rand = g_rand_new_with_seed(20260101);

    for (unsigned round = 0; round < 8; round++) {
        g_autoptr(GArray) first = NULL, reset = NULL, second = NULL;

        disturb(rand);
        first = save_all();
        g_assert_cmpuint(first->len, >, 10);
        reset_all_devices();
        reset = save_all();
        g_assert_cmpuint(compare(first, reset, false), >, 3); /* there was something to lose */
        load_all(first);
        second = save_all();
        g_assert_cmpuint(compare(first, second, true), ==, 0);
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    board = argc > 1 ? argv[1] : "pc";
    error_init("test-round-trip");
    vm_lock();
    build();
    g_test_add_func("/machine/round-trip", test_round_trip);
    status = g_test_run();
    vcpus_pause_all();
    return status;
}
