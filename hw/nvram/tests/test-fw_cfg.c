/* SPDX-License-Identifier: Apache-2.0 */
/* fw_cfg: items, files, callbacks, limits, both register forms, DMA with hostile descriptors. */
#include <glib/gstdio.h>

#include "hw/core/tests/testbench.h"
#include "hw/nvram/fw_cfg.h"
#include "util/bits.h"
#include "vmstate/vmstate.h"

#define PORT 0x510
#define MMIO 0x20000000
#define RAM_SIZE (1 * MiB)
#define DESCRIPTOR 0x1000
#define BUFFER 0x2000

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

typedef struct Fixture {
    FwCfg *fw, *mem;
    uint8_t writable[16];
    unsigned selects;
    uint32_t written_offset, written_len;
} Fixture;

static void select_item(uint16_t key)
{
    address_space_store(address_space_io(), PORT, 2, key);
}

static void put_descriptor(uint32_t control, uint32_t length, uint64_t addr)
{
    uint8_t raw[16];

    stl_be(raw, control);
    stl_be(raw + 4, length);
    stq_be(raw + 8, addr);
    address_space_write(address_space_memory(), DESCRIPTOR, raw, sizeof(raw));
}

/* Start by the low half; the device's status word afterwards. */
static uint32_t run_dma(uint32_t control, uint32_t length, uint64_t addr)
{
    uint8_t raw[4];

    put_descriptor(control, length, addr);
    stl_be(raw, 0);
    address_space_write(address_space_io(), PORT + 4, raw, 4);
    stl_be(raw, DESCRIPTOR);
    address_space_write(address_space_io(), PORT + 8, raw, 4);
    address_space_read(address_space_memory(), DESCRIPTOR, raw, 4);
    return ldl_be(raw);
}

/* The key of a file, by the directory that the guest sees; 0 if it is not there. */
static uint16_t find_file(const char *name, uint32_t *size)
{
    uint8_t entry[64];
    uint32_t count = 0;

    select_item(FW_CFG_FILE_DIR);
    for (unsigned i = 0; i < 4; i++) {
        count = count << 8 | bench_inb(PORT + 1);
    }
    for (uint32_t n = 0; n < count; n++) {
        for (unsigned i = 0; i < sizeof(entry); i++) {
            entry[i] = bench_inb(PORT + 1);
        }
        if (g_str_equal((char *)entry + 8, name)) {
            *size = ldl_be(entry);
            return ldw_be(entry + 4);
        }
    }
    return 0;
}

static void test_signature(gconstpointer data)
{
    uint8_t signature[8];

    select_item(FW_CFG_SIGNATURE);
    for (const char *c = "QEMU"; *c; c++) {
        g_assert_cmphex(bench_inb(PORT + 1), ==, *c);
    }
    g_assert_cmphex(bench_inb(PORT + 1), ==, 0); /* past the end */
    select_item(FW_CFG_ID);
    g_assert_cmphex(bench_inb(PORT + 1), ==, 3);
    select_item(0x1f);
    g_assert_cmphex(bench_inb(PORT + 1), ==, 0);
    select_item(0x3000); /* no such file */
    g_assert_cmphex(bench_inb(PORT + 1), ==, 0);
    select_item(0x8000 | 0x3000);
    g_assert_cmphex(bench_inb(PORT + 1), ==, 0);
    address_space_read(address_space_io(), PORT + 4, signature, 8);
    g_assert_cmpmem(signature, 8, "QEMU CFG", 8);
    bench_outb(PORT + 1, 0x55); /* the data port ignores writes */
}

static void select_called(void *opaque)
{
    Fixture *f = opaque;
    g_autofree char *text = g_strdup_printf("call %u", ++f->selects);
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
    bool ok = fw_cfg_modify_file(f->fw, "etc/lazy", bytes, NULL);

    g_assert_true(ok);
}

