/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table loader script: tells firmware where to put files from fw_cfg, which pointers in them
 * to relocate and which checksums to fill. Commands of 128 bytes, little-endian (QEMU's and
 * SeaBIOS's published "linker/loader" interface): 1 allocate, 2 add pointer, 3 add checksum, 4
 * write pointer.
 *
 * table_loader_run() is our own interpreter of the same script, for machines without firmware and
 * for tests.
 */
#ifndef VIREO_HW_I386_TABLE_LOADER_H
#define VIREO_HW_I386_TABLE_LOADER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define TABLE_LOADER_COMMAND_SIZE 128

typedef enum TableLoaderZone {
    TABLE_LOADER_HIGH = 1, /* anywhere below 4 GiB */
    TABLE_LOADER_FSEG = 2, /* 0xe0000..0xfffff, where the RSDP is looked for */
} TableLoaderZone;

typedef struct TableLoader TableLoader;

TableLoader *table_loader_new(void);
void table_loader_free(TableLoader *loader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TableLoader, table_loader_free)

/* data is borrowed while the script is being made: pointers and checksums are laid out in it. */
void table_loader_allocate(TableLoader *loader, const char *file, GByteArray *data, uint32_t align,
                           TableLoaderZone zone);
/* The little-endian size-byte field at offset in file gets target's address + target_offset. */
void table_loader_add_pointer(TableLoader *loader, const char *file, uint32_t offset, uint8_t size,
                              const char *target, uint32_t target_offset);
/* The byte at offset makes bytes [start, start + len) sum to 0. */
void table_loader_add_checksum(TableLoader *loader, const char *file, uint32_t start, uint32_t len,
                               uint32_t offset);
/* Firmware writes target's address + target_offset into a writable fw_cfg file. */
void table_loader_write_pointer(TableLoader *loader, const char *dest, uint32_t offset,
                                uint8_t size, const char *target, uint32_t target_offset);
/* The script. The caller's. */
GBytes *table_loader_script(const TableLoader *loader);

/* What the interpreter works on: a file by name and where it is put. */
typedef struct TableLoaderFile {
    const char *name;
    GByteArray *data; /* patched in place; NULL for a write_pointer destination */
    uint64_t addr;    /* out, by run() */
    TableLoaderZone zone;
} TableLoaderFile;
/*
 * Run a script over files (count of them): each is placed upward from base as its allocate command
 * comes, and pointers and checksums are filled. write_pointer (may be NULL) is called back. Fails
 * on any offset or name that is out of place.
 */
bool table_loader_run(GBytes *script, TableLoaderFile *files, unsigned count, uint64_t base,
                      uint64_t limit, uint64_t *end,
                      void (*write_pointer)(void *opaque, const char *dest, uint32_t offset,
                                            uint8_t size, uint64_t value),
                      void *opaque, GError **error);

#endif
