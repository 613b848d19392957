/* SPDX-License-Identifier: Apache-2.0 */
/* Devices in the words of Open Firmware, as a PC's firmware finds what to boot from. */
#include "hw/core/device-internal.h"

char *device_boot_path(Device *dev)
{
    Bus *bus = dev->bus;
    const BusOps *ops = bus ? bus_ops(bus) : NULL;
    const DeviceHooks *hooks[DEVICE_LEVELS_MAX];
    unsigned count = device_levels(dev, hooks);
    g_autofree char *above = bus && bus->owner ? device_boot_path(bus->owner) : g_strdup("");
    g_autofree char *here = ops && ops->fw_path ? ops->fw_path(bus, dev) : NULL;
    g_autofree char *own = NULL;

    for (unsigned i = 0; i < count && !own; i++) {
        own = hooks[i]->boot_path ? hooks[i]->boot_path(dev) : NULL;
    }
    return g_strconcat(above, here ? here : "", own ? own : "", NULL);
}
