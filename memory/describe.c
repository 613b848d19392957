/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for `info mtree`: the tree (disabled regions marked), or the flat views and who shares them.
 */
#include "memory/internal.h"
#include "util/vm-lock.h"

#define HEX "%016" G_GINT64_MODIFIER "x"

static const char *region_kind(const MemoryRegion *region, bool readonly)
{
    if (region->rom_device) {
        return "romd";
    }
    if (region->block) {
        return readonly ? "rom" : "ram";
    }
    return "i/o";
}

static void append_owner(GString *out, const MemoryRegion *region, bool owners)
{
    g_autofree char *path = owners && region->owner ? object_path(region->owner) : NULL;

    if (owners && region->owner) {
        g_string_append_printf(out, " owner:{%s path=%s}",
                               object_is_a(region->owner, "device") ? "dev" : "obj",
                               path ? path : object_type_name(region->owner));
    }
    g_string_append_c(out, '\n');
}

/* Aliased regions outside every container, to be shown as trees of their own. */
static void note_alias(GPtrArray *roots, MemoryRegion *target)
{
    while (target->container) {
        target = target->container;
    }
    if (!g_ptr_array_find(roots, target, NULL)) {
        g_ptr_array_add(roots, target);
    }
}

static uint64_t clip_last(Int128 last)
{
    return last > UINT64_MAX ? UINT64_MAX : (uint64_t)last;
}

static void describe_region(GString *out, const MemoryRegion *region, unsigned depth, Int128 base,
                            bool owners, GPtrArray *roots)
{
    Int128 last = base + region->size - 1;

    g_string_append_printf(out, "%*s" HEX "-" HEX " (prio %d, %s): ", 2 + 2 * depth, "",
                           (uint64_t)base, clip_last(last), region->priority,
                           region_kind(region, region->readonly));
    if (region->alias) {
        g_string_append_printf(out, "alias %s @%s " HEX "-" HEX, region->name, region->alias->name,
                               region->alias_offset,
                               clip_last((Int128)region->alias_offset + region->size - 1));
        note_alias(roots, region->alias);
    } else {
        g_string_append(out, region->name);
    }
    if (!region->enabled) {
        g_string_append(out, " [disabled]");
    }
    append_owner(out, region, owners);
    for (GList *item = region->subregions.head; item; item = item->next) {
        const MemoryRegion *sub = item->data;

        describe_region(out, sub, depth + 1, base + sub->offset, owners, roots);
    }
}

static void describe_tree(GString *out, bool owners)
{
    g_autoptr(GPtrArray) roots = g_ptr_array_new();
    unsigned spaces;

    for (GList *item = memory_state()->spaces.head; item; item = item->next) {
        g_ptr_array_add(roots, ((AddressSpace *)item->data)->root);
    }
    spaces = roots->len;
    for (unsigned i = 0; i < roots->len; i++) { /* grows on the way */
        MemoryRegion *root = roots->pdata[i];

        if (i < spaces) {
            AddressSpace *as = g_queue_peek_nth(&memory_state()->spaces, i);

            g_string_append_printf(out, "address-space: %s\n", as->name);
        } else {
            g_string_append_printf(out, "memory-region: %s\n", root->name);
        }
        describe_region(out, root, 0, 0, owners, roots);
        g_string_append_c(out, '\n');
    }
}

static void describe_view(GString *out, const FlatView *view, bool owners)
{
    if (!view->count) {
        g_string_append(out, "  Nothing is mapped\n");
    }
    for (unsigned i = 0; i < view->count; i++) {
        const FlatRange *range = &view->ranges[i];

        g_string_append_printf(out, "  " HEX "-" HEX " (prio %d, %s): %s", range->addr, range->last,
                               range->region->priority,
                               region_kind(range->region, range->readonly), range->region->name);
        if (range->offset) {
            g_string_append_printf(out, " @" HEX, range->offset);
        }
        append_owner(out, range->region, owners);
    }
    g_string_append_c(out, '\n');
}

static void describe_flat(GString *out, bool owners)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    unsigned number = 0;

    for (GList *item = memory_state()->spaces.head; item; item = item->next) {
        const AddressSpace *as = item->data;

        if (!g_hash_table_add(seen, as->view)) {
            continue;
        }
        g_string_append_printf(out, "FlatView #%u\n", number++);
        for (GList *other = item; other; other = other->next) {
            const AddressSpace *sharer = other->data;

            if (sharer->view == as->view) {
                g_string_append_printf(out, " AS \"%s\", root: %s\n", sharer->name,
                                       sharer->root->name);
            }
        }
        describe_view(out, as->view, owners);
    }
}

char *memory_describe(bool flat, bool owners)
{
    GString *out = g_string_new(NULL);

    g_assert(vm_lock_held());
    if (flat) {
        describe_flat(out, owners);
    } else {
        describe_tree(out, owners);
    }
    return g_string_free(out, FALSE);
}
