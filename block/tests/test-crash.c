/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts and failing disks, under every format that can be written (power-cut.h). */
#include <errno.h>

#include "block/tests/power-cut.h"
#include "crypto/tests/luks-memory.h"

/* Every write's position, with -m slow; else one of so many. */
#define STRIDE 12
#define DELETE_STRIDE 5

#define SMALL (1024 * 1024 / BLOCK_SECTOR)
#define LARGE (4 * SMALL)
/* Caches so small that they overflow. */
#define CACHES ",\"l2-cache-entry-size\":512,\"l2-cache-size\":2048"

static const CutVariant variants[] = {
    { "qcow2-4k", "qcow2", ",\"cluster-size\":4096", CACHES, SMALL },
    { "qcow2-resizes", "qcow2", ",\"cluster-size\":4096", CACHES, SMALL, .resizes = true },
    { "qcow2-4k-backing", "qcow2", ",\"cluster-size\":4096", CACHES, SMALL, .backing = true },
    { "qcow2-64k-backing", "qcow2", "", CACHES, SMALL, .backing = true },
    { "qcow2-512", "qcow2", ",\"cluster-size\":512,\"refcount-bits\":64", CACHES, SMALL,
      .backing = true },
    { "qcow2-compressed", "qcow2", ",\"cluster-size\":4096", CACHES, SMALL, .compressed = true },
    { "qcow2-compressed-backing", "qcow2", ",\"cluster-size\":4096", CACHES, SMALL,
      .backing = true, .compressed = true },
    { "qcow2-lazy", "qcow2", ",\"cluster-size\":4096,\"lazy-refcounts\":true", CACHES, SMALL,
      .backing = true },
    { "qcow2-subclusters", "qcow2", ",\"cluster-size\":16384,\"extended-l2\":true", CACHES, SMALL,
      .backing = true },
    { "qcow2-v2", "qcow2", ",\"cluster-size\":4096,\"version\":\"v2\"", CACHES, SMALL },
    { "raw", "raw", NULL, "", SMALL, .keeps_discard = true, .resizes = true,
      .size_of_file = true },
    { "luks", "luks", ",\"key-secret\":\"key\",\"iter-time\":10", ",\"key-secret\":\"key\"", SMALL,
      .filled = true, .size_of_file = true, .stride = 60 }, /* it has no map, and a slow key */
    { "vdi", "vdi", "", "", LARGE, .stride = 1 }, /* few writes change its map */
    { "vdi-static", "vdi", ",\"preallocation\":\"metadata\"", "", LARGE },
    { "vhdx", "vhdx", ",\"block-size\":1048576,\"log-size\":1048576", "", LARGE,
      .keeps_discard = true, .resizes = true, .only_grows = true },
    { "vhdx-fixed", "vhdx", ",\"subformat\":\"fixed\"", "", LARGE, .keeps_discard = true },
    { "vpc", "vpc", ",\"force-size\":true", "", LARGE },
    { "vpc-fixed", "vpc", ",\"subformat\":\"fixed\",\"force-size\":true", "", LARGE },
    { "vmdk", "vmdk", "", "", LARGE },
    { "vmdk-zeroed", "vmdk", ",\"zeroed-grain\":true", "", LARGE },
    { "qcow2-data-file", "qcow2", ",\"cluster-size\":4096", CACHES, SMALL,
      .files = CUT_DATA_FILE },
    { "qcow2-data-file-backing", "qcow2", ",\"cluster-size\":16384", CACHES, SMALL,
      .backing = true, .files = CUT_DATA_FILE },
    { "qcow2-data-file-subclusters", "qcow2", ",\"cluster-size\":16384,\"extended-l2\":true",
      CACHES, SMALL, .backing = true, .files = CUT_DATA_FILE },
    { "qcow2-data-file-raw", "qcow2", ",\"cluster-size\":4096,\"data-file-raw\":true", CACHES,
      SMALL, .resizes = true, .files = CUT_DATA_FILE },
    { "vmdk-flat", "vmdk", ",\"subformat\":\"monolithicFlat\"", "", SMALL,
      .keeps_discard = true, .files = CUT_EXTENT },
    { "vmdk-split", "vmdk", "", "", LARGE, .files = CUT_SPLIT, .extent_type = "SPARSE" },
    { "vmdk-split-zeroed", "vmdk", ",\"zeroed-grain\":true", "", LARGE, .files = CUT_SPLIT,
      .extent_type = "SPARSE" },
    { "vmdk-split-flat", "vmdk", NULL, "", SMALL, .keeps_discard = true, .files = CUT_SPLIT,
      .extent_type = "FLAT" },
};

/* With more counts than the cache holds, whose blocks are written while a snapshot goes. */
static const CutVariant many_counts = {
    "qcow2-512-filled", "qcow2", ",\"cluster-size\":512,\"refcount-bits\":64", CACHES,
    SMALL * 9 / 8, .filled = true, .compressed = true,
};

static void test_cuts(const void *opaque)
{
    for (unsigned round = 0; round < (g_test_slow() ? 40 : 3); round++) {
        power_cut(opaque);
    }
}

static void test_create(const void *opaque)
{
    power_cut_create(opaque);
}

static void test_failing(const void *opaque)
{
    const CutVariant *v = opaque;
    int stride = g_test_slow() ? 1 : v->stride ? v->stride : STRIDE;

    power_fail(opaque, EIO, false, stride);
    power_fail(opaque, ENOSPC, true, stride);
}

static void test_failing_delete(const void *opaque)
{
    int stride = g_test_slow() ? 1 : DELETE_STRIDE;

    power_fail_delete(opaque, EIO, false, stride);
    power_fail_delete(opaque, ENOSPC, true, stride);
}

static void test_failing_snapshot(const void *opaque)
{
    power_fail_snapshot(opaque, EIO);
    power_fail_snapshot(opaque, ENOSPC);
}

static void add(const char *kind, const CutVariant *v, GTestDataFunc fn)
{
    g_autofree char *path = g_strdup_printf("/%s/%s", kind, v->name);

    g_test_add_data_func(path, v, fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_secret("key", "geheim");
    for (guint i = 0; i < G_N_ELEMENTS(variants); i++) {
        add("power-cut", &variants[i], test_cuts);
        if (variants[i].create && !variants[i].backing && variants[i].files != CUT_SPLIT) {
            add("power-cut-create", &variants[i], test_create);
        }
        add("failing", &variants[i], test_failing);
        if (variants[i].compressed) {
            add("failing-delete", &variants[i], test_failing_delete);
            add("failing-snapshot", &variants[i], test_failing_snapshot);
        }
    }
    add("failing-delete", &many_counts, test_failing_delete);
    return g_test_run();
}
