/* SPDX-License-Identifier: Apache-2.0 */
/* Standard VGA: register files, the legacy window's modes, DISPI, BAR 2, EDID, text, hostility. */
#include "hw/core/tests/testbench.h"
#include "hw/display/vga.h"
#include "hw/pci/pci.h"

enum {
    ATTR = 0x3c0, ATTR_READ = 0x3c1, MISC = 0x3c2, SEQ = 0x3c4, DAC_READ = 0x3c7,
    DAC_WRITE = 0x3c8, DAC = 0x3c9, MISC_READ = 0x3cc, GFX = 0x3ce, CRTC = 0x3d4, STATUS1 = 0x3da,
    MONO_CRTC = 0x3b4,
};
enum { WINDOW = 0xa0000, TEXT = 0xb8000, LFB = 0xe0000000, REGS = 0xf0000000 };
enum { ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY };

typedef struct Fixture {
    PciBus *bus;
    Device *vga;
} Fixture;

static void put(uint16_t index_port, uint8_t index, uint8_t value)
{
    bench_outb(index_port, index);
    bench_outb(index_port + 1, value);
}

static uint8_t get(uint16_t index_port, uint8_t index)
{
    bench_outb(index_port, index);
    return bench_inb(index_port + 1);
}

static void dispi(unsigned index, uint16_t value)
{
    address_space_store(address_space_io(), 0x1ce, 2, index);
    address_space_store(address_space_io(), 0x1cf, 2, value);
}

static uint16_t read_dispi(unsigned index)
{
    address_space_store(address_space_io(), 0x1ce, 2, index);
    return bench_in(0x1cf, 2);
}

static uint8_t peek(uint64_t addr)
{
    uint64_t value = 0;

    address_space_load(address_space_memory(), addr, 1, &value);
    return value;
}

static void poke(uint64_t addr, uint8_t value)
{
    address_space_store(address_space_memory(), addr, 1, value);
}

static Fixture *set_up(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    uint32_t slot = 2 << 11;

    reset_all_devices();
    pci_host_config_write(f->bus, slot | 0x10, LFB, 4);
    pci_host_config_write(f->bus, slot | 0x18, REGS, 4);
    pci_host_config_write(f->bus, slot | 0x04, 3, 2);
    bench_outb(MISC, 0x67);
    return f;
}

static void test_identity(gconstpointer data)
{
    Fixture *f = set_up(data);
    uint32_t slot = 2 << 11;

    g_assert_cmphex(pci_host_config_read(f->bus, slot, 4), ==, 0x11111234);
    g_assert_cmphex(pci_host_config_read(f->bus, slot | 8, 4), ==, 0x03000002);
    pci_host_config_write(f->bus, slot | 0x10, 0xffffffff, 4);
    g_assert_cmphex(pci_host_config_read(f->bus, slot | 0x10, 4), ==, 0xff000008);
    pci_host_config_write(f->bus, slot | 0x18, 0xffffffff, 4);
    g_assert_cmphex(pci_host_config_read(f->bus, slot | 0x18, 4), ==, 0xfffff000);
}

static void test_registers(gconstpointer data)
{
    set_up(data);
    g_assert_cmphex(bench_inb(MISC_READ), ==, 0x67);
    for (unsigned i = 0; i < 8; i++) {
        put(SEQ, i, 0xff);
    }
    g_assert_cmphex(get(SEQ, 1), ==, 0x3d);
    g_assert_cmphex(get(SEQ, 2), ==, 0x0f);
    g_assert_cmphex(get(SEQ, 4), ==, 0x0e);
    g_assert_cmphex(get(SEQ, 6), ==, 0);
    put(GFX, 5, 0xff);
    g_assert_cmphex(get(GFX, 5), ==, 0x7b);
    put(GFX, 8, 0x5a);
    g_assert_cmphex(get(GFX, 8), ==, 0x5a);
    /* A word write is index and data. */
    address_space_store(address_space_io(), GFX, 2, 0x0307);
    g_assert_cmphex(get(GFX, 7), ==, 0x03);
    /* The first CRTC registers can be protected, but for the line compare bit. */
    put(CRTC, 0x00, 0x5f);
    put(CRTC, 0x07, 0x00);
    put(CRTC, 0x11, 0x80);
    put(CRTC, 0x00, 0x11);
    put(CRTC, 0x07, 0xff);
    put(CRTC, 0x13, 0x28);
    g_assert_cmphex(get(CRTC, 0x00), ==, 0x5f);
    g_assert_cmphex(get(CRTC, 0x07), ==, 0x10);
    g_assert_cmphex(get(CRTC, 0x13), ==, 0x28);
    /* The monochrome pair is deaf until MISC says so. */
    g_assert_cmphex(bench_inb(MONO_CRTC), ==, 0xff);
    bench_outb(MISC, 0x66);
    g_assert_cmphex(bench_inb(CRTC), ==, 0xff);
    g_assert_cmphex(get(MONO_CRTC, 0x13), ==, 0x28);
}

