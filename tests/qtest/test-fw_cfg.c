/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machines tell their firmware: fw_cfg items, ACPI and SMBIOS files, vmgenid, vmcoreinfo.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/qtest/libqtest.h"
#include "util/bits.h"

#define SELECTOR 0x510
#define DATA 0x511
#define DMA 0x514
#define DESCRIPTOR 0x10000
#define BUFFER 0x11000
#define DMA_WRITE_SELECT 0x18

typedef struct File {
    uint16_t key;
    uint32_t size;
} File;

static void select_key(QTest *qts, uint16_t key)
{
    qtest_outw(qts, SELECTOR, key);
}

static uint64_t read_le(QTest *qts, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)qtest_inb(qts, DATA) << (8 * i);
    }
    return value;
}

static uint64_t item(QTest *qts, uint16_t key, unsigned size)
{
    select_key(qts, key);
    return read_le(qts, size);
}

static File find_file(QTest *qts, const char *name)
{
    uint8_t entry[64];
    uint32_t count;

    select_key(qts, 0x19);
    count = __builtin_bswap32(read_le(qts, 4));
    for (uint32_t n = 0; n < count; n++) {
        for (unsigned i = 0; i < sizeof(entry); i++) {
            entry[i] = qtest_inb(qts, DATA);
        }
        if (strcmp((char *)entry + 8, name) == 0) {
            return (File) { .key = ldw_be(entry + 4), .size = ldl_be(entry) };
        }
    }
    return (File) { 0 };
}

/* By DMA; at most 64 KiB. The caller's. */
static uint8_t *read_file(QTest *qts, const char *name, uint32_t *size)
{
    File file = find_file(qts, name);
    uint8_t descriptor[16], *data;

    g_assert_cmpuint(file.key, !=, 0);
    *size = MIN(file.size, 65536);
    stl_be(descriptor, (uint32_t)file.key << 16 | 0x0a);
    stl_be(descriptor + 4, *size);
    stq_be(descriptor + 8, BUFFER);
    qtest_memwrite(qts, DESCRIPTOR, descriptor, sizeof(descriptor));
    qtest_outl(qts, DMA + 4, __builtin_bswap32(DESCRIPTOR));
    g_assert_cmpuint(qtest_readl(qts, DESCRIPTOR), ==, 0);
    data = g_malloc(*size + 1);
    qtest_memread(qts, BUFFER, data, *size);
    data[*size] = 0;
    return data;
}

static void write_file(QTest *qts, const char *name, const void *data, uint32_t size)
{
    File file = find_file(qts, name);
    uint8_t descriptor[16];

    g_assert_cmpuint(file.key, !=, 0);
    stl_be(descriptor, (uint32_t)file.key << 16 | DMA_WRITE_SELECT);
    stl_be(descriptor + 4, size);
    stq_be(descriptor + 8, BUFFER);
    qtest_memwrite(qts, BUFFER, data, size);
    qtest_memwrite(qts, DESCRIPTOR, descriptor, sizeof(descriptor));
    qtest_outl(qts, DMA + 4, __builtin_bswap32(DESCRIPTOR));
    g_assert_cmpuint(qtest_readl(qts, DESCRIPTOR), ==, 0);
}

static void test_items(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 64 -smp 2,maxcpus=3 -boot menu=on,strict=on "
                                       "-uuid 00112233-4455-6677-8899-aabbccddeeff "
                                       "-fw_cfg name=opt/hello,string=world");
    g_autofree uint8_t *states = NULL, *e820 = NULL, *user = NULL, *order = NULL;
    uint32_t size;

    g_assert_cmphex(item(qts, 0x00, 4), ==, 'Q' | 'E' << 8 | 'M' << 16 | 'U' << 24);
    g_assert_cmphex(item(qts, 0x01, 4), ==, 3);
    g_assert_cmphex(item(qts, 0x02, 4), ==, 0x33221100);
    g_assert_cmphex(item(qts, 0x03, 8), ==, 64 * MiB);
    g_assert_cmpuint(item(qts, 0x05, 2), ==, 2);
    g_assert_cmpuint(item(qts, 0x0f, 2), >=, 3);
    g_assert_cmpuint(item(qts, 0x0e, 2), ==, 1);
    g_assert_cmpuint(item(qts, 0x8002, 1), ==, 1);
    states = read_file(qts, "etc/system-states", &size);
    g_assert_cmpuint(size, ==, 6);
    g_assert_cmphex(states[3], ==, 0x81);
    e820 = read_file(qts, "etc/e820", &size);
    g_assert_cmpuint(size, ==, 20);
    g_assert_cmphex(ldq_le(e820 + 8), ==, 64 * MiB);
    g_assert_cmpuint(ldl_le(e820 + 16), ==, 1);
    user = read_file(qts, "opt/hello", &size);
    g_assert_cmpstr((char *)user, ==, "world");
    order = read_file(qts, "bootorder", &size);
    g_assert_cmpstr((char *)order, ==, "HALT");
}

