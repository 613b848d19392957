/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMBIOS structures (DSP0134 3.0): each is a formatted part { u8 type, u8 length, u16 handle, ...
 * } and the strings that it refers to by number from 1, ended by an empty one. The fields stand in
 * the code in the order of the specification's tables.
 */
#include "hw/i386/smbios.h"

#include "hw/i386/smbios-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

#define UNKNOWN_HANDLE 0xffff
#define NO_ERROR_HANDLE 0xfffe
#define DIMM_MAX (16 * GiB)
#define MEMORY_ARRAY_HANDLE 0x1000
#define CHASSIS_HANDLE 0x300
#define TABLES_MAX_32 65535u /* the 2.8 entry point has 16 bits for it */

typedef struct SmbiosBuild {
    const SmbiosConfig *config;
    SmbiosValues *values;
    GByteArray *out;
    size_t start;     /* of the structure being made */
    GPtrArray *texts; /* its strings, borrowed */
    unsigned count;   /* structures */
    size_t largest;
} SmbiosBuild;

static void put_int(SmbiosBuild *build, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    stq_le(bytes, value);
    g_byte_array_append(build->out, bytes, size);
}

static void begin(SmbiosBuild *build, uint8_t type, uint16_t handle)
{
    build->start = build->out->len;
    g_ptr_array_set_size(build->texts, 0);
    put_int(build, 1, type);
    put_int(build, 1, 0);
    put_int(build, 2, handle);
}

/* A string's number; 0 for none. */
static void put_text(SmbiosBuild *build, const char *text)
{
    if (!text || text[0] == '\0' || build->texts->len == UINT8_MAX) {
        put_int(build, 1, 0);
        return;
    }
    g_ptr_array_add(build->texts, (char *)text);
    put_int(build, 1, build->texts->len);
}

static void end(SmbiosBuild *build)
{
    build->out->data[build->start + 1] = build->out->len - build->start;
    for (unsigned i = 0; i < build->texts->len; i++) {
        const char *text = g_ptr_array_index(build->texts, i);

        g_byte_array_append(build->out, (const uint8_t *)text, strlen(text) + 1);
    }
    put_int(build, build->texts->len ? 1 : 2, 0);
    build->count++;
    build->largest = MAX(build->largest, build->out->len - build->start);
}

static void put_field(SmbiosBuild *build, const char *field, const char *fallback)
{
    put_text(build, smbios_text(build->values, field, fallback));
}

/* Only if someone says something: firmware brings its own. */
static void add_bios(SmbiosBuild *build)
{
    const SmbiosConfig *config = build->config;
    const char *release = smbios_text(build->values, "0.release", NULL);
    g_auto(GStrv) parts = release ? g_strsplit(release, ".", 2) : NULL;
    const char *uefi = smbios_text(build->values, "0.uefi", "off");
    bool is_uefi = false;

    if (!build->values->seen[0] && !config->bios_vendor) {
        return;
    }
    parse_bool(uefi, &is_uefi, NULL);
    begin(build, 0, 0);
    put_field(build, "0.vendor", config->bios_vendor);
    put_field(build, "0.version", config->bios_version);
    put_int(build, 2, 0xe800); /* starting segment */
    put_field(build, "0.date", config->bios_date);
    put_int(build, 1, 0);    /* 64 KiB of ROM */
    put_int(build, 8, 0x08); /* characteristics are not given */
    put_int(build, 1, 0);
    put_int(build, 1, 0x14 | (is_uefi ? 0x08 : 0)); /* virtual machine, targeted content */
    put_int(build, 1, parts ? strtoul(parts[0], NULL, 0) : 0);
    put_int(build, 1, parts ? strtoul(parts[1], NULL, 0) : 0);
    put_int(build, 2, 0xffff); /* no embedded controller */
    end(build);
}

static void add_system(SmbiosBuild *build)
{
    const SmbiosConfig *config = build->config;
    const char *uuid_text = smbios_text(build->values, "1.uuid", NULL);
    uint8_t uuid[16] = { 0 };

    if (config->uuid) {
        memcpy(uuid, config->uuid, sizeof(uuid));
    }
    if (uuid_text) {
        parse_uuid(uuid_text, uuid, NULL);
    }
    begin(build, 1, 0x100);
    put_field(build, "1.manufacturer", config->manufacturer);
    put_field(build, "1.product", config->product);
    put_field(build, "1.version", config->version);
    put_field(build, "1.serial", NULL);
    put_int(build, 4, ldl_be(uuid)); /* the first three groups are little-endian */
    put_int(build, 2, ldw_be(uuid + 4));
    put_int(build, 2, ldw_be(uuid + 6));
    g_byte_array_append(build->out, uuid + 8, 8);
    put_int(build, 1, 6); /* wake-up: power switch */
    put_field(build, "1.sku", NULL);
    put_field(build, "1.family", NULL);
    end(build);
}