static void test_attributes(gconstpointer data)
{
    set_up(data);
    bench_inb(STATUS1);
    bench_outb(ATTR, 0x10);
    bench_outb(ATTR, 0xff);
    bench_outb(ATTR, 0x30);
    g_assert_cmphex(bench_inb(ATTR_READ), ==, 0xef);
    bench_inb(STATUS1);
    bench_outb(ATTR, 0x1f); /* beyond the last */
    bench_outb(ATTR, 0xff);
    g_assert_cmphex(bench_inb(ATTR_READ), ==, 0);
    g_assert_cmphex(bench_inb(MISC) & 0x10, ==, 0x10);
}

static void test_dac(gconstpointer data)
{
    set_up(data);
    bench_outb(DAC_WRITE, 0xff);
    for (uint8_t i = 1; i <= 6; i++) {
        bench_outb(DAC, 0xc0 | i);
    }
    g_assert_cmphex(bench_inb(DAC_WRITE), ==, 1);
    bench_outb(DAC_READ, 0xff);
    g_assert_cmphex(bench_inb(DAC_READ), ==, 3);
    for (uint8_t i = 1; i <= 6; i++) {
        g_assert_cmphex(bench_inb(DAC), ==, i);
    }
}

static void test_retrace(gconstpointer data)
{
    unsigned seen[16] = { 0 };

    set_up(data);
    for (int i = 0; i < 2000; i++) {
        seen[bench_inb(STATUS1)]++;
        bench_step(10007);
    }
    g_assert_cmpuint(seen[0], >, 1000);
    g_assert_cmpuint(seen[1], >, 200);
    g_assert_cmpuint(seen[9], >, 20);
    g_assert_cmpuint(seen[8], ==, 0);
}

/* Mode 12h as the window sees it. */
static void planar_mode(void)
{
    put(SEQ, 2, 0x0f);
    put(SEQ, 4, 0x06);
    put(GFX, 0, 0);
    put(GFX, 1, 0);
    put(GFX, 3, 0);
    put(GFX, 4, 0);
    put(GFX, 5, 0);
    put(GFX, 6, 0x05);
    put(GFX, 7, 0x0f);
    put(GFX, 8, 0xff);
}

