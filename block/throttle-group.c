/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits stands in a queue of its member; one timer of the group, on the main loop, fires when
 * the next of them may go. release() then lets go whom the buckets let go: directions in turn, and
 * in a direction members in turn.
 */
#include "block/throttle-group.h"

#include <string.h>

#include "util/coroutine.h"
#include "util/timer.h"

struct ThrottleGroup {
    char *name;
    unsigned refs;
    VmClock clock;
    Timer *timer;          /* made for the first member */
    GMutex lock;           /* of all below, and of the members' queues */
    Throttle throttle;
    GPtrArray *members;    /* ThrottleMember, borrowed */
    unsigned n_waiting[2]; /* by is_write */
    guint next_member[2];  /* whose turn it is */
    unsigned next_direction;
};

typedef struct ThrottleWaiter {
    Coroutine *co;
    int64_t bytes;
    bool released;
    GList link;
} ThrottleWaiter;

static GQueue groups; /* a process has one set of groups; main thread */

/* ---- Letting go ---- */

static int64_t now_of(const ThrottleGroup *group)
{
    return vm_clock_ns(group->clock);
}

/* self: the waiter that calls, which needs no waking; or NULL. */
static void let_go(ThrottleGroup *group, ThrottleMember *member, bool is_write,
                   ThrottleWaiter *self)
{
    ThrottleWaiter *waiter = g_queue_pop_head_link(&member->waiting[is_write])->data;

    group->n_waiting[is_write]--;
    throttle_account(&group->throttle, is_write, waiter->bytes);
    waiter->released = true;
    if (waiter != self) {
        coroutine_wake(waiter->co);
    }
}

/* The member whose turn it is; somebody waits. */
static ThrottleMember *take_turn(ThrottleGroup *group, bool is_write)
{
    for (;;) {
        guint at = group->next_member[is_write] % group->members->len;
        ThrottleMember *member = g_ptr_array_index(group->members, at);

        group->next_member[is_write] = at + 1;
        if (member->waiting[is_write].length) {
            return member;
        }
    }
}

static bool release_one(ThrottleGroup *group, int64_t now, ThrottleWaiter *self)
{
    for (unsigned i = 0; i < 2; i++) {
        bool is_write = (group->next_direction + i) % 2;

        if (group->n_waiting[is_write] &&
            throttle_wait_ns(&group->throttle, is_write, now) == 0) {
            let_go(group, take_turn(group, is_write), is_write, self);
            group->next_direction = !is_write;
            return true;
        }
    }
    return false;
}

static void release_locked(ThrottleGroup *group, ThrottleWaiter *self)
{
    int64_t now = now_of(group), wait = INT64_MAX;

    while (release_one(group, now, self)) {
        continue;
    }
    for (unsigned is_write = 0; is_write < 2; is_write++) {
        if (group->n_waiting[is_write]) {
            wait = MIN(wait, throttle_wait_ns(&group->throttle, is_write, now));
        }
    }
    if (wait < INT64_MAX) {
        timer_mod(group->timer, now + wait);
    } else {
        timer_del(group->timer);
    }
}

static void on_timer(void *opaque)
{
    ThrottleGroup *group = opaque;

    g_mutex_lock(&group->lock);
    release_locked(group, NULL);
    g_mutex_unlock(&group->lock);
}

/* ---- Requests ---- */

void throttle_member_wait_turn(ThrottleMember *member, bool is_write, int64_t bytes)
{
    ThrottleGroup *group = member->group;
    ThrottleWaiter self = { .co = coroutine_current(), .bytes = bytes };
    bool must_wait = false;

    self.link.data = &self;
    g_mutex_lock(&group->lock);
    if (member->bypassed ||
        (!group->n_waiting[0] && !group->n_waiting[1] &&
         throttle_wait_ns(&group->throttle, is_write, now_of(group)) == 0)) {
        throttle_account(&group->throttle, is_write, bytes);
    } else {
        g_queue_push_tail_link(&member->waiting[is_write], &self.link);
        group->n_waiting[is_write]++;
        release_locked(group, &self);
        must_wait = !self.released;
    }
    g_mutex_unlock(&group->lock);
    if (must_wait) {
        coroutine_yield();
    }
}

void throttle_member_bypass_begin(ThrottleMember *member)
{
    ThrottleGroup *group = member->group;

    if (!group) {
        member->bypassed++;
        return;
    }
    g_mutex_lock(&group->lock);
    member->bypassed++;
    for (unsigned is_write = 0; is_write < 2; is_write++) {
        while (member->waiting[is_write].length) {
            let_go(group, member, is_write, NULL);
        }
    }
    release_locked(group, NULL);
    g_mutex_unlock(&group->lock);
}

void throttle_member_bypass_end(ThrottleMember *member)
{
    ThrottleGroup *group = member->group;

    if (group) {
        g_mutex_lock(&group->lock);
    }
    g_assert(member->bypassed > 0);
    member->bypassed--;
    if (group) {
        g_mutex_unlock(&group->lock);
    }
}