/* What can be booted from, in the words of firmware. */
static void test_boot_order(void)
{
    g_autoptr(QTest) qts = qtest_start(
        "-M pc -m 64 -device e1000,addr=5,bootindex=3 -device virtio-net-pci,addr=6,bootindex=1 "
        "-device virtio-scsi-pci,addr=7,id=s "
        "-blockdev null-co,node-name=n,size=1M -device virtio-blk-pci,addr=8,drive=n,bootindex=2 "
        "-blockdev null-co,node-name=m,size=1M "
        "-device scsi-hd,bus=s.0,drive=m,scsi-id=2,lun=1,bootindex=0");
    g_autofree uint8_t *order = NULL;
    uint32_t size;

    order = read_file(qts, "bootorder", &size);
    g_assert_cmpstr((char *)order, ==, "/pci@i0cf8/scsi@7/channel@0/disk@2,1\n"
                    "/pci@i0cf8/ethernet@6/ethernet-phy@0\n/pci@i0cf8/scsi@8/disk@0,0\n"
                    "/pci@i0cf8/ethernet@5/ethernet-phy@0");
    g_assert_cmpuint(order[size - 1], ==, 0);
}

/* The option ROM is in the device's BAR, in a file, or nowhere. */
static void test_option_roms(void)
{
    g_autofree char *rom = NULL, *refused = NULL;
    char *image = g_malloc0(3000);
    int fd = g_file_open_tmp("vireo-rom-XXXXXX", &rom, NULL);
    g_autofree char *base = NULL, *file = NULL;
    g_autofree uint8_t *data = NULL;
    QTest *qts;
    uint32_t size;

    memcpy(image, "\x55\xaa\x06", 3);
    close(fd);
    g_assert_true(g_file_set_contents(rom, image, 3000, NULL));
    g_free(image);
    base = g_path_get_basename(rom);
    file = g_strconcat("genroms/", base, NULL);
    qts = qtest_start("-M pc -m 64 -device e1000,addr=5,rombar=0,romfile=%s "
                      "-device virtio-net-pci,addr=6,rombar=0,romfile=%s "
                      "-device e1000,addr=7,romfile=%s -device e1000,addr=8,romfile= "
                      "-device virtio-net-pci,addr=9,romsize=8192,romfile=%s", rom, rom, rom, rom);
    data = read_file(qts, file, &size);
    g_assert_cmpuint(size, ==, 3000);
    g_assert_cmphex(ldw_le(data), ==, 0xaa55);
    for (unsigned slot = 5; slot <= 9; slot++) {
        static const uint32_t masks[] = { 0, 0, 0xfffff001, 0, 0xffffe001 };

        qtest_pci_write(qts, 0, (uint8_t)(slot << 3), 0x30, 4, UINT32_MAX);
        g_assert_cmphex(qtest_pci_read(qts, 0, (uint8_t)(slot << 3), 0x30, 4), ==,
                        masks[slot - 5]);
    }
    qtest_stop(qts);
    refused = qtest_start_refused("-M pc -m 64 -device e1000,romsize=2048,romfile=%s", rom);
    g_assert_nonnull(strstr(refused, "too large for romsize=2048"));
    g_remove(rom);
}

