/* SPDX-License-Identifier: Apache-2.0 */
/* The medium and tray commands: devices with a tray, without, and with a medium that stays. */
#include <string.h>

#include "block/backend.h"
#include "block/tests/mem-driver.h"
#include "qapi-commands-block-core.h"
#include "qapi-commands-block.h"
#include "qapi/event.h"
#include "util/error.h"

#define RW (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE)

typedef struct Device {
    BlockBackend *blk;
    bool tray_open, locked, broken;
    unsigned asked, asked_with_force, loaded, unloaded;
} Device;

static bool change_media(void *owner, bool load, GError **error)
{
    Device *device = owner;

    if (device->broken) {
        error_setf(error, "the drive is broken");
        return false;
    }
    device->loaded += load;
    device->unloaded += !load;
    device->tray_open = !load;
    return true;
}

static void eject_request(void *owner, bool force)
{
    Device *device = owner;

    device->asked++;
    device->asked_with_force += force;
}

static bool is_tray_open(void *owner)
{
    return ((Device *)owner)->tray_open;
}

static bool is_locked(void *owner)
{
    return ((Device *)owner)->locked;
}

static const BlockBackendOps tray_ops = {
    .change_media = change_media, .eject_request = eject_request, .is_tray_open = is_tray_open,
    .is_medium_locked = is_locked,
};
static const BlockBackendOps slot_ops = { .change_media = change_media };
static const BlockBackendOps fixed_ops = { 0 };

static GString *events;

static void log_event(int event, const char *name, json_object *data, void *opaque)
{
    g_string_append_printf(events, "%s %s;", name, json_object_to_json_string_ext(data, 0));
}

static void expect_events(const char *expected)
{
    g_assert_cmpstr(events->str, ==, expected);
    g_string_truncate(events, 0);
}

#define MOVED(open) \
    "DEVICE_TRAY_MOVED {\"device\":\"drive\",\"id\":\"dev0\",\"tray-open\":" open "};"

static void device_init(Device *device, const BlockBackendOps *ops)
{
    g_autoptr(BlockNode) node = mem_node_new(&mem_driver, 65536, NULL);

    *device = (Device){ block_backend_new(loop_main(), RW, BLOCK_PERM_ALL) };
    g_assert_true(block_backend_insert(device->blk, node, NULL));
    g_assert_true(block_backend_set_name(device->blk, "drive", NULL));
    g_assert_true(block_backend_attach_owner(device->blk, ops, device, "dev0", NULL));
    events = g_string_new(NULL);
    qapi_set_event_sink(log_event, NULL);
}

static void device_cleanup(Device *device)
{
    qapi_set_event_sink(NULL, NULL);
    g_string_free(events, TRUE);
    block_backend_detach_owner(device->blk);
    block_backend_unref(device->blk);
}

/* *error is taken. */
static void expect_error(GError *error, const char *words)
{
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, words));
    g_error_free(error);
}

#define REFUSED(call, words)                                                                       \
    do {                                                                                           \
        GError *error = NULL;                                                                      \
        g_assert_false(call);                                                                      \
        expect_error(error, words);                                                                \
    } while (0)

static BlockInfo *shown(GPtrArray **list)
{
    *list = qmp_query_block(NULL);
    g_assert_cmpuint((*list)->len, ==, 1);
    return g_ptr_array_index(*list, 0);
}

static void test_tray(void)
{
    g_autoptr(BlockNode) other = mem_node_new(&mem_driver, 65536, NULL);
    GPtrArray *list;
    Device device;
    BlockInfo *info;

    device_init(&device, &tray_ops);
    REFUSED(qmp_blockdev_remove_medium("dev0", &error), "Tray of device 'dev0' is not open");
    REFUSED(qmp_blockdev_insert_medium("dev0", other->name, &error), "not open");
    g_assert_true(qmp_blockdev_open_tray("drive", NULL, false, false, NULL));
    expect_events(MOVED("true"));
    g_assert_true(qmp_blockdev_open_tray(NULL, "dev0", false, false, NULL));
    expect_events("");
    info = shown(&list);
    g_assert_true(info->removable && info->has_tray_open && info->tray_open && info->inserted);
    g_ptr_array_unref(list);
    REFUSED(qmp_blockdev_insert_medium("dev0", other->name, &error), "There already is a medium");
    g_assert_true(qmp_blockdev_remove_medium("dev0", NULL));
    g_assert_true(qmp_blockdev_remove_medium("dev0", NULL));
    g_assert_null(block_backend_node(device.blk));
    REFUSED(qmp_blockdev_insert_medium("dev0", "nowhere", &error), "Node 'nowhere' not found");
    g_assert_true(qmp_blockdev_insert_medium("dev0", other->name, NULL));
    g_assert_cmpuint(device.loaded, ==, 0); /* by the tray */
    g_assert_true(qmp_blockdev_close_tray(NULL, "dev0", NULL));
    expect_events(MOVED("false"));
    g_assert_cmpuint(device.loaded, ==, 1);
    g_assert_true(qmp_blockdev_close_tray(NULL, "dev0", NULL));
    expect_events("");
    g_assert_true(qmp_eject("drive", NULL, false, false, NULL));
    expect_events(MOVED("true"));
    g_assert_null(block_backend_node(device.blk));
    device_cleanup(&device);
}

