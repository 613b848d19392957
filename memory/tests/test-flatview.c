/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random trees of overlapping regions against a model that asks, address by address, who answers;
 * what a listener was told, replayed, must give the same picture.
 *
 * The trees live in a window of 256 addresses, once at 0 and once just below 2^64.
 */
#include <stdio.h>
#include <string.h>

#include "memory/memory.h"
#include "util/bits.h"
#include "util/vm-lock.h"

#define WINDOW 256u
#define NODES 24u
#define STEPS 150u
#define EVENTFDS_MAX 2u

/* Who answers at one address. */
typedef struct Answer {
    MemoryRegion *region; /* NULL: nobody */
    uint64_t offset;
    bool readonly;
} Answer;

typedef struct Node Node;
struct Node {
    MemoryRegion *region;
    bool is_leaf;
    Node *alias;
    uint64_t alias_offset;
    uint64_t size;
    bool enabled;
    bool readonly;
    Node *parent;
    uint64_t offset;
    int priority;
    unsigned order; /* of adding */
    uint64_t eventfds[EVENTFDS_MAX]; /* offsets; size 2 */
    EventNotifier notifiers[EVENTFDS_MAX];
    unsigned eventfd_count;
    bool coalesced; /* bytes 1..4 */
};

typedef struct World {
    Node nodes[NODES]; /* 0 is the window's container */
    unsigned orders;
    MemoryRegion *root;
    AddressSpace *as;
    uint64_t base;
    MemoryListener listener;
    Answer replay[WINDOW];
    unsigned begun;
    GPtrArray *replay_eventfds; /* of char*: "addr size notifier" */
    GPtrArray *replay_coalesced;
    Answer model[WINDOW];
    unsigned adds;
} World;

static uint64_t none_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void none_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const MemoryRegionOps none_ops = { .read = none_read, .write = none_write };

/* The model. */

/* Does a come before b among siblings? */
static bool node_precedes(const Node *a, const Node *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->order > b->order;
}

static Answer model_ask(World *world, const Node *node, uint64_t offset)
{
    Answer answer = { NULL };
    const Node *last = NULL;

    if (!node->enabled || offset >= node->size) {
        return answer;
    }
    if (node->alias) {
        answer = model_ask(world, node->alias, node->alias_offset + offset);
    }
    while (!answer.region) {
        const Node *next = NULL;

        for (unsigned i = 0; i < NODES; i++) {
            const Node *child = &world->nodes[i];

            if (child->region && child->parent == node && (!last || node_precedes(last, child)) &&
                (!next || node_precedes(child, next))) {
                next = child;
            }
        }
        if (!next) {
            break;
        }
        if (offset >= next->offset) {
            answer = model_ask(world, next, offset - next->offset);
        }
        last = next;
    }
    if (!answer.region && node->is_leaf) {
        answer = (Answer){ node->region, offset, false };
    }
    answer.readonly = answer.region && (answer.readonly || node->readonly);
    return answer;
}

/* Listener: draw what it is told. */

static void draw(World *world, const MemorySection *section, Answer was, Answer is)
{
    for (uint64_t i = 0; i < section->size; i++) {
        uint64_t at = section->addr + i - world->base;

        g_assert_cmpuint(at, <, WINDOW);
        if (was.region) {
            was.offset = section->offset + i;
        }
        if (is.region) {
            is.offset = section->offset + i;
        }
        g_assert_true(world->replay[at].region == was.region);
        g_assert_true(!was.region || (world->replay[at].offset == was.offset &&
                                      world->replay[at].readonly == was.readonly));
        world->replay[at] = is;
    }
}

static World *world_of(MemoryListener *listener)
{
    return (World *)((char *)listener - offsetof(World, listener));
}

static void on_add(MemoryListener *listener, const MemorySection *section)
{
    World *world = world_of(listener);

    g_assert_cmpuint(world->begun, ==, 1);
    world->adds++;
    draw(world, section, (Answer){ NULL }, (Answer){ section->region, 0, section->readonly });
}

static void on_del(MemoryListener *listener, const MemorySection *section)
{
    World *world = world_of(listener);

    g_assert_cmpuint(world->begun, ==, 1);
    g_assert_cmpuint(world->adds, ==, 0); /* what goes, goes before anything comes */
    draw(world, section, (Answer){ section->region, 0, section->readonly }, (Answer){ NULL });
}