static void test_planes(gconstpointer data)
{
    set_up(data);
    planar_mode();
    for (unsigned plane = 0; plane < 4; plane++) {
        put(SEQ, 2, 1 << plane);
        poke(WINDOW + 5, 0x10 + plane);
    }
    for (unsigned plane = 0; plane < 4; plane++) {
        put(GFX, 4, plane);
        g_assert_cmphex(peek(WINDOW + 5), ==, 0x10 + plane);
    }
    g_assert_cmphex(bench_readl(LFB + 20), ==, 0x13121110);
    put(SEQ, 2, 0x0f);
    /* Write mode 1 copies the latch. */
    put(GFX, 5, 1);
    poke(WINDOW + 6, 0);
    g_assert_cmphex(bench_readl(LFB + 24), ==, 0x13121110);
    /* Mode 2: planes by data bits, masked, XORed. */
    put(GFX, 5, 2);
    put(GFX, 8, 0xf0);
    put(GFX, 3, 0x18);
    peek(WINDOW + 5);
    poke(WINDOW + 7, 0x05);
    g_assert_cmphex(bench_readl(LFB + 28), ==, 0x13e211e0);
    /* Mode 3: set/reset colour through rotated data. */
    put(GFX, 5, 3);
    put(GFX, 3, 0x04);
    put(GFX, 0, 0x09);
    put(GFX, 8, 0x0f);
    peek(WINDOW + 5);
    poke(WINDOW + 8, 0x3c);
    g_assert_cmphex(bench_readl(LFB + 32), ==, 0x13101013);
    /* Mode 0: set/reset on planes 0 and 1, rotated data on the others, OR, AND. */
    put(GFX, 5, 0);
    put(GFX, 8, 0xff);
    put(GFX, 0, 0x01);
    put(GFX, 1, 0x03);
    put(GFX, 3, 0x01);
    poke(WINDOW + 9, 0x81);
    g_assert_cmphex(bench_readl(LFB + 36), ==, 0xc0c000ff);
    put(GFX, 3, 0x08);
    peek(WINDOW + 5);
    poke(WINDOW + 10, 0xf0);
    g_assert_cmphex(bench_readl(LFB + 40), ==, 0x10100010);
    put(GFX, 3, 0x10);
    peek(WINDOW + 5);
    poke(WINDOW + 10, 0xf0);
    g_assert_cmphex(bench_readl(LFB + 40), ==, 0xf3f211ff);
}

static void test_color_compare(gconstpointer data)
{
    set_up(data);
    planar_mode();
    bench_writel(LFB, 0xff0f33aa);
    put(GFX, 5, 0x08);
    put(GFX, 2, 0x0b); /* planes 0, 1 and 3 set, 2 clear */
    g_assert_cmphex(peek(WINDOW), ==, 0xaa & 0x33 & 0xf0);
    put(GFX, 7, 0x01);
    g_assert_cmphex(peek(WINDOW), ==, 0xaa);
    put(GFX, 7, 0);
    g_assert_cmphex(peek(WINDOW), ==, 0xff);
}

/* 80x25 text, as firmware sets it. */
static void text_mode(void)
{
    put(SEQ, 2, 0x03);
    put(SEQ, 4, 0x02);
    put(GFX, 4, 0);
    put(GFX, 5, 0x10);
    put(GFX, 6, 0x0e);
    put(CRTC, 0x11, 0x00);
    put(CRTC, 0x01, 0x4f);
    put(CRTC, 0x07, 0x1f);
    put(CRTC, 0x09, 0x4f);
    put(CRTC, 0x0c, 0);
    put(CRTC, 0x0d, 0);
    put(CRTC, 0x12, 0x8f);
    put(CRTC, 0x13, 0x28);
}

static void test_text(gconstpointer data)
{
    Fixture *f = set_up(data);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    const char *hello = "Hello, world";

    text_mode();
    for (int i = 0; i < 80 * 25; i++) {
        poke(TEXT + 2 * i, ' ');
        poke(TEXT + 2 * i + 1, 7);
    }
    for (int i = 0; hello[i]; i++) {
        poke(TEXT + 2 * (80 + i), hello[i]);
    }
    poke(TEXT + 2 * 160, 0xc9);
    g_assert_cmphex(peek(TEXT + 160), ==, 'H');
    g_assert_cmphex(peek(TEXT + 161), ==, 7);
    g_assert_cmphex(peek(WINDOW), ==, 0xff);
    text = vga_text_snapshot(f->vga);
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 26);
    g_assert_cmpstr(lines[0], ==, "");
    g_assert_cmpstr(lines[1], ==, "Hello, world");
    g_assert_cmpstr(lines[2], ==, "╔");
    put(GFX, 6, 0x05);
    g_assert_null(vga_text_snapshot(f->vga));
}