/* Firmware runs a ROM only on the device that it names; the default one has other ids at first. */
static void test_default_rom(void)
{
    static const uint32_t at = 0xfe000000;
    g_autoptr(QTest) qts = qtest_start("-M pc -m 64 -device virtio-net-pci,addr=5");
    g_autofree uint8_t *rom = NULL;
    uint8_t head[0x1a], sum = 0;
    uint32_t size;

    qtest_pci_write(qts, 0, 5 << 3, 0x30, 4, at | 1);
    qtest_pci_write(qts, 0, 5 << 3, 0x04, 2, 2);
    if (!qtest_pci_read(qts, 0, 5 << 3, 0x30, 4)) {
        g_test_skip("efi-virtio.rom is not installed");
        return;
    }
    qtest_memread(qts, at, head, sizeof(head));
    g_assert_cmphex(ldw_le(head), ==, 0xaa55);
    g_assert_cmphex(qtest_readl(qts, at + ldw_le(head + 0x18) + 4), ==, 0x10001af4);
    size = head[2] * 512u;
    rom = g_malloc(size);
    qtest_memread(qts, at, rom, size);
    for (uint32_t i = 0; i < size; i++) {
        sum += rom[i];
    }
    g_assert_cmphex(sum, ==, 0);
}

static void test_boot_letters(void)
{
    static const char *const rows[][2] = {
        { "order=ca,once=xn", "Invalid boot device 'x'" },
        { "order=ccd", "Boot device 'c' was given twice" },
        { "once=o", "Invalid boot device for PC: 'o'" },
        { "order=cdna", "Too many boot devices for PC" },
        { "splash-time=70000", "between 0 and 65535" },
        { "splash-time=-1", "between 0 and 65535" },
        { "reboot-timeout=-2", "between -1 and 65535" },
        { "menu=maybe", "menu" },
        { "foo=1", "foo" },
    };
    QTest *qts = qtest_start("-M pc -m 64 -boot order=nc,once=db");

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *refused = qtest_start_refused("-M pc -m 64 -boot %s", rows[i][0]);

        if (!strstr(refused, rows[i][1])) {
            g_error("-boot %s: %s", rows[i][0], refused);
        }
    }
    qtest_outb(qts, 0x70, 0x3d);
    g_assert_cmphex(qtest_inb(qts, 0x71), ==, 0x13); /* CD-ROM, then floppy */
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    qtest_outb(qts, 0x70, 0x3d);
    g_assert_cmphex(qtest_inb(qts, 0x71), ==, 0x24); /* network, then disk */
    qtest_stop(qts);
}

static void test_numa(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 64 -smp 2 -numa node,cpus=0,mem=16M "
                                       "-numa node,cpus=1,mem=48M");

    g_assert_cmpuint(item(qts, 0x0d, 8), ==, 2);
    g_assert_cmpuint(read_le(qts, 8), ==, 0);
    g_assert_cmpuint(read_le(qts, 8), ==, 1);
    g_assert_cmphex(read_le(qts, 8), ==, 16 * MiB);
    g_assert_cmphex(read_le(qts, 8), ==, 48 * MiB);
}

/* The files that firmware builds tables from are there, whole, and alike after a reset. */
static void test_tables(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 64");
    g_autofree uint8_t *tables = NULL, *rsdp = NULL, *script = NULL, *anchor = NULL, *again = NULL;
    uint32_t size, script_size;
    json_object *reply;

    tables = read_file(qts, "etc/acpi/tables", &size);
    g_assert_cmpmem(tables, 4, "FACS", 4);
    g_assert_cmpmem(tables + 64, 4, "DSDT", 4);
    rsdp = read_file(qts, "etc/acpi/rsdp", &size);
    g_assert_cmpuint(size, ==, 36);
    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    script = read_file(qts, "etc/table-loader", &script_size);
    g_assert_cmpuint(script_size % 128, ==, 0);
    g_assert_cmpuint(ldl_le(script), ==, 1);
    anchor = read_file(qts, "etc/smbios/smbios-anchor", &size);
    g_assert_cmpmem(anchor, 4, "_SM_", 4);
    reply = qtest_qmp(qts, "{\"execute\": \"system_reset\"}");
    json_object_put(reply);
    again = read_file(qts, "etc/table-loader", &size);
    g_assert_cmpmem(script, script_size, again, size);
}