static void add_board(SmbiosBuild *build)
{
    const SmbiosConfig *config = build->config;

    if (!build->values->seen[2]) {
        return;
    }
    begin(build, 2, 0x200);
    put_field(build, "2.manufacturer", config->manufacturer);
    put_field(build, "2.product", config->product);
    put_field(build, "2.version", config->version);
    put_field(build, "2.serial", NULL);
    put_field(build, "2.asset", NULL);
    put_int(build, 1, 1); /* a hosting board */
    put_field(build, "2.location", NULL);
    put_int(build, 2, CHASSIS_HANDLE);
    put_int(build, 1, 10); /* motherboard */
    put_int(build, 1, 0);  /* contained objects */
    end(build);
}

static void add_chassis(SmbiosBuild *build)
{
    const SmbiosConfig *config = build->config;

    begin(build, 3, CHASSIS_HANDLE);
    put_field(build, "3.manufacturer", config->manufacturer);
    put_int(build, 1, 1); /* kind: other */
    put_field(build, "3.version", config->version);
    put_field(build, "3.serial", NULL);
    put_field(build, "3.asset", NULL);
    put_int(build, 1, 3); /* boot-up, power supply, thermal state: safe */
    put_int(build, 1, 3);
    put_int(build, 1, 3);
    put_int(build, 1, 2); /* security: unknown */
    put_int(build, 4, 0);
    put_int(build, 1, 0); /* height, power cords: unknown */
    put_int(build, 1, 0);
    put_int(build, 1, 0); /* contained elements */
    put_int(build, 1, 0);
    put_field(build, "3.sku", NULL);
    end(build);
}

static void add_processor(SmbiosBuild *build, unsigned n)
{
    const SmbiosConfig *config = build->config;
    uint64_t id = (uint64_t)config->cpu_features << 32 | config->cpu_signature;
    unsigned threads = config->cores * config->threads;
    g_autofree char *socket = g_strdup_printf("%s %u", smbios_text(build->values, "4.sock_pfx",
                                                                   "CPU"), n);

    begin(build, 4, 0x400 + n);
    put_text(build, socket);
    put_int(build, 1, 3); /* central processor */
    put_int(build, 1, 1); /* family: other */
    put_field(build, "4.manufacturer", config->manufacturer);
    put_int(build, 8, smbios_number(build->values, "4.processor-id", id));
    put_field(build, "4.version", config->cpu_version ? config->cpu_version : config->version);
    put_int(build, 1, 0); /* voltage */
    put_int(build, 2, 0); /* external clock */
    put_int(build, 2, smbios_number(build->values, "4.max-speed", 2000));
    put_int(build, 2, smbios_number(build->values, "4.current-speed", 2000));
    put_int(build, 1, 0x41); /* populated, enabled */
    put_int(build, 1, 1);    /* upgrade: other */
    put_int(build, 2, UNKNOWN_HANDLE); /* caches */
    put_int(build, 2, UNKNOWN_HANDLE);
    put_int(build, 2, UNKNOWN_HANDLE);
    put_field(build, "4.serial", NULL);
    put_field(build, "4.asset", NULL);
    put_field(build, "4.part", NULL);
    put_int(build, 1, MIN(config->cores, UINT8_MAX)); /* 255: see the wide fields */
    put_int(build, 1, MIN(config->cores, UINT8_MAX));
    put_int(build, 1, MIN(threads, UINT8_MAX));
    put_int(build, 2, 0x04); /* 64-bit capable */
    put_int(build, 2, 1);
    if (config->entry64) {
        put_int(build, 2, config->cores);
        put_int(build, 2, config->cores);
        put_int(build, 2, threads);
    }
    end(build);
}

static void add_ports(SmbiosBuild *build)
{
    for (unsigned i = 0; i < build->values->ports->len; i++) {
        const SmbiosPort *port = &g_array_index(build->values->ports, SmbiosPort, i);

        begin(build, 8, 0x800 + i);
        put_text(build, port->internal);
        put_int(build, 1, 0); /* no inside plug */
        put_text(build, port->external);
        put_int(build, 1, port->connector);
        put_int(build, 1, port->port);
        end(build);
    }
}

