/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table loader script: writer and interpreter. A command is 128 bytes, little-endian; file
 * names are 56 bytes, padded with NUL:
 *
 *   1 allocate       +4 file  +60 u32 align  +64 u8 zone
 *   2 add pointer    +4 dest  +60 source     +116 u32 offset  +120 u8 size
 *   3 add checksum   +4 file  +60 u32 offset +64 u32 start    +68 u32 length
 *   4 write pointer  +4 dest  +60 source     +116 u32 offset in dest
 *                                            +120 u32 offset in source  +124 u8 size
 *
 * "Add pointer" adds the source's address to what is in the field, so the field holds the offset
 * within the source beforehand.
 */
#include "hw/i386/table-loader.h"

#include <inttypes.h>

#include "util/bits.h"
#include "util/error.h"

#define NAME_SIZE 56

enum {
    CMD_ALLOCATE = 1,
    CMD_ADD_POINTER = 2,
    CMD_ADD_CHECKSUM = 3,
    CMD_WRITE_POINTER = 4,
};

enum {
    AT_FILE = 4,
    AT_ALIGN = 60,
    AT_ZONE = 64,
    AT_SOURCE = 60,
    AT_OFFSET = 116,
    AT_SIZE = 120,
    AT_SUM_OFFSET = 60,
    AT_SUM_START = 64,
    AT_SUM_LENGTH = 68,
    AT_WRITE_SOURCE_OFFSET = 120,
    AT_WRITE_SIZE = 124,
};

typedef struct LoaderFile {
    char *name;
    GByteArray *data; /* borrowed */
} LoaderFile;

struct TableLoader {
    GByteArray *script;
    GArray *files; /* LoaderFile */
};

static void loader_file_clear(void *data)
{
    LoaderFile *file = data;

    g_free(file->name);
}

TableLoader *table_loader_new(void)
{
    TableLoader *loader = g_new0(TableLoader, 1);

    loader->script = g_byte_array_new();
    loader->files = g_array_new(false, false, sizeof(LoaderFile));
    g_array_set_clear_func(loader->files, loader_file_clear);
    return loader;
}

void table_loader_free(TableLoader *loader)
{
    if (loader) {
        g_byte_array_unref(loader->script);
        g_array_unref(loader->files);
        g_free(loader);
    }
}

static GByteArray *table_loader_data(TableLoader *loader, const char *name)
{
    for (unsigned i = 0; i < loader->files->len; i++) {
        LoaderFile *file = &g_array_index(loader->files, LoaderFile, i);

        if (g_str_equal(file->name, name)) {
            return file->data;
        }
    }
    g_assert_not_reached();
}

static uint8_t *table_loader_command(TableLoader *loader, uint32_t command, const char *file)
{
    size_t at = loader->script->len;
    uint8_t *bytes;

    g_assert(strlen(file) < NAME_SIZE);
    g_byte_array_set_size(loader->script, at + TABLE_LOADER_COMMAND_SIZE);
    bytes = loader->script->data + at;
    memset(bytes, 0, TABLE_LOADER_COMMAND_SIZE);
    stl_le(bytes, command);
    memcpy(bytes + AT_FILE, file, strlen(file));
    return bytes;
}

static void table_loader_name(uint8_t *field, const char *name)
{
    g_assert(strlen(name) < NAME_SIZE);
    memcpy(field, name, strlen(name));
}

void table_loader_allocate(TableLoader *loader, const char *file, GByteArray *data, uint32_t align,
                           TableLoaderZone zone)
{
    LoaderFile entry = { .name = g_strdup(file), .data = data };
    uint8_t *bytes = table_loader_command(loader, CMD_ALLOCATE, file);

    g_array_append_val(loader->files, entry);
    stl_le(bytes + AT_ALIGN, align);
    bytes[AT_ZONE] = zone;
}

void table_loader_add_pointer(TableLoader *loader, const char *file, uint32_t offset, uint8_t size,
                              const char *target, uint32_t target_offset)
{
    GByteArray *data = table_loader_data(loader, file);
    uint8_t *bytes = table_loader_command(loader, CMD_ADD_POINTER, file);

    g_assert(range_ok(offset, size, data->len));
    stn_le(data->data + offset, size, target_offset);
    table_loader_name(bytes + AT_SOURCE, target);
    stl_le(bytes + AT_OFFSET, offset);
    bytes[AT_SIZE] = size;
}

void table_loader_add_checksum(TableLoader *loader, const char *file, uint32_t start, uint32_t len,
                               uint32_t offset)
{
    GByteArray *data = table_loader_data(loader, file);
    uint8_t *bytes = table_loader_command(loader, CMD_ADD_CHECKSUM, file);

    g_assert(range_ok(start, len, data->len) && offset >= start && offset - start < len);
    data->data[offset] = 0;
    stl_le(bytes + AT_SUM_OFFSET, offset);
    stl_le(bytes + AT_SUM_START, start);
    stl_le(bytes + AT_SUM_LENGTH, len);
}

void table_loader_write_pointer(TableLoader *loader, const char *dest, uint32_t offset,
                                uint8_t size, const char *target, uint32_t target_offset)
{
    uint8_t *bytes = table_loader_command(loader, CMD_WRITE_POINTER, dest);

    table_loader_name(bytes + AT_SOURCE, target);
    stl_le(bytes + AT_OFFSET, offset);
    stl_le(bytes + AT_WRITE_SOURCE_OFFSET, target_offset);
    bytes[AT_WRITE_SIZE] = size;
}

GBytes *table_loader_script(const TableLoader *loader)
{
    return g_bytes_new(loader->script->data, loader->script->len);
}

