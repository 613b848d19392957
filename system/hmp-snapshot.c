/* SPDX-License-Identifier: Apache-2.0 */
/* Human monitor: snapshots of the whole machine, on all disks that can have them. */
#include "system/hmp-snapshot.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "block/snapshot.h"
#include "monitor/hmp.h"
#include "util/error.h"

static bool savevm(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autoptr(BlockSnapshot) named = block_snapshot_new(values[0].text);
    BlockSnapshotSet set;
    bool ok = block_snapshot_set_init(&set, NULL, NULL, error) &&
              block_snapshot_save_all(&set, named->name, true, error);

    block_snapshot_set_cleanup(&set);
    return ok;
}

/* By name, or by the number that it has on the disk with the machine's state. */
static char *find_name(const BlockSnapshotSet *set, const char *wanted, GError **error)
{
    g_autoptr(BlockSnapshot) found = NULL;

    if (!block_snapshot_find(set->state_node, NULL, wanted, &found, error)) {
        return NULL;
    }
    if (!found && !block_snapshot_find(set->state_node, wanted, NULL, &found, error)) {
        return NULL;
    }
    return g_strdup(found ? found->name : wanted);
}

static bool with_name(const HmpValue *values,
                      bool (*fn)(const BlockSnapshotSet *set, const char *name, GError **error),
                      GError **error)
{
    g_autofree char *name = NULL;
    BlockSnapshotSet set;
    bool ok = block_snapshot_set_init(&set, NULL, NULL, error) &&
              (name = find_name(&set, values[0].text, error)) && fn(&set, name, error);

    block_snapshot_set_cleanup(&set);
    return ok;
}

static bool loadvm(Hmp *hmp, const HmpValue *values, GError **error)
{
    return with_name(values, block_snapshot_load_all, error);
}

static bool delvm(Hmp *hmp, const HmpValue *values, GError **error)
{
    return with_name(values, block_snapshot_set_delete, error);
}

/* ---- info snapshots ---- */

static void print_row(Hmp *hmp, const BlockSnapshot *s, const char *id)
{
    g_autofree char *size = g_format_size_full(s->vm_state_size, G_FORMAT_SIZE_IEC_UNITS);
    int64_t ms = s->vm_clock_ns / 1000000;
    time_t seconds = s->date_s;
    struct tm when;
    char date[32];

    localtime_r(&seconds, &when);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &when);
    hmp_printf(hmp, "%-9s %-16s %10s %20s %02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%03" PRId64
               "\n", id, s->name, size, date, ms / 3600000, ms / 60000 % 60, ms / 1000 % 60,
               ms % 1000);
}

static bool on_all_disks(const BlockSnapshotSet *set, const char *name)
{
    for (guint i = 0; i < set->nodes->len; i++) {
        g_autoptr(BlockSnapshot) found = NULL;

        if (!block_snapshot_find(g_ptr_array_index(set->nodes, i), NULL, name, &found, NULL) ||
            !found) {
            return false;
        }
    }
    return true;
}

/* First those that can be loaded; then what single disks have besides. */
static bool print_all(Hmp *hmp, const BlockSnapshotSet *set, bool complete, GError **error)
{
    for (guint i = 0; i < (complete ? 1 : set->nodes->len); i++) {
        BlockNode *node = complete ? set->state_node : g_ptr_array_index(set->nodes, i);
        g_autoptr(GPtrArray) list = block_snapshot_list(node, error);
        bool titled = complete;

        if (!list) {
            return false;
        }
        for (guint j = 0; j < list->len; j++) {
            const BlockSnapshot *s = g_ptr_array_index(list, j);

            if (on_all_disks(set, s->name) != complete) {
                continue;
            }
            if (!titled) {
                hmp_printf(hmp, "\nList of partial (non-loadable) snapshots on '%s':\n",
                           node->name);
                titled = true;
            }
            print_row(hmp, s, complete ? "--" : s->id);
        }
    }
    return true;
}

static bool info_snapshots(Hmp *hmp, const HmpValue *values, GError **error)
{
    BlockSnapshotSet set;
    bool ok = block_snapshot_set_init(&set, NULL, NULL, error);

    if (ok) {
        hmp_puts(hmp, "List of snapshots present on all disks:\n");
        hmp_printf(hmp, "%-9s %-16s %10s %20s %12s\n", "ID", "TAG", "VM SIZE", "DATE",
                   "VM CLOCK");
        ok = print_all(hmp, &set, true, error) && print_all(hmp, &set, false, error);
    }
    block_snapshot_set_cleanup(&set);
    return ok;
}

void hmp_snapshot_register(void)
{
    static const HmpCommand commands[] = {
        { .name = "savevm", .help = "save the machine and its disks as a snapshot in the images",
          .args = { { "name", HMP_WORD, .optional = true } }, .run = savevm },
        { .name = "loadvm", .help = "go back to a snapshot of the machine",
          .args = { { "name", HMP_WORD } }, .run = loadvm },
        { .name = "delvm", .help = "delete a snapshot of the machine",
          .args = { { "name", HMP_WORD } }, .run = delvm },
        { .name = NULL },
    };
    static const HmpCommand info[] = {
        { .name = "snapshots", .help = "snapshots of the machine", .run = info_snapshots },
        { .name = NULL },
    };

    hmp_add_commands(commands);
    hmp_add_info(info);
}