static void test_files(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GBytes) empty = g_bytes_new(NULL, 0);
    g_autoptr(GError) error = NULL;
    g_autofree char *longest = g_strnfill(55, 'x');
    g_autofree char *too_long = g_strnfill(56, 'x');
    uint32_t size;
    uint16_t key, other;

    g_assert_true(fw_cfg_add_file_copy(f->fw, "etc/b", "bb", 2, &error));
    g_assert_true(fw_cfg_add_file_copy(f->fw, "etc/a", "a", 1, &error));
    g_assert_true(fw_cfg_add_file_callback(f->fw, "etc/lazy", select_called, f, empty, &error));
    g_assert_true(fw_cfg_add_file(f->fw, longest, empty, &error));
    g_assert_no_error(error);
    g_assert_false(fw_cfg_add_file(f->fw, too_long, empty, &error));
    g_clear_error(&error);
    g_assert_false(fw_cfg_add_file(f->fw, "", empty, &error));
    g_clear_error(&error);
    g_assert_false(fw_cfg_add_file(f->fw, "etc/a", empty, &error));
    g_assert_nonnull(strstr(error->message, "etc/a"));

    key = find_file("etc/a", &size);
    g_assert_cmpuint(size, ==, 1);
    other = find_file("etc/b", &size);
    g_assert_cmpuint(size, ==, 2);
    g_assert_cmpuint(key, <, other); /* in order of name */
    select_item(other);
    g_assert_cmphex(bench_inb(PORT + 1), ==, 'b');
    g_assert_cmphex(bench_inb(PORT + 1), ==, 'b');
    g_assert_cmphex(bench_inb(PORT + 1), ==, 0);

    key = find_file("etc/lazy", &size);
    select_item(key);
    g_assert_cmpuint(f->selects, ==, 1);
    g_assert_cmpuint(run_dma(DMA_READ | DMA_SELECT | (uint32_t)key << 16, 6, BUFFER), ==, 0);
    g_assert_cmpuint(f->selects, ==, 2);
    g_assert_cmphex(bench_readl(BUFFER + 2), ==, 0x3220 << 16 | 'l' << 8 | 'l');
}

static void written(void *opaque, uint32_t offset, uint32_t len)
{
    Fixture *f = opaque;

    f->written_offset = offset;
    f->written_len = len;
}

static void test_dma_write(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GError) error = NULL;
    uint32_t size, select;

    fw_cfg_add_writable_file(f->fw, "etc/writable", f->writable, sizeof(f->writable), written, f,
                             &error);
    g_assert_no_error(error);
    select = (uint32_t)find_file("etc/writable", &size) << 16 | DMA_SELECT;
    g_assert_cmpuint(size, ==, 16);
    bench_writel(BUFFER, 0x44332211);
    g_assert_cmpuint(run_dma(select | DMA_WRITE, 4, BUFFER), ==, 0);
    g_assert_cmphex(ldl_le(f->writable), ==, 0x44332211);
    g_assert_cmpuint(run_dma(DMA_SKIP, 4, 0), ==, 0);
    g_assert_cmpuint(run_dma(DMA_WRITE, 4, BUFFER), ==, 0);
    g_assert_cmpuint(f->written_offset, ==, 8);
    g_assert_cmpuint(f->written_len, ==, 4);
    g_assert_cmphex(ldl_le(f->writable + 8), ==, 0x44332211);
    /* Beyond the end, to nothing, to a read-only item: refused, nothing changes. */
    g_assert_cmpuint(run_dma(DMA_WRITE, 5, BUFFER), ==, DMA_ERROR);
    g_assert_cmpuint(run_dma(DMA_WRITE, UINT32_MAX, BUFFER), ==, DMA_ERROR);
    g_assert_cmpuint(run_dma(select | DMA_SKIP, UINT32_MAX, 0), ==, 0);
    g_assert_cmpuint(run_dma(DMA_SKIP, UINT32_MAX, 0), ==, 0);
    g_assert_cmpuint(run_dma(DMA_WRITE, 1, BUFFER), ==, DMA_ERROR);
    g_assert_cmpuint(run_dma(DMA_SELECT | DMA_WRITE, 1, BUFFER), ==, DMA_ERROR);
    g_assert_cmpuint(run_dma(0x30000000u | DMA_SELECT | DMA_WRITE, 1, BUFFER), ==, DMA_ERROR);
    g_assert_cmpuint(f->writable[12], ==, 0);
}

