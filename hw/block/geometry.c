/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's cylinders, heads and sectors: those who partitioned it wrote down in its first sector
 * which ones they saw, and a BIOS must show the same again.
 *
 * An MBR has four entries of 16 bytes at 1BEh; in each, bytes 5 to 7 are the head, sector (bits
 * 5:0) and cylinder of the partition's last sector, bytes 12 to 15 its number of sectors; 55h AAh
 * at 1FEh say that it is one.
 */
#include <errno.h>

#include "hw/block/block-conf.h"
#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"

#define MBR_TABLE 0x1be
#define MBR_ENTRIES 4
#define MBR_ENTRY_SIZE 16
#define MBR_SIGNATURE 0x1fe
#define SECTOR 512
#define USUAL_HEADS 16
#define USUAL_SECTORS 63
/* A BIOS without translation has ten bits for the cylinder. */
#define PLAIN_CYLINDERS 1024
/* The largest disk whose cylinders a BIOS can put as heads ("large"), in cylinders of 16 * 63. */
#define LARGE_CYLINDERS 16383
#define LARGE_SECTORS (131072ULL)

const char *const block_conf_translation_names[] = {
    "auto", "none", "lba", "large", "rechs", NULL,
};

typedef struct ReadRun {
    BlockBackend *blk;
    uint8_t *sector;
    int result;
} ReadRun;

static void read_first(void *opaque)
{
    ReadRun *run = opaque;

    run->result = block_backend_pread(run->blk, 0, SECTOR, run->sector);
}

/* What the partition table says of heads and sectors; false if it says nothing that can be. */
static bool guess_from_mbr(BlockBackend *blk, uint64_t total, uint32_t *cyls, uint32_t *heads,
                           uint32_t *secs)
{
    uint8_t sector[SECTOR];
    ReadRun run = { .blk = blk, .sector = sector };

    coroutine_run(read_first, &run);
    if (run.result < 0 || sector[MBR_SIGNATURE] != 0x55 || sector[MBR_SIGNATURE + 1] != 0xaa) {
        return false;
    }
    for (unsigned i = 0; i < MBR_ENTRIES; i++) {
        const uint8_t *entry = sector + MBR_TABLE + i * MBR_ENTRY_SIZE;
        uint32_t last_head = entry[5], last_sector = entry[6] & 63;
        uint64_t guess;

        if (!ldl_le(entry + 12) || !last_head || !last_sector) {
            continue;
        }
        guess = total / ((last_head + 1) * last_sector);
        if (guess >= 1 && guess <= LARGE_CYLINDERS) {
            *cyls = guess;
            *heads = last_head + 1;
            *secs = last_sector;
            return true;
        }
    }
    return false;
}

static void usual_geometry(BlockConf *conf, uint64_t total)
{
    uint64_t cyls = total / (USUAL_HEADS * USUAL_SECTORS);

    conf->cyls = CLAMP(cyls, 2, LARGE_CYLINDERS);
    conf->heads = USUAL_HEADS;
    conf->secs = USUAL_SECTORS;
}

static int usual_translation(const BlockConf *conf)
{
    if (conf->cyls <= PLAIN_CYLINDERS && conf->heads <= USUAL_HEADS) {
        return BIOS_TRANSLATION_NONE;
    }
    return (uint64_t)conf->cyls * conf->heads <= LARGE_SECTORS ? BIOS_TRANSLATION_LARGE
                                                               : BIOS_TRANSLATION_LBA;
}

static void guess(BlockConf *conf, int *translation)
{
    uint64_t total = block_conf_length(conf) / SECTOR;
    uint32_t cyls, heads, secs;
    int wanted;

    if (!guess_from_mbr(conf->blk, total, &cyls, &heads, &secs)) {
        usual_geometry(conf, total);
        wanted = usual_translation(conf);
    } else if (heads > USUAL_HEADS) {
        /* Somebody saw a translated geometry: the drive itself has the usual one. */
        usual_geometry(conf, total);
        wanted = (uint64_t)conf->cyls * conf->heads <= LARGE_SECTORS ? BIOS_TRANSLATION_LARGE
                                                                     : BIOS_TRANSLATION_LBA;
    } else {
        conf->cyls = cyls;
        conf->heads = heads;
        conf->secs = secs;
        wanted = BIOS_TRANSLATION_NONE;
    }
    if (*translation == BIOS_TRANSLATION_AUTO) {
        *translation = wanted;
    }
}

bool block_conf_geometry(BlockConf *conf, const BlockGeometryMax *max, int *translation,
                         GError **error)
{
    if (!conf->cyls && !conf->heads && !conf->secs) {
        guess(conf, translation);
        return true;
    }
    if (conf->cyls < 1 || conf->cyls > max->cyls) {
        error_setf(error, "cyls must be between 1 and %u", max->cyls);
        return false;
    }
    if (conf->heads < 1 || conf->heads > max->heads) {
        error_setf(error, "heads must be between 1 and %u", max->heads);
        return false;
    }
    if (conf->secs < 1 || conf->secs > max->secs) {
        error_setf(error, "secs must be between 1 and %u", max->secs);
        return false;
    }
    if (*translation == BIOS_TRANSLATION_AUTO) {
        *translation = usual_translation(conf);
    }
    return true;
}
