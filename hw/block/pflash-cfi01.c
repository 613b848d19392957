/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chip's memory (the array) is a copy of the image. In array mode the guest reads it as memory;
 * every write, and in the other modes every access, comes here. A first write chooses a command:
 *
 *   FFh, F0h, 00h  array mode               50h      clear the status, array mode
 *   70h  read status                        90h      read identifier codes and lock bits
 *   98h  CFI query                          10h, 40h program: then a write of the data
 *   20h, 28h  erase: then D0h, anywhere in the block that is meant
 *   60h  lock bits: then 01h (set) or D0h (clear); nothing is ever locked
 *   E8h  write to buffer: then the number of bytes - 1, the data, D0h
 *
 * Reads show the status while no other mode is chosen. What is not a command, or does not go on as
 * it must, leads back to array mode. All is done at once: the chip is never busy, and an erase
 * cannot be interrupted. Clearing the status clears even its bit 7 (ready), by which edk2 tells a
 * flash chip from memory and ROM; and programming sets bits as well as clearing them, as guests
 * of QEMU's chip know it.
 */
#include "hw/block/pflash-cfi01.h"

#include "hw/block/block-conf.h"
#include "hw/block/pflash-store.h"
#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/log.h"

enum Command {
    CMD_READ_ARRAY = 0xff, CMD_READ_ARRAY_AMD = 0xf0, CMD_NONE = 0x00,
    CMD_PROGRAM = 0x10, CMD_PROGRAM_ALT = 0x40, CMD_ERASE = 0x20, CMD_ERASE_ALT = 0x28,
    CMD_CLEAR_STATUS = 0x50, CMD_LOCK = 0x60, CMD_READ_STATUS = 0x70, CMD_READ_ID = 0x90,
    CMD_QUERY = 0x98, CMD_BUFFER = 0xe8, CMD_CONFIRM = 0xd0, CMD_SET_LOCK = 0x01,
};
enum Status {
    STATUS_READY = 0x80, STATUS_ERASE_ERROR = 0x20, STATUS_PROGRAM_ERROR = 0x10,
    STATUS_SEQUENCE_ERROR = STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR,
};
/* What the next write is to the command that has begun. */
typedef enum Phase {
    PHASE_COMMAND, PHASE_DATA, PHASE_COUNT, PHASE_BUFFER, PHASE_CONFIRM, PHASE__MAX,
} Phase;

#define BUFFER_BITS 8
#define BUFFER_SIZE (1u << BUFFER_BITS)
#define QUERY_SIZE 0x40
#define QUERY_START 0x10
#define ID_OFFSETS 0xff

struct PflashCfi01 {
    Device parent_obj;
    BlockConf conf;
    char *name;
    uint32_t sectors;
    uint64_t sector_size;
    uint8_t width;
    uint16_t id[4];
    bool secure;

    MemoryRegion *memory, *readonly_view;
    uint8_t *array;
    uint64_t size;
    uint8_t query[QUERY_SIZE];
    PflashStore *store; /* NULL: read-only */
    Notifier run_state, exit;
    bool resync; /* the array came with a saved machine: the image is another's */

    /* Saved: */
    uint8_t command, status, phase;
    uint32_t buffer_left, buffer_used;
    uint64_t buffer_at; /* of buffer[0] in the array */
    uint8_t buffer[BUFFER_SIZE];
};

const uint8_t *pflash_cfi01_array(const PflashCfi01 *chip)
{
    return chip->array;
}

/* ---- The array ---- */

static void array_changed(PflashCfi01 *chip, uint64_t offset, uint64_t length)
{
    memory_region_set_dirty(chip->memory, offset, length);
    pflash_store_changed(chip->store, offset, length);
}

static void program(PflashCfi01 *chip, uint64_t offset, const uint8_t *data, uint64_t length)
{
    chip->status |= STATUS_READY;
    if (!chip->store) {
        chip->status |= STATUS_PROGRAM_ERROR;
        return;
    }
    if (!range_ok(offset, length, chip->size)) {
        chip->status |= STATUS_SEQUENCE_ERROR;
        return;
    }
    memcpy(chip->array + offset, data, length);
    array_changed(chip, offset, length);
}

static void erase(PflashCfi01 *chip, uint64_t offset)
{
    chip->status |= STATUS_READY;
    if (!chip->store) {
        chip->status |= STATUS_ERASE_ERROR;
        return;
    }
    offset -= offset % chip->sector_size;
    memset(chip->array + offset, 0xff, chip->sector_size);
    array_changed(chip, offset, chip->sector_size);
}

