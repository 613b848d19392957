/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives: what -drive and its short forms make. A drive is a named backend with a place: an
 * interface (if=), a bus and a unit. A board that has such a place looks for the drive there
 * (drive_get, drive_get_by_index), claims it and gives its backend to the device; with if=none a
 * device asks for the backend by name (drive=ID). What nobody has claimed when the board is
 * finished is an error (drive_check_claimed).
 *
 * Main thread.
 */
#ifndef VIREO_BLOCK_DRIVE_H
#define VIREO_BLOCK_DRIVE_H

#include <json-c/json.h>

#include "block/backend.h"

typedef enum BlockInterfaceType {
    BLOCK_INTERFACE_NONE,
    BLOCK_INTERFACE_IDE,
    BLOCK_INTERFACE_SCSI,
    BLOCK_INTERFACE_FLOPPY,
    BLOCK_INTERFACE_PFLASH,
    BLOCK_INTERFACE_MTD,
    BLOCK_INTERFACE_SD,
    BLOCK_INTERFACE_VIRTIO,
    BLOCK_INTERFACE_XEN,
    BLOCK_INTERFACE__MAX,
} BlockInterfaceType;

typedef struct Drive {
    BlockBackend *blk;       /* owned */
    BlockInterfaceType type;
    int bus, unit;
    bool is_cdrom;           /* media=cdrom */
    bool is_default;         /* nobody asked for it: it may go unused */
    bool claimed;
    char *origin;            /* the option that made it, for errors */
} Drive;

/* The option's text, taken apart: what belongs to the drive itself, and the image's options. */
typedef struct DriveOptions {
    json_object *own;   /* text by key: "file", "if", "cache", ... */
    json_object *image; /* as for block_open(), text */
} DriveOptions;

/* "key=value,..."; a key alone is on. The result is the caller's; NULL with the error set. */
DriveOptions *drive_options_parse(const char *text, GError **error);
/* For options that stand for a drive: add a key of the drive's own. */
void drive_options_set(DriveOptions *options, const char *key, const char *value);
DriveOptions *drive_options_new(void);
void drive_options_free(DriveOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DriveOptions, drive_options_free)

/*
 * Open the image and put the drive into its place. default_interface: for options without if=.
 * origin: copied; names the option in errors about the place. Borrowed; NULL with the error set.
 */
Drive *drive_new(const DriveOptions *options, BlockInterfaceType default_interface,
                 const char *origin, GError **error);
/* The place becomes free and the backend loses its name; a device that has it keeps it. */
void drive_free(Drive *drive);
/* The program ends and no CPU runs: all media are taken out of drives and devices. */
void drive_close_all(void);

/* "ide"; false if there is none of that name. */
bool block_interface_parse(const char *name, BlockInterfaceType *type);
const char *block_interface_name(BlockInterfaceType type);

/* NULL if nobody is there. */
Drive *drive_get(BlockInterfaceType type, int bus, int unit);
/* Units counted through all buses. */
Drive *drive_get_by_index(BlockInterfaceType type, unsigned index);
/* The drive that a backend belongs to, or NULL. */
Drive *drive_of_backend(BlockBackend *blk);
/* The highest bus that has a drive; -1 if none has. */
int drive_max_bus(BlockInterfaceType type);
/* In the order of making; fn may claim. Stops, and returns false, when fn does. */
bool drive_foreach(bool (*fn)(Drive *drive, void *opaque, GError **error), void *opaque,
                   GError **error);
/* A device takes it. */
void drive_claim(Drive *drive);
/* Has everything that was asked for found its device? The error names the first that has not. */
bool drive_check_claimed(GError **error);

#endif
