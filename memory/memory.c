/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces, transactions, and the two spaces of a PC. */
#include "memory/internal.h"
#include "util/vm-lock.h"

/*
 * Global because the contract of memory_system() and of transactions is: a process is one virtual
 * machine, whose memory every layer above reaches without being handed a pointer.
 */
static MemoryState state;

MemoryState *memory_state(void)
{
    return &state;
}

void memory_transaction_begin(void)
{
    g_assert(vm_lock_held());
    state.depth++;
}

/* Views rendered in this commit, shared by spaces whose roots come down to the same region. */
static FlatView *view_for(GHashTable *rendered, MemoryRegion *root)
{
    MemoryRegion *canonical = flatview_canonical_root(root);
    FlatView *view = g_hash_table_lookup(rendered, canonical);

    if (!view) {
        view = flatview_render(canonical);
        view->refs = 1; /* the table's */
        g_hash_table_insert(rendered, canonical, view);
    }
    return view;
}

static void space_update(AddressSpace *as, FlatView *view)
{
    FlatView *old = as->view;

    if (old && flatview_equal(old, view)) {
        return;
    }
    view->refs++;
    listeners_update(as, old, view);
    if (old) {
        flatview_release(old);
    }
}

static void release_view(void *view)
{
    flatview_release(view);
}

static void spaces_update(void)
{
    g_autoptr(GHashTable) rendered = g_hash_table_new_full(NULL, NULL, NULL, release_view);

    for (GList *item = state.spaces.head; item; item = item->next) {
        AddressSpace *as = item->data;

        space_update(as, view_for(rendered, as->root));
    }
}

void memory_transaction_commit(void)
{
    g_assert(state.depth > 0);
    if (state.depth > 1) {
        state.depth--;
        return;
    }
    /* Still inside while listeners run, so that a change they make waits for the next round. */
    while (state.changed) {
        state.changed = false;
        spaces_update();
    }
    state.depth = 0;
}

AddressSpace *address_space_new(MemoryRegion *root, const char *name)
{
    AddressSpace *as = g_new0(AddressSpace, 1);

    memory_transaction_begin();
    as->root = root;
    as->name = g_strdup(name);
    as->link.data = as;
    region_ref(root);
    g_queue_push_tail_link(&state.spaces, &as->link);
    state.changed = true;
    memory_transaction_commit();
    /* Inside an outer transaction: the space is usable from the start all the same. */
    if (!as->view) {
        as->view = flatview_render(flatview_canonical_root(root));
        as->view->refs = 1;
    }
    return as;
}

static void space_free_rcu(struct rcu_head *head)
{
    AddressSpace *as = caa_container_of(head, AddressSpace, rcu);

    g_free(as->name);
    g_free(as);
}

void address_space_free(AddressSpace *as)
{
    if (!as) {
        return;
    }
    g_assert(vm_lock_held() && g_queue_is_empty(&as->listeners));
    g_queue_unlink(&state.spaces, &as->link);
    flatview_release(as->view);
    region_unref(as->root);
    reclaim_call_rcu(&as->rcu, space_free_rcu);
}

AddressSpace *address_space_memory(void)
{
    return state.system_space;
}

AddressSpace *address_space_io(void)
{
    return state.io_space;
}

MemoryRegion *memory_system(void)
{
    return state.system;
}

MemoryRegion *memory_io(void)
{
    return state.io;
}

MemoryRegion *memory_smm_init(void)
{
    g_assert(vm_lock_held() && state.system && !state.smm);
    memory_transaction_begin();
    state.smm = memory_region_new_container(NULL, "smm", 0);
    state.smm_system = memory_region_new_alias(NULL, "smm-system", state.system, 0, 0);
    memory_region_add_overlap(state.smm, 0, state.smm_system, 0);
    state.smm_space = address_space_new(state.smm, "SMM");
    memory_transaction_commit();
    return state.smm;
}

AddressSpace *address_space_smm(void)
{
    return state.smm_space ? state.smm_space : state.system_space;
}

void memory_init(void)
{
    VM_LOCK_GUARD();

    g_assert(!state.system);
    reclaim_init();
    memory_transaction_begin();
    state.system = memory_region_new_container(NULL, "system", 0);
    state.io = memory_region_new_container(NULL, "io", 0x10000);
    state.system_space = address_space_new(state.system, "memory");
    state.io_space = address_space_new(state.io, "I/O");
    memory_transaction_commit();
}

void memory_cleanup(void)
{
    VM_LOCK_GUARD();

    memory_transaction_begin();
    if (state.smm) {
        memory_region_remove(state.smm, state.smm_system);
    }
    g_clear_pointer(&state.smm_space, address_space_free);
    g_clear_pointer(&state.smm, memory_region_free);
    g_clear_pointer(&state.smm_system, memory_region_free);
    g_clear_pointer(&state.io_space, address_space_free);
    g_clear_pointer(&state.system_space, address_space_free);
    g_clear_pointer(&state.io, memory_region_free);
    g_clear_pointer(&state.system, memory_region_free);
    memory_transaction_commit();
    reclaim_drain();
    ram_list_cleanup();
}