/* ---- Modes ---- */

static void set_mode(PflashCfi01 *chip, uint8_t command, Phase phase)
{
    chip->command = command;
    chip->phase = phase;
    memory_region_rom_device_set_romd(chip->memory, command == CMD_NONE);
}

static void array_mode(PflashCfi01 *chip)
{
    set_mode(chip, CMD_NONE, PHASE_COMMAND);
}

static void confused(PflashCfi01 *chip, uint64_t value)
{
    log_guest_error("%s: command %02xh does not go on with %02xh", chip->name, chip->command,
                    (unsigned)value & 0xff);
    array_mode(chip);
}

/* The command has ended; reads show its status. */
static void command_done(PflashCfi01 *chip)
{
    chip->phase = PHASE_COMMAND;
}

static void sequence_error(PflashCfi01 *chip)
{
    chip->status |= STATUS_READY | STATUS_SEQUENCE_ERROR;
    command_done(chip);
}

typedef struct CommandInfo {
    uint8_t code;
    bool leaves;       /* to array mode */
    Phase phase;       /* else */
    uint8_t status;    /* bits that it sets */
} CommandInfo;

static const CommandInfo commands[] = {
    { CMD_READ_ARRAY, .leaves = true },
    { CMD_READ_ARRAY_AMD, .leaves = true },
    { CMD_NONE, .leaves = true },
    { CMD_PROGRAM, .phase = PHASE_DATA },
    { CMD_PROGRAM_ALT, .phase = PHASE_DATA },
    { CMD_ERASE, .phase = PHASE_CONFIRM },
    { CMD_ERASE_ALT, .phase = PHASE_CONFIRM },
    { CMD_CLEAR_STATUS, .leaves = true },
    { CMD_LOCK, .phase = PHASE_CONFIRM },
    { CMD_READ_STATUS, .phase = PHASE_COMMAND },
    { CMD_READ_ID, .phase = PHASE_COMMAND },
    { CMD_QUERY, .phase = PHASE_COMMAND },
    { CMD_BUFFER, .phase = PHASE_COUNT, .status = STATUS_READY },
};

static void write_command(PflashCfi01 *chip, uint8_t code)
{
    const CommandInfo *info = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(commands) && !info; i++) {
        info = commands[i].code == code ? &commands[i] : NULL;
    }
    if (!info) {
        log_guest_error("%s: there is no command %02xh", chip->name, code);
        array_mode(chip);
        return;
    }
    if (code == CMD_CLEAR_STATUS) {
        chip->status = 0;
    }
    chip->status |= info->status;
    if (info->leaves) {
        array_mode(chip);
    } else {
        set_mode(chip, code, info->phase);
    }
}

/* ---- Writing to the buffer: all of it lies in one block of the buffer's size ---- */

static void write_count(PflashCfi01 *chip, uint64_t value)
{
    if (value >= BUFFER_SIZE) {
        log_guest_error("%s: %" G_GUINT64_FORMAT " bytes for a buffer of %u", chip->name, value + 1,
                        BUFFER_SIZE);
        sequence_error(chip);
        return;
    }
    chip->buffer_left = (uint32_t)value + 1;
    chip->buffer_used = 0;
    chip->phase = PHASE_BUFFER;
}

/* In any order; what was not written stays as it is. */
static void write_buffer(PflashCfi01 *chip, uint64_t offset, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    if (!chip->buffer_used) {
        chip->buffer_at = ROUND_DOWN(offset, BUFFER_SIZE);
        memcpy(chip->buffer, chip->array + chip->buffer_at, BUFFER_SIZE);
    }
    if (ROUND_DOWN(offset, BUFFER_SIZE) != chip->buffer_at || size > chip->buffer_left) {
        log_guest_error("%s: a write of %u bytes at %" G_GUINT64_FORMAT " beyond the buffer",
                        chip->name, size, offset);
        sequence_error(chip);
        return;
    }
    stq_le(bytes, value);
    memcpy(chip->buffer + (offset - chip->buffer_at), bytes, size);
    chip->buffer_used += size;
    chip->buffer_left -= size;
    if (!chip->buffer_left) {
        chip->phase = PHASE_CONFIRM;
    }
}

/* ---- What follows a command ---- */

static void write_data(PflashCfi01 *chip, uint64_t offset, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    stq_le(bytes, value);
    program(chip, offset, bytes, size);
    command_done(chip);
}

