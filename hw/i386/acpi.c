/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI: all tables in one blob and the script that links them, and the two ways to the guest.
 *
 * The blob begins with the FACS, which alone must be 64-byte aligned; RSDT and XSDT are last. The
 * RSDP is a file of its own, because it must lie where the guest looks for it.
 */
#include "hw/i386/acpi.h"

#include "hw/i386/acpi-internal.h"
#include "util/bits.h"
#include "util/error.h"

#define OEM_ID "VIREO "
#define OEM_TABLE_ID "VIREOPC "
#define CREATOR_ID "VIRE"
#define BLOB_ALIGN 64
#define TABLE_ALIGN 8
#define RSDP_SIZE 36
#define RSDP_V1_SIZE 20
#define FACS_SIZE 64
#define VMGENID_PAGE 4096
#define BLOB_MAX (64 * MiB)
/* Room that firmware learns of beforehand, so that a rebuilt blob may be a little longer. */
#define BLOB_SLACK 4096

enum { HEADER_LENGTH = 4, HEADER_CHECKSUM = 9 };

struct AcpiTables {
    GByteArray *blob, *rsdp;
    GByteArray *vmgenid; /* NULL if there is none */
    GArray *offsets;     /* uint32_t */
    GBytes *script;
    uint64_t vmgenid_addr;
};

void acpi_put(AcpiBuild *build, const void *data, size_t len)
{
    g_byte_array_append(build->blob, data, len);
}

void acpi_put_int(AcpiBuild *build, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    stq_le(bytes, value);
    acpi_put(build, bytes, size);
}

void acpi_set(AcpiBuild *build, uint32_t start, uint32_t offset, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    g_assert(range_ok(start + offset, size, build->blob->len));
    stq_le(bytes, value);
    memcpy(build->blob->data + start + offset, bytes, size);
}

static void acpi_align(AcpiBuild *build, size_t align)
{
    static const uint8_t zeros[BLOB_ALIGN];
    size_t len = build->blob->len;

    acpi_put(build, zeros, ROUND_UP(len, align) - len);
}

/* A text field of fixed width, padded with blanks. */
static void acpi_put_text(AcpiBuild *build, const char *text, size_t width)
{
    size_t len = MIN(strlen(text), width);

    acpi_put(build, text, len);
    for (; len < width; len++) {
        acpi_put(build, " ", 1);
    }
}

uint32_t acpi_table_begin(AcpiBuild *build, const char *signature, uint8_t revision)
{
    const AcpiConfig *config = build->config;
    uint32_t start;

    acpi_align(build, TABLE_ALIGN);
    start = build->blob->len;
    g_array_append_val(build->offsets, start);
    acpi_put(build, signature, 4);
    acpi_put_int(build, 4, 0); /* length */
    acpi_put_int(build, 1, revision);
    acpi_put_int(build, 1, 0); /* checksum */
    acpi_put_text(build, config->oem_id ? config->oem_id : OEM_ID, 6);
    acpi_put_text(build, config->oem_table_id ? config->oem_table_id : OEM_TABLE_ID, 8);
    acpi_put_int(build, 4, 1); /* OEM revision */
    acpi_put(build, CREATOR_ID, 4);
    acpi_put_int(build, 4, 1); /* creator revision */
    return start;
}

void acpi_table_end(AcpiBuild *build, uint32_t start, bool listed)
{
    uint32_t len = build->blob->len - start;

    acpi_set(build, start, HEADER_LENGTH, 4, len);
    table_loader_add_checksum(build->loader, ACPI_FILE_TABLES, start, len,
                              start + HEADER_CHECKSUM);
    if (listed) {
        g_array_append_val(build->listed, start);
    }
}

uint32_t acpi_put_aml(AcpiBuild *build, const char *signature, Aml *aml)
{
    /* Revision 1 would make AML integers 32 bits wide. */
    uint32_t start = acpi_table_begin(build, signature, 2);
    size_t len;
    const uint8_t *bytes = aml_bytes(aml, &len);

    acpi_put(build, bytes, len);
    aml_free(aml);
    return start;
}

static uint32_t acpi_add_facs(AcpiBuild *build)
{
    static const uint8_t zeros[FACS_SIZE];
    uint32_t start;

    acpi_align(build, BLOB_ALIGN);
    start = build->blob->len;
    g_array_append_val(build->offsets, start);
    acpi_put(build, zeros, FACS_SIZE);
    memcpy(build->blob->data + start, "FACS", 4);
    acpi_set(build, start, HEADER_LENGTH, 4, FACS_SIZE);
    acpi_set(build, start, 32, 1, 1); /* version */
    return start;
}

