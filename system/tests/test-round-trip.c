/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state of a whole machine: every device of a board, left in a state that guests make, is
 * saved, reset, loaded and saved again, which must give the same bytes, and memory must look the
 * same. Then, what only a thread other than the main one sees: a disk that a CPU resets while it
 * works. One machine a process: the first argument names the board.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "accel/accel.h"
#include "hw/core/machine.h"
#include "system/machine-setup.h"
#include "system/runstate.h"
#include "util/error.h"
#include "util/timer.h"
#include "util/vm-lock.h"

/* One of each PCI function. */
#define PC_DEVICES \
    " -device e1000,romfile= -chardev null,id=c -device pci-serial,chardev=c" \
    " -device pvpanic-pci -device secondary-vga -device virtio-rng-pci" \
    " -blockdev driver=null-co,node-name=n -device virtio-blk-pci,drive=n" \
    " -device virtio-scsi-pci -device virtio-net-pci,romfile=" \
    " -drive if=none,id=t,driver=null-co,size=1048576,iops=1" \
    " -device virtio-blk-pci,drive=t,addr=1e,ioeventfd=off"

static const char *board;
/* The machine borrows from it to the end. */
static VmOptions *options;

static void build(void)
{
    g_autofree char *line = g_strdup_printf("test -M %s -accel qtest -m 64 -smp 2 -display none "
                                            "-monitor none -serial null -rtc clock=vm%s", board,
                                            g_str_equal(board, "pc") ? PC_DEVICES : "");
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

static void config_write(unsigned devfn, unsigned at, uint32_t value)
{
    address_space_store(address_space_io(), 0xcf8, 4, 0x80000000 | devfn << 8 | at);
    address_space_store(address_space_io(), 0xcfc, 4, value);
}

/* Functions in the middle of being configured: BARs that move, decoding on and off. */
static void disturb_config(GRand *rand)
{
    unsigned devfn = g_rand_int_range(rand, 0, 16) << 3 | g_rand_int_range(rand, 0, 4);
    unsigned bar = g_rand_int_range(rand, 0, 6);
    uint64_t kind = 0;

    address_space_store(address_space_io(), 0xcf8, 4, 0x80000000 | devfn << 8 | (0x10 + 4 * bar));
    address_space_load(address_space_io(), 0xcfc, 1, &kind);
    config_write(devfn, 0x10 + 4 * bar, kind & 1 ? 0xc000 | (g_rand_int(rand) & 0x3fff)
                                                 : 0xe0000000 | (g_rand_int(rand) & 0x0fffffff));
    config_write(devfn, g_rand_int_range(rand, 0x10, 0x40) * 4, g_rand_int(rand));
    config_write(devfn, 4, g_rand_int(rand) & 0x7);
}

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
    for (unsigned n = 0; n < 200 && g_str_equal(board, "pc"); n++) {
        disturb_config(rand);
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
        g_autofree char *view = NULL, *view_after = NULL;

        disturb(rand);
        first = save_all();
        view = memory_describe(true, false);
        g_assert_cmpuint(first->len, >, 10);
        reset_all_devices();
        reset = save_all();
        g_assert_cmpuint(compare(first, reset, false), >, 3); /* there was something to lose */
        load_all(first);
        second = save_all();
        g_assert_cmpuint(compare(first, second, true), ==, 0);
        view_after = memory_describe(true, false);
        g_assert_cmpstr(view, ==, view_after);
    }
    g_rand_free(rand);
}

/* ---- A disk that a CPU resets ---- */

#define DISK_BAR 0xe1000000u
#define RING 0x10000u
#define REQUESTS 3

static void store(uint64_t addr, unsigned size, uint64_t value)
{
    address_space_store(address_space_memory(), addr, size, value);
}

static uint8_t disk_status(void)
{
    uint64_t value;

    address_space_load(address_space_memory(), DISK_BAR + VIRTIO_PCI_COMMON_STATUS, 1, &value);
    return value;
}

static void set_disk_status(uint8_t status)
{
    store(DISK_BAR + VIRTIO_PCI_COMMON_STATUS, 1, status);
}

static void put_desc(unsigned i, uint64_t addr, uint32_t len, uint16_t flags)
{
    store(RING + 16 * i, 8, addr);
    store(RING + 16 * i + 8, 4, len);
    store(RING + 16 * i + 12, 4, flags | (i + 1) << 16);
}

/* A read of sector 0, whose type is 0. */
static void put_read(unsigned i)
{
    uint64_t data = RING + 0x3000 + 0x400 * i;

    for (unsigned at = 0; at < 16; at += 8) {
        store(data + at, 8, 0);
    }
    put_desc(3 * i, data, 16, 1);
    put_desc(3 * i + 1, data + 16, 512, 3);
    put_desc(3 * i + 2, data + 0x300, 1, 2);
    store(RING + 0x1004 + 2 * i, 2, 3 * i);
}

static gpointer reset_disk_at_work(gpointer result)
{
    const unsigned devfn = 0x1e << 3, base = DISK_BAR;

    config_write(devfn, 0x20, DISK_BAR);
    config_write(devfn, 0x24, 0);
    config_write(devfn, 4, 6);
    set_disk_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    store(base + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    store(base + VIRTIO_PCI_COMMON_GF, 4, 1);
    store(base + VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    store(base + VIRTIO_PCI_COMMON_GF, 4, 0);
    set_disk_status(0x0b);
    store(base + VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
    store(base + VIRTIO_PCI_COMMON_Q_DESCLO, 4, RING);
    store(base + VIRTIO_PCI_COMMON_Q_AVAILLO, 4, RING + 0x1000);
    store(base + VIRTIO_PCI_COMMON_Q_USEDLO, 4, RING + 0x2000);
    store(base + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    set_disk_status(0x0f);
    for (unsigned i = 0; i < REQUESTS; i++) {
        put_read(i);
    }
    store(RING + 0x1002, 2, REQUESTS);
    store(base + 0x3000, 2, 0);
    set_disk_status(0);
    *(uint8_t *)result = disk_status();
    return NULL;
}

/* The limit lets one request go each second of guest time, which stands: the others are at work. */
static void test_reset_by_cpu(void)
{
    uint8_t at_once = 0;
    GThread *cpu;

    reset_all_devices();
    g_assert_true(runstate_start(NULL));
    vm_unlock();
    cpu = g_thread_new("cpu", reset_disk_at_work, &at_once);
    g_thread_join(cpu);
    vm_lock();
    g_assert_cmphex(at_once, !=, 0);
    g_assert_cmphex(disk_status(), !=, 0);
    while (disk_status()) {
        vm_clock_advance_to(vm_clock_ns(VM_CLOCK_VIRTUAL) + NS_PER_SEC);
        loop_iterate(loop_main(), false);
    }
    set_disk_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
    g_assert_cmphex(disk_status(), ==, VIRTIO_CONFIG_S_ACKNOWLEDGE);
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
    if (g_str_equal(board, "pc")) {
        g_test_add_func("/machine/reset-by-cpu", test_reset_by_cpu);
    }
    status = g_test_run();
    vcpus_pause_all();
    return status;
}