static void test_locked(void)
{
    Device device;

    device_init(&device, &tray_ops);
    device.locked = true;
    /* The guest is asked, and that is all. */
    g_assert_true(qmp_blockdev_open_tray("drive", NULL, false, false, NULL));
    g_assert_cmpuint(device.asked, ==, 1);
    g_assert_false(device.tray_open);
    REFUSED(qmp_eject("drive", NULL, false, false, &error), "is locked and force was not");
    g_assert_cmpuint(device.asked, ==, 2);
    g_assert_cmpuint(device.asked_with_force, ==, 0);
    g_assert_nonnull(block_backend_node(device.blk));
    expect_events("");
    /* The guest obeys, or the person insists. */
    device.tray_open = true;
    block_backend_tray_moved(device.blk, true);
    expect_events(MOVED("true"));
    device.tray_open = false;
    g_assert_true(qmp_eject(NULL, "dev0", true, true, NULL));
    g_assert_cmpuint(device.asked_with_force, ==, 1);
    expect_events(MOVED("true"));
    device_cleanup(&device);
}

/* Floppies and cards: no tray, but the device hears of each medium. */
static void test_slot(void)
{
    g_autoptr(BlockNode) other = mem_node_new(&mem_driver, 65536, NULL);
    Device device;

    device_init(&device, &slot_ops);
    g_assert_true(qmp_blockdev_open_tray("drive", NULL, false, false, NULL));
    g_assert_true(qmp_blockdev_close_tray("drive", NULL, NULL));
    g_assert_true(qmp_blockdev_remove_medium("dev0", NULL));
    g_assert_cmpuint(device.unloaded, ==, 1);
    device.broken = true;
    REFUSED(qmp_blockdev_insert_medium("dev0", other->name, &error), "broken");
    g_assert_null(block_backend_node(device.blk));
    device.broken = false;
    g_assert_true(qmp_blockdev_insert_medium("dev0", other->name, NULL));
    g_assert_cmpuint(device.loaded, ==, 1);
    expect_events("");
    device_cleanup(&device);
}

static void test_fixed(void)
{
    Device device;

    device_init(&device, &fixed_ops);
    REFUSED(qmp_eject("drive", NULL, true, true, &error), "is not removable");
    REFUSED(qmp_blockdev_open_tray("drive", NULL, false, false, &error), "is not removable");
    REFUSED(qmp_blockdev_close_tray("drive", NULL, &error), "is not removable");
    REFUSED(qmp_blockdev_remove_medium("dev0", &error), "is not removable");
    device_cleanup(&device);
}

/* Without a device a drive takes anything; and who is meant. */
static void test_no_device(void)
{
    g_autoptr(BlockBackend) blk = block_backend_new(loop_main(), RW, BLOCK_PERM_ALL);
    g_autoptr(BlockNode) node = mem_node_new(&mem_driver, 65536, NULL);

    g_assert_true(block_backend_set_name(blk, "drive", NULL));
    g_assert_true(block_backend_insert(blk, node, NULL));
    REFUSED(qmp_eject(NULL, NULL, false, false, &error), "exactly one of");
    REFUSED(qmp_eject("drive", "drive", false, false, &error), "exactly one of");
    REFUSED(qmp_eject(NULL, "drive", false, false, &error), "Device 'drive' not found");
    g_assert_true(qmp_eject("drive", NULL, false, false, NULL));
    g_assert_true(qmp_eject("drive", NULL, false, false, NULL));
    REFUSED(qmp_blockdev_change_medium("drive", NULL, "/nowhere/x", "raw", false, false, false,
                                       0, &error), "/nowhere/x");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/media/tray", test_tray);
    g_test_add_func("/media/locked", test_locked);
    g_test_add_func("/media/slot", test_slot);
    g_test_add_func("/media/fixed", test_fixed);
    g_test_add_func("/media/no-device", test_no_device);
    return g_test_run();
}