/* General-purpose event ACPI_VMGENID_GPE: the identifier has changed. */
static void acpi_add_vmgenid_event(Aml *ssdt)
{
    Aml *scope = aml_scope("\\_GPE");
    Aml *method = aml_method("_E05", 0, false);

    aml_append(method, aml_notify(aml_name("\\_SB.VGEN"), aml_int(0x80)));
    aml_append(scope, method);
    aml_append(ssdt, scope);
}

/*
 * The VM generation identifier's device. VGIA is the first term, so that its value lies at a known
 * offset, where the loader script puts the page's address.
 */
static void acpi_add_vmgenid(AcpiBuild *build)
{
    const uint32_t value_offset = 1 + 4 + 1; /* NameOp, name, DWordPrefix */
    Aml *ssdt = aml_list();
    Aml *scope = aml_scope("\\_SB");
    Aml *device = aml_device("VGEN");
    Aml *method = aml_method("ADDR", 0, true);
    Aml *pair = aml_package();
    uint32_t start;

    aml_append(ssdt, aml_name_decl("VGIA", aml_dword(0)));
    aml_append(device, aml_name_decl("_HID", aml_string("VREO0001")));
    aml_append(device, aml_name_decl("_CID", aml_string("VM_Gen_Counter")));
    aml_append(device, aml_name_decl("_DDN", aml_string("VM_Gen_Counter")));
    /* The low and the high half of the GUID's address. */
    aml_append(pair, aml_int(0));
    aml_append(pair, aml_int(0));
    aml_append(method, aml_name_decl("PAIR", pair));
    aml_append(method, aml_store(aml_add(aml_name("\\VGIA"), aml_int(ACPI_VMGENID_OFFSET), NULL),
                                 aml_index(aml_name("PAIR"), aml_int(0))));
    aml_append(method, aml_return(aml_name("PAIR")));
    aml_append(device, method);
    aml_append(scope, device);
    aml_append(ssdt, scope);
    if (!build->config->hw_reduced) {
        acpi_add_vmgenid_event(ssdt);
    }

    start = acpi_put_aml(build, "SSDT", ssdt);
    table_loader_add_pointer(build->loader, ACPI_FILE_TABLES,
                             start + ACPI_HEADER_SIZE + value_offset, 4, ACPI_FILE_VMGENID, 0);
    acpi_table_end(build, start, true);
}

static void acpi_add_root(AcpiBuild *build, const char *signature, unsigned pointer_size)
{
    uint32_t at = acpi_table_begin(build, signature, 1);

    for (unsigned i = 0; i < build->listed->len; i++) {
        uint32_t target = g_array_index(build->listed, uint32_t, i);

        acpi_put_int(build, pointer_size, 0);
        table_loader_add_pointer(build->loader, ACPI_FILE_TABLES,
                                 build->blob->len - pointer_size, pointer_size, ACPI_FILE_TABLES,
                                 target);
    }
    acpi_table_end(build, at, false);
}

/* ACPI 6.4, 5.2.5.3: revision 2, with both root tables. */
static void acpi_fill_rsdp(AcpiBuild *build, GByteArray *rsdp, uint32_t rsdt, uint32_t xsdt)
{
    const AcpiConfig *config = build->config;
    const char *oem = config->oem_id ? config->oem_id : OEM_ID;

    memset(rsdp->data, 0, rsdp->len);
    memcpy(rsdp->data, "RSD PTR ", 8);
    memset(rsdp->data + 9, ' ', 6);
    memcpy(rsdp->data + 9, oem, MIN(strlen(oem), 6));
    rsdp->data[15] = 2;
    stl_le(rsdp->data + 20, RSDP_SIZE);
    table_loader_add_pointer(build->loader, ACPI_FILE_RSDP, 16, 4, ACPI_FILE_TABLES, rsdt);
    table_loader_add_pointer(build->loader, ACPI_FILE_RSDP, 24, 8, ACPI_FILE_TABLES, xsdt);
    table_loader_add_checksum(build->loader, ACPI_FILE_RSDP, 0, RSDP_V1_SIZE, 8);
    table_loader_add_checksum(build->loader, ACPI_FILE_RSDP, 0, RSDP_SIZE, 32);
}

static void acpi_add_extra(AcpiBuild *build)
{
    const GPtrArray *extra = build->config->extra;

    for (unsigned i = 0; extra && i < extra->len; i++) {
        gsize len;
        const void *data = g_bytes_get_data(g_ptr_array_index(extra, i), &len);
        uint32_t start;

        acpi_align(build, TABLE_ALIGN);
        start = build->blob->len;
        g_array_append_val(build->offsets, start);
        g_array_append_val(build->listed, start);
        acpi_put(build, data, len); /* with its length and checksum */
    }
}

