/* SPDX-License-Identifier: Apache-2.0 */
/* The memory-backend-* objects: their memory, what they refuse, and that nothing is left behind. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/ram-backend.h"
#include "util/bits.h"
#include "util/vm-lock.h"

static Object *create(const char *json, GError **error)
{
    json_object *options = json_tokener_parse(json);
    Object *obj;

    g_assert_nonnull(options);
    obj = user_object_create(options, false, error);
    json_object_put(options);
    return obj;
}

static RamBackend *create_ok(const char *json)
{
    g_autoptr(GError) error = NULL;
    Object *obj = create(json, &error);

    g_assert_no_error(error);
    return object_cast(obj, TYPE_MEMORY_BACKEND);
}

static void create_fails(const char *json, const char *part)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(create(json, &error));
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, part));
}

static void delete(const char *id)
{
    g_autoptr(GError) error = NULL;

    user_object_delete(id, &error);
    g_assert_no_error(error);
}

/* Pages of the mapping that are resident. */
static unsigned resident(RamBackend *backend)
{
    uint64_t pages = ram_backend_size(backend) / 4096;
    g_autofree unsigned char *map = g_malloc0(pages);
    unsigned count = 0;

    g_assert_cmpint(mincore(memory_region_ram_ptr(ram_backend_region(backend)),
                            ram_backend_size(backend), map), ==, 0);
    for (uint64_t i = 0; i < pages; i++) {
        count += map[i] & 1;
    }
    return count;
}

static void test_ram(void)
{
    RamBackend *backend = create_ok("{'qom-type':'memory-backend-ram','id':'r','size':67108864}");
    MemoryRegion *region = ram_backend_region(backend);
    uint8_t *host = memory_region_ram_ptr(region);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(ram_backend_size(backend), ==, 64 * MiB);
    g_assert_cmpuint(memory_region_size(region), ==, 64 * MiB);
    g_assert_true(memory_region_owner(region) == OBJECT(backend));
    g_assert_cmpstr(ram_block_idstr(memory_region_ram_block(region)), ==, "r");
    g_assert_cmpuint((uintptr_t)host % (2 * MiB), ==, 0);
    g_assert_cmpuint(resident(backend), ==, 0);
    host[64 * MiB - 1] = 1;
    ram_backend_set_mapped(backend, true);
    g_assert_false(user_object_delete("r", &error));
    g_assert_nonnull(strstr(error->message, "in use"));
    ram_backend_set_mapped(backend, false);
    delete("r");
}

static void test_prealloc(void)
{
    RamBackend *backend = create_ok(
        "{'qom-type':'memory-backend-ram','id':'r','size':67108864,'prealloc':true,"
        "'prealloc-threads':3,'x-use-canonical-path-for-ramblock-id':true}");

    g_assert_cmpuint(resident(backend), ==, 64 * MiB / 4096);
    g_assert_cmpstr(memory_region_name(ram_backend_region(backend)), ==, "/objects/r");
    delete("r");
    backend = create_ok("{'qom-type':'memory-backend-ram','id':'r','size':4194304}");
    g_assert_true(object_property_set_bool(OBJECT(backend), "prealloc", true, NULL));
    g_assert_true(object_property_set_bool(OBJECT(backend), "merge", false, NULL));
    g_assert_true(object_property_set_bool(OBJECT(backend), "dump", false, NULL));
    g_assert_cmpuint(resident(backend), ==, 4 * MiB / 4096);
    g_assert_false(object_property_set_int(OBJECT(backend), "size", 8192, NULL));
    delete("r");
}

static void test_memfd(void)
{
    RamBackend *backend = create_ok(
        "{'qom-type':'memory-backend-memfd','id':'m','size':1048576}");
    int fd = memory_region_fd(ram_backend_region(backend));
    uint8_t *host = memory_region_ram_ptr(ram_backend_region(backend));
    char text[6];

    g_assert_cmpint(fd, >=, 0);
    memcpy(host + 4096, "shared", 6);
    g_assert_cmpint(pread(fd, text, 6, 4096), ==, 6);
    g_assert_cmpmem(text, 6, "shared", 6);
    g_assert_cmpint(ftruncate(fd, 4096), ==, -1);
    g_assert_cmpint(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK, !=, 0);
    delete("m");
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    create_fails("{'qom-type':'memory-backend-memfd','id':'m','size':1048577}", "page size");
    create_fails("{'qom-type':'memory-backend-memfd','id':'m','size':1048576,"
                 "'hugetlbsize':2097152}", "hugetlb=on");
    create_fails("{'qom-type':'memory-backend-memfd','id':'m','size':1048576,'hugetlb':true,"
                 "'hugetlbsize':3145728}", "power of two");
}

/* Huge pages, of which most hosts have none. */
static void test_huge(void)
{
    g_autoptr(GError) error = NULL;
    Object *obj = create("{'qom-type':'memory-backend-memfd','id':'h','size':4194304,"
                         "'hugetlb':true,'hugetlbsize':2097152,'prealloc':true}", &error);

    create_fails("{'qom-type':'memory-backend-memfd','id':'t','size':1099511627776,"
                 "'hugetlb':true}", "huge pages");
    if (!obj) {
        g_test_skip(error->message);
        return;
    }
    g_assert_cmpuint(ram_block_page_size(memory_region_ram_block(
        ram_backend_region((RamBackend *)obj))), ==, 2 * MiB);
    delete("h");
}