/* Does the DSDT have a device of this name? */
static bool dsdt_names(QTest *qts, const char *name)
{
    g_autofree uint8_t *tables = NULL;
    uint32_t size;

    tables = read_file(qts, "etc/acpi/tables", &size);
    return memmem(tables, size, name, strlen(name)) != NULL;
}

/* OVMF puts the power management registers elsewhere than SeaBIOS: the tables must follow. */
static void test_pm_base(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 64");
    static const uint16_t bases[] = { 0x600, 0xb000 };

    for (unsigned i = 0; i < G_N_ELEMENTS(bases); i++) {
        g_autofree uint8_t *tables = NULL;
        const uint8_t *fadt;
        uint32_t size;

        qtest_pci_write(qts, 0, 1 << 3 | 3, 0x40, 4, bases[i]);
        tables = read_file(qts, "etc/acpi/tables", &size);
        fadt = memmem(tables, size, "FACP", 4);
        g_assert_nonnull(fadt);
        g_assert_cmphex(ldl_le(fadt + 56), ==, bases[i]);
        g_assert_cmphex(ldl_le(fadt + 64), ==, bases[i] + 4);
    }
}

/* Ports of -device are listed as those of -serial are. */
static void test_isa_ports(void)
{
    QTest *qts = qtest_start("-M pc -m 64 -nodefaults");

    g_assert_false(dsdt_names(qts, "COM"));
    g_assert_false(dsdt_names(qts, "LPT"));
    qtest_stop(qts);
    qts = qtest_start("-M pc -m 64 -nodefaults -chardev null,id=a -chardev null,id=b "
                      "-chardev null,id=c -serial chardev:a -device isa-serial,chardev=b,index=2 "
                      "-device isa-parallel,chardev=c,index=1");
    g_assert_true(dsdt_names(qts, "COM1"));
    g_assert_true(dsdt_names(qts, "COM3"));
    g_assert_false(dsdt_names(qts, "COM2"));
    g_assert_true(dsdt_names(qts, "LPT2"));
    g_assert_false(dsdt_names(qts, "LPT1"));
    qtest_stop(qts);
}

/* The BIOS of a VGA card that has no ROM BAR. */
static void test_isa_vga_rom(void)
{
    QTest *qts = qtest_start("-M pc -m 64 -vga none -device isa-vga");
    g_autofree uint8_t *rom = NULL;
    uint32_t size;

    rom = read_file(qts, "vgaroms/vgabios-isavga.bin", &size);
    g_assert_cmphex(ldw_le(rom), ==, 0xaa55);
    g_assert_cmpuint(size, ==, rom[2] * 512);
    qtest_stop(qts);
    qts = qtest_start("-M pc -m 64 -vga std");
    g_assert_cmpuint(find_file(qts, "vgaroms/vgabios-isavga.bin").key, ==, 0);
    qtest_stop(qts);
}

static void test_no_acpi(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc,acpi=off -m 64");

    g_assert_cmpuint(find_file(qts, "etc/acpi/tables").key, ==, 0);
    g_assert_cmpuint(find_file(qts, "etc/smbios/smbios-tables").key, !=, 0);
}

static void test_vmgenid(void)
{
    static const uint8_t in_memory[16] = {
        0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
        0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    };
    g_autoptr(QTest) qts = qtest_start("-M pc -m 64 -device vmgenid,"
                                       "guid=00112233-4455-6677-8899-aabbccddeeff");
    g_autofree uint8_t *page = NULL;
    json_object *reply, *guid;
    uint32_t size;

    page = read_file(qts, "etc/vmgenid_guid", &size);
    g_assert_cmpuint(size, ==, 4096);
    g_assert_cmpmem(page + 40, 16, in_memory, 16);
    g_assert_cmpuint(find_file(qts, "etc/vmgenid_addr").size, ==, 8);
    write_file(qts, "etc/vmgenid_addr", "\0\0\x20\0\0\0\0", 8);
    reply = qtest_qmp(qts, "{\"execute\": \"query-vm-generation-id\"}");
    g_assert_true(json_object_object_get_ex(reply, "guid", &guid));
    g_assert_cmpstr(json_object_get_string(guid), ==, "00112233-4455-6677-8899-aabbccddeeff");
    json_object_put(reply);
}