static void write_confirmation(PflashCfi01 *chip, uint64_t offset, uint64_t value)
{
    uint8_t code = value;

    if (chip->command == CMD_LOCK) {
        if (code != CMD_CONFIRM && code != CMD_SET_LOCK) {
            confused(chip, value);
            return;
        }
        chip->status |= STATUS_READY;
    } else if (code != CMD_CONFIRM) {
        confused(chip, value);
        return;
    } else if (chip->command == CMD_BUFFER) {
        program(chip, chip->buffer_at, chip->buffer, BUFFER_SIZE);
    } else {
        erase(chip, offset);
    }
    command_done(chip);
}

static void chip_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PflashCfi01 *chip = opaque;

    switch ((Phase)chip->phase) {
    case PHASE_COMMAND:
        write_command(chip, value);
        break;
    case PHASE_DATA:
        write_data(chip, offset, value, size);
        break;
    case PHASE_COUNT:
        write_count(chip, value);
        break;
    case PHASE_BUFFER:
        write_buffer(chip, offset, value, size);
        break;
    default:
        write_confirmation(chip, offset, value);
        break;
    }
}

/* Codes by the offset within a block; none is ever locked. */
static uint64_t read_id(const PflashCfi01 *chip, uint64_t offset)
{
    unsigned n = offset & ID_OFFSETS;

    return n < 2 ? (uint64_t)chip->id[2 * n] << 8 | chip->id[2 * n + 1] : 0;
}

static uint64_t chip_read(void *opaque, uint64_t offset, unsigned size)
{
    PflashCfi01 *chip = opaque;
    uint8_t bytes[8] = { 0 };

    switch ((enum Command)chip->command) {
    case CMD_NONE:
        memcpy(bytes, chip->array + offset, size);
        return ldq_le(bytes);
    case CMD_READ_ID:
        return read_id(chip, offset);
    case CMD_QUERY:
        return (offset & ID_OFFSETS) < QUERY_SIZE ? chip->query[offset & ID_OFFSETS] : 0;
    default:
        /* Of two chips of 16 bits side by side, for who thinks of such. */
        return size > 2 ? chip->status | (uint32_t)chip->status << 16 : chip->status;
    }
}

static const MemoryRegionOps chip_ops = {
    .read = chip_read,
    .write = chip_write,
    .impl = { .min = 1, .max = 4 },
};

/* ---- The query's table (JESD68.01; Intel's extended query "PRI" 1.0) ---- */

static void fill_query(PflashCfi01 *chip)
{
    static const uint8_t common[] = {
        [0x10 - QUERY_START] = 'Q', 'R', 'Y', 0x01, 0x00, /* Intel's command set, */
        [0x15 - QUERY_START] = 0x31, 0x00,                /* whose own table is at 31h */
        [0x1b - QUERY_START] = 0x45, 0x55, 0x00, 0x00,    /* 4.5 to 5.5 V; Vpp is not needed */
        [0x1f - QUERY_START] = 0x07, 0x07, 0x0a, 0x00,    /* typical times, 2^n us or ms */
        [0x23 - QUERY_START] = 0x04, 0x04, 0x04, 0x00,    /* at most 2^n times as long */
        [0x28 - QUERY_START] = 0x02, 0x00,                /* x8 or x16 */
        [0x2a - QUERY_START] = BUFFER_BITS, 0x00,
        [0x2c - QUERY_START] = 1,                         /* region of equal blocks */
        [0x31 - QUERY_START] = 'P', 'R', 'I', '1', '0',
        [0x3f - QUERY_START] = 0x01,                      /* protection register */
    };
    uint64_t unit = chip->sector_size / 256;

    memcpy(chip->query + QUERY_START, common, sizeof(common));
    chip->query[0x27] = (uint8_t)__builtin_ctzll(chip->size);
    stw_le(chip->query + 0x2d, (uint16_t)(chip->sectors - 1));
    stw_le(chip->query + 0x2f, (uint16_t)unit);
}

/* ---- Life ---- */

typedef struct ReadRun {
    PflashCfi01 *chip;
    int result;
} ReadRun;

static void read_image(void *opaque)
{
    ReadRun *run = opaque;
    PflashCfi01 *chip = run->chip;

    run->result = block_backend_pread(chip->conf.blk, 0, (int64_t)chip->size, chip->array);
}

static void run_state_changed(Notifier *notifier, void *data)
{
    PflashCfi01 *chip = (PflashCfi01 *)((char *)notifier - offsetof(PflashCfi01, run_state));

    if (*(const bool *)data) {
        if (chip->resync) {
            pflash_store_changed(chip->store, 0, chip->size);
        }
        chip->resync = false;
    } else {
        pflash_store_finish(chip->store);
    }
}

