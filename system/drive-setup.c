/* SPDX-License-Identifier: Apache-2.0 */
/* -blockdev, -drive and the options that stand for drives. */
#include <stdio.h>

#include "block/drive.h"
#include "block/open.h"
#include "system/machine-setup.h"
#include "system/options-internal.h"
#include "util/error.h"

/* ---- Collecting ---- */

void drive_request_free(void *opaque)
{
    DriveRequest *request = opaque;

    drive_options_free(request->options);
    g_free(request->origin);
    g_free(request);
}

static void add_request(VmOptions *options, const Option *option, const char *argument,
                        DriveOptions *drive)
{
    DriveRequest *request = g_new0(DriveRequest, 1);

    request->options = drive;
    request->origin = g_strdup_printf("-%s %s", option->name, argument);
    g_ptr_array_add(options->drive, request);
}

OptionResult opt_drive(VmOptions *options, const Option *option, const char *argument,
                       GError **error)
{
    DriveOptions *drive;

    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        printf("-%s %s\n", option->name, option->argument);
        return OPTION_HELP;
    }
    drive = drive_options_parse(argument, error);
    if (!drive) {
        return OPTION_FAILED;
    }
    add_request(options, option, argument, drive);
    return OPTION_OK;
}

/* -hda FILE and the like: the option's key says what kind of drive it is. */
OptionResult opt_image(VmOptions *options, const Option *option, const char *argument,
                       GError **error)
{
    DriveOptions *drive = drive_options_parse(option->key, error);

    if (!drive) {
        return OPTION_FAILED;
    }
    drive_options_set(drive, "file", argument);
    add_request(options, option, argument, drive);
    return OPTION_OK;
}

/* ---- Making ---- */

static bool add_node(const OptionValue *value, GError **error)
{
    g_autoptr(BlockdevOptions) options = NULL;

    if (BlockdevOptions_from_json(value->json, value->text ? QAPI_KEYVAL : QAPI_JSON, &options,
                                  error) &&
        block_open_blockdev(options, error)) {
        return true;
    }
    g_prefix_error(error, "-blockdev %s: ",
                   json_object_to_json_string_ext(value->json, JSON_C_TO_STRING_PLAIN));
    return false;
}

static bool add_drive(const DriveRequest *request, BlockInterfaceType default_interface,
                      GError **error)
{
    if (!drive_new(request->options, default_interface, request->origin, error)) {
        g_prefix_error(error, "%s: ", request->origin);
        return false;
    }
    return true;
}

/* ---- What a machine has without being asked ---- */

typedef struct DefaultDrive {
    const char *options;
    BlockInterfaceType type;
    unsigned index;
    bool (*wanted)(const VmOptions *options, const MachineOps *ops);
} DefaultDrive;

/* Somebody who names such devices himself wants those, and no others. */
static bool names_device(const VmOptions *options, const char *const *drivers)
{
    for (guint i = 0; i < options->device->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->device, i);
        const char *driver = options_member(value->json, "driver");

        if (driver && g_strv_contains(drivers, driver)) {
            return true;
        }
    }
    return false;
}

static bool wants_cdrom(const VmOptions *options, const MachineOps *ops)
{
    static const char *const drivers[] = { "ide-cd", "ide-hd", "scsi-cd", "scsi-hd", NULL };

    return !ops->no_cdrom && !names_device(options, drivers);
}

static bool wants_floppy(const VmOptions *options, const MachineOps *ops)
{
    static const char *const drivers[] = { "isa-fdc", "floppy", NULL };

    return !ops->no_floppy && !names_device(options, drivers);
}

/* Boards of that age also had a reader for cards, in 7.2's view. */
static bool wants_card(const VmOptions *options, const MachineOps *ops)
{
    return !ops->no_floppy;
}

static const DefaultDrive default_drives[] = {
    { "if=ide,index=2,media=cdrom", BLOCK_INTERFACE_IDE, 2, wants_cdrom },
    { "if=floppy,index=0", BLOCK_INTERFACE_FLOPPY, 0, wants_floppy },
    { "if=sd,index=0", BLOCK_INTERFACE_SD, 0, wants_card },
};