static void test_dispi(gconstpointer data)
{
    set_up(data);
    g_assert_cmphex(read_dispi(ID), ==, 0xb0c5);
    dispi(ID, 0xb0c4);
    g_assert_cmphex(read_dispi(ID), ==, 0xb0c4);
    dispi(ID, 0x1234);
    g_assert_cmphex(read_dispi(ID), ==, 0xb0c4);
    g_assert_cmphex(read_dispi(MEMORY), ==, 256);
    dispi(ENABLE, 2);
    g_assert_cmpuint(read_dispi(XRES), ==, 16000);
    g_assert_cmpuint(read_dispi(YRES), ==, 12000);
    g_assert_cmpuint(read_dispi(BPP), ==, 32);
    dispi(ENABLE, 0);
    bench_writel(LFB + 100, 0x12345678);
    dispi(XRES, 1024);
    dispi(YRES, 768);
    dispi(BPP, 32);
    dispi(ENABLE, 0xc1);
    g_assert_cmphex(bench_readl(LFB + 100), ==, 0x12345678);
    dispi(ENABLE, 0);
    dispi(ENABLE, 0x41);
    g_assert_cmphex(bench_readl(LFB + 100), ==, 0);
    g_assert_cmpuint(read_dispi(VIRT_WIDTH), ==, 1024);
    g_assert_cmpuint(read_dispi(VIRT_HEIGHT), ==, 4096);
    dispi(Y_OFFSET, 768);
    g_assert_cmpuint(read_dispi(Y_OFFSET), ==, 768);
    /* Through the bank window. */
    dispi(BANK, 3);
    poke(WINDOW + 0x10, 0x77);
    g_assert_cmphex(peek(LFB + 0x30010), ==, 0x77);
    dispi(BANK, 0xffff);
    g_assert_cmpuint(read_dispi(BANK), ==, 255);
    poke(WINDOW + 0xffff, 0x78);
    g_assert_cmphex(peek(LFB + 0xffffff), ==, 0x78);
}

static void test_dispi_limits(gconstpointer data)
{
    set_up(data);
    dispi(XRES, 0xffff);
    dispi(YRES, 0xffff);
    dispi(BPP, 77);
    dispi(ENABLE, 0x41);
    g_assert_cmpuint(read_dispi(BPP), ==, 8);
    g_assert_cmpuint(read_dispi(XRES), ==, 16000);
    g_assert_cmpuint(read_dispi(YRES), <=, 16 * 1024 * 1024 / 16000);
    dispi(X_OFFSET, 0xffff);
    dispi(Y_OFFSET, 0xffff);
    g_assert_cmpuint(read_dispi(Y_OFFSET) + read_dispi(YRES), <=, 16 * 1024 * 1024 / 16000);
    dispi(XRES, 0);
    dispi(YRES, 0);
    g_assert_cmpuint(read_dispi(XRES), ==, 8);
    g_assert_cmpuint(read_dispi(YRES), ==, 1);
}

static void test_mmio(gconstpointer data)
{
    uint8_t edid[128], sum = 0;
    uint64_t value;

    set_up(data);
    address_space_read(address_space_memory(), REGS, edid, sizeof(edid));
    for (size_t i = 0; i < sizeof(edid); i++) {
        sum += edid[i];
    }
    g_assert_cmphex(sum, ==, 0);
    g_assert_cmphex(edid[0], ==, 0);
    g_assert_cmphex(edid[1], ==, 0xff);
    g_assert_cmpuint(edid[0x38] | (edid[0x3a] & 0xf0) << 4, ==, 1280);
    g_assert_cmpuint(edid[0x3b] | (edid[0x3d] & 0xf0) << 4, ==, 800);
    /* Ports, DISPI, byte order. */
    address_space_store(address_space_memory(), REGS + 0x400 + 0x0e, 2, 0x1208);
    g_assert_cmphex(get(GFX, 8), ==, 0x12);
    address_space_load(address_space_memory(), REGS + 0x500, 2, &value);
    g_assert_cmphex(value, ==, 0xb0c5);
    address_space_store(address_space_memory(), REGS + 0x500 + 2 * XRES, 2, 800);
    g_assert_cmpuint(read_dispi(XRES), ==, 800);
    address_space_load(address_space_memory(), REGS + 0x500 + 2 * MEMORY, 2, &value);
    g_assert_cmpuint(value, ==, 256);
    g_assert_cmphex(bench_readl(REGS + 0x600), ==, 8);
    g_assert_cmphex(bench_readl(REGS + 0x604), ==, 0x1e1e1e1e);
    bench_writel(REGS + 0x604, 0xbebebebe);
    g_assert_cmphex(bench_readl(REGS + 0x604), ==, 0xbebebebe);
    bench_writel(REGS + 0x604, 0x12345678);
    g_assert_cmphex(bench_readl(REGS + 0x604), ==, 0xbebebebe);
}

