/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables of every kind of machine: structure and checksums here, and iasl must disassemble
 * each table and compile it again without a warning.
 */
#include <glib/gstdio.h>

#include "hw/i386/acpi-internal.h"
#include "util/bits.h"

#define MAX_TEST_CPUS 300

static AcpiCpu test_cpus[MAX_TEST_CPUS];
static const uint8_t test_guid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static uint8_t test_guid_address[8];

static void set_cpus(AcpiConfig *config, unsigned count, unsigned present)
{
    for (unsigned i = 0; i < count; i++) {
        test_cpus[i] = (AcpiCpu) { .apic_id = i, .node = i & 1, .present = i < present };
    }
    config->cpus = test_cpus;
    config->cpu_count = count;
}

static void pc_config(AcpiConfig *config)
{
    *config = (AcpiConfig) {
        .ioapics = { { .id = 0, .addr = 0xfec00000 } },
        .ioapic_count = 1,
        .has_8259 = true,
        .irq0_override = true,
        .pm = {
            .pm_base = 0x600, .gpe0 = 0xafe0, .gpe0_len = 4, .smi_cmd = 0xb2,
            .acpi_enable = 0xf1, .acpi_disable = 0xf0, .sci_irq = 9, .s3 = true, .s4 = true,
            .s3_type = 1, .s4_type = 2,
        },
        .reset_port = 0xcf9,
        .pci = {
            .present = true, .isa_slot = 1,
            .window32 = { 0x08000000, 0xfec00000 - 0x08000000 },
            .window64 = { 0x100000000, 0x80000000 },
            .hotplug_slots = 0xfffffff8,
        },
        .rtc = true, .i8042 = true, .fdc = true, .floppies = { { 4, 82, 24, 1 } },
        .serial = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 }, .serial_irq = { 4, 3, 4, 3 },
        .parallel = { 0x378, 0x278 }, .parallel_irq = { 7, 5 },
        .hpet = true, .hpet_addr = 0xfed00000,
        .fw_cfg_port = 0x510, .pvpanic_port = 0x505,
    };
    config->cpu_hotplug = true;
    config->memory_slots = 3;
    set_cpus(config, 2, 1);
}

static void pc_numa_config(AcpiConfig *config)
{
    static const AcpiMemory memory[] = {
        { { 0, 0xa0000 }, 0, false },
        { { 0x100000, 0x7f00000 }, 0, false },
        { { 0x8000000, 0x8000000 }, 1, false },
        { { 0x100000000, 0x40000000 }, 1, true },
    };
    static const uint8_t distance[] = { 10, 21, 31, 10 };

    pc_config(config);
    set_cpus(config, 288, 3);
    config->numa = true;
    config->node_count = 2;
    config->memory = memory;
    config->memory_count = G_N_ELEMENTS(memory);
    config->distance = distance;
    config->vmgenid = test_guid;
    config->vmgenid_address = test_guid_address;
    config->oem_id = "OEM";
    config->oem_table_id = "TABLE";
}

static void pc_bare_config(AcpiConfig *config)
{
    pc_config(config);
    config->hpet = config->rtc = config->i8042 = config->fdc = false;
    config->fw_cfg_port = config->pvpanic_port = config->reset_port = 0;
    memset(config->serial, 0, sizeof(config->serial));
    memset(config->parallel, 0, sizeof(config->parallel));
    config->pm.s3 = config->pm.s4 = false;
    config->pci.window64.size = 0;
}

static void microvm_config(AcpiConfig *config)
{
    *config = (AcpiConfig) {
        .ioapics = { { .addr = 0xfec00000 } },
        .ioapic_count = 1,
        .hw_reduced = true,
        .ged = { .event_addr = 0xfea00000, .regs_addr = 0xfea00200, .irq = 9, .reset_value = 0x42 },
        .pm = { .s5_type = 5 },
        .serial = { 0x3f8 }, .serial_irq = { 4 },
        .virtio_mmio = { .base = 0xfeb00000, .stride = 512, .irq_base = 16, .count = 8 },
    };
    set_cpus(config, 4, 4);
}