static void on_begin(MemoryListener *listener)
{
    world_of(listener)->begun++;
    world_of(listener)->adds = 0;
}

static void on_commit(MemoryListener *listener)
{
    world_of(listener)->begun--;
}

static char *extra_key(const MemorySection *section, EventNotifier *notifier)
{
    return g_strdup_printf("%" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x %p", section->addr,
                           section->size, (void *)notifier);
}

static void extra_add(GPtrArray *set, char *key)
{
    g_assert_false(g_ptr_array_find_with_equal_func(set, key, g_str_equal, NULL));
    g_ptr_array_add(set, key);
}

static void extra_del(GPtrArray *set, char *key)
{
    guint index;

    g_assert_true(g_ptr_array_find_with_equal_func(set, key, g_str_equal, &index));
    g_ptr_array_remove_index_fast(set, index);
    g_free(key);
}

static void on_eventfd_add(MemoryListener *listener, const MemorySection *section, bool match_data,
                           uint64_t data, EventNotifier *notifier)
{
    extra_add(world_of(listener)->replay_eventfds, extra_key(section, notifier));
}

static void on_eventfd_del(MemoryListener *listener, const MemorySection *section, bool match_data,
                           uint64_t data, EventNotifier *notifier)
{
    extra_del(world_of(listener)->replay_eventfds, extra_key(section, notifier));
}

static void on_coalesced_add(MemoryListener *listener, const MemorySection *section)
{
    extra_add(world_of(listener)->replay_coalesced, extra_key(section, NULL));
}

static void on_coalesced_del(MemoryListener *listener, const MemorySection *section)
{
    extra_del(world_of(listener)->replay_coalesced, extra_key(section, NULL));
}

/* Comparison. */

static bool answers_follow(const Answer *a, const Answer *b, uint64_t distance)
{
    return a->region == b->region && a->offset + distance == b->offset &&
           a->readonly == b->readonly;
}

static void check_eventfds(World *world)
{
    unsigned expected = 0;

    for (unsigned at = 0; at + 1 < WINDOW; at++) {
        for (unsigned i = 0; i < NODES; i++) {
            const Node *node = &world->nodes[i];

            for (unsigned e = 0; e < node->eventfd_count; e++) {
                Answer first = { node->region, node->eventfds[e], world->model[at].readonly };
                MemorySection section = { .addr = world->base + at, .size = 2 };
                g_autofree char *key = extra_key(&section, (EventNotifier *)&node->notifiers[e]);

                if (answers_follow(&first, &world->model[at], 0) &&
                    answers_follow(&first, &world->model[at + 1], 1)) {
                    expected++;
                    g_assert_true(g_ptr_array_find_with_equal_func(world->replay_eventfds, key,
                                                                   g_str_equal, NULL));
                }
            }
        }
    }
    g_assert_cmpuint(world->replay_eventfds->len, ==, expected);
}

/* The sum of all coalesced sizes is the number of addresses that lead to a coalesced byte. */
static void check_coalesced(World *world)
{
    uint64_t expected = 0;
    uint64_t told = 0;

    for (unsigned at = 0; at < WINDOW; at++) {
        for (unsigned i = 0; i < NODES; i++) {
            const Node *node = &world->nodes[i];

            expected += node->coalesced && world->model[at].region == node->region &&
                        world->model[at].offset >= 1 && world->model[at].offset <= 4;
        }
    }
    for (unsigned i = 0; i < world->replay_coalesced->len; i++) {
        uint64_t addr, size;

        g_assert_cmpint(sscanf(world->replay_coalesced->pdata[i], "%" G_GINT64_MODIFIER "x %"
                               G_GINT64_MODIFIER "x", &addr, &size), ==, 2);
        told += size;
    }
    g_assert_cmpuint(told, ==, expected);
}