/* ---- Groups and members ---- */

ThrottleGroup *throttle_group_find(const char *name)
{
    for (GList *l = groups.head; l; l = l->next) {
        ThrottleGroup *group = l->data;

        if (!strcmp(group->name, name)) {
            return group;
        }
    }
    return NULL;
}

ThrottleGroup *throttle_group_get(const char *name)
{
    ThrottleGroup *group = throttle_group_find(name);
    ThrottleConfig no_limits;

    if (group) {
        group->refs++;
        return group;
    }
    group = g_new0(ThrottleGroup, 1);
    group->refs = 1;
    group->name = g_strdup(name);
    group->members = g_ptr_array_new();
    g_mutex_init(&group->lock);
    throttle_config_init(&no_limits);
    throttle_init(&group->throttle, &no_limits, 0);
    g_queue_push_tail(&groups, group);
    return group;
}

void throttle_group_unref(ThrottleGroup *group)
{
    if (!group || --group->refs > 0) {
        return;
    }
    g_assert(group->members->len == 0);
    g_queue_remove(&groups, group);
    timer_free(group->timer);
    g_ptr_array_unref(group->members);
    g_mutex_clear(&group->lock);
    g_free(group->name);
    g_free(group);
}

const char *throttle_group_name(const ThrottleGroup *group)
{
    return group->name;
}

bool throttle_group_in_use(const ThrottleGroup *group)
{
    return group->members->len > 0;
}

void throttle_group_get_config(ThrottleGroup *group, ThrottleConfig *config)
{
    g_mutex_lock(&group->lock);
    *config = group->throttle.config;
    g_mutex_unlock(&group->lock);
}

void throttle_group_set_config(ThrottleGroup *group, const ThrottleConfig *config)
{
    g_mutex_lock(&group->lock);
    throttle_init(&group->throttle, config, now_of(group));
    if (group->timer) {
        release_locked(group, NULL);
    }
    g_mutex_unlock(&group->lock);
}

void throttle_member_join(ThrottleMember *member, ThrottleGroup *group)
{
    g_assert(!member->group);
    group->refs++;
    g_mutex_lock(&group->lock);
    if (!group->timer) {
        group->clock = vm_clock_is_manual() ? VM_CLOCK_VIRTUAL : VM_CLOCK_REALTIME;
        group->timer = timer_new(loop_main(), group->clock, on_timer, group);
        throttle_init(&group->throttle, &group->throttle.config, now_of(group));
    }
    g_ptr_array_add(group->members, member);
    member->group = group;
    g_mutex_unlock(&group->lock);
}

void throttle_member_leave(ThrottleMember *member)
{
    ThrottleGroup *group = member->group;

    if (!group) {
        return;
    }
    g_mutex_lock(&group->lock);
    g_assert(!member->waiting[0].length && !member->waiting[1].length);
    g_ptr_array_remove(group->members, member);
    member->group = NULL;
    g_mutex_unlock(&group->lock);
    throttle_group_unref(group);
}

/* ---- The schema's form ---- */

#define EACH_LIMIT(X)                                                                              \
    X(THROTTLE_BPS_TOTAL, bps_total) X(THROTTLE_BPS_READ, bps_read)                                \
    X(THROTTLE_BPS_WRITE, bps_write) X(THROTTLE_IOPS_TOTAL, iops_total)                            \
    X(THROTTLE_IOPS_READ, iops_read) X(THROTTLE_IOPS_WRITE, iops_write)

void throttle_config_from_limits(ThrottleConfig *config, const ThrottleLimits *limits)
{
#define TAKE(to, field)                                                                            \
    if (limits->has_##field) {                                                                     \
        (to) = limits->field;                                                                      \
    }
#define TAKE_LIMIT(kind, name)                                                                     \
    TAKE(config->limits[kind].avg, name)                                                           \
    TAKE(config->limits[kind].max, name##_max)                                                     \
    TAKE(config->limits[kind].max_length, name##_max_length)
    EACH_LIMIT(TAKE_LIMIT)
    TAKE(config->iops_size, iops_size)
}

ThrottleLimits *throttle_config_to_limits(const ThrottleConfig *config)
{
    ThrottleLimits *limits = g_new0(ThrottleLimits, 1);

#define GIVE(field, from)                                                                          \
    limits->has_##field = true;                                                                    \
    limits->field = (from);
#define GIVE_LIMIT(kind, name)                                                                     \
    GIVE(name, config->limits[kind].avg)                                                           \
    GIVE(name##_max, config->limits[kind].max)                                                     \
    GIVE(name##_max_length, config->limits[kind].max_length)
    EACH_LIMIT(GIVE_LIMIT)
    GIVE(iops_size, config->iops_size)
    return limits;
}