static void test_dma_hostile(gconstpointer data)
{
    uint8_t raw[4];

    bench_writel(BUFFER, 0xffffffff);
    g_assert_cmpuint(run_dma(DMA_SELECT | DMA_READ, 6, BUFFER), ==, 0);
    g_assert_cmphex(bench_readl(BUFFER), ==, 'Q' | 'E' << 8 | 'M' << 16 | 'U' << 24);
    g_assert_cmphex(bench_readl(BUFFER + 4) & 0xffff, ==, 0); /* past the end: zeros */
    g_assert_cmpuint(run_dma(DMA_SELECT, 0, 0), ==, 0);
    g_assert_cmpuint(run_dma(DMA_SELECT | DMA_READ, 8, RAM_SIZE - 4), !=, 0);
    g_assert_cmpuint(run_dma(DMA_SELECT | DMA_READ, UINT32_MAX, 0x100000000ull), ==, DMA_ERROR);
    g_assert_cmpuint(run_dma(DMA_SELECT | DMA_READ, 16, UINT64_MAX - 3), ==, DMA_ERROR);
    g_assert_cmpuint(run_dma(DMA_SELECT | DMA_READ, UINT32_MAX, UINT64_MAX), ==, DMA_ERROR);
    /* All of low memory: the descriptor itself is overwritten, and then has a status. */
    g_assert_cmpuint(run_dma(DMA_SELECT | DMA_READ, RAM_SIZE, 0), ==, 0);
    /* A descriptor where nothing is, or that wraps. */
    for (unsigned i = 0; i < 4; i++) {
        static const uint32_t bad[] = { 0, RAM_SIZE - 8, 0x80000000, 0xfffffff8 };

        stl_be(raw, i ? 0 : UINT32_MAX);
        address_space_write(address_space_io(), PORT + 4, raw, 4);
        stl_be(raw, bad[i]);
        address_space_write(address_space_io(), PORT + 8, raw, 4);
    }
}

static void test_mmio(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    uint8_t raw[16] = { 0 };

    fw_cfg_add_string(f->mem, FW_CFG_KERNEL_CMDLINE, "0123456789");
    stw_be(raw, FW_CFG_KERNEL_CMDLINE);
    address_space_write(address_space_memory(), MMIO + 8, raw, 2);
    address_space_read(address_space_memory(), MMIO, raw, 8);
    g_assert_cmpmem(raw, 8, "01234567", 8);
    address_space_read(address_space_memory(), MMIO, raw, 1);
    g_assert_cmphex(raw[0], ==, '8');
    put_descriptor(DMA_SELECT | DMA_READ | FW_CFG_KERNEL_CMDLINE << 16, 11, BUFFER);
    stq_be(raw, DESCRIPTOR);
    address_space_write(address_space_memory(), MMIO + 16, raw, 8);
    address_space_read(address_space_memory(), BUFFER, raw, 11);
    g_assert_cmpstr((char *)raw, ==, "0123456789");
}

static bool add_option(FwCfg *fw, const char *text, const char *part)
{
    json_object *option = json_tokener_parse(text);
    g_autoptr(GError) error = NULL;
    bool ok = fw_cfg_add_user_option(fw, option, &error);

    json_object_put(option);
    g_assert_true(ok == !error);
    if (error && part && !strstr(error->message, part)) {
        g_error("expected '%s' in: %s", part, error->message);
    }
    return ok;
}

static void test_user_options(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-fw-cfg-test", NULL);
    g_autofree char *option = g_strdup_printf("{\"name\":\"opt/file\",\"file\":\"%s\"}", path);
    g_autoptr(GBytes) bytes = NULL;
    uint32_t size;

    g_assert_true(add_option(f->fw, "{\"name\":\"opt/text\",\"string\":\"hello\"}", NULL));
    find_file("opt/text", &size);
    g_assert_cmpuint(size, ==, 5); /* no NUL */
    g_assert_true(g_file_set_contents(path, "from file", -1, NULL));
    g_assert_true(add_option(f->fw, option, NULL));
    bytes = fw_cfg_get_file(f->fw, "opt/file");
    g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "from file", 9);
    g_unlink(path);
    g_assert_false(add_option(f->fw, "{\"name\":\"opt/text\",\"string\":\"\"}", "already"));
    g_assert_false(add_option(f->fw, "{\"string\":\"x\"}", "name="));
    g_assert_false(add_option(f->fw, "{\"name\":\"opt/x\"}", "exactly one"));
    g_assert_false(add_option(f->fw, "{\"name\":\"opt/x\",\"file\":\"a\",\"string\":\"b\"}",
                              "exactly one"));
    g_assert_false(add_option(f->fw, "{\"name\":\"opt/x\",\"strnig\":\"b\"}", "'string'"));
    g_assert_false(add_option(f->fw, "{\"name\":\"opt/x\",\"string\":{}}", "text"));
    g_assert_false(add_option(f->fw, "{\"name\":\"opt/x\",\"file\":\"/nonexistent\"}",
                              "/nonexistent"));
}