/* JSON of a file backend on path, with more members. */
static char *file_json(const char *path, const char *more)
{
    return g_strdup_printf("{'qom-type':'memory-backend-file','id':'f','size':65536,"
                           "'mem-path':'%s'%s}", path, more);
}

static void test_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-hostmem-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "ram", NULL);
    g_autofree char *shared = file_json(path, ",'share':true");
    g_autofree char *private = file_json(path, "");
    g_autofree char *readonly = file_json(path, ",'readonly':true,'share':true");
    g_autofree char *in_dir = file_json(dir, ",'share':true,'discard-data':true");
    g_autofree char *contents = NULL;
    RamBackend *backend = create_ok(shared);
    gsize length;
    GDir *listing;

    memcpy(memory_region_ram_ptr(ram_backend_region(backend)), "kept", 4);
    delete("f");
    g_assert_true(g_file_get_contents(path, &contents, &length, NULL));
    g_assert_cmpuint(length, ==, 65536);
    g_assert_cmpmem(contents, 4, "kept", 4);

    backend = create_ok(private);
    memcpy(memory_region_ram_ptr(ram_backend_region(backend)), "lost", 4);
    delete("f");
    backend = create_ok(readonly);
    g_assert_cmpmem(memory_region_ram_ptr(ram_backend_region(backend)), 4, "kept", 4);
    delete("f");
    g_unlink(path);

    create_ok(in_dir);
    delete("f");
    listing = g_dir_open(dir, 0, NULL);
    g_assert_null(g_dir_read_name(listing));
    g_dir_close(listing);
    g_rmdir(dir);
}

static void test_file_refused(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-hostmem-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "ram", NULL);
    g_autofree char *plain = file_json(path, "");
    g_autofree char *readonly = file_json(path, ",'readonly':true");
    g_autofree char *readonly_dir = file_json(dir, ",'readonly':true");
    g_autofree char *pmem = file_json(path, ",'pmem':true");
    g_autofree char *align = file_json(path, ",'align':12288");

    create_fails("{'qom-type':'memory-backend-file','id':'f','size':65536}", "mem-path");
    create_fails(readonly, "No such file");
    create_fails(readonly_dir, "directory");
    create_fails(pmem, "libpmem");
    create_fails(align, "power of two");
    g_assert_true(g_file_set_contents(path, "too short", -1, NULL));
    create_fails(plain, "less than size");
    g_unlink(path);
    g_rmdir(dir);
}

static void test_refused(void)
{
    create_fails("{'qom-type':'memory-backend-ram','id':'r'}", "size");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':-1}", "negative");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':18446744073709551615}", "map");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':9000000000000000000}", "space");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':4096,'prealloc-threads':0}",
                 "prealloc-threads");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':4096,'prealloc':true,"
                 "'reserve':false}", "contradict");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':4096,'policy':'bind'}",
                 "host-nodes");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':4096,'host-nodes':[0]}",
                 "policy");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':4096,'policy':'bind',"
                 "'host-nodes':[128]}", "0 to 127");
    create_fails("{'qom-type':'memory-backend-ram','id':'r','size':4096,'policy':'bnd'}", "bind");
    create_fails("{'qom-type':'memory-backend','id':'r','size':4096}", "not an object type");
}

/* The text forms of host-nodes, and the policy where the kernel has NUMA at all. */
static void test_policy(void)
{
    g_autoptr(Object) obj = object_new(TYPE_MEMORY_BACKEND_RAM);
    g_autoptr(GError) error = NULL;
    Object *bound;
    json_object *nodes;

    g_assert_true(object_property_parse(obj, "host-nodes", "0-2:5", NULL));
    nodes = object_property_get(obj, "host-nodes", NULL);
    g_assert_cmpstr(json_object_to_json_string_ext(nodes, JSON_C_TO_STRING_PLAIN), ==, "[0,1,2,5]");
    json_object_put(nodes);
    g_assert_false(object_property_parse(obj, "host-nodes", "2-1", NULL));
    g_assert_false(object_property_parse(obj, "host-nodes", "", NULL));
    g_assert_false(object_property_parse(obj, "host-nodes", "0-999999999999", NULL));
    bound = create("{'qom-type':'memory-backend-ram','id':'r','size':4096,'policy':'interleave',"
                   "'host-nodes':[0]}", &error);
    if (!bound) {
        g_test_skip(error->message);
        return;
    }
    delete("r");
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    vm_lock();
    memory_init();
    g_test_add_func("/hostmem/ram", test_ram);
    g_test_add_func("/hostmem/prealloc", test_prealloc);
    g_test_add_func("/hostmem/memfd", test_memfd);
    g_test_add_func("/hostmem/huge", test_huge);
    g_test_add_func("/hostmem/file", test_file);
    g_test_add_func("/hostmem/file-refused", test_file_refused);
    g_test_add_func("/hostmem/refused", test_refused);
    g_test_add_func("/hostmem/policy", test_policy);
    result = g_test_run();
    memory_cleanup();
    vm_unlock();
    return result;
}
