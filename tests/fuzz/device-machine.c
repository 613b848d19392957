/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of the device target: made once, reset for each input. */
#include <string.h>

#include "accel/accel.h"
#include "block/node.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-regs.h"
#include "system/machine-setup.h"
#include "system/runstate.h"
#include "tests/fuzz/device.h"
#include "util/error.h"
#include "util/timer.h"
#include "util/vm-lock.h"

#define DISK "size=1048576,read-zeroes=on"
#define BAD(id) \
    " -blockdev driver=blkdebug,node-name=" id ",image.driver=null-aio,image.size=1048576," \
    "image.read-zeroes=on,inject-error.0.event=none,inject-error.0.iotype=read," \
    "inject-error.0.sector=5,inject-error.1.event=none,inject-error.1.iotype=write," \
    "inject-error.1.sector=6,inject-error.2.event=none,inject-error.2.iotype=discard," \
    "inject-error.2.errno=28"
#define STOPS "rerror=stop,werror=stop"
#define GOOD(id) " -blockdev driver=null-aio,node-name=" id "," DISK
#define COMMAND_LINE \
    "fuzz -M pc -accel qtest -m 4 -nodefaults -no-user-config -display none -rtc clock=vm" \
    " -vga std -serial null -serial null -parallel null" \
    GOOD("hd") BAD("hd2") GOOD("cd") GOOD("vd") BAD("vd2") GOOD("sd") BAD("sd2") GOOD("scd") \
    " -device ide-hd,drive=hd,bus=ide.0,unit=0" \
    " -device ide-hd,drive=hd2,bus=ide.0,unit=1," STOPS \
    " -device ide-cd,drive=cd,bus=ide.1,unit=0 -device ide-cd,bus=ide.1,unit=1" \
    " -drive if=floppy,driver=null-aio,size=1474560,read-zeroes=on" \
    " -device virtio-blk-pci,drive=vd,packed=on,in_order=on,num-queues=2,disable-legacy=on" \
    " -device virtio-blk-pci,id=bad,drive=vd2,packed=on,in_order=on," STOPS \
    " -device virtio-scsi-pci,id=scsi,packed=on,in_order=on" \
    " -device scsi-hd,drive=sd,bus=scsi.0,lun=0 -device scsi-hd,drive=sd2,bus=scsi.0,lun=1," STOPS \
    " -device scsi-cd,drive=scd,bus=scsi.0,lun=2 -device scsi-cd,bus=scsi.0,lun=3" \
    " -device virtio-net-pci,netdev=wire0,packed=on,romfile=" \
    " -device virtio-rng-pci,packed=on -device e1000,netdev=wire1,romfile=" \
    " -chardev null,id=c -device pci-serial,chardev=c -device pvpanic-pci"

#define IO_BASE 0xc000u
#define MEMORY_BASE 0xe0000000u
#define VIRTIO_BAR 4
#define CLOCK_NS (200 * NS_PER_MS)

#define PORTS(first, count) { (first), (count), true }
#define MEMORY(first, count) { (first), (count), false }

const FuzzFocus fuzz_focuses[] = {
    { "ide", "piix3-ide", { PORTS(0x1f0, 8), PORTS(0x3f6, 1), PORTS(0x170, 8), PORTS(0x376, 1) } },
    { "fdc", "isa-fdc", { PORTS(0x3f0, 6), PORTS(0x3f7, 1), PORTS(0, 16), PORTS(0x80, 16),
                          PORTS(0xc0, 32) } },
    { "virtio-blk", "virtio-blk-pci-non-transitional", { { 0 } } },
    { "virtio-blk-stop", "virtio-blk-pci", { { 0 } } },
    { "virtio-scsi", "virtio-scsi-pci", { { 0 } } },
    { "virtio-net", "virtio-net-pci", { { 0 } } },
    { "virtio-rng", "virtio-rng-pci", { { 0 } } },
    { "e1000", "e1000", { { 0 } } },
    { "serial", "pci-serial", { PORTS(0x3f8, 8), PORTS(0x2f8, 8), PORTS(0x378, 8) } },
    { "vga", "VGA", { PORTS(0x3b0, 0x30), PORTS(0x1ce, 4), MEMORY(0xa0000, 0x20000) } },
    { "board", "PIIX4_PM",
      { PORTS(0x20, 2), PORTS(0x40, 4), PORTS(0x60, 5), PORTS(0x70, 2), PORTS(0x92, 1),
        PORTS(0xa0, 2), PORTS(0xb2, 2), PORTS(0x4d0, 2), PORTS(0x510, 12), PORTS(0x600, 64),
        PORTS(0xae00, 32), PORTS(0xaf00, 32), PORTS(0xafe0, 4), PORTS(0xcf8, 8),
        MEMORY(0xfec00000, 0x100), MEMORY(0xfed00000, 0x400), MEMORY(0xfee00000, 0x1000) } },
};

