/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block drivers: formats, protocols and filters. A driver is one const table, announced with
 * BLOCK_DRIVER(); its state is allocated and zeroed with the node (instance_size).
 *
 * Where functions run: unless said otherwise in a coroutine, on the loop of the node. open, close,
 * create, reopen_*, amend, check, snapshot_* run on the main thread's loop while nothing else is in
 * flight on the node. Any function may be NULL: its comment says what that means.
 *
 * What the core promises for requests: 0 <= offset, 0 < bytes <= BLOCK_MAX_REQUEST; the range is
 * inside the node's size for reads (the core fills what lies beyond with zeroes) and for writes
 * unless the node is a protocol that grows; offset and bytes are multiples of
 * limits.request_alignment, memory of limits.min_mem_alignment; requests longer than the limits
 * are split. Where the size is no multiple of request_alignment, the last block reaches beyond it.
 * Writes come only to nodes that were opened for writing.
 * Several requests are in flight at once, overlapping ones too: a driver that has metadata takes
 * care of itself (CoMutex, its own list of allocating requests).
 *
 * Numbers from a file are hostile: see "Guests, images and peers" in docs/devel/threat-model.md.
 * An image found to be wrong gives one line that names the structure and the offset.
 */
#ifndef VIREO_BLOCK_DRIVER_H
#define VIREO_BLOCK_DRIVER_H

#include <glib.h>
#include <json-c/json.h>

#include "block/types.h"
#include "qapi-types-block-core.h"
#include "qapi-types-block-create.h"
#include "qapi-types-block-options.h"
#include "qapi-types-block-stats.h"
#include "util/loop.h"
#include "virtio/shared-mapping.h"

/* One of a driver's children, which open finds attached as it declared them. */
typedef struct BlockChildSpec {
    const char *name;   /* option's name: "file", "backing", "image" */
    unsigned role;      /* BlockRole bits */
    bool required;
    bool is_list;       /* "children.0", ...; each is attached as "<name>.<index>" */
} BlockChildSpec;

typedef enum BlockOptionKind {
    BLOCK_OPTION_STRING,
    BLOCK_OPTION_BOOL,
    BLOCK_OPTION_NUMBER,
    BLOCK_OPTION_SIZE,
} BlockOptionKind;

/* An option of `vireo-img create -o` and `amend -o`. */
typedef struct BlockOption {
    const char *name;          /* as people write it: "cluster_size" */
    BlockOptionKind kind;
    const char *help;          /* one line, begins in lower case */
    const char *default_value; /* text, or NULL */
    /*
     * Dotted path in BlockdevCreateOptions<Driver> / BlockdevAmendOptions<Driver>: "cluster-size",
     * "encrypt.iter-time"; NULL: the name with '-' for '_'.
     */
    const char *qapi_name;
    bool amendable;
} BlockOption;

/* What a reopen will change; the core has parsed and checked the generic part. */
typedef struct BlockReopen {
    BlockNode *node;
    const BlockdevOptions *options; /* complete new options */
    bool read_only;                 /* as it will be */
    bool cache_direct, cache_no_flush;
    void *opaque;                   /* the driver's, from prepare to commit or abort */
} BlockReopen;

typedef struct BlockCheckResult {
    int64_t corruptions, leaks, check_errors;
    int64_t corruptions_fixed, leaks_fixed;
    /* 0: unknown */
    int64_t image_end_offset;
    int64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
} BlockCheckResult;

typedef enum BlockFix {
    BLOCK_FIX_LEAKS = 1u << 0,
    BLOCK_FIX_ERRORS = 1u << 1,
} BlockFix;

/* Of long work that a driver does; done and total in the same unit. */
typedef void BlockProgressFn(void *opaque, int64_t done, int64_t total);

typedef struct BlockNodeInfo {
    int64_t cluster_size;       /* 0: none */
    int64_t vm_state_offset;
    bool is_dirty;              /* not closed cleanly: check before use */
    bool is_encrypted;
    bool unallocated_reads_zero;
    bool needs_compressed_writes; /* cannot take another kind (streamOptimized) */
} BlockNodeInfo;