static void check_world(World *world)
{
    for (unsigned at = 0; at < WINDOW; at++) {
        Answer expected = model_ask(world, &world->nodes[0], at);
        uint64_t offset = 0;
        uint64_t length = UINT64_MAX;
        MemoryRegion *region = address_space_translate(world->as, world->base + at, &offset,
                                                       &length);

        world->model[at] = expected;
        g_assert_true(region == expected.region);
        g_assert_true(world->replay[at].region == region);
        if (!region) {
            continue;
        }
        g_assert_cmpuint(offset, ==, expected.offset);
        g_assert_cmpuint(world->replay[at].offset, ==, offset);
        g_assert_true(world->replay[at].readonly == expected.readonly);
        g_assert_cmpuint(length, >, 0);
        g_assert_cmpuint(length, <=, WINDOW - at);
        if (at && answers_follow(&world->model[at - 1], &expected, 1)) {
            uint64_t before = UINT64_MAX;

            address_space_translate(world->as, world->base + at - 1, &offset, &before);
            g_assert_cmpuint(before, ==, length + 1); /* ranges are as long as can be */
        }
    }
    check_eventfds(world);
    check_coalesced(world);
}

/* Building and changing. */

static uint64_t random_size(void)
{
    return g_test_rand_int_range(1, g_test_rand_bit() ? 16 : WINDOW / 2);
}

static void node_add_extras(Node *node)
{
    for (unsigned e = 0; e < EVENTFDS_MAX && node->size >= 4; e++) {
        node->eventfds[e] = 2 * e;
        node->eventfd_count++;
        memory_region_add_eventfd(node->region, 2 * e, 2, false, 0, &node->notifiers[e]);
    }
    if (node->size >= 8) {
        node->coalesced = true;
        memory_region_set_coalescing(node->region, 1, 6, true);
        memory_region_set_coalescing(node->region, 5, 2, false);
    }
}

/*
 * Below a node of lower index; aliases below the window only, which keeps them out of their
 * targets.
 */
static void node_attach(World *world, unsigned index)
{
    Node *node = &world->nodes[index];
    Node *parent = &world->nodes[node->alias ? 0 : g_test_rand_int_range(0, index)];

    if (node->parent) {
        return;
    }
    node->parent = parent;
    node->offset = g_test_rand_int_range(0, parent->size);
    node->priority = g_test_rand_int_range(-2, 3);
    node->order = ++world->orders;
    memory_region_add_overlap(parent->region, node->offset, node->region, node->priority);
}

static void node_detach(Node *node)
{
    if (node->parent) {
        memory_region_remove(node->parent->region, node->region);
        node->parent = NULL;
    }
}

/* The first quarter may be aliased, the second half may be aliases. */
static void make_nodes(World *world)
{
    for (unsigned i = 1; i < NODES; i++) {
        Node *node = &world->nodes[i];
        unsigned kind = g_test_rand_int_range(0, 3);

        node->size = random_size();
        node->enabled = true;
        if (kind == 0) {
            node->region = memory_region_new_container(NULL, "container", node->size);
        } else if (kind == 1 && i > NODES / 2) {
            node->alias = &world->nodes[g_test_rand_int_range(1, NODES / 4)];
            node->alias_offset = g_test_rand_int_range(0, node->alias->size);
            node->region = memory_region_new_alias(NULL, "alias", node->alias->region,
                                                   node->alias_offset, node->size);
        } else {
            node->is_leaf = true;
            node->region = memory_region_new_io(NULL, &none_ops, NULL, "leaf", node->size);
            node_add_extras(node);
        }
    }
}

static void attach_all(World *world)
{
    for (unsigned i = 1; i < NODES; i++) {
        node_attach(world, i);
    }
}

static void change_node(World *world, unsigned index)
{
    Node *node = &world->nodes[index];

    switch (g_test_rand_int_range(0, 7)) {
    case 0:
        node->enabled = !node->enabled;
        memory_region_set_enabled(node->region, node->enabled);
        break;
    case 1:
        node->readonly = !node->readonly;
        memory_region_set_readonly(node->region, node->readonly);
        break;
    case 2:
        node->offset = g_test_rand_int_range(0, WINDOW);
        memory_region_set_address(node->region, node->offset);
        break;
    case 3:
        node->size = random_size();
        memory_region_set_size(node->region, node->size);
        break;
    case 4:
        node_detach(node);
        break;
    case 5:
        if (node->alias) {
            node->alias_offset = g_test_rand_int_range(0, node->alias->size);
            memory_region_set_alias_offset(node->region, node->alias_offset);
        }
        break;
    default:
        node_attach(world, index);
        break;
    }
}