static void test_boot_order(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;

    g_assert_true(fw_cfg_add_boot_entry(f->fw, "/second", 7, &error));
    g_assert_true(fw_cfg_add_boot_entry(f->fw, "/first", 0, &error));
    g_assert_true(fw_cfg_add_boot_entry(f->fw, "/never", -1, &error));
    g_assert_true(fw_cfg_add_boot_entry(f->fw, "HALT", INT32_MAX, &error));
    bytes = fw_cfg_get_file(f->fw, "bootorder");
    g_assert_cmpuint(g_bytes_get_size(bytes), ==, 20);
    g_assert_cmpstr(g_bytes_get_data(bytes, NULL), ==, "/first\n/second\nHALT");
    g_assert_false(fw_cfg_add_boot_entry(f->fw, "/third", 7, &error));
    g_assert_nonnull(strstr(error->message, "/second"));
}

static void test_slots(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GError) error = NULL;
    unsigned count = 0;

    while (count < 100) {
        g_autofree char *name = g_strdup_printf("many/%u", count);

        if (!fw_cfg_add_file_copy(f->mem, name, "", 0, &error)) {
            break;
        }
        count++;
    }
    g_assert_cmpuint(count, ==, 4);
    g_assert_nonnull(strstr(error->message, "x-file-slots"));
}

static void test_saved_state(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    const VmState *state = device_vmstate((Device *)f->fw);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    size_t used;

    select_item(FW_CFG_SIGNATURE);
    g_assert_cmphex(bench_inb(PORT + 1), ==, 'Q');
    vmstate_save(state, f->fw, bytes);
    reset_all_devices();
    g_assert_cmphex(bench_inb(PORT + 1), ==, 'Q');
    g_assert_true(vmstate_load(state, f->fw, state->version, bytes->data, bytes->len, &used,
                               &error));
    g_assert_no_error(error);
    g_assert_cmpuint(used, ==, bytes->len);
    g_assert_cmphex(bench_inb(PORT + 1), ==, 'E');
    /* A stream may say anything. */
    memset(bytes->data, 0xff, 6);
    vmstate_load(state, f->fw, state->version, bytes->data, bytes->len, &used, NULL);
    g_assert_cmphex(bench_inb(PORT + 1), ==, 0);
}

int main(int argc, char **argv)
{
    static Fixture f;
    g_autoptr(GError) error = NULL;
    MemoryRegion *ram;

    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    ram = memory_region_new_ram(object_root(), "ram", RAM_SIZE, &error);
    g_assert_no_error(error);
    memory_region_add(memory_system(), 0, ram);
    f.fw = fw_cfg_new_io(memory_io(), PORT, address_space_memory(), 0, &error);
    g_assert_no_error(error);
    f.mem = fw_cfg_new_mem(memory_system(), MMIO, address_space_memory(), 4, &error);
    g_assert_no_error(error);
    reset_all_devices();
    g_test_add_data_func("/fw_cfg/signature", &f, test_signature);
    g_test_add_data_func("/fw_cfg/files", &f, test_files);
    g_test_add_data_func("/fw_cfg/dma-write", &f, test_dma_write);
    g_test_add_data_func("/fw_cfg/dma-hostile", &f, test_dma_hostile);
    g_test_add_data_func("/fw_cfg/mmio", &f, test_mmio);
    g_test_add_data_func("/fw_cfg/user-options", &f, test_user_options);
    g_test_add_data_func("/fw_cfg/boot-order", &f, test_boot_order);
    g_test_add_data_func("/fw_cfg/slots", &f, test_slots);
    g_test_add_data_func("/fw_cfg/saved-state", &f, test_saved_state);
    return g_test_run();
}
