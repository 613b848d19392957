/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a SCSI disk says about itself: INQUIRY with its pages (SPC-4, 6.6 and 7.8; SBC-3, 6.6), mode
 * pages, capacity, and of CD-ROMs the table of contents (MMC-6).
 */
#include "hw/block/scsi-disk.h"
#include "util/bits.h"

#define TYPE_DISK 0x00
#define TYPE_CD 0x05
#define PAGE_GEOMETRY 0x04
#define PAGE_CACHING 0x08
#define PAGE_CAPABILITIES 0x2a
#define PAGE_ALL 0x3f
#define CACHING_WCE 0x04
#define LEADOUT 0xaa

/* A reply in the making; all replies here fit. */
typedef struct Reply {
    uint8_t data[512];
    unsigned len;
} Reply;

/* Text in a field of n bytes, filled up with spaces. */
static void put_text(uint8_t *field, unsigned n, const char *text)
{
    size_t len = MIN(strlen(text), n);

    memset(field, ' ', n);
    memcpy(field, text, len);
}

static uint8_t type_of(const ScsiDisk *disk)
{
    return disk->is_cd ? TYPE_CD : TYPE_DISK;
}

/* ---- INQUIRY ---- */

static void page_list(const ScsiDisk *disk, Reply *r)
{
    static const uint8_t pages[] = { 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2 };

    for (unsigned i = 0; i < (disk->is_cd ? 3 : G_N_ELEMENTS(pages)); i++) {
        if (pages[i] != 0x80 || disk->serial) {
            r->data[r->len++] = pages[i];
        }
    }
}

static void page_serial(const ScsiDisk *disk, Reply *r)
{
    size_t len = MIN(strlen(disk->serial), 36);

    memcpy(r->data + r->len, disk->serial, len);
    r->len += (unsigned)len;
}

static void page_ids(const ScsiDisk *disk, Reply *r)
{
    size_t len = disk->device_id ? MIN(strlen(disk->device_id), 250) : 0;
    uint8_t *at = r->data + r->len;

    if (len) {
        at[0] = 0x02; /* ASCII, vendor specific, of the unit */
        at[3] = (uint8_t)len;
        memcpy(at + 4, disk->device_id, len);
        r->len += 4 + (unsigned)len;
    }
    for (unsigned port = 0; port < 2; port++) {
        uint64_t wwn = port ? disk->port_wwn : disk->wwn;

        at = r->data + r->len;
        if (wwn) {
            at[0] = 0x01;
            at[1] = port ? 0x93 : 0x03; /* NAA, of the port or the unit */
            at[3] = 8;
            stq_be(at + 4, wwn);
            r->len += 12;
        }
    }
    if (disk->port_index) {
        at = r->data + r->len;
        at[0] = 0x01;
        at[1] = 0x94;
        at[3] = 4;
        stw_be(at + 6, disk->port_index);
        r->len += 8;
    }
}

static void page_limits(const ScsiDisk *disk, Reply *r)
{
    const BlockConf *conf = &disk->conf;
    uint32_t unit = scsi_disk_unit(disk);
    uint32_t granularity = conf->discard_granularity == UINT32_MAX ? MAX(unit, 4096)
                                                                   : conf->discard_granularity;
    uint8_t *page = r->data;

    stw_be(page + 6, (uint16_t)MIN(conf->min_io_size / unit, UINT16_MAX));
    stl_be(page + 12, conf->opt_io_size / unit);
    stl_be(page + 20, granularity ? (uint32_t)SCSI_DISK_MAX_UNMAP : 0);
    stl_be(page + 24, granularity ? SCSI_DISK_MAX_UNMAP_RANGES : 0);
    stl_be(page + 28, granularity / unit);
    stq_be(page + 36, SCSI_DISK_MAX_WRITE_SAME);
    r->len = 64;
}

static void page_characteristics(const ScsiDisk *disk, Reply *r)
{
    stw_be(r->data + 4, disk->rotation_rate);
    r->len = 64;
}

static void page_provisioning(const ScsiDisk *disk, Reply *r)
{
    bool discards = disk->conf.discard_granularity != 0;

    r->data[5] = discards ? 0xe0 : 0; /* UNMAP and WRITE SAME unmap */
    r->data[6] = discards ? 2 : 0;    /* thin */
    r->len = 8;
}

typedef struct VpdPage {
    uint8_t code;
    bool disks_only;
    void (*fill)(const ScsiDisk *disk, Reply *r);
} VpdPage;

static const VpdPage vpd_pages[] = {
    { 0x00, false, page_list }, { 0x80, false, page_serial }, { 0x83, false, page_ids },
    { 0xb0, true, page_limits }, { 0xb1, true, page_characteristics },
    { 0xb2, true, page_provisioning },
};