static void world_init(World *world, uint64_t base)
{
    vm_lock();
    memory_init();
    world->base = base;
    world->root = memory_region_new_container(NULL, "root", 0);
    world->as = address_space_new(world->root, "random");
    world->nodes[0].region = memory_region_new_container(NULL, "window", WINDOW);
    world->nodes[0].size = WINDOW;
    world->nodes[0].enabled = true;
    memory_region_add(world->root, base, world->nodes[0].region);
    world->replay_eventfds = g_ptr_array_new_with_free_func(g_free);
    world->replay_coalesced = g_ptr_array_new_with_free_func(g_free);
    world->listener = (MemoryListener){
        .name = "replay", .begin = on_begin, .commit = on_commit, .region_add = on_add,
        .region_del = on_del, .eventfd_add = on_eventfd_add, .eventfd_del = on_eventfd_del,
        .coalesced_add = on_coalesced_add, .coalesced_del = on_coalesced_del,
    };
}

static void world_cleanup(World *world)
{
    memory_listener_unregister(&world->listener);
    for (unsigned at = 0; at < WINDOW; at++) {
        g_assert_null(world->replay[at].region);
    }
    g_assert_cmpuint(world->replay_eventfds->len + world->replay_coalesced->len, ==, 0);
    for (unsigned i = NODES; i-- > 1;) {
        node_detach(&world->nodes[i]);
    }
    memory_region_remove(world->root, world->nodes[0].region);
    for (unsigned i = NODES; i-- > 0;) {
        memory_region_free(world->nodes[i].region);
    }
    g_ptr_array_unref(world->replay_eventfds);
    g_ptr_array_unref(world->replay_coalesced);
    address_space_free(world->as);
    memory_region_free(world->root);
    memory_cleanup();
    vm_unlock();
}

static void test_random(gconstpointer base)
{
    for (unsigned round = 0; round < 3; round++) {
        g_autofree World *world = g_new0(World, 1);

        world_init(world, *(const uint64_t *)base);
        make_nodes(world);
        memory_listener_register(&world->listener, world->as);
        attach_all(world);
        check_world(world);
        for (unsigned step = 0; step < STEPS; step++) {
            unsigned batch = g_test_rand_int_range(1, 5);

            memory_transaction_begin();
            while (batch--) {
                change_node(world, g_test_rand_int_range(1, NODES));
            }
            memory_transaction_commit();
            check_world(world);
        }
        world_cleanup(world);
    }
}

/* Spaces whose roots come to the same thing, and one that is switched off and on. */
static void test_alias_root(void)
{
    MemoryRegion *outer, *all, *leaf;
    AddressSpace *device;
    uint64_t offset, length = 1;

    vm_lock();
    memory_init();
    leaf = memory_region_new_io(NULL, &none_ops, NULL, "leaf", 0x1000);
    memory_region_add(memory_system(), -0x1000ull, leaf);
    outer = memory_region_new_container(NULL, "bus master", 0);
    all = memory_region_new_alias(NULL, "all", memory_system(), 0, 0);
    memory_region_set_enabled(all, false);
    memory_region_add(outer, 0, all);
    device = address_space_new(outer, "device");
    g_assert_null(address_space_translate(device, UINT64_MAX, &offset, &length));
    memory_region_set_enabled(all, true);
    g_assert_true(address_space_translate(device, UINT64_MAX, &offset, &length) == leaf);
    g_assert_cmphex(offset, ==, 0xfff);
    g_assert_true(memory_region_is_mapped(memory_system()));
    g_assert_cmphex(memory_region_size(outer), ==, 0);
    memory_region_remove(outer, all);
    g_assert_false(memory_region_is_mapped(memory_system()));
    memory_region_remove(memory_system(), leaf);
    address_space_free(device);
    memory_region_free(all);
    memory_region_free(outer);
    memory_region_free(leaf);
    memory_cleanup();
    vm_unlock();
}