unsigned fuzz_focus_count(void)
{
    return G_N_ELEMENTS(fuzz_focuses);
}

/* ---- Wires ---- */

static unsigned wire_number(const NetClient *nc)
{
    return nc->name[strlen(nc->name) - 1] - '0';
}

static uint32_t wire_features(NetClient *nc)
{
    return NET_FEATURE_CSUM | NET_FEATURE_TSO4 | NET_FEATURE_TSO6 | NET_FEATURE_ECN |
           NET_FEATURE_UFO;
}

static bool wire_can_receive(NetClient *nc)
{
    return ((FuzzMachine *)nc->opaque)->wire_takes[wire_number(nc)];
}

/* A peer looks at all of it. */
static int wire_receive(NetClient *nc, const NetPacket *packet)
{
    uint8_t sum = 0;
    size_t size = 0;

    for (unsigned i = 0; i < packet->n; i++) {
        size += packet->iov[i].iov_len;
        for (size_t at = 0; at < packet->iov[i].iov_len; at++) {
            sum ^= ((const uint8_t *)packet->iov[i].iov_base)[at];
        }
    }
    g_assert_cmpuint(size, ==, packet->size);
    g_assert_cmpuint(size, <=, NET_MAX_FRAME);
    return sum == 0xa5 ? -EAGAIN : 0;
}

static const NetClientOps wire_ops = {
    .kind = NET_CLIENT_DRIVER_USER,
    .features = wire_features,
    .can_receive = wire_can_receive,
    .receive = wire_receive,
};

/* ---- Building ---- */

static bool build_board(FuzzMachine *machine, VmOptions *options, GError **error)
{
    bool ok;

    memory_transaction_begin();
    for (unsigned i = 0; i < FUZZ_WIRES; i++) {
        g_autofree char *name = g_strdup_printf("wire%u", i);

        machine->wires[i] = net_client_new(&wire_ops, "fuzz", name, 0, machine);
    }
    ok = setup_memory(options, error) && setup_board(options, error) &&
         setup_devices(options, error);
    memory_transaction_commit();
    return ok && setup_finish(options, error);
}

static void build(FuzzMachine *machine)
{
    g_auto(GStrv) argv = g_strsplit(COMMAND_LINE, " ", -1);
    g_autoptr(GError) error = NULL;
    VmOptions *options;
    MemoryPlace place;

    g_setenv("VIREO_DATA", FUZZ_DATA, false);
    vm_lock();
    error_init("fuzz");
    options_parse((int)g_strv_length(argv), argv, &options, &error);
    g_assert_no_error(error);
    machine->options = options;
    runstate_init();
    runstate_actions()->shutdown = SHUTDOWN_ACTION_PAUSE;
    runstate_actions()->panic = PANIC_ACTION_NONE;
    memory_init();
    if (!setup_machine_object(options, &error) || !setup_chardevs(options, &error) ||
        !setup_objects(options, &error) || !setup_accelerator(options, &error) ||
        !setup_drives(options, &error) || !setup_networks(options, &error) ||
        !build_board(machine, options, &error)) {
        g_error("%s", error->message);
    }
    g_assert_true(address_space_find(address_space_memory(), 0, &place));
    machine->ram = place.read;
    machine->ram_size = memory_region_size(place.region);
    machine->built = true;
}

/* ---- For each input ---- */

void fuzz_pump(unsigned turns)
{
    while (turns-- && loop_iterate(loop_main(), false)) {
    }
}

void fuzz_machine_go_on(void)
{
    g_autoptr(GError) error = NULL;

    runstate_start(&error);
}

void fuzz_machine_reset(FuzzMachine *machine)
{
    memory_transaction_begin();
    runstate_reset_machine(VM_CAUSE_NONE);
    memory_transaction_commit();
    if (runstate_get() == RUN_STATE_SUSPENDED) {
        vm_request_wakeup();
        fuzz_pump(100);
    }
    fuzz_machine_go_on();
}

void fuzz_config_write(const PciDevice *dev, unsigned offset, unsigned size, uint32_t value)
{
    address_space_store(address_space_io(), 0xcf8, 4,
                        0x80000000u | (uint32_t)dev->devfn << 8 | (offset & 0xfc));
    address_space_store(address_space_io(), 0xcfc + (offset & 3), size, value);
}