static void machine_exits(Notifier *notifier, void *data)
{
    PflashCfi01 *chip = (PflashCfi01 *)((char *)notifier - offsetof(PflashCfi01, exit));

    pflash_store_finish(chip->store);
}

static bool check_geometry(const PflashCfi01 *chip, GError **error)
{
    if (!chip->name || !chip->sectors || chip->sectors > UINT16_MAX + 1 || !chip->sector_size ||
        chip->sector_size % PFLASH_SECTOR_SIZE || chip->sector_size > UINT16_MAX * 256ULL) {
        error_setf(error, "cfi.pflash01: give name=, num-blocks= (up to 65536) and sector-length= "
                   "(a multiple of 4096 below 16 MiB)");
        return false;
    }
    if (chip->width != 1) {
        error_setf(error, "cfi.pflash01: width=%u: only 1 is possible", chip->width);
        return false;
    }
    return true;
}

static bool check_length(const PflashCfi01 *chip, GError **error)
{
    uint64_t length = block_conf_length(&chip->conf);

    if (length != chip->size) {
        error_setf(error, "%s has %" G_GUINT64_FORMAT " bytes, but its image has "
                   "%" G_GUINT64_FORMAT, chip->name, chip->size, length);
        return false;
    }
    return true;
}

static bool fill_array(PflashCfi01 *chip, GError **error)
{
    ReadRun run = { .chip = chip };

    chip->memory = memory_region_new_rom_device(OBJECT(chip), &chip_ops, chip, chip->name,
                                                chip->size, error);
    if (!chip->memory) {
        return false;
    }
    chip->array = memory_region_ram_ptr(chip->memory);
    coroutine_run(read_image, &run);
    if (run.result < 0) {
        error_set_errno(error, -run.result, "%s: cannot read its image", chip->name);
        return false;
    }
    return true;
}

static bool chip_realize(Device *device, GError **error)
{
    static const BlockConfNeeds needs = { .may_be_read_only = true };
    static const BlockBackendOps backend_ops = { .resized = NULL };
    PflashCfi01 *chip = (PflashCfi01 *)device;

    if (!check_geometry(chip, error)) {
        return false;
    }
    chip->size = chip->sectors * chip->sector_size;
    if (!block_conf_realize(&chip->conf, device, &needs, &backend_ops, chip, error)) {
        return false;
    }
    if (!check_length(chip, error) || !fill_array(chip, error)) {
        block_conf_unrealize(&chip->conf);
        return false;
    }
    fill_query(chip);
    if (!chip->conf.read_only) {
        chip->store = pflash_store_new(chip->conf.blk, chip->array, chip->size, chip->name);
        chip->run_state.notify = run_state_changed;
        notifier_list_add(run_state_notifiers(), &chip->run_state);
        chip->exit.notify = machine_exits;
        notifier_list_add(exit_notifiers(), &chip->exit);
    }
    return true;
}

static void chip_unrealize(Device *device)
{
    PflashCfi01 *chip = (PflashCfi01 *)device;

    if (chip->store) {
        notifier_list_remove(run_state_notifiers(), &chip->run_state);
        notifier_list_remove(exit_notifiers(), &chip->exit);
    }
    g_clear_pointer(&chip->store, pflash_store_free);
    block_conf_unrealize(&chip->conf);
}

static void chip_reset(Device *device)
{
    PflashCfi01 *chip = (PflashCfi01 *)device;

    chip->status = STATUS_READY;
    array_mode(chip);
}

static void chip_init(Object *obj)
{
    block_conf_init(&((PflashCfi01 *)obj)->conf);
}

static void chip_finalize(Object *obj)
{
    PflashCfi01 *chip = (PflashCfi01 *)obj;

    memory_region_free(chip->readonly_view);
    memory_region_free(chip->memory);
}

/* Is there such a place in a command? */
static bool state_is_possible(const PflashCfi01 *chip)
{
    bool has_place = chip->buffer_used && chip->buffer_at % BUFFER_SIZE == 0 &&
                     chip->buffer_at < chip->size;

    switch (chip->phase) {
    case PHASE_COMMAND:
        return true;
    case PHASE_DATA:
        return chip->command == CMD_PROGRAM || chip->command == CMD_PROGRAM_ALT;
    case PHASE_COUNT:
        return chip->command == CMD_BUFFER;
    case PHASE_BUFFER:
        return chip->command == CMD_BUFFER && (has_place || !chip->buffer_used) &&
               chip->buffer_left && chip->buffer_left <= BUFFER_SIZE &&
               chip->buffer_used <= BUFFER_SIZE - chip->buffer_left;
    case PHASE_CONFIRM:
        return chip->command == CMD_BUFFER ? has_place
                                           : chip->command == CMD_LOCK ||
                                             chip->command == CMD_ERASE ||
                                             chip->command == CMD_ERASE_ALT;
    default:
        return false;
    }
}