/* A whole space of one region, and an aliased region that begins below 0. */
static void test_whole(void)
{
    MemoryRegion *root, *everything, *alias;
    AddressSpace *as;
    uint64_t offset, length = UINT64_MAX;

    vm_lock();
    memory_init();
    root = memory_region_new_container(NULL, "root", 0);
    everything = memory_region_new_io(NULL, &none_ops, NULL, "everything", 0);
    as = address_space_new(root, "whole");
    memory_region_add(root, 0, everything);
    g_assert_true(address_space_translate(as, 0, &offset, &length) == everything);
    g_assert_cmphex(length, ==, UINT64_MAX);
    memory_region_set_address(everything, 0x10);
    length = UINT64_MAX;
    g_assert_true(address_space_translate(as, 0x10, &offset, &length) == everything);
    g_assert_cmphex(length, ==, -0x10ull);
    g_assert_null(address_space_translate(as, 0, &offset, &length));
    memory_region_remove(root, everything);
    alias = memory_region_new_alias(NULL, "tail", everything, -0x100ull, 0x1000);
    memory_region_add(root, 0, alias);
    length = UINT64_MAX;
    g_assert_true(address_space_translate(as, 0xff, &offset, &length) == everything);
    g_assert_cmphex(offset, ==, UINT64_MAX);
    g_assert_cmphex(length, ==, 1);
    g_assert_null(address_space_translate(as, 0x100, &offset, &length));
    memory_region_remove(root, alias);
    memory_region_free(alias);
    memory_region_free(everything);
    address_space_free(as);
    memory_region_free(root);
    memory_cleanup();
    vm_unlock();
}

/* What CPUs in SMM see: the system's memory, and SMRAM over it. */
static void test_smm(void)
{
    MemoryRegion *smm, *vga, *smram;
    uint64_t offset, length = 1;

    vm_lock();
    memory_init();
    g_assert_true(address_space_smm() == address_space_memory());
    vga = memory_region_new_io(NULL, &none_ops, NULL, "vga", 0x20000);
    memory_region_add_overlap(memory_system(), 0xa0000, vga, 1);
    smm = memory_smm_init();
    g_assert_true(address_space_smm() != address_space_memory());
    g_assert_true(address_space_translate(address_space_smm(), 0xa0010, &offset, &length) == vga);
    smram = memory_region_new_ram(NULL, "smram", 0x10000, NULL);
    memory_region_add_overlap(smm, 0xa0000, smram, 1);
    g_assert_true(address_space_translate(address_space_smm(), 0xa0010, &offset, &length) ==
                  smram);
    g_assert_true(address_space_translate(address_space_smm(), 0xb0000, &offset, &length) == vga);
    g_assert_cmphex(offset, ==, 0x10000);
    g_assert_true(address_space_translate(address_space_memory(), 0xa0010, &offset, &length) ==
                  vga);
    memory_region_remove(smm, smram);
    memory_region_remove(memory_system(), vga);
    memory_region_free(smram);
    memory_region_free(vga);
    memory_cleanup();
    g_assert_null(address_space_smm());
    vm_unlock();
}

static void test_describe(void)
{
    MemoryRegion *ram, *alias;
    g_autofree char *tree = NULL;
    g_autofree char *flat = NULL;

    vm_lock();
    memory_init();
    ram = memory_region_new_ram(NULL, "pc.ram", 0x20000, NULL);
    alias = memory_region_new_alias(NULL, "low", ram, 0x10000, 0x10000);
    memory_region_add(memory_system(), 0x1000, alias);
    tree = memory_describe(false, true);
    flat = memory_describe(true, false);
    g_assert_cmpstr(tree, ==,
        "address-space: memory\n"
        "  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n"
        "    0000000000001000-0000000000010fff (prio 0, i/o): alias low @pc.ram "
        "0000000000010000-000000000001ffff\n\n"
        "address-space: I/O\n"
        "  0000000000000000-000000000000ffff (prio 0, i/o): io\n\n"
        "memory-region: pc.ram\n"
        "  0000000000000000-000000000001ffff (prio 0, ram): pc.ram\n\n");
    g_assert_nonnull(strstr(flat, "FlatView #0\n AS \"memory\", root: system\n"
        "  0000000000001000-0000000000010fff (prio 0, ram): pc.ram @0000000000010000\n\n"));
    memory_region_remove(memory_system(), alias);
    memory_region_free(alias);
    memory_region_free(ram);
    memory_cleanup();
    vm_unlock();
}

int main(int argc, char **argv)
{
    static const uint64_t low = 0;
    static const uint64_t high = -(uint64_t)WINDOW;

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/memory/flatview/random/low", &low, test_random);
    g_test_add_data_func("/memory/flatview/random/top", &high, test_random);
    g_test_add_func("/memory/flatview/alias-root", test_alias_root);
    g_test_add_func("/memory/flatview/whole", test_whole);
    g_test_add_func("/memory/flatview/smm", test_smm);
    g_test_add_func("/memory/flatview/describe", test_describe);
    return g_test_run();
}