typedef struct BlockSnapshot {
    char *id, *name;
    uint64_t vm_state_size;
    int64_t date_s, date_ns;
    int64_t vm_clock_ns;
    int64_t icount;             /* -1: unknown */
    int64_t disk_size;
} BlockSnapshot;
void block_snapshot_free(BlockSnapshot *snapshot);

typedef struct BlockTruncate {
    int64_t size;
    bool exact;                 /* else the result may be larger */
    PreallocMode prealloc;
    unsigned flags;             /* BLOCK_REQ_ZERO_WRITE */
} BlockTruncate;

struct BlockScsiCommand;

struct BlockDriver {
    const char *name;         /* "qcow2" */
    BlockdevDriver kind;      /* branch of BlockdevOptions */
    const char *protocol;     /* prefix of file names, "nbd"; NULL: not a protocol */
    size_t instance_size;
    bool is_filter;           /* shows its primary child's data unchanged */
    bool is_format;
    bool supports_backing;
    bool only_reads_backing;  /* an image that stands on another is not written: no overlays */
    bool has_variable_size;   /* size is asked again before use (host devices, removable) */
    bool grows_on_write;      /* protocols: writes beyond the end enlarge it */
    const BlockChildSpec *children; /* ends with a NULL name; NULL: none */
    /* Options that change what is read: a node with one of them needs a json: name. NULL: none. */
    const char *const *strong_options;

    /* ---- Choosing ---- */
    /* 0..100: how sure the driver is that `buf` (the first len bytes) is its own. Any thread. */
    int (*probe)(const uint8_t *buf, size_t len, const char *filename);
    /* Protocols: is this file name mine though it has no prefix (block devices)? 0..100. */
    int (*probe_name)(const char *filename);
    /* Protocols: add the options that a file name stands for. NULL: "filename" is an option. */
    bool (*parse_filename)(const char *filename, json_object *options, GError **error);
    /*
     * Options that are not in the schema, as command lines and "json:" names may have them from
     * before there was one: in the schema's form. blockdev-add does not come here.
     */
    bool (*take_old_options)(json_object *options, GError **error);

    /* ---- Life ---- */
    /*
     * Children declared above are attached, options are checked against the schema. Sets
     * node->size, write_flags, zero_flags and truncate_flags, node->header_backing_* (limits are
     * refresh_limits' affair). On failure leaves nothing behind; close is not called.
     */
    bool (*open)(BlockNode *node, const BlockdevOptions *options, unsigned flags, GError **error);
    void (*close)(BlockNode *node);
    /* After the backing file was attached, replaced or dropped. */
    void (*backing_changed)(BlockNode *node);
    /* prepare changes nothing yet; commit cannot fail. NULL: only what the core knows. */
    bool (*reopen_prepare)(BlockReopen *reopen, GError **error);
    void (*reopen_commit)(BlockReopen *reopen);
    void (*reopen_abort)(BlockReopen *reopen);
    /* Migration hands the image over: stop writing and caching / read everything again. */
    int (*inactivate)(BlockNode *node);
    bool (*activate)(BlockNode *node, GError **error);
    /*
     * Put the driver's own limits into node->limits, where the children's are merged already (but
     * no alignment of requests, zeroes and discards). Again when children change. NULL: has none.
     */
    void (*refresh_limits)(BlockNode *node);
    /*
     * Set node->filename (what people see and what can be opened again), if it is not simply the
     * primary child's. Return false if only a json: name can say it.
     */
    bool (*refresh_filename)(BlockNode *node);
    /*
     * What this node needs of a child, given what its own parents need of it and share. NULL: the
     * usual rule for filters and formats (block/perm.c).
     */
    void (*child_perm)(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                       unsigned shared, unsigned *child_perm, unsigned *child_shared);
    /*
     * All parents together will need perm and share shared. check takes what it must from the
     * outside (file locks) while keeping what it has; then either set (which drops the rest) or
     * abort follows. Called at every change, before the first request too. Main thread.
     */
    bool (*perm_check)(BlockNode *node, unsigned perm, unsigned shared, GError **error);
    void (*perm_set)(BlockNode *node, unsigned perm, unsigned shared);
    void (*perm_abort)(BlockNode *node);
    /* Work of the driver's own that must stop (timers, background coroutines) while drained. */
    void (*drain_begin)(BlockNode *node);
    void (*drain_end)(BlockNode *node);
    /* The node moves to another loop; between the two it is drained. */
    void (*detach_loop)(BlockNode *node);
    void (*attach_loop)(BlockNode *node, Loop *loop);