static bool add_strings(SmbiosBuild *build, GError **error)
{
    const GPtrArray *strings = build->values->strings;

    if (strings->len == 0) {
        return true;
    }
    if (strings->len > UINT8_MAX) {
        error_setf(error, "-smbios type=11: %u strings, at most 255 fit", strings->len);
        return false;
    }
    begin(build, 11, 0xe00);
    put_int(build, 1, strings->len);
    for (unsigned i = 0; i < strings->len; i++) {
        const char *text = g_ptr_array_index(strings, i);

        /* An empty string would end the list. */
        g_ptr_array_add(build->texts, (char *)(text[0] ? text : " "));
    }
    end(build);
    return true;
}

static void add_memory_array(SmbiosBuild *build, unsigned dimms)
{
    uint64_t kib = build->config->ram_size / KiB;
    bool wide = kib >= 0x80000000u;

    begin(build, 16, MEMORY_ARRAY_HANDLE);
    put_int(build, 1, 1); /* location: other */
    put_int(build, 1, 3); /* system memory */
    put_int(build, 1, 6); /* multi-bit error correction */
    put_int(build, 4, wide ? 0x80000000u : kib);
    put_int(build, 2, NO_ERROR_HANDLE);
    put_int(build, 2, dimms);
    put_int(build, 8, wide ? build->config->ram_size : 0);
    end(build);
}

static void add_dimm(SmbiosBuild *build, unsigned n, uint64_t size)
{
    uint64_t mib = size / MiB;
    bool wide = mib >= 0x7fff;
    uint16_t speed = smbios_number(build->values, "17.speed", 0);
    g_autofree char *slot = g_strdup_printf("%s %u", smbios_text(build->values, "17.loc_pfx",
                                                                 "DIMM"), n);

    begin(build, 17, 0x1100 + n);
    put_int(build, 2, MEMORY_ARRAY_HANDLE);
    put_int(build, 2, NO_ERROR_HANDLE);
    put_int(build, 2, 0xffff); /* widths are unknown */
    put_int(build, 2, 0xffff);
    put_int(build, 2, wide ? 0x7fff : mib);
    put_int(build, 1, 9); /* DIMM */
    put_int(build, 1, 0); /* no set */
    put_text(build, slot);
    put_field(build, "17.bank", NULL);
    put_int(build, 1, 7); /* RAM */
    put_int(build, 2, 2); /* detail: other */
    put_int(build, 2, speed);
    put_field(build, "17.manufacturer", build->config->manufacturer);
    put_field(build, "17.serial", NULL);
    put_field(build, "17.asset", NULL);
    put_field(build, "17.part", NULL);
    put_int(build, 1, 0); /* rank */
    put_int(build, 4, wide ? mib : 0);
    put_int(build, 2, speed); /* configured */
    put_int(build, 2, 0);     /* voltages are unknown */
    put_int(build, 2, 0);
    put_int(build, 2, 0);
    end(build);
}

static void add_mapped_range(SmbiosBuild *build, unsigned n, uint64_t base, uint64_t size)
{
    uint64_t first = base / KiB;
    uint64_t last = (base + size - 1) / KiB;
    bool wide = last >= UINT32_MAX;

    begin(build, 19, 0x1300 + n);
    put_int(build, 4, wide ? UINT32_MAX : first);
    put_int(build, 4, wide ? UINT32_MAX : last);
    put_int(build, 2, MEMORY_ARRAY_HANDLE);
    put_int(build, 1, 1);
    put_int(build, 8, wide ? base : 0);
    put_int(build, 8, wide ? base + size - 1 : 0);
    end(build);
}

static void add_memory(SmbiosBuild *build)
{
    const SmbiosConfig *config = build->config;
    unsigned dimms = MAX(1, (config->ram_size + DIMM_MAX - 1) / DIMM_MAX);
    unsigned ranges = 0;

    add_memory_array(build, dimms);
    for (unsigned i = 0; i < dimms; i++) {
        add_dimm(build, i, MIN(DIMM_MAX, config->ram_size - i * DIMM_MAX));
    }
    for (unsigned i = 0; config->e820 && i < config->e820->entries->len; i++) {
        const E820Entry *entry = &g_array_index(config->e820->entries, E820Entry, i);

        if (entry->type == E820_RAM) {
            add_mapped_range(build, ranges++, entry->base, entry->size);
        }
    }
}

static void add_files(SmbiosBuild *build)
{
    for (unsigned i = 0; i < build->values->files->len; i++) {
        gsize len;
        const uint8_t *data = g_bytes_get_data(g_ptr_array_index(build->values->files, i), &len);

        g_byte_array_append(build->out, data, len);
        build->largest = MAX(build->largest, len);
        build->count++;
    }
}

