/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every device with a disk has in common: the properties drive=, block sizes, cache and error
 * policies, and the steps by which the device takes the drive, and lets go of it.
 *
 * A device embeds a BlockConf, lists BLOCK_CONF_PROPERTIES (and the others that apply) among its
 * properties, and calls block_conf_realize() and block_conf_unrealize(). Main thread, VM lock held.
 */
#ifndef VIREO_HW_BLOCK_BLOCK_CONF_H
#define VIREO_HW_BLOCK_BLOCK_CONF_H

#include "block/backend.h"
#include "hw/core/device.h"

typedef struct BlockConf {
    BlockBackend *blk;     /* owned reference; NULL before realize: no drive= */
    /* Properties; after realize complete: no zeroes stand for defaults. */
    uint32_t logical_block_size, physical_block_size;
    uint32_t min_io_size, opt_io_size;
    uint32_t discard_granularity;
    int32_t bootindex;     /* -1: none */
    uint32_t cyls, heads, secs;
    int write_cache, account_invalid, account_failed, backend_defaults; /* PropOnOffAuto */
    int on_read_error, on_write_error; /* BlockdevOnError */
    bool share_rw;
    /* Set by realize. */
    bool read_only;
    bool attached;
    char *owner_name;      /* the device's id or path */
} BlockConf;

/* A drive (by its id) or a node (by its name) in a BlockBackend *; see block_conf_realize(). */
extern const PropertyKind prop_kind_drive;
/* "report", "ignore", ...: in BlockdevOnError's order. */
extern const char *const block_conf_on_error_names[];

#define BLOCK_SIZE_DEFAULT UINT32_MAX
#define PROP_SIZE32_(n, S, f, d, desc)                                                             \
    { PROP_FIELD_(prop_kind_size32, n, S, f, desc), .def.u = (d) }
/* S: the device's struct, c: its BlockConf member. */
#define BLOCK_CONF_DRIVE_PROPERTY(S, c)                                                            \
    { PROP_FIELD_(prop_kind_drive, "drive", S, c.blk, "id of a drive, or name of a node") }
#define BLOCK_CONF_PROPERTIES(S, c)                                                                \
    BLOCK_CONF_DRIVE_PROPERTY(S, c),                                                               \
    PROP_SIZE32_("logical_block_size", S, c.logical_block_size, 0, "512 to 2M, a power of two"),   \
    PROP_SIZE32_("physical_block_size", S, c.physical_block_size, 0, "512 to 2M, a power of two"), \
    PROP_SIZE32_("min_io_size", S, c.min_io_size, 0, "least bytes a request should have"),         \
    PROP_SIZE32_("opt_io_size", S, c.opt_io_size, 0, "bytes that are best for a request"),         \
    PROP_SIZE32_("discard_granularity", S, c.discard_granularity, BLOCK_SIZE_DEFAULT,              \
                 "unit of discards; 0: none"),                                                     \
    PROP_ON_OFF_AUTO("write-cache", S, c.write_cache, PROP_AUTO, "auto: as the drive says"),       \
    PROP_BOOL("share-rw", S, c.share_rw, false, "others may write to the disk too"),               \
    PROP_ON_OFF_AUTO("account-invalid", S, c.account_invalid, PROP_AUTO,                           \
                     "statistics count invalid requests"),                                         \
    PROP_ON_OFF_AUTO("account-failed", S, c.account_failed, PROP_AUTO,                             \
                     "statistics count failed requests"),                                          \
    PROP_ON_OFF_AUTO("backend_defaults", S, c.backend_defaults, PROP_AUTO,                         \
                     "block sizes as the host's disk")
#define BLOCK_CONF_ERROR_PROPERTIES(S, c)                                                          \
    PROP_ENUM("rerror", S, c.on_read_error, block_conf_on_error_names, BLOCKDEV_ON_ERROR_AUTO,     \
              "what to do when reading fails"),                                                    \
    PROP_ENUM("werror", S, c.on_write_error, block_conf_on_error_names, BLOCKDEV_ON_ERROR_AUTO,    \
              "what to do when writing fails")
#define BLOCK_CONF_GEOMETRY_PROPERTIES(S, c)                                                       \
    PROP_UINT32("cyls", S, c.cyls, 0, "cylinders; 0: guess"),                                      \
    PROP_UINT32("heads", S, c.heads, 0, "heads; 0: guess"),                                        \
    PROP_UINT32("secs", S, c.secs, 0, "sectors of a track; 0: guess")
#define BLOCK_CONF_BOOT_PROPERTY(S, c) PROP_BOOTINDEX("bootindex", S, c.bootindex)

/* For devices with few of these properties: the others' defaults. In instance_init. */
void block_conf_init(BlockConf *conf);

/* What kind of disk it is to the device. */
typedef struct BlockConfNeeds {
    bool removable;     /* no drive= makes an empty one; the medium may be missing */
    bool read_only;     /* it never writes, as a CD-ROM */
    bool may_be_read_only; /* it can, where the image is */
    bool resizable;     /* others may change the size */
} BlockConfNeeds;

/*
 * Take the drive: fills in defaults, checks sizes, becomes the backend's owner, claims permissions
 * and sets policies. ops and owner as for block_backend_attach_owner(). On failure nothing is left.
 */
bool block_conf_realize(BlockConf *conf, Device *dev, const BlockConfNeeds *needs,
                        const BlockBackendOps *ops, void *owner, GError **error);
/* Waits for what is in flight; the drive is free again. Does nothing before realize succeeded. */
void block_conf_unrealize(BlockConf *conf);
/*
 * For removable media, when one has come or gone: the permissions that it allows; read_only follows
 * it.
 */
bool block_conf_update_perm(BlockConf *conf, const BlockConfNeeds *needs, GError **error);
/* How many bytes; 0 without a medium or if nobody knows. */
uint64_t block_conf_length(const BlockConf *conf);

typedef enum BiosTranslation {
    BIOS_TRANSLATION_AUTO, BIOS_TRANSLATION_NONE, BIOS_TRANSLATION_LBA, BIOS_TRANSLATION_LARGE,
    BIOS_TRANSLATION_RECHS,
} BiosTranslation;
/* In this order, for a property. */
extern const char *const block_conf_translation_names[];

/* Upper bounds of a geometry. */
typedef struct BlockGeometryMax {
    uint32_t cyls, heads, secs;
} BlockGeometryMax;
/*
 * cyls, heads, secs: as given, else what the partition table in the first sector says, else a usual
 * one. *translation: what a BIOS should make of it, unless it is given already.
 */
bool block_conf_geometry(BlockConf *conf, const BlockGeometryMax *max, int *translation,
                         GError **error);

#endif