static void microvm_vmgenid_config(AcpiConfig *config)
{
    static const bool present[] = { true, false, true, false, false, false, false, false };

    microvm_config(config);
    config->virtio_mmio.present = present;
    config->rtc = true;
    config->fw_cfg_port = 0x510;
    config->vmgenid = test_guid;
    config->vmgenid_address = test_guid_address;
}

static const struct {
    const char *name;
    void (*fill)(AcpiConfig *config);
    const char *tables; /* signatures in order */
} machines[] = {
    { "pc", pc_config, "FACS DSDT FACP APIC HPET WAET RSDT XSDT" },
    { "pc-numa", pc_numa_config, "FACS DSDT FACP APIC SSDT HPET SRAT SLIT WAET RSDT XSDT" },
    { "pc-bare", pc_bare_config, "FACS DSDT FACP APIC WAET RSDT XSDT" },
    { "microvm", microvm_config, "DSDT FACP APIC WAET RSDT XSDT" },
    { "microvm-vmgenid", microvm_vmgenid_config, "DSDT FACP APIC SSDT WAET RSDT XSDT" },
};

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t total = 0;

    while (len-- > 0) {
        total += *bytes++;
    }
    return total;
}

/* What is at a guest address among the blobs of a direct boot. */
static const uint8_t *at(const DirectBoot *boot, uint64_t addr)
{
    for (unsigned i = 0; i < boot->blobs->len; i++) {
        const BootBlob *blob = &g_array_index(boot->blobs, BootBlob, i);
        gsize size;
        const uint8_t *data = g_bytes_get_data(blob->data, &size);

        if (addr >= blob->addr && addr - blob->addr < size) {
            return data + (addr - blob->addr);
        }
    }
    g_assert_not_reached();
}

/* The controller is there with the drives that there are, or not at all. */
static void check_floppies(const AcpiTables *tables, const AcpiConfig *config)
{
    static const struct {
        const char *name;
        int floppy; /* -1: the controller */
    } names[] = { { "FDC0", -1 }, { "_FDE", -1 }, { "FLPA", 0 }, { "FLPB", 1 } };
    const uint8_t *dsdt = NULL;
    size_t len = 0;

    for (unsigned i = 0; (dsdt = acpi_tables_get(tables, i, &len)); i++) {
        if (memcmp(dsdt, "DSDT", 4) == 0) {
            break;
        }
    }
    g_assert_nonnull(dsdt);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        int floppy = names[i].floppy;
        bool wanted = config->fdc && (floppy < 0 || config->floppies[floppy].type);

        g_assert_true((memmem(dsdt, len, names[i].name, 4) != NULL) == wanted);
    }
}