static void add_one_of_each(SmbiosBuild *build)
{
    static const struct {
        uint8_t type;
        void (*add)(SmbiosBuild *build);
    } structures[] = {
        { 0, add_bios }, { 1, add_system }, { 2, add_board }, { 3, add_chassis },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(structures); i++) {
        if (!build->values->from_file[structures[i].type]) {
            structures[i].add(build);
        }
    }
}

static bool add_all(SmbiosBuild *build, GError **error)
{
    const SmbiosConfig *config = build->config;
    const bool *from_file = build->values->from_file;

    add_files(build);
    add_one_of_each(build);
    for (unsigned i = 0; !from_file[4] && i < config->sockets; i++) {
        add_processor(build, i);
    }
    add_ports(build);
    if (!add_strings(build, error)) {
        return false;
    }
    if (!from_file[16] && !from_file[17] && !from_file[19]) {
        add_memory(build);
    }
    if (!from_file[32]) {
        begin(build, 32, 0x2000);
        put_int(build, 6, 0);
        put_int(build, 1, 0); /* no errors at boot */
        end(build);
    }
    begin(build, 127, 0x7f00);
    end(build);
    if (!config->entry64 && build->out->len > TABLES_MAX_32) {
        error_setf(error, "the SMBIOS tables have %u bytes, version 2.8 has room for %u; "
                   "-machine smbios-entry-point-type=64 has more", build->out->len,
                   TABLES_MAX_32);
        return false;
    }
    return true;
}

/* Entry points: 2.8 (DSP0134, 5.2.1) and 3.0 (5.2.2); addresses and checksums are left out. */
static GBytes *make_anchor(const SmbiosBuild *build)
{
    static const uint8_t v2[31] = {
        '_', 'S', 'M', '_', 0, 31, 2, 8, 0, 0, 0, 0, 0, 0, 0, 0, '_', 'D', 'M', 'I', '_',
    };
    static const uint8_t v3[24] = { '_', 'S', 'M', '3', '_', 0, 24, 3, 0, 0, 1 };
    uint8_t bytes[sizeof(v2)];

    if (build->config->entry64) {
        memcpy(bytes, v3, sizeof(v3));
        stl_le(bytes + 12, build->out->len);
        return g_bytes_new(bytes, sizeof(v3));
    }
    memcpy(bytes, v2, sizeof(v2));
    stw_le(bytes + 8, build->largest);
    stw_le(bytes + 22, build->out->len);
    stw_le(bytes + 28, build->count);
    bytes[30] = 0x28;
    return g_bytes_new(bytes, sizeof(v2));
}

SmbiosTables *smbios_build(const SmbiosConfig *config, GError **error)
{
    g_autoptr(SmbiosValues) values = smbios_values_new(config->options, error);
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    g_autoptr(GByteArray) out = g_byte_array_new();
    SmbiosBuild build = { .config = config, .values = values, .out = out, .texts = texts };
    SmbiosTables *tables;

    if (!values || !add_all(&build, error)) {
        return NULL;
    }
    tables = g_new0(SmbiosTables, 1);
    tables->anchor = make_anchor(&build);
    tables->tables = g_byte_array_free_to_bytes(g_steal_pointer(&out));
    return tables;
}

void smbios_free(SmbiosTables *tables)
{
    if (tables) {
        g_bytes_unref(tables->tables);
        g_bytes_unref(tables->anchor);
        g_free(tables);
    }
}

bool smbios_publish(const SmbiosTables *tables, FwCfg *fw, GError **error)
{
    return fw_cfg_add_file(fw, "etc/smbios/smbios-tables", tables->tables, error) &&
           fw_cfg_add_file(fw, "etc/smbios/smbios-anchor", tables->anchor, error);
}

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += bytes[i];
    }
    return -sum;
}

GBytes *smbios_anchor_at(const SmbiosTables *tables, uint64_t tables_addr)
{
    gsize len;
    const void *data = g_bytes_get_data(tables->anchor, &len);
    uint8_t *bytes = g_memdup2(data, len);

    if (memcmp(bytes, "_SM3_", 5) == 0) {
        stq_le(bytes + 16, tables_addr);
        bytes[5] = checksum(bytes, len);
    } else {
        stl_le(bytes + 24, tables_addr);
        bytes[21] = checksum(bytes + 16, len - 16);
        bytes[4] = checksum(bytes, len);
    }
    return g_bytes_new_take(bytes, len);
}