typedef struct LoaderRun {
    TableLoaderFile *files;
    unsigned count;
    uint64_t next, limit;
    void (*write_pointer)(void *opaque, const char *dest, uint32_t offset, uint8_t size,
                          uint64_t value);
    void *opaque;
} LoaderRun;

static TableLoaderFile *loader_run_file(LoaderRun *run, const uint8_t *name, GError **error)
{
    if (!memchr(name, 0, NAME_SIZE)) {
        error_setf(error, "table loader: a file name is not terminated");
        return NULL;
    }
    for (unsigned i = 0; i < run->count; i++) {
        if (g_str_equal(run->files[i].name, (const char *)name)) {
            return &run->files[i];
        }
    }
    error_setf(error, "table loader: there is no file '%s'", (const char *)name);
    return NULL;
}

static bool loader_run_allocate(LoaderRun *run, const uint8_t *bytes, GError **error)
{
    TableLoaderFile *file = loader_run_file(run, bytes + AT_FILE, error);
    uint32_t align = ldl_le(bytes + AT_ALIGN);

    if (!file) {
        return false;
    }
    if (!file->data || align == 0 || (align & (align - 1)) != 0) {
        error_setf(error, "table loader: '%s' cannot be placed with alignment %u", file->name,
                   align);
        return false;
    }
    file->zone = bytes[AT_ZONE];
    file->addr = ROUND_UP(run->next, (uint64_t)align);
    if (!range_ok(file->addr, file->data->len, run->limit)) {
        error_setf(error, "the ACPI tables do not fit: '%s' has %u bytes, 0x%" PRIx64
                   " is the first free address, 0x%" PRIx64 " the limit", file->name,
                   file->data->len, run->next, run->limit);
        return false;
    }
    run->next = file->addr + file->data->len;
    return true;
}

static bool loader_run_pointer(LoaderRun *run, const uint8_t *bytes, GError **error)
{
    TableLoaderFile *file = loader_run_file(run, bytes + AT_FILE, error);
    TableLoaderFile *source = file ? loader_run_file(run, bytes + AT_SOURCE, error) : NULL;
    uint32_t offset = ldl_le(bytes + AT_OFFSET);
    uint8_t size = bytes[AT_SIZE];
    uint8_t *field;

    if (!source) {
        return false;
    }
    if ((size != 1 && size != 2 && size != 4 && size != 8) || !file->data ||
        !range_ok(offset, size, file->data->len)) {
        error_setf(error, "table loader: pointer at %u of '%s' is outside it", offset, file->name);
        return false;
    }
    field = file->data->data + offset;
    stn_le(field, size, ldn_le(field, size) + source->addr);
    return true;
}

static bool loader_run_checksum(LoaderRun *run, const uint8_t *bytes, GError **error)
{
    TableLoaderFile *file = loader_run_file(run, bytes + AT_FILE, error);
    uint32_t offset = ldl_le(bytes + AT_SUM_OFFSET);
    uint32_t start = ldl_le(bytes + AT_SUM_START);
    uint32_t len = ldl_le(bytes + AT_SUM_LENGTH);
    uint8_t sum = 0;

    if (!file) {
        return false;
    }
    if (!file->data || !range_ok(start, len, file->data->len) || offset >= file->data->len) {
        error_setf(error, "table loader: checksum at %u of '%s' is outside it", offset,
                   file->name);
        return false;
    }
    for (uint32_t i = 0; i < len; i++) {
        sum += file->data->data[start + i];
    }
    file->data->data[offset] -= sum;
    return true;
}

static bool loader_run_write(LoaderRun *run, const uint8_t *bytes, GError **error)
{
    TableLoaderFile *dest = loader_run_file(run, bytes + AT_FILE, error);
    TableLoaderFile *source = dest ? loader_run_file(run, bytes + AT_SOURCE, error) : NULL;

    if (!source) {
        return false;
    }
    if (run->write_pointer) {
        run->write_pointer(run->opaque, dest->name, ldl_le(bytes + AT_OFFSET),
                           bytes[AT_WRITE_SIZE],
                           source->addr + ldl_le(bytes + AT_WRITE_SOURCE_OFFSET));
    }
    return true;
}

static bool loader_run_command(LoaderRun *run, const uint8_t *bytes, GError **error)
{
    switch (ldl_le(bytes)) {
    case CMD_ALLOCATE:
        return loader_run_allocate(run, bytes, error);
    case CMD_ADD_POINTER:
        return loader_run_pointer(run, bytes, error);
    case CMD_ADD_CHECKSUM:
        return loader_run_checksum(run, bytes, error);
    case CMD_WRITE_POINTER:
        return loader_run_write(run, bytes, error);
    default:
        error_setf(error, "table loader: unknown command %u", ldl_le(bytes));
        return false;
    }
}

bool table_loader_run(GBytes *script, TableLoaderFile *files, unsigned count, uint64_t base,
                      uint64_t limit, uint64_t *end,
                      void (*write_pointer)(void *opaque, const char *dest, uint32_t offset,
                                            uint8_t size, uint64_t value),
                      void *opaque, GError **error)
{
    LoaderRun run = {
        .files = files, .count = count, .next = base, .limit = limit,
        .write_pointer = write_pointer, .opaque = opaque,
    };
    gsize len;
    const uint8_t *bytes = g_bytes_get_data(script, &len);

    for (gsize at = 0; range_ok(at, TABLE_LOADER_COMMAND_SIZE, len);
         at += TABLE_LOADER_COMMAND_SIZE) {
        if (!loader_run_command(&run, bytes + at, error)) {
            return false;
        }
    }
    *end = run.next;
    return true;
}
