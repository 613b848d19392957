/* SPDX-License-Identifier: Apache-2.0 */
/* The DMA controllers: registers, transfers both ways, auto-initialise, wrapping, masks. */
#include "hw/core/tests/testbench.h"
#include "hw/dma/i8257.h"
#include "util/bits.h"

#define RAM_SIZE (16 * MiB)
enum {
    STATUS = 0x08, MASK = 0x0a, MODE = 0x0b, FLIPFLOP = 0x0c, CLEAR = 0x0d, CLEAR_MASK = 0x0e,
    ALL_MASKS = 0x0f,
};
enum { SINGLE_WRITE = 0x44, SINGLE_READ = 0x48, AUTO = 0x10, DECREMENT = 0x20, VERIFY = 0x40 };

/* A device that has `left` bytes of a pattern to give, or takes as many, `step` at a time. */
typedef struct Peer {
    const IsaDmaOps *ops;
    void *dma;
    bool takes;
    int left, step;
    int last_pos, last_len, channel;
    uint8_t next, taken[64];
    int taken_count;
} Peer;

static int peer_transfer(void *opaque, int channel, int pos, int len)
{
    Peer *peer = opaque;
    int count = MIN(MIN(peer->step, peer->left), len - pos);
    uint8_t buf[64];

    peer->channel = channel;
    peer->last_pos = pos;
    peer->last_len = len;
    if (peer->takes) {
        peer->ops->read_memory(peer->dma, channel, buf, pos, count);
        memcpy(peer->taken + peer->taken_count, buf, count);
        peer->taken_count += count;
    } else {
        for (int i = 0; i < count; i++) {
            buf[i] = peer->next++;
        }
        peer->ops->write_memory(peer->dma, channel, buf, pos, count);
    }
    peer->left -= count;
    if (!peer->left) {
        peer->ops->hold_request(peer->dma, channel, false);
    }
    return pos + count;
}

static void program(int channel, uint8_t mode, uint8_t page, uint16_t addr, uint16_t count)
{
    static const uint16_t pages[] = { 0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a };
    unsigned shift = channel >= 4;
    uint16_t base = shift ? 0xc0 : 0;
    uint16_t at = base + (channel % 4 * 2 << shift);

    bench_outb(base + (FLIPFLOP << shift), 0);
    bench_outb(base + (MODE << shift), mode | channel % 4);
    bench_outb(at, addr);
    bench_outb(at, addr >> 8);
    bench_outb(at + (1 << shift), count);
    bench_outb(at + (1 << shift), count >> 8);
    bench_outb(pages[channel], page);
    bench_outb(base + (MASK << shift), channel % 4);
}

static uint16_t read_pair(uint16_t port)
{
    uint8_t low = bench_inb(port);

    return low | bench_inb(port) << 8;
}

static Peer start(int channel, int bytes, bool takes)
{
    Peer peer = { .left = bytes, .step = 64, .takes = takes, .next = 1 };

    peer.ops = isa_bus_dma(isa_bus(), channel, &peer.dma);
    return peer;
}

static void go(Peer *peer, int channel)
{
    peer->ops->register_channel(peer->dma, channel, peer_transfer, peer);
    peer->ops->hold_request(peer->dma, channel, true);
    for (int i = 0; i < 100; i++) {
        loop_iterate(loop_main(), false);
    }
    peer->ops->register_channel(peer->dma, channel, NULL, NULL);
}

static void read_ram(uint64_t addr, void *buf, size_t size)
{
    address_space_read(address_space_memory(), addr, buf, size);
}

static void test_registers(void)
{
    reset_all_devices();
    g_assert_cmphex(bench_inb(ALL_MASKS), ==, 0x0f);
    bench_outb(CLEAR_MASK, 0);
    g_assert_cmphex(bench_inb(ALL_MASKS), ==, 0);
    bench_outb(MASK, 6);
    g_assert_cmphex(bench_inb(ALL_MASKS), ==, 4);
    bench_outb(ALL_MASKS, 0xfa);
    g_assert_cmphex(bench_inb(ALL_MASKS), ==, 0x0a);
    program(1, SINGLE_WRITE, 0x12, 0x3456, 0x789a);
    bench_outb(FLIPFLOP, 0);
    g_assert_cmphex(read_pair(2), ==, 0x3456);
    g_assert_cmphex(read_pair(3), ==, 0x789a);
    g_assert_cmphex(bench_inb(0x83), ==, 0x12);
    bench_outb(CLEAR, 0);
    g_assert_cmphex(bench_inb(ALL_MASKS), ==, 0x0f);
    program(5, SINGLE_WRITE, 0x12, 0x3456, 0x789a);
    g_assert_cmphex(read_pair(0xc4), ==, 0x3456);
    g_assert_cmphex(bench_inb(0xde), ==, 0x0d);
}

static void test_write(void)
{
    Peer peer = start(2, 16, false);
    uint8_t got[18];

    reset_all_devices();
    program(2, SINGLE_WRITE, 0x03, 0x1000, 15);
    go(&peer, 2);
    read_ram(0x31000, got, 17);
    for (int i = 0; i < 16; i++) {
        g_assert_cmphex(got[i], ==, i + 1);
    }
    g_assert_cmphex(got[16], ==, 0);
    g_assert_cmpint(peer.last_len, ==, 16);
    g_assert_cmphex(bench_inb(STATUS), ==, 0x04);
    g_assert_cmphex(bench_inb(STATUS), ==, 0x00);
    g_assert_cmphex(bench_inb(ALL_MASKS) & 4, ==, 4);
    bench_outb(FLIPFLOP, 0);
    g_assert_cmphex(read_pair(5), ==, 0xffff);
}