static bool add_default_drives(VmOptions *options, GError **error)
{
    const MachineOps *ops = machine_current()->ops;

    for (unsigned i = 0; i < G_N_ELEMENTS(default_drives) && !options->no_defaults; i++) {
        const DefaultDrive *def = &default_drives[i];
        g_autoptr(DriveOptions) drive_options = NULL;
        Drive *drive;

        if (!def->wanted(options, ops) || drive_get_by_index(def->type, def->index)) {
            continue;
        }
        drive_options = drive_options_parse(def->options, error);
        drive = drive_options ? drive_new(drive_options, def->type, "default drive", error) : NULL;
        if (!drive) {
            return false;
        }
        drive->is_default = true;
    }
    return true;
}

bool setup_drives(VmOptions *options, GError **error)
{
    const char *name = machine_current()->ops->default_drive_interface;
    BlockInterfaceType default_interface = BLOCK_INTERFACE_NONE;

    if (name) {
        block_interface_parse(name, &default_interface);
    }
    for (guint i = 0; i < options->blockdev->len; i++) {
        if (!add_node(g_ptr_array_index(options->blockdev, i), error)) {
            return false;
        }
    }
    for (guint i = 0; i < options->drive->len; i++) {
        const DriveRequest *request = g_ptr_array_index(options->drive, i);

        if (options->snapshot) {
            drive_options_set(request->options, "snapshot", "on");
        }
        if (!add_drive(request, default_interface, error)) {
            return false;
        }
    }
    return add_default_drives(options, error);
}

/* ---- if=virtio and if=scsi stand for devices, on the bus that the machine has ---- */

static bool can_have_virtio(void)
{
    return bus_find_by_type("PCI") || bus_find_by_type("virtio-mmio-bus");
}

/* drive: for its backend; NULL: none. */
static bool add_virtio_device(const char *name, const Drive *drive, GError **error)
{
    json_object *options = json_object_new_object();
    g_autofree char *type = g_strconcat(name, bus_find_by_type("PCI") ? "-pci" : "-device", NULL);
    bool ok;

    json_object_object_add(options, "driver", json_object_new_string(type));
    if (drive) {
        json_object_object_add(options, "drive",
                               json_object_new_string(block_backend_name(drive->blk)));
    }
    ok = device_add(options, true, false, error);
    json_object_put(options);
    return ok;
}

typedef struct ScsiBusSearch {
    int wanted; /* how many are before it */
    Bus *found;
} ScsiBusSearch;

static bool match_scsi_bus(Device *dev, void *opaque)
{
    ScsiBusSearch *search = opaque;

    for (unsigned i = 0; dev->buses && i < dev->buses->len; i++) {
        Bus *bus = g_ptr_array_index(dev->buses, i);

        if (object_is_a(bus, "SCSI") && search->wanted-- == 0) {
            search->found = bus;
        }
    }
    return !search->found;
}

/* The n-th adapter's bus; adapters are added until there are so many. */
static Bus *scsi_bus(int n, GError **error)
{
    for (;;) {
        ScsiBusSearch search = { .wanted = n };

        device_foreach(match_scsi_bus, &search);
        if (search.found || !add_virtio_device("virtio-scsi", NULL, error)) {
            return search.found;
        }
    }
}

static bool add_scsi_disk(const Drive *drive, GError **error)
{
    Bus *bus = scsi_bus(drive->bus, error);
    g_autoptr(Object) dev = bus ? object_new(drive->is_cdrom ? "scsi-cd" : "scsi-hd") : NULL;

    return bus &&
           object_property_set_str(dev, "drive", block_backend_name(drive->blk), error) &&
           object_property_set_int(dev, "scsi-id", drive->unit, error) &&
           device_realize_and_unref((Device *)g_steal_pointer(&dev), bus, error);
}

static bool add_disk(Drive *drive, void *opaque, GError **error)
{
    bool ok = true;

    if (drive->claimed || !can_have_virtio()) {
        return true;
    }
    if (drive->type == BLOCK_INTERFACE_VIRTIO) {
        ok = add_virtio_device("virtio-blk", drive, error);
    } else if (drive->type == BLOCK_INTERFACE_SCSI) {
        ok = add_scsi_disk(drive, error);
    }
    if (!ok) {
        g_prefix_error(error, "%s: ", drive->origin);
    }
    return ok;
}

bool setup_drive_devices(GError **error)
{
    return drive_foreach(add_disk, NULL, error);
}

bool setup_drives_finish(GError **error)
{
    return drive_check_claimed(error);
}