static bool chip_post_load(void *opaque, int version, GError **error)
{
    PflashCfi01 *chip = opaque;

    if (!state_is_possible(chip)) {
        error_setf(error, "%s: a command in a state that cannot be", chip->name);
        return false;
    }
    chip->resync = chip->store != NULL;
    set_mode(chip, chip->command, chip->phase);
    return true;
}

static const VmState chip_vmstate = {
    .name = "pflash_cfi01",
    .version = 1,
    .minimum_version = 1,
    .post_load = chip_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(PflashCfi01, command),
        VMSTATE_U8(PflashCfi01, status),
        VMSTATE_U8(PflashCfi01, phase),
        VMSTATE_U32(PflashCfi01, buffer_left),
        VMSTATE_U32(PflashCfi01, buffer_used),
        VMSTATE_U64(PflashCfi01, buffer_at),
        VMSTATE_BUFFER(PflashCfi01, buffer),
        VMSTATE_END
    },
};

static const Property chip_properties[] = {
    BLOCK_CONF_DRIVE_PROPERTY(PflashCfi01, conf),
    PROP_STRING("name", PflashCfi01, name, NULL, "of the chip and its memory"),
    PROP_UINT32("num-blocks", PflashCfi01, sectors, 0, "blocks that are erased as one"),
    PROP_UINT64("sector-length", PflashCfi01, sector_size, PFLASH_SECTOR_SIZE, "bytes of one"),
    PROP_UINT8("width", PflashCfi01, width, 1, "bytes of the data bus"),
    PROP_UINT16("id0", PflashCfi01, id[0], 0, "identifier code"),
    PROP_UINT16("id1", PflashCfi01, id[1], 0, "identifier code"),
    PROP_UINT16("id2", PflashCfi01, id[2], 0, "identifier code"),
    PROP_UINT16("id3", PflashCfi01, id[3], 0, "identifier code"),
    PROP_BOOL("secure", PflashCfi01, secure, false, "only system management mode may write"),
    PROP_END
};

static const DeviceHooks chip_hooks = {
    .realize = chip_realize,
    .unrealize = chip_unrealize,
    .reset = chip_reset,
    .vmstate = &chip_vmstate,
    .category = DEVICE_CATEGORY_STORAGE,
};

static const TypeInfo chip_info = {
    .name = TYPE_PFLASH_CFI01,
    .parent = TYPE_DEVICE,
    .description = "parallel flash, Intel's command set",
    .instance_size = sizeof(PflashCfi01),
    .instance_init = chip_init,
    .instance_finalize = chip_finalize,
    .properties = chip_properties,
    .hooks = &chip_hooks,
};
QOM_TYPE(chip_info);

PflashCfi01 *pflash_cfi01_new(Object *parent, const char *name, const char *drive, uint64_t size,
                              GError **error)
{
    g_autoptr(Object) chip = object_new(TYPE_PFLASH_CFI01);

    if (!object_property_set_str(chip, "name", name, error) ||
        !object_property_set_str(chip, "drive", drive, error) ||
        !object_property_set_int(chip, "sector-length", PFLASH_SECTOR_SIZE, error) ||
        !object_property_set_int(chip, "num-blocks", (int64_t)(size / PFLASH_SECTOR_SIZE), error) ||
        !object_add_child(parent, name, chip, error) ||
        !device_realize_and_unref((Device *)object_ref(chip), NULL, error)) {
        return NULL;
    }
    return (PflashCfi01 *)chip;
}

void pflash_cfi01_map(PflashCfi01 *chip, MemoryRegion *space, MemoryRegion *smm, uint64_t addr)
{
    if (!chip->secure) {
        memory_region_add(space, addr, chip->memory);
        return;
    }
    chip->readonly_view = memory_region_new_alias(OBJECT(chip), "locked", chip->memory, 0,
                                                  chip->size);
    memory_region_set_readonly(chip->readonly_view, true);
    memory_region_add(space, addr, chip->readonly_view);
    if (smm) {
        memory_region_add_overlap(smm, addr, chip->memory, 1);
    }
}