static bool find_device(Device *dev, void *opaque)
{
    FuzzMachine *machine = opaque;
    const char *type = machine->focus->type;

    if (g_str_equal(type, "virtio-blk-pci-non-transitional")) {
        /* The first of two virtio-blk-pci. */
        if (g_str_equal(object_type_name(dev), "virtio-blk-pci") && !dev->id) {
            machine->dev = dev;
        }
    } else if (g_str_equal(object_type_name(dev), type) &&
               (!g_str_equal(type, "virtio-blk-pci") || dev->id)) {
        machine->dev = dev;
    }
    return !machine->dev;
}

static void add_area(FuzzMachine *machine, FuzzArea area)
{
    if (machine->n_areas < FUZZ_MAX_AREAS && area.size) {
        machine->areas[machine->n_areas++] = area;
    }
}

/* BARs where firmware would put them. */
void fuzz_machine_map(FuzzMachine *machine)
{
    uint64_t io = IO_BASE, memory = MEMORY_BASE;

    machine->n_areas = 0;
    for (const FuzzArea *area = machine->focus->areas; area->size; area++) {
        add_area(machine, *area);
    }
    if (!machine->pci) {
        return;
    }
    memory_transaction_begin();
    for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
        const PciBar *bar = &machine->pci->bars[i];
        bool is_io = bar->type & PCI_BAR_IO;
        uint64_t *next = is_io ? &io : &memory;

        if (bar->region) {
            *next = (*next + bar->size - 1) & ~(bar->size - 1);
            fuzz_config_write(machine->pci, PCI_BAR0 + 4 * i, 4, (uint32_t)*next);
            add_area(machine, (FuzzArea) { *next, (uint32_t)bar->size, is_io });
            if (i == VIRTIO_BAR && strstr(object_type_name(machine->pci), "virtio")) {
                machine->common = *next;
            }
            *next += bar->size;
        }
    }
    fuzz_config_write(machine->pci, PCI_COMMAND, 2,
                      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    memory_transaction_commit();
}

void fuzz_machine_begin(FuzzMachine *machine, const FuzzFocus *focus)
{
    if (!machine->built) {
        build(machine);
    }
    fuzz_machine_reset(machine);
    memset(machine->ram, 0, machine->ram_size);
    memset(machine->queues, 0, sizeof(machine->queues));
    machine->focus = focus;
    machine->dev = NULL;
    machine->pci = NULL;
    machine->common = 0;
    machine->packed = false;
    machine->ns = CLOCK_NS;
    device_foreach(find_device, machine);
    g_assert_nonnull(machine->dev);
    if (object_is_a(machine->dev, TYPE_PCI_DEVICE)) {
        machine->pci = (PciDevice *)machine->dev;
    }
    for (unsigned i = 0; i < FUZZ_WIRES; i++) {
        machine->wire_takes[i] = true;
    }
    fuzz_machine_map(machine);
}

void fuzz_machine_end(FuzzMachine *machine)
{
    fuzz_dma_set_pattern(NULL, 0);
    fuzz_pump(1000);
    fuzz_machine_reset(machine);
    for (unsigned i = 0; i < FUZZ_WIRES; i++) {
        machine->wire_takes[i] = true;
        net_purge(machine->wires[i]);
        net_set_link(machine->wires[i]->name, true, NULL);
    }
    fuzz_pump(1000);
}

/* ---- Saved state ---- */

static GByteArray *save(Device *dev)
{
    GByteArray *bytes = g_byte_array_new();

    vmstate_save(device_vmstate(dev), dev, bytes);
    return bytes;
}

static void compare_saved(const FuzzMachine *machine, const GByteArray *before,
                          const GByteArray *after)
{
    for (guint i = 0; i < MIN(before->len, after->len); i++) {
        if (before->data[i] != after->data[i]) {
            g_error("%s: saved byte %u of %u was %02x, is %02x", machine->focus->name, i,
                    before->len, before->data[i], after->data[i]);
        }
    }
    g_assert_cmpuint(before->len, ==, after->len);
}

void fuzz_machine_save_and_load(FuzzMachine *machine)
{
    const VmState *state = device_vmstate(machine->dev);
    g_autoptr(GByteArray) before = NULL, after = NULL;
    g_autofree char *view = NULL, *view_after = NULL;
    g_autoptr(GError) error = NULL;
    bool was_running = runstate_is_running();
    size_t used;

    runstate_stop(RUN_STATE_SAVE_VM);
    block_drain_all_begin();
    before = save(machine->dev);
    view = memory_describe(true, false);
    device_reset_tree(machine->dev);
    vmstate_load(state, machine->dev, state->version, before->data, before->len, &used, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(used, ==, before->len);
    after = save(machine->dev);
    view_after = memory_describe(true, false);
    block_drain_all_end();
    compare_saved(machine, before, after);
    g_assert_cmpstr(view, ==, view_after);
    if (was_running) {
        fuzz_machine_go_on();
    }
}
