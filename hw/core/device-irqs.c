/* SPDX-License-Identifier: Apache-2.0 */
/* What interrupt controllers say of themselves: `info pic` and `info irq`. */
#include <inttypes.h>

#include "hw/core/device-internal.h"

static bool describe_controller(Device *dev, void *opaque)
{
    const DeviceHooks *hooks[DEVICE_LEVELS_MAX];
    unsigned n = device_levels(dev, hooks);

    for (unsigned i = 0; i < n; i++) {
        if (hooks[i]->describe_irqs) {
            hooks[i]->describe_irqs(dev, opaque);
            break;
        }
    }
    return true;
}

char *device_irqs_describe(void)
{
    GString *out = g_string_new(NULL);

    device_foreach(describe_controller, out);
    return g_string_free(out, FALSE);
}

static void describe_counts(Device *dev, const DeviceHooks *hooks, GString *out)
{
    const uint64_t *counts = NULL;
    unsigned first = 0, count = 0;

    if (hooks->irq_counts) {
        counts = hooks->irq_counts(dev, &first, &count);
    }
    if (!counts) {
        g_string_append_printf(out, "%s does not count\n", dev->parent_obj.type->name);
        return;
    }
    g_string_append_printf(out, "IRQ statistics for %s:\n", dev->parent_obj.type->name);
    for (unsigned i = 0; i < count; i++) {
        if (counts[i]) {
            g_string_append_printf(out, "%2u: %" PRIu64 "\n", first + i, counts[i]);
        }
    }
}

static bool count_controller(Device *dev, void *opaque)
{
    const DeviceHooks *hooks[DEVICE_LEVELS_MAX];
    unsigned n = device_levels(dev, hooks);

    for (unsigned i = 0; i < n; i++) {
        if (hooks[i]->describe_irqs) {
            describe_counts(dev, hooks[i], opaque);
            break;
        }
    }
    return true;
}

char *device_irq_counts_describe(void)
{
    GString *out = g_string_new(NULL);

    device_foreach(count_controller, out);
    return g_string_free(out, FALSE);
}