static bool fill_vpd(const ScsiDisk *disk, uint8_t code, Reply *r)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(vpd_pages); i++) {
        const VpdPage *page = &vpd_pages[i];

        if (page->code == code && !(page->disks_only && disk->is_cd) &&
            (code != 0x80 || disk->serial)) {
            r->data[0] = type_of(disk);
            r->data[1] = code;
            r->len = 4;
            page->fill(disk, r);
            stw_be(r->data + 2, (uint16_t)(r->len - 4));
            return true;
        }
    }
    return false;
}

static void fill_standard(const ScsiDisk *disk, Reply *r)
{
    r->data[0] = type_of(disk);
    r->data[1] = disk->removable ? 0x80 : 0;
    r->data[2] = (uint8_t)disk->scsi_version;
    r->data[3] = 0x12; /* LUNs of two levels, format 2 */
    r->data[4] = 36 - 5;
    r->data[7] = 0x12; /* synchronous, many commands */
    put_text(r->data + 8, 8, disk->vendor);
    put_text(r->data + 16, 16, disk->product);
    put_text(r->data + 32, 4, disk->version);
    r->len = 36;
}

static void inquiry(ScsiDisk *disk, ScsiRequest *request)
{
    const uint8_t *cdb = request->cdb;
    Reply r = { 0 };
    bool ok = true;

    if (cdb[1] & 1) {
        ok = fill_vpd(disk, cdb[2], &r);
    } else if (cdb[2]) {
        ok = false;
    } else {
        fill_standard(disk, &r);
    }
    if (ok) {
        scsi_reply(request, r.data, r.len, ldw_be(cdb + 3));
    } else {
        scsi_fail(request, SCSI_INVALID_FIELD);
    }
}

/* ---- Mode pages ---- */

/* control: 1: which bits can be changed. */
static void add_mode_page(const ScsiDisk *disk, uint8_t code, bool changeable, Reply *r)
{
    uint8_t *page = r->data + r->len;

    page[0] = code;
    switch (code) {
    case PAGE_CACHING:
        page[1] = 0x12;
        page[2] = changeable || block_backend_write_cache(disk->conf.blk) ? CACHING_WCE : 0;
        break;
    case PAGE_GEOMETRY:
        page[1] = 0x16;
        if (!changeable) {
            page[2] = (uint8_t)(disk->conf.cyls >> 16);
            stw_be(page + 3, (uint16_t)disk->conf.cyls);
            page[5] = (uint8_t)disk->conf.heads;
            stw_be(page + 20, 5400);
        }
        break;
    default: /* capabilities: reads CD-R and DVD; locks, ejects, tray */
        page[1] = 0x14;
        if (!changeable) {
            page[2] = 0x3b;
            page[4] = 0x7f;
            page[5] = 0xff;
            page[6] = (uint8_t)(0x2d | (disk->locked ? 2 : 0));
            stw_be(page + 8, 50 * 176);
            stw_be(page + 14, 16 * 176);
        }
        break;
    }
    r->len += 2u + page[1];
}

static void add_mode_pages(const ScsiDisk *disk, uint8_t code, bool changeable, Reply *r)
{
    static const struct { uint8_t code; bool disk, cd; } pages[] = {
        { PAGE_GEOMETRY, true, false }, { PAGE_CACHING, true, true },
        { PAGE_CAPABILITIES, false, true },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        if ((code == PAGE_ALL || code == pages[i].code) &&
            (disk->is_cd ? pages[i].cd : pages[i].disk)) {
            add_mode_page(disk, pages[i].code, changeable, r);
        }
    }
}

static void add_block_descriptor(const ScsiDisk *disk, Reply *r)
{
    uint64_t blocks = MIN(scsi_disk_blocks(disk), 0xffffff);

    stl_be(r->data + r->len, (uint32_t)blocks);
    stl_be(r->data + r->len + 4, scsi_disk_unit(disk));
    r->len += 8;
}

static void mode_sense(ScsiDisk *disk, ScsiRequest *request)
{
    const uint8_t *cdb = request->cdb;
    bool is_long = cdb[0] == 0x5a, descriptor = !disk->is_cd && !(cdb[1] & 8);
    uint8_t control = cdb[2] >> 6, specific = disk->is_cd || !disk->dpofua ? 0 : 0x10;
    unsigned header = is_long ? 8 : 4;
    Reply r = { .len = header };

    if (control == 3) {
        scsi_fail(request, (ScsiSense) { 5, 0x39, 0 }); /* nothing is saved */
        return;
    }
    specific |= disk->conf.read_only && !disk->is_cd ? 0x80 : 0;
    if (descriptor) {
        add_block_descriptor(disk, &r);
    }
    add_mode_pages(disk, cdb[2] & 0x3f, control == 1, &r);
    if (r.len == header + (descriptor ? 8u : 0u)) {
        scsi_fail(request, SCSI_INVALID_FIELD);
        return;
    }
    if (is_long) {
        stw_be(r.data, (uint16_t)(r.len - 2));
        r.data[3] = specific;
        r.data[7] = descriptor ? 8 : 0;
    } else {
        r.data[0] = (uint8_t)(r.len - 1);
        r.data[2] = specific;
        r.data[3] = descriptor ? 8 : 0;
    }
    scsi_reply(request, r.data, r.len, is_long ? ldw_be(cdb + 7) : cdb[4]);
}