static void acpi_add_all(AcpiBuild *build, AcpiTables *tables)
{
    const AcpiConfig *config = build->config;
    uint32_t facs = 0, dsdt, rsdt;

    if (!config->hw_reduced) {
        facs = acpi_add_facs(build);
    }
    dsdt = acpi_put_aml(build, "DSDT", acpi_dsdt(config));
    acpi_table_end(build, dsdt, false);
    acpi_add_fadt(build, facs, dsdt);
    acpi_add_madt(build);
    if (config->vmgenid) {
        acpi_add_vmgenid(build);
    }
    if (config->hpet) {
        acpi_add_hpet(build);
    }
    if (config->numa) {
        acpi_add_srat(build);
        acpi_add_slit(build);
    }
    acpi_add_waet(build);
    acpi_add_extra(build);
    rsdt = ROUND_UP(build->blob->len, TABLE_ALIGN);
    acpi_add_root(build, "RSDT", 4);
    acpi_fill_rsdp(build, tables->rsdp, rsdt, ROUND_UP(build->blob->len, TABLE_ALIGN));
    acpi_add_root(build, "XSDT", 8);
}

AcpiTables *acpi_build(const AcpiConfig *config, GError **error)
{
    g_autoptr(AcpiTables) tables = g_new0(AcpiTables, 1);
    g_autoptr(TableLoader) loader = table_loader_new();
    g_autoptr(GArray) listed = g_array_new(false, false, sizeof(uint32_t));
    AcpiBuild build = { .config = config, .loader = loader, .listed = listed };

    tables->offsets = build.offsets = g_array_new(false, false, sizeof(uint32_t));
    tables->blob = build.blob = g_byte_array_new();
    tables->rsdp = g_byte_array_new();
    g_byte_array_set_size(tables->rsdp, RSDP_SIZE);
    table_loader_allocate(loader, ACPI_FILE_TABLES, tables->blob, BLOB_ALIGN, TABLE_LOADER_HIGH);
    table_loader_allocate(loader, ACPI_FILE_RSDP, tables->rsdp, 16, TABLE_LOADER_FSEG);
    if (config->vmgenid) {
        tables->vmgenid = g_byte_array_new();
        g_byte_array_set_size(tables->vmgenid, VMGENID_PAGE);
        memset(tables->vmgenid->data, 0, VMGENID_PAGE);
        memcpy(tables->vmgenid->data + ACPI_VMGENID_OFFSET, config->vmgenid, 16);
        table_loader_allocate(loader, ACPI_FILE_VMGENID, tables->vmgenid, VMGENID_PAGE,
                              TABLE_LOADER_HIGH);
        table_loader_write_pointer(loader, ACPI_FILE_VMGENID_ADDR, 0, 8, ACPI_FILE_VMGENID, 0);
    }
    acpi_add_all(&build, tables);
    if (tables->blob->len > BLOB_MAX) {
        error_setf(error, "the ACPI tables are too large: %u bytes", tables->blob->len);
        return NULL;
    }
    tables->script = table_loader_script(loader);
    return g_steal_pointer(&tables);
}

void acpi_tables_free(AcpiTables *tables)
{
    if (!tables) {
        return;
    }
    g_clear_pointer(&tables->blob, g_byte_array_unref);
    g_clear_pointer(&tables->rsdp, g_byte_array_unref);
    g_clear_pointer(&tables->vmgenid, g_byte_array_unref);
    g_clear_pointer(&tables->offsets, g_array_unref);
    g_clear_pointer(&tables->script, g_bytes_unref);
    g_free(tables);
}

uint64_t acpi_tables_size(const AcpiTables *tables)
{
    uint64_t vmgenid = tables->vmgenid ? 2 * VMGENID_PAGE : 0; /* with its alignment */

    return ROUND_UP((uint64_t)tables->blob->len + RSDP_SIZE + BLOB_ALIGN + 16 + vmgenid, 4096);
}

uint64_t acpi_tables_vmgenid_addr(const AcpiTables *tables)
{
    return tables->vmgenid_addr;
}

const uint8_t *acpi_tables_get(const AcpiTables *tables, unsigned n, size_t *len)
{
    const uint8_t *table;

    if (n >= tables->offsets->len) {
        return NULL;
    }
    table = tables->blob->data + g_array_index(tables->offsets, uint32_t, n);
    *len = ldl_le(table + HEADER_LENGTH);
    return table;
}

static void acpi_add_blob(DirectBoot *boot, const char *name, const TableLoaderFile *file)
{
    g_autoptr(GBytes) bytes = g_bytes_new(file->data->data, file->data->len);

    direct_boot_add(boot, name, file->addr, bytes);
}

