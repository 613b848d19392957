/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and buses.
 *
 * A device is an object of a type below "device". Its life: object_new, properties set, placed on
 * a bus, realized (each level of the type chain from root to leaf, then the bus's plug step),
 * reset any number of times, unrealized in reverse. A failed realize undoes the levels that had
 * succeeded.
 *
 * Named IRQ inputs and outputs are how boards, other devices and qtest (irq_intercept) wire lines.
 * VM lock held throughout.
 */
#ifndef VIREO_HW_CORE_DEVICE_H
#define VIREO_HW_CORE_DEVICE_H

#include "hw/core/irq.h"
#include "qom/object.h"
#include "util/notify.h"
#include "vmstate/vmstate.h"

#define TYPE_DEVICE "device"
#define TYPE_BUS "bus"

typedef struct Device Device;
typedef struct Bus Bus;

typedef enum DeviceCategory {
    DEVICE_CATEGORY_MISC, DEVICE_CATEGORY_BRIDGE, DEVICE_CATEGORY_USB, DEVICE_CATEGORY_STORAGE,
    DEVICE_CATEGORY_NETWORK, DEVICE_CATEGORY_INPUT, DEVICE_CATEGORY_DISPLAY, DEVICE_CATEGORY_SOUND,
    DEVICE_CATEGORY_CPU, DEVICE_CATEGORY_WATCHDOG, DEVICE_CATEGORY__MAX,
} DeviceCategory;

/* One per type level (TypeInfo.hooks). Every slot may be NULL. */
typedef struct DeviceHooks {
    /*
     * Claim resources, register memory and IRQs. Guest-visible state is set by reset, which
     * follows.
     */
    bool (*realize)(Device *dev, GError **error);
    /* Undo realize. Must not fail; requests in flight are drained first. */
    void (*unrealize)(Device *dev);
    /* Power-on values. Leaf level first, then its parents. */
    void (*reset)(Device *dev);
    const VmState *vmstate; /* leaf's wins */
    /* An interrupt controller's lines of `info pic`, as text. */
    void (*describe_irqs)(Device *dev, GString *out);
    /*
     * For devices with "bootindex": what follows the bus's part in its firmware path
     * ("/disk@0,0"); the caller's. NULL: nothing.
     */
    char *(*boot_path)(Device *dev);
    /* How often each input was raised, for `info irq`: as many as *count, inputs [first...). */
    const uint64_t *(*irq_counts)(Device *dev, unsigned *first, unsigned *count);
    const char *bus_type;   /* the bus that it sits on; nearest level's wins; NULL: none (system) */
    DeviceCategory category;
    bool hotpluggable;
    bool no_user;           /* board-only: -device refuses it, with this said */
} DeviceHooks;

/* Its place in the firmware's boot order, lowest first; the board collects them. */
#define PROP_BOOTINDEX(n, S, f) PROP_INT32(n, S, f, -1, "place in the boot order; -1: none")

struct Device {
    Object parent_obj;
    char *id;         /* -device id=, or NULL */
    Bus *bus;         /* borrowed: the bus refs its children */
    bool realized;
    bool hotplugged;
    GPtrArray *buses; /* Bus* that it provides */
    GPtrArray *irq_groups; /* private */
};

/* How a kind of bus places and connects its devices; TypeInfo.ops of the bus type. */
typedef struct BusOps {
    /* Called between set properties and realize: check or choose the address. */
    bool (*check_address)(Bus *bus, Device *dev, GError **error);
    bool (*plug)(Bus *bus, Device *dev, GError **error);   /* after realize succeeded */
    void (*unplug)(Bus *bus, Device *dev);                  /* before unrealize */
    /* The guest is asked to let go (ACPI hot-plug); NULL: unplug at once. */
    bool (*unplug_request)(Bus *bus, Device *dev, GError **error);
    /* "addr" as info qtree prints it; the caller's. */
    char *(*describe)(Bus *bus, Device *dev);
    /* Firmware device path element for bootindex ("pci@i0cf8", ...). */
    char *(*fw_path)(Bus *bus, Device *dev);
} BusOps;

struct Bus {
    Object parent_obj;
    Device *owner;     /* NULL: the main system bus */
    GPtrArray *children; /* Device*, referenced */
    unsigned max_devices; /* 0: no limit of its own */
    bool allow_hotplug;
};

/* A bus named owner-unique; owner NULL: a machine-level bus. Owned by its owner's object tree. */
Bus *bus_new(const char *type, Device *owner, const char *name);
bool bus_is_full(const Bus *bus);
/* By name or path ("pci.0", "/i440FX-pcihost/pci.0"), error lists what there is. */
Bus *bus_find(const char *path, GError **error);
/* The first bus of this type with room, or NULL. */
Bus *bus_find_by_type(const char *type);
Bus *bus_system(void);

/*
 * Place on a bus (NULL: none) and realize. Takes over the caller's reference in either case. name
 * is its name under /machine/unattached or, for user devices, /machine/peripheral[-anon].
 */
bool device_realize_and_unref(Device *dev, Bus *bus, GError **error);
/*
 * Board's one-liner: new, realize on bus; own errors are fatal to machine creation, so passed up.
 */
Device *device_create(const char *type, Bus *bus, GError **error);
/*
 * device_add and -device: {"driver": ..., "id": ..., "bus": ..., props}. text: keyval scalars.
 * hotplug: the machine is complete, so bus and device must allow it. Borrowed.
 */
Device *device_add(json_object *options, bool text, bool hotplug, GError **error);
bool device_unplug(const char *id_or_path, GError **error);
/* Its type can come and go while the machine runs. */
bool device_is_hotpluggable(const Device *dev);
/* The end of an unplug: the device goes, and DEVICE_DELETED tells of it. */
void device_delete(Device *dev);
/* Unrealize and drop from bus and tree; frees it if nobody else holds it. */
void device_unparent(Device *dev);
Device *device_find(const char *id);

const VmState *device_vmstate(const Device *dev);
/* `info pic`, `info irq`: what every interrupt controller says. The caller's. */
char *device_irqs_describe(void);
char *device_irq_counts_describe(void);
void device_foreach(bool (*fn)(Device *dev, void *opaque), void *opaque);
/* "-device help" and "-device X,help". */
char *device_types_help(void);
char *device_type_help(const char *type, GError **error);
/* "/pci@i0cf8/ide@1,1/drive@0/disk@0": what its buses and itself say; the caller's. */
char *device_boot_path(Device *dev);
/* info qtree */
char *device_tree_describe(void);

/*
 * IRQ lines by group (name NULL: the unnamed group). Inputs are made in instance_init or realize;
 * outputs are fields in the device's struct that the wiring side fills through
 * device_connect_irq_out.
 */
void device_init_irq_in(Device *dev, const char *name, IrqFn *fn, int count);
void device_init_irq_out(Device *dev, const char *name, Irq *outs, int count);
Irq device_irq_in(Device *dev, const char *name, int n);
void device_connect_irq_out(Device *dev, const char *name, int n, Irq irq);
/* qtest: call fn(opaque, n, level) for every change of the group instead of (outputs: besides) the
   normal way. false if there is no such group. */
bool device_intercept_irq(Device *dev, const char *name, bool outputs, IrqFn *fn, void *opaque);
/* Drive an input from outside (qtest's set_irq_in). */
bool device_set_irq_in(Device *dev, const char *name, int n, bool level);

/* Boards' and bus cores' own devices with no bus: a plain device on the system bus. */
#define TYPE_SYS_DEVICE "sys-device"

/* Machine reset: handlers run in order of registration after all devices on all buses. */
typedef void ResetFn(void *opaque);
void reset_register(ResetFn *fn, void *opaque);
void reset_unregister(ResetFn *fn, void *opaque);
void reset_all_devices(void);
void device_reset_tree(Device *dev);

/* Things that happen to the whole machine; devices add notifiers. */
NotifierList *machine_done_notifiers(void);  /* before the first reset, all devices are there */
NotifierList *powerdown_notifiers(void);     /* system_powerdown: ACPI button */
NotifierList *suspend_notifiers(void);
NotifierList *wakeup_notifiers(void);
/* bool *running */
NotifierList *run_state_notifiers(void);
/* The program ends: CPUs stand still, disks are still there. */
NotifierList *exit_notifiers(void);

#endif