static void test_read_words(void)
{
    Peer peer = start(6, 8, true);
    static const uint8_t pattern[8] = { 9, 8, 7, 6, 5, 4, 3, 2 };

    reset_all_devices();
    address_space_write(address_space_memory(), 0x44000, pattern, sizeof(pattern));
    /* Word addresses: bit 0 of the page does not count. */
    program(6, SINGLE_READ, 0x05, 0x2000, 3);
    go(&peer, 6);
    g_assert_cmpint(peer.channel, ==, 6);
    g_assert_cmpmem(peer.taken, peer.taken_count, pattern, sizeof(pattern));
}

static void test_modes(void)
{
    Peer peer = start(1, 12, false);
    uint8_t got[8];

    reset_all_devices();
    /* Auto-initialise: the third block of four is where the second was. */
    program(1, SINGLE_WRITE | AUTO, 0x01, 0x0000, 3);
    peer.step = 2;
    go(&peer, 1);
    read_ram(0x10000, got, 5);
    g_assert_cmphex(ldl_le(got), ==, 0x0c0b0a09);
    g_assert_cmphex(bench_inb(STATUS) & 2, ==, 2);
    g_assert_cmphex(bench_inb(ALL_MASKS) & 2, ==, 0);
    /* Downwards. */
    peer = start(1, 4, false);
    program(1, SINGLE_WRITE | DECREMENT, 0x01, 0x0103, 3);
    go(&peer, 1);
    read_ram(0x10100, got, 4);
    g_assert_cmphex(ldl_le(got), ==, 0x01020304);
    /* Wrapping within the page. */
    peer = start(1, 4, false);
    program(1, SINGLE_WRITE, 0x02, 0xfffe, 3);
    go(&peer, 1);
    read_ram(0x2fffe, got, 2);
    read_ram(0x20000, got + 2, 2);
    g_assert_cmphex(ldl_le(got), ==, 0x04030201);
    /* Verify touches nothing. */
    peer = start(1, 4, false);
    program(1, VERIFY, 0x02, 0x8000, 3);
    go(&peer, 1);
    read_ram(0x28000, got, 4);
    g_assert_cmphex(ldl_le(got), ==, 0);
    g_assert_cmphex(bench_inb(STATUS) & 2, ==, 2);
}

static void test_holding(void)
{
    Peer peer = start(3, 4, false);

    reset_all_devices();
    program(3, SINGLE_WRITE, 0x01, 0x0000, 3);
    bench_outb(MASK, 7);
    go(&peer, 3);
    g_assert_cmpint(peer.left, ==, 4);
    g_assert_cmphex(bench_inb(STATUS), ==, 0x80);
    bench_outb(STATUS, 0x04); /* command: disabled */
    bench_outb(MASK, 3);
    go(&peer, 3);
    g_assert_cmpint(peer.left, ==, 4);
    bench_outb(STATUS, 0);
    go(&peer, 3);
    g_assert_cmpint(peer.left, ==, 0);
}

static bool find_dma(Device *dev, void *opaque)
{
    if (object_is_a(dev, TYPE_I8257)) {
        *(Device **)opaque = dev;
        return false;
    }
    return true;
}

static void test_saved_state(void)
{
    g_autoptr(GByteArray) saved = NULL;
    Device *dev = NULL;

    device_foreach(find_dma, &dev);
    reset_all_devices();
    program(1, SINGLE_WRITE, 0x12, 0x3456, 0x789a);
    program(5, SINGLE_WRITE, 0x12, 0x3456, 0x789a);
    saved = bench_save(dev);
    reset_all_devices();
    g_assert_true(bench_load(dev, saved));
    g_assert_cmphex(bench_inb(0x83) | bench_inb(0x8b), ==, 0x12);
    bench_load_junk(dev, saved, 3000);
    reset_all_devices();
}

static void test_hostile(void)
{
    GRand *rand = g_rand_new_with_seed(8237);
    Peer peer = start(1, 1 << 30, false);

    reset_all_devices();
    peer.ops->register_channel(peer.dma, 1, peer_transfer, &peer);
    for (int i = 0; i < 20000; i++) {
        uint16_t port = g_rand_boolean(rand) ? g_rand_int_range(rand, 0, 0x10)
                                             : g_rand_int_range(rand, 0x80, 0xe0);

        bench_outb(port, g_rand_int(rand));
        bench_inb(port);
        peer.ops->hold_request(peer.dma, 1, g_rand_boolean(rand));
        if (i % 8 == 0) {
            loop_iterate(loop_main(), false);
        }
    }
    peer.ops->register_channel(peer.dma, 1, NULL, NULL);
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    MemoryRegion *ram;

    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    ram = memory_region_new_ram(NULL, "ram", RAM_SIZE, &error);
    g_assert_no_error(error);
    memory_region_add(memory_system(), 0, ram);
    i8257_new(bench_isa_bus(), &error);
    g_assert_no_error(error);
    g_test_add_func("/i8257/registers", test_registers);
    g_test_add_func("/i8257/write", test_write);
    g_test_add_func("/i8257/read-words", test_read_words);
    g_test_add_func("/i8257/modes", test_modes);
    g_test_add_func("/i8257/holding", test_holding);
    g_test_add_func("/i8257/saved-state", test_saved_state);
    g_test_add_func("/i8257/hostile", test_hostile);
    return g_test_run();
}