    /* ---- Requests ---- */
    int (*preadv)(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags);
    int (*pwritev)(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                   size_t vec_offset, unsigned flags);
    /*
     * -ENOTSUP: the core writes zeroes instead. In whole blocks of request_alignment, except at the
     * end of the node. Comes as at most one piece up to a boundary of write_zeroes_alignment, then
     * whole units, then the rest; what ends with the node counts as whole.
     */
    int (*pwrite_zeroes)(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags);
    /* A hint; -ENOTSUP is fine. In pieces as for pwrite_zeroes, by discard_alignment. */
    int (*pdiscard)(BlockNode *node, int64_t offset, int64_t bytes);
    /* A whole cluster, or the last; bytes 0 ends the stream (streamOptimized). */
    int (*pwritev_compressed)(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                              size_t vec_offset);
    /*
     * Fill *status (depth excepted) for a range that starts at offset, at most bytes long. exact:
     * else a cheap answer that claims less is fine (DATA for what may be zero). NULL: all DATA.
     */
    int (*block_status)(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                        BlockStatus *status);
    /* Of block_peek(); a range inside the node. NULL: never anything. */
    int64_t (*peek)(BlockNode *node, int64_t offset, int64_t bytes, SharedMapping *mapping);
    /* block/scsi-command.h. NULL: there is no device that takes such. */
    int (*scsi_command)(BlockNode *node, struct BlockScsiCommand *command);
    /* Metadata to the file below, which is not flushed yet. */
    int (*flush_to_os)(BlockNode *node);
    /* Of a protocol: to stable storage. */
    int (*flush_to_disk)(BlockNode *node);
    int (*truncate)(BlockNode *node, const BlockTruncate *truncate, GError **error);
    /*
     * Copy inside the storage; -ENOTSUP: the caller reads and writes. `from` is for formats and
     * filters: call block_copy_range() with the child where the data is as the source. When the
     * source is a protocol, `to` is called: formats make room, and call block_copy_range() with
     * their child as the destination; protocols copy, from a node of the same driver.
     */
    int (*copy_range_from)(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                           int64_t dst_offset, int64_t bytes, unsigned flags);
    int (*copy_range_to)(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                         int64_t dst_offset, int64_t bytes, unsigned flags);

    /* ---- Facts ---- */
    /* Bytes now, or -errno. NULL: node->size as open and truncate left it. */
    int64_t (*getlength)(BlockNode *node);
    /* Bytes taken on the host; -ENOTSUP. NULL: the primary child's. */
    int64_t (*allocated_size)(BlockNode *node);
    int (*get_info)(BlockNode *node, BlockNodeInfo *info);
    /* For `info`; owned by the caller. NULL: nothing to tell. */
    ImageInfoSpecific *(*get_specific_info)(BlockNode *node, GError **error);
    BlockStatsSpecific *(*get_specific_stats)(BlockNode *node);
    bool (*has_zero_init)(BlockNode *node); /* a new image reads as zeroes; NULL: no */