/* ---- Capacity ---- */

static bool lacks_medium(ScsiDisk *disk, ScsiRequest *request)
{
    if (!scsi_disk_blocks(disk)) {
        scsi_fail(request, SCSI_NO_MEDIUM);
        return true;
    }
    return false;
}

static void read_capacity10(ScsiDisk *disk, ScsiRequest *request)
{
    uint8_t data[8];

    if (!lacks_medium(disk, request)) {
        stl_be(data, (uint32_t)MIN(scsi_disk_blocks(disk) - 1, UINT32_MAX));
        stl_be(data + 4, scsi_disk_unit(disk));
        scsi_reply(request, data, sizeof(data), sizeof(data));
    }
}

static void read_capacity16(ScsiDisk *disk, ScsiRequest *request)
{
    uint8_t data[32] = { 0 };

    if ((request->cdb[1] & 0x1f) != 0x10) {
        scsi_fail(request, SCSI_INVALID_FIELD);
    } else if (!lacks_medium(disk, request)) {
        stq_be(data, scsi_disk_blocks(disk) - 1);
        stl_be(data + 8, scsi_disk_unit(disk));
        data[13] = (uint8_t)__builtin_ctz(disk->conf.physical_block_size / scsi_disk_unit(disk));
        data[14] = disk->conf.discard_granularity ? 0x80 : 0;
        scsi_reply(request, data, sizeof(data), ldl_be(request->cdb + 10));
    }
}

static void test_unit_ready(ScsiDisk *disk, ScsiRequest *request)
{
    if (!lacks_medium(disk, request)) {
        scsi_complete(request, SCSI_GOOD);
    }
}

/* One session, one track of data. */
static void read_toc(ScsiDisk *disk, ScsiRequest *request)
{
    const uint8_t *cdb = request->cdb;
    bool msf = cdb[1] & 2;
    uint32_t end = (uint32_t)MIN(scsi_disk_blocks(disk), 0xffffff), frame = end + 150;
    uint8_t data[20] = { 0, 0, 1, 1, 0, 0x14, 1 };
    unsigned len = 20;

    if (lacks_medium(disk, request)) {
        return;
    }
    if ((cdb[2] & 15) > 1 || (cdb[6] > 1 && cdb[6] != LEADOUT)) {
        scsi_fail(request, SCSI_INVALID_FIELD);
        return;
    }
    if ((cdb[2] & 15) == 1) {
        len = 12;
        data[5] = 0x14;
    } else {
        data[13] = 0x14;
        data[14] = LEADOUT;
        if (msf) {
            data[10] = 2;
            data[17] = (uint8_t)(frame / 75 / 60);
            data[18] = (uint8_t)(frame / 75 % 60);
            data[19] = (uint8_t)(frame % 75);
        } else {
            stl_be(data + 16, end);
        }
    }
    stw_be(data, (uint16_t)(len - 2));
    scsi_reply(request, data, len, ldw_be(cdb + 7));
}

/* Polled by guests to hear of discs, and that somebody wants the tray open. */
static void event_status(ScsiDisk *disk, ScsiRequest *request)
{
    enum { CLASS_MEDIA = 4, NO_CLASS = 0x80, TRAY_OPEN = 1, MEDIUM_PRESENT = 2 };
    const uint8_t *cdb = request->cdb;
    bool media = cdb[4] & BIT(CLASS_MEDIA);
    uint8_t data[8] = { 0, media ? 4 : 0, media ? CLASS_MEDIA : NO_CLASS, BIT(CLASS_MEDIA) };

    if (!(cdb[1] & 1)) { /* only polling */
        scsi_fail(request, SCSI_INVALID_FIELD);
        return;
    }
    if (media) {
        data[4] = disk->media_event;
        data[5] = disk->tray_open ? TRAY_OPEN : scsi_disk_blocks(disk) ? MEDIUM_PRESENT : 0;
        disk->media_event = SCSI_EVENT_NONE;
    }
    scsi_reply(request, data, media ? 8 : 4, ldw_be(cdb + 7));
}

typedef struct InfoCommand {
    uint8_t opcode;
    bool cd_only;
    void (*run)(ScsiDisk *disk, ScsiRequest *request);
} InfoCommand;

static const InfoCommand info_commands[] = {
    { 0x00, false, test_unit_ready }, { 0x12, false, inquiry },
    { 0x1a, false, mode_sense }, { 0x5a, false, mode_sense },
    { 0x25, false, read_capacity10 }, { 0x9e, false, read_capacity16 },
    { 0x43, true, read_toc }, { 0x4a, true, event_status },
};

bool scsi_disk_inform(ScsiDisk *disk, ScsiRequest *request)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(info_commands); i++) {
        const InfoCommand *command = &info_commands[i];

        if (command->opcode == request->cdb[0] && (disk->is_cd || !command->cd_only)) {
            command->run(disk, request);
            return true;
        }
    }
    return false;
}
