/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named groups of interrupt lines of a device. Every input goes through its group, so that a test
 * can take the place of the device's own handler; an output is intercepted by putting a relay
 * into the device's field.
 */
#include "hw/core/irq.h"

#include "hw/core/device-internal.h"

typedef struct IrqRelay {
    Irq original;
    IrqFn *fn;
    void *opaque;
} IrqRelay;

typedef struct IrqGroup {
    Device *dev;
    char *name; /* NULL: the unnamed group */
    int count;
    IrqFn *input;
    Irq *outs;
    IrqFn *intercept;
    void *intercept_opaque;
    IrqRelay *relays; /* outputs being watched, or NULL */
} IrqGroup;

static void irq_group_free(void *data)
{
    IrqGroup *group = data;

    g_free(group->name);
    g_free(group->relays);
    g_free(group);
}

void irq_groups_free(Device *dev)
{
    g_clear_pointer(&dev->irq_groups, g_ptr_array_unref);
}

static IrqGroup *irq_group_find(Device *dev, const char *name, bool outputs)
{
    for (unsigned i = 0; dev->irq_groups && i < dev->irq_groups->len; i++) {
        IrqGroup *group = g_ptr_array_index(dev->irq_groups, i);

        if (g_strcmp0(group->name, name) == 0 && (group->outs != NULL) == outputs) {
            return group;
        }
    }
    return NULL;
}

static IrqGroup *irq_group_add(Device *dev, const char *name, int count)
{
    IrqGroup *group = g_new0(IrqGroup, 1);

    group->dev = dev;
    group->name = g_strdup(name);
    group->count = count;
    if (!dev->irq_groups) {
        dev->irq_groups = g_ptr_array_new_with_free_func(irq_group_free);
    }
    g_ptr_array_add(dev->irq_groups, group);
    return group;
}

static void irq_group_input(void *opaque, int n, bool level)
{
    IrqGroup *group = opaque;

    if (group->intercept) {
        group->intercept(group->intercept_opaque, n, level);
    } else {
        group->input(group->dev, n, level);
    }
}

void device_init_irq_in(Device *dev, const char *name, IrqFn *fn, int count)
{
    irq_group_add(dev, name, count)->input = fn;
}

void device_init_irq_out(Device *dev, const char *name, Irq *outs, int count)
{
    irq_group_add(dev, name, count)->outs = outs;
}

Irq device_irq_in(Device *dev, const char *name, int n)
{
    IrqGroup *group = irq_group_find(dev, name, false);

    g_assert(group && n >= 0 && n < group->count);
    return (Irq){ .fn = irq_group_input, .opaque = group, .n = n };
}

void device_connect_irq_out(Device *dev, const char *name, int n, Irq irq)
{
    IrqGroup *group = irq_group_find(dev, name, true);

    g_assert(group && n >= 0 && n < group->count);
    if (group->relays) {
        group->relays[n].original = irq;
    } else {
        group->outs[n] = irq;
    }
}

static void irq_relay(void *opaque, int n, bool level)
{
    IrqRelay *relay = opaque;

    relay->fn(relay->opaque, n, level);
    irq_set(relay->original, level);
}

static void watch_outputs(IrqGroup *group, IrqFn *fn, void *opaque)
{
    if (!group->relays) {
        group->relays = g_new0(IrqRelay, group->count);
        for (int i = 0; i < group->count; i++) {
            group->relays[i].original = group->outs[i];
            group->outs[i] = (Irq){ .fn = irq_relay, .opaque = &group->relays[i], .n = i };
        }
    }
    for (int i = 0; i < group->count; i++) {
        group->relays[i].fn = fn;
        group->relays[i].opaque = opaque;
    }
}

bool device_intercept_irq(Device *dev, const char *name, bool outputs, IrqFn *fn, void *opaque)
{
    IrqGroup *group = irq_group_find(dev, name, outputs);

    if (!group) {
        return false;
    }
    if (outputs) {
        watch_outputs(group, fn, opaque);
    } else {
        group->intercept = fn;
        group->intercept_opaque = opaque;
    }
    return true;
}

bool device_set_irq_in(Device *dev, const char *name, int n, bool level)
{
    IrqGroup *group = irq_group_find(dev, name, false);

    if (!group || n < 0 || n >= group->count) {
        return false;
    }
    group->input(dev, n, level);
    return true;
}