bool acpi_place(AcpiTables *tables, DirectBoot *boot, uint64_t base, uint64_t limit,
                uint64_t *rsdp, uint64_t *end, GError **error)
{
    TableLoaderFile files[] = {
        { .name = ACPI_FILE_TABLES, .data = tables->blob },
        { .name = ACPI_FILE_RSDP, .data = tables->rsdp },
        { .name = ACPI_FILE_VMGENID, .data = tables->vmgenid },
        { .name = ACPI_FILE_VMGENID_ADDR },
    };

    if (!table_loader_run(tables->script, files, G_N_ELEMENTS(files), base, limit, end, NULL, NULL,
                          error)) {
        return false;
    }
    acpi_add_blob(boot, "the ACPI tables", &files[0]);
    acpi_add_blob(boot, "the ACPI root pointer", &files[1]);
    if (tables->vmgenid) {
        acpi_add_blob(boot, "the VM generation identifier", &files[2]);
        tables->vmgenid_addr = files[2].addr;
    }
    *rsdp = files[1].addr;
    return true;
}

/* What is behind the fw_cfg files. */
typedef struct AcpiPublished {
    FwCfg *fw;
    AcpiConfig config;
    AcpiFillFn *fill;
    void *opaque;
    size_t capacity; /* of the tables' file */
} AcpiPublished;

static GBytes *acpi_padded(const GByteArray *data, size_t size)
{
    uint8_t *padded = g_malloc0(size);

    memcpy(padded, data->data, data->len);
    return g_bytes_new_take(padded, size);
}

static bool acpi_set_files(AcpiPublished *published, const AcpiTables *tables, GError **error)
{
    g_autoptr(GBytes) blob = acpi_padded(tables->blob, published->capacity);
    g_autoptr(GBytes) rsdp = acpi_padded(tables->rsdp, RSDP_SIZE);

    return fw_cfg_modify_file(published->fw, ACPI_FILE_TABLES, blob, error) &&
           fw_cfg_modify_file(published->fw, ACPI_FILE_RSDP, rsdp, error) &&
           fw_cfg_modify_file(published->fw, ACPI_FILE_LOADER, tables->script, error);
}

/* The firmware looks at one of the files: the machine may have changed since they were built. */
static void acpi_rebuild(void *opaque)
{
    AcpiPublished *published = opaque;
    g_autoptr(AcpiTables) tables = NULL;
    g_autoptr(GError) error = NULL;

    if (!published->fill) {
        return;
    }
    published->fill(published->opaque, &published->config);
    tables = acpi_build(&published->config, &error);
    if (!tables) {
        error_report("ACPI tables stay as they were: %s", error->message);
        return;
    }
    if (tables->blob->len > published->capacity) {
        error_report("ACPI tables stay as they were: they have grown from %zu to %u bytes",
                     published->capacity, tables->blob->len);
        return;
    }
    acpi_set_files(published, tables, NULL);
}

static bool acpi_publish_vmgenid(FwCfg *fw, const AcpiConfig *config, const AcpiTables *tables,
                                 GError **error)
{
    if (!tables->vmgenid) {
        return true;
    }
    return fw_cfg_add_file_copy(fw, ACPI_FILE_VMGENID, tables->vmgenid->data,
                                tables->vmgenid->len, error) &&
           fw_cfg_add_writable_file(fw, ACPI_FILE_VMGENID_ADDR, config->vmgenid_address, 8, NULL,
                                    NULL, error);
}

bool acpi_publish(FwCfg *fw, const AcpiConfig *config, AcpiFillFn *fill, void *opaque,
                  GError **error)
{
    static const char *const files[] = { ACPI_FILE_TABLES, ACPI_FILE_RSDP, ACPI_FILE_LOADER };
    g_autoptr(AcpiTables) tables = acpi_build(config, error);
    g_autoptr(GBytes) empty = g_bytes_new(NULL, 0);
    AcpiPublished *published;

    if (!tables) {
        return false;
    }
    published = g_new0(AcpiPublished, 1);
    published->fw = fw;
    if (fill) {
        published->config = *config; /* what it points to stays the board's */
    }
    published->fill = fill;
    published->opaque = opaque;
    published->capacity = ROUND_UP(tables->blob->len + (fill ? BLOB_SLACK : 0), 4096);
    fw_cfg_take(fw, published, g_free);
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        if (!fw_cfg_add_file_callback(fw, files[i], acpi_rebuild, published, empty, error)) {
            return false;
        }
    }
    return acpi_set_files(published, tables, error) &&
           acpi_publish_vmgenid(fw, config, tables, error);
}
