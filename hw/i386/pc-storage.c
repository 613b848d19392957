/* SPDX-License-Identifier: Apache-2.0 */
/* A PC's IDE controller with its drives, and the CMOS cells of disks. */
#include "hw/i386/pc-storage.h"

#include "block/drive.h"
#include "hw/block/fdc.h"
#include "hw/block/floppy.h"
#include "hw/ide/piix-ide.h"
#include "util/error.h"

#define IDE_DEVFN PCI_DEVFN(1, 1)
#define IDE_FIRST_IRQ 14
enum { CMOS_FLOPPIES = 0x10, CMOS_EQUIPMENT = 0x14 };
enum { EQUIPMENT_FPU_MOUSE = 0x06, EQUIPMENT_FLOPPY = 0x01, EQUIPMENT_SECOND_FLOPPY = 0x40 };
enum { CMOS_DISKS = 0x12, CMOS_TYPES = 0x19, CMOS_GEOMETRY = 0x1b, CMOS_TRANSLATION = 0x39 };
enum { CMOS_GEOMETRY_SIZE = 9, TYPE_IN_CMOS = 47, TYPE_EXTENDED = 0x0f };

/* A device for the drive at this place, if there is one. */
static bool create_drive(BlockInterfaceType interface, Bus *bus, unsigned number, unsigned unit,
                         GError **error)
{
    Drive *drive = drive_get(interface, (int)number, (int)unit);
    g_autoptr(Object) dev = NULL;

    if (!drive) {
        return true;
    }
    dev = object_new(interface == BLOCK_INTERFACE_FLOPPY ? TYPE_FLOPPY
                     : drive->is_cdrom                   ? "ide-cd"
                                                         : "ide-hd");
    if (!object_property_set_str(dev, "drive", block_backend_name(drive->blk), error) ||
        !object_property_set_int(dev, "unit", unit, error) ||
        !device_realize_and_unref((Device *)g_steal_pointer(&dev), bus, error)) {
        g_prefix_error(error, "%s: ", drive->origin);
        return false;
    }
    return true;
}

static bool create_floppies(PcStorage *storage, IsaBus *isa, GError **error)
{
    storage->fdc = isa_fdc_new(isa, error);
    for (unsigned unit = 0; storage->fdc && unit < FLOPPY_DRIVES; unit++) {
        if (!create_drive(BLOCK_INTERFACE_FLOPPY, isa_fdc_bus(storage->fdc), 0, unit, error)) {
            return false;
        }
    }
    return storage->fdc != NULL;
}

bool pc_storage_create(PcStorage *storage, PciBus *pci, IsaBus *isa, MemoryRegion *io,
                       const Irq *gsi, GError **error)
{
    if (!create_floppies(storage, isa, error)) {
        return false;
    }
    storage->ide = piix3_ide_new(pci, IDE_DEVFN, io, error);
    if (!storage->ide) {
        return false;
    }
    for (unsigned n = 0; n < PIIX_IDE_CHANNELS; n++) {
        device_connect_irq_out((Device *)storage->ide, "irq", (int)n, gsi[IDE_FIRST_IRQ + n]);
        for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
            if (!create_drive(BLOCK_INTERFACE_IDE, (Bus *)piix3_ide_channel(storage->ide, n), n,
                              unit, error)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- CMOS (RBIL, CMOS memory map) ---- */

static void set_geometry(Rtc *rtc, unsigned unit, const IdeGeometry *geometry)
{
    unsigned at = CMOS_GEOMETRY + unit * CMOS_GEOMETRY_SIZE;
    const uint8_t cells[CMOS_GEOMETRY_SIZE] = {
        geometry->cyls, geometry->cyls >> 8, geometry->heads, 0xff, 0xff,
        0xc0 | (geometry->heads > 8) << 3, geometry->cyls, geometry->cyls >> 8, geometry->secs,
    };

    rtc_set_cmos(rtc, CMOS_TYPES + unit, TYPE_IN_CMOS);
    for (unsigned i = 0; i < CMOS_GEOMETRY_SIZE; i++) {
        rtc_set_cmos(rtc, at + i, cells[i]);
    }
}

static void fill_floppies(const PcStorage *storage, Rtc *rtc)
{
    uint8_t first = isa_fdc_cmos_type(storage->fdc, 0);
    uint8_t second = isa_fdc_cmos_type(storage->fdc, 1);
    uint8_t equipment = EQUIPMENT_FPU_MOUSE;

    equipment |= first || second ? EQUIPMENT_FLOPPY : 0;
    equipment |= first && second ? EQUIPMENT_SECOND_FLOPPY : 0;
    rtc_set_cmos(rtc, CMOS_FLOPPIES, (uint8_t)(first << 4) | second);
    rtc_set_cmos(rtc, CMOS_EQUIPMENT, equipment);
}

void pc_storage_fill_cmos(const PcStorage *storage, Rtc *rtc)
{
    uint8_t types = 0, translations = 0;

    fill_floppies(storage, rtc);
    for (unsigned n = 0; n < PIIX_IDE_CHANNELS * IDE_UNITS; n++) {
        IdeChannel *ch = piix3_ide_channel(storage->ide, n / IDE_UNITS);
        IdeGeometry geometry;

        if (!ide_geometry(ch, n % IDE_UNITS, &geometry)) {
            continue;
        }
        if (n < IDE_UNITS) {
            types |= TYPE_EXTENDED << (n ? 0 : 4);
            set_geometry(rtc, n, &geometry);
        }
        /* BiosTranslation's "auto" is none by now. */
        translations |= (uint8_t)(geometry.translation - 1) << (2 * n);
    }
    rtc_set_cmos(rtc, CMOS_DISKS, types);
    rtc_set_cmos(rtc, CMOS_TRANSLATION, translations);
}

void pc_storage_fill_acpi(const PcStorage *storage, AcpiConfig *config)
{
    config->fdc = storage->fdc;
    for (unsigned i = 0; storage->fdc && i < ACPI_FLOPPIES; i++) {
        AcpiFloppy *floppy = &config->floppies[i];

        floppy->type = isa_fdc_cmos_type(storage->fdc, i);
        isa_fdc_last_place(storage->fdc, i, &floppy->last_track, &floppy->last_sector,
                           &floppy->last_side);
    }
}