/* Follow the pointers from the RSDP as a guest does. */
static void test_placed(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    g_autoptr(AcpiTables) tables = NULL;
    g_autoptr(DirectBoot) boot = direct_boot_new();
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    const uint8_t *rsdp, *xsdt, *rsdt;
    uint64_t addr, end;
    AcpiConfig config;
    size_t len;

    machines[n].fill(&config);
    tables = acpi_build(&config, &error);
    g_assert_no_error(error);
    g_assert_false(acpi_place(tables, boot, 0x7f00000, 0x7f00100, &addr, &end, &error));
    g_clear_error(&error);
    g_clear_pointer(&tables, acpi_tables_free);
    tables = acpi_build(&config, &error);
    g_assert_true(acpi_place(tables, boot, 0x7f00000, 0x8000000, &addr, &end, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(end - 0x7f00000, <=, acpi_tables_size(tables));

    rsdp = at(boot, addr);
    g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
    g_assert_cmpuint(sum(rsdp, 20), ==, 0);
    g_assert_cmpuint(sum(rsdp, 36), ==, 0);
    xsdt = at(boot, ldq_le(rsdp + 24));
    rsdt = at(boot, ldl_le(rsdp + 16));
    g_assert_cmpmem(xsdt, 4, "XSDT", 4);
    g_assert_cmpmem(rsdt, 4, "RSDT", 4);
    for (uint32_t i = 36; i < ldl_le(xsdt + 4); i += 8) {
        const uint8_t *table = at(boot, ldq_le(xsdt + i));

        g_assert_cmpuint(ldq_le(xsdt + i), ==, ldl_le(rsdt + 36 + (i - 36) / 2));
        g_assert_cmpuint(sum(table, ldl_le(table + 4)), ==, 0);
        if (memcmp(table, "FACP", 4) == 0) {
            g_assert_cmpmem(at(boot, ldq_le(table + 140)), 4, "DSDT", 4);
            g_assert_cmpuint(ldl_le(table + 40), ==, ldq_le(table + 140));
        }
    }
    for (unsigned i = 0;; i++) {
        const uint8_t *table = acpi_tables_get(tables, i, &len);

        if (!table) {
            break;
        }
        g_string_append_printf(names, "%s%.4s", i ? " " : "", (const char *)table);
        g_assert_true(memcmp(table, "FACS", 4) == 0 || sum(table, len) == 0);
    }
    g_assert_cmpstr(names->str, ==, machines[n].tables);
    check_floppies(tables, &config);
    if (config.vmgenid) {
        g_assert_cmpmem(at(boot, acpi_tables_vmgenid_addr(tables) + ACPI_VMGENID_OFFSET), 16,
                        test_guid, 16);
    }
}

/* Run iasl with two arguments; its output must hold no error and no warning. */
static void run_iasl(const char *dir, const char *option, const char *file)
{
    const char *argv[] = { "iasl", option, file, NULL };
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    int status;
    bool ok;

    ok = g_spawn_sync(dir, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err,
                      &status, NULL);
    if (!ok || status != 0 || strstr(out, "Warning  ") || strstr(err, "Warning  ") ||
        strstr(out, "Error  ") || strstr(err, "Error  ") || strstr(err, "rror:")) {
        g_error("iasl %s %s: status %d\n%s%s", option, file, status, out, err);
    }
}

static void test_iasl(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    g_autofree char *iasl = g_find_program_in_path("iasl");
    g_autofree char *dir = g_dir_make_tmp("vireo-acpi-XXXXXX", NULL);
    g_autoptr(AcpiTables) tables = NULL;
    g_autoptr(GError) error = NULL;
    AcpiConfig config;
    size_t len;

    if (!iasl) {
        g_test_skip("iasl is not installed");
        return;
    }
    machines[n].fill(&config);
    tables = acpi_build(&config, &error);
    g_assert_no_error(error);
    for (unsigned i = 0;; i++) {
        const uint8_t *table = acpi_tables_get(tables, i, &len);
        g_autofree uint8_t *copy = table ? g_memdup2(table, len) : NULL;
        g_autofree char *name = table ? g_strdup_printf("%u-%.4s.aml", i, table) : NULL;
        g_autofree char *source = table ? g_strdup_printf("%u-%.4s.dsl", i, table) : NULL;
        g_autofree char *path = table ? g_build_filename(dir, name, NULL) : NULL;
        g_autofree char *source_path = table ? g_build_filename(dir, source, NULL) : NULL;

        if (!table) {
            break;
        }
        /* The checksum is firmware's; here the disassembler wants it. */
        if (memcmp(copy, "FACS", 4) != 0) {
            copy[9] -= sum(copy, len);
        }
        g_assert_true(g_file_set_contents(path, (const char *)copy, len, NULL));
        run_iasl(dir, "-d", name);
        g_assert_true(g_file_test(source_path, G_FILE_TEST_EXISTS));
        if (memcmp(copy, "DSDT", 4) == 0 || memcmp(copy, "SSDT", 4) == 0) {
            run_iasl(dir, "-oa", source);
        }
        g_unlink(path);
        g_unlink(source_path);
    }
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(machines); i++) {
        g_autofree char *placed = g_strdup_printf("/acpi/placed/%s", machines[i].name);
        g_autofree char *iasl = g_strdup_printf("/acpi/iasl/%s", machines[i].name);

        g_test_add_data_func(placed, GUINT_TO_POINTER(i), test_placed);
        g_test_add_data_func(iasl, GUINT_TO_POINTER(i), test_iasl);
    }
    return g_test_run();
}
