/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of hw/core share among themselves. */
#ifndef VIREO_HW_CORE_DEVICE_INTERNAL_H
#define VIREO_HW_CORE_DEVICE_INTERNAL_H

#include "hw/core/device.h"

/* The type chain of an object, from the leaf (0) towards the root, "device" included. */
#define DEVICE_LEVELS_MAX 8
unsigned device_levels(const Device *dev, const DeviceHooks *hooks[DEVICE_LEVELS_MAX]);
/* The nearest level's value up the chain, or NULL. */
const char *device_type_bus(const TypeInfo *type);
const DeviceHooks *type_device_hooks(const TypeInfo *type);
/* The leaf-most level that has hooks; never NULL for a device type. */
const BusOps *bus_ops(const Bus *bus);
/* Give the device its place under /machine. */
bool device_place_in_tree(Device *dev, GError **error);
void irq_groups_free(Device *dev);

#endif