static void test_vmcoreinfo(void)
{
    static const uint8_t note[16] = { 9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0x20, 0 };
    g_autoptr(QTest) qts = qtest_start("-M pc -m 64 -device vmcoreinfo");
    g_autofree uint8_t *before = NULL, *after = NULL, *reset = NULL;
    json_object *reply;
    uint32_t size;

    before = read_file(qts, "etc/vmcoreinfo", &size);
    g_assert_cmpuint(size, ==, 16);
    g_assert_cmpuint(ldl_le(before), ==, 1);
    write_file(qts, "etc/vmcoreinfo", note, sizeof(note));
    after = read_file(qts, "etc/vmcoreinfo", &size);
    g_assert_cmpuint(ldw_le(after), ==, 1); /* the host's word stays */
    g_assert_cmpmem(after + 2, 14, note + 2, 14);
    reply = qtest_qmp(qts, "{\"execute\": \"system_reset\"}");
    json_object_put(reply);
    reset = read_file(qts, "etc/vmcoreinfo", &size);
    g_assert_cmpmem(reset, 16, before, 16);
}

static void test_refused(void)
{
    static const struct {
        const char *arguments, *part;
    } wrong[] = {
        { "-M pc -fw_cfg name=opt/x", "exactly one" },
        { "-M pc -fw_cfg name=etc/e820,string=x", "etc/e820" },
        { "-M pc -fw_cfg name=opt/x,string=a -fw_cfg name=opt/x,string=b", "opt/x" },
        { "-M pc -kernel /nonexistent", "/nonexistent" },
        { "-M pc -kernel /dev/null", "/dev/null" },
        { "-M pc -smbios type=1,serail=5", "serial" },
        { "-M pc -acpitable sig=A,data=/nonexistent", "/nonexistent" },
        { "-M pc -device vmgenid,guid=auto -device vmgenid,guid=auto", "only one" },
        { "-M pc -global fw_cfg.x-file-slots=1", "slots" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *said = qtest_start_refused("%s", wrong[i].arguments);

        if (!strstr(said, wrong[i].part)) {
            g_error("%s: expected '%s' in: %s", wrong[i].arguments, wrong[i].part, said);
        }
    }
}

/* Without firmware the guest kernel still finds its items. */
static void test_microvm(void)
{
    g_autoptr(QTest) qts = qtest_start("-M microvm -m 64 -fw_cfg name=opt/hello,string=world");
    g_autofree uint8_t *user = NULL;
    uint32_t size;

    user = read_file(qts, "opt/hello", &size);
    g_assert_cmpstr((char *)user, ==, "world");
    g_assert_cmpuint(find_file(qts, "etc/e820").size, ==, 20);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fw_cfg/items", test_items);
    g_test_add_func("/fw_cfg/boot-order", test_boot_order);
    g_test_add_func("/fw_cfg/option-roms", test_option_roms);
    g_test_add_func("/fw_cfg/default-rom", test_default_rom);
    g_test_add_func("/fw_cfg/boot-letters", test_boot_letters);
    g_test_add_func("/fw_cfg/numa", test_numa);
    g_test_add_func("/fw_cfg/tables", test_tables);
    g_test_add_func("/fw_cfg/pm-base", test_pm_base);
    g_test_add_func("/fw_cfg/isa-ports", test_isa_ports);
    g_test_add_func("/fw_cfg/isa-vga-rom", test_isa_vga_rom);
    g_test_add_func("/fw_cfg/no-acpi", test_no_acpi);
    g_test_add_func("/fw_cfg/vmgenid", test_vmgenid);
    g_test_add_func("/fw_cfg/vmcoreinfo", test_vmcoreinfo);
    g_test_add_func("/fw_cfg/refused", test_refused);
    g_test_add_func("/fw_cfg/microvm", test_microvm);
    return g_test_run();
}