static void test_saved_state(gconstpointer data)
{
    Fixture *f = set_up(data);
    const VmState *state = device_vmstate(f->vga);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    size_t used;

    text_mode();
    dispi(XRES, 640);
    dispi(YRES, 480);
    dispi(BPP, 16);
    vmstate_save(state, f->vga, bytes);
    set_up(data);
    vmstate_load(state, f->vga, state->version, bytes->data, bytes->len, &used, &error);
    g_assert_no_error(error);
    g_assert_cmphex(get(CRTC, 0x13), ==, 0x28);
    g_assert_cmpuint(read_dispi(XRES), ==, 640);
    /* A stream of junk is refused or harmless. */
    bench_load_junk(f->vga, bytes, 1000);
    memset(bytes->data + 256, 0xff, bytes->len - 256);
    g_assert_false(vmstate_load(state, f->vga, state->version, bytes->data, bytes->len, &used,
                                &error));
}

static void test_hostile(gconstpointer data)
{
    Fixture *f = set_up(data);
    GRand *rand = g_rand_new_with_seed(1111);

    for (int i = 0; i < 60000; i++) {
        uint64_t value = g_rand_int(rand);
        unsigned size = 1u << g_rand_int_range(rand, 0, 3);

        switch (g_rand_int_range(rand, 0, 6)) {
        case 0:
            address_space_store(address_space_io(), 0x3b0 + value % 0x30, size, value >> 8);
            break;
        case 1:
            address_space_load(address_space_io(), 0x3b0 + value % 0x30, size, &value);
            break;
        case 2:
            address_space_store(address_space_memory(), WINDOW + value % 0x20000, size, value);
            break;
        case 3:
            address_space_load(address_space_memory(), WINDOW + value % 0x20000, size, &value);
            break;
        case 4:
            dispi(value % 16, value >> 16);
            break;
        default:
            address_space_store(address_space_memory(), REGS + value % 0x1000, size, value >> 12);
        }
        if (i % 1000 == 0) {
            g_free(vga_text_snapshot(f->vga));
        }
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    static Fixture f;
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    f.bus = pci_bus_new(bench_host(), "pci.0", memory_system(), memory_io(), 0);
    f.vga = (Device *)pci_create(f.bus, PCI_DEVFN(2, 0), TYPE_VGA_PCI, &error);
    g_assert_no_error(error);
    g_test_add_data_func("/vga/identity", &f, test_identity);
    g_test_add_data_func("/vga/registers", &f, test_registers);
    g_test_add_data_func("/vga/attributes", &f, test_attributes);
    g_test_add_data_func("/vga/dac", &f, test_dac);
    g_test_add_data_func("/vga/retrace", &f, test_retrace);
    g_test_add_data_func("/vga/planes", &f, test_planes);
    g_test_add_data_func("/vga/color-compare", &f, test_color_compare);
    g_test_add_data_func("/vga/text", &f, test_text);
    g_test_add_data_func("/vga/dispi", &f, test_dispi);
    g_test_add_data_func("/vga/dispi-limits", &f, test_dispi_limits);
    g_test_add_data_func("/vga/mmio", &f, test_mmio);
    g_test_add_data_func("/vga/saved-state", &f, test_saved_state);
    g_test_add_data_func("/vga/hostile", &f, test_hostile);
    return g_test_run();
}