    /* ---- Images ---- */
    const BlockOption *create_options; /* ends with a NULL name; NULL: cannot create */
    /*
     * People's words that the schema has other ones for ("compat=1.1" is version v3): change them
     * in place. options: text, under qapi_names. NULL: there are none.
     */
    bool (*translate_create_options)(json_object *options, GError **error);
    /* Protocols: make the file. Formats: write the image into the node that the options name. */
    bool (*create)(const BlockdevCreateOptions *options, GError **error);
    /*
     * Formats whose image is several files (vmdk), instead of the usual file-then-format; and
     * protocols that are not in BlockdevCreateOptions: devices, which are made by others.
     */
    bool (*create_by_name)(const char *filename, json_object *options, GError **error);
    bool (*amend)(BlockNode *node, const BlockdevAmendOptions *options, bool force,
                  BlockProgressFn *progress, void *opaque, GError **error);
    /* What `amend -o` knows and create does not; ends with a NULL name. NULL: nothing. */
    const BlockOption *amend_options;
    /*
     * The same for `vireo-img amend -o`, which can change more than the schema's branch has:
     * options are text, by people's names as in create_options. NULL: `amend` does it all.
     */
    bool (*amend_image)(BlockNode *node, json_object *options, bool force,
                        BlockProgressFn *progress, void *opaque, GError **error);
    /* Before creating: bytes needed. in is NULL or what would be converted. */
    BlockMeasureInfo *(*measure)(const json_object *options, BlockNode *in, int64_t size,
                                 GError **error);
    int (*check)(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error);
    /* Write the header's backing file; file NULL: none. The graph is the caller's affair. */
    int (*change_backing_file)(BlockNode *node, const char *file, const char *format);
    /* Deallocate everything, so that the backing file shows. */
    int (*make_empty)(BlockNode *node);
    /* Delete the file that create made. */
    bool (*delete_file)(BlockNode *node, GError **error);

    /* ---- Internal snapshots and VM state ---- */
    bool (*snapshot_create)(BlockNode *node, BlockSnapshot *snapshot, GError **error);
    bool (*snapshot_goto)(BlockNode *node, const char *id, GError **error);
    bool (*snapshot_delete)(BlockNode *node, const char *id, GError **error);
    /* Elements are BlockSnapshot, owned; NULL with the error set. */
    GPtrArray *(*snapshot_list)(BlockNode *node, GError **error);
    /* Show the snapshot instead of the present, read-only. */
    bool (*snapshot_load_tmp)(BlockNode *node, const char *id, GError **error);
    int (*save_vmstate)(BlockNode *node, int64_t pos, const BlockVec *vec, size_t bytes);
    int (*load_vmstate)(BlockNode *node, int64_t pos, const BlockVec *vec, size_t bytes);

    /* ---- Dirty bitmaps that live in the image (block/dirty-bitmap.h) ---- */
    bool (*bitmap_can_store)(BlockNode *node, const char *name, uint32_t granularity,
                             GError **error);
    bool (*bitmap_remove)(BlockNode *node, const char *name, GError **error);

    /* ---- For tests (blkdebug) ---- */
    void (*debug_event)(BlockNode *node, BlkdebugEvent event);
    int (*debug_breakpoint)(BlockNode *node, const char *event, const char *tag);
    int (*debug_remove_breakpoint)(BlockNode *node, const char *tag);
    int (*debug_resume)(BlockNode *node, const char *tag);
    bool (*debug_is_suspended)(BlockNode *node, const char *tag);
};

/* Announce a driver: the pointer goes into a linker section, nothing runs at start-up. */
#define BLOCK_DRIVER(driver)                                                                       \
    static const BlockDriver *const driver##_entry                                                 \
        __attribute__((used, retain, section("vireo_block_drivers"))) = &(driver)
/* For modules loaded at run time. The table must stay. */
void block_driver_register(const BlockDriver *driver);
/*
 * By name; loads the module "block-<name>" if that is where it lives. NULL with an error that names
 * the nearest driver.
 */
const BlockDriver *block_driver_find(const char *name, GError **error);
/* By the prefix of a file name ("nbd:..."); NULL if it has none that is known. */
/*
 * Drivers, in take_old_options: "host" and "port" become "server", a SocketAddress if it may be a
 * UNIX socket's "path" as well, else an InetSocketAddress.
 */
bool block_server_from_old_options(json_object *options, const char *default_port, bool may_be_unix,
                                   GError **error);
const BlockDriver *block_driver_find_protocol(const char *filename, GError **error);
/* All that are built in or loaded, by name; the array is the caller's. */
GPtrArray *block_driver_list(void);

#endif
