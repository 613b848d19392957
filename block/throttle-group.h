/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throttle groups: limits (util/throttle.h) that several disks share. Members are backends and
 * `throttle` nodes; a group exists as long as somebody holds it: a member, or the object that
 * -object throttle-group made. Members that wait get their turn one request each, reads and writes
 * alternately, whatever thread they live on.
 *
 * Time is the host's; with a manual clock (qtest) it is the guest's, so that tests can step it.
 *
 * Main thread, unless something else is said.
 */
#ifndef VIREO_BLOCK_THROTTLE_GROUP_H
#define VIREO_BLOCK_THROTTLE_GROUP_H

#include "qapi-types-throttle.h"
#include "util/throttle.h"

#define TYPE_THROTTLE_GROUP "throttle-group"

typedef struct ThrottleGroup ThrottleGroup;

/* One in zeroed memory belongs to no group and lets everything through. */
typedef struct ThrottleMember {
    ThrottleGroup *group; /* NULL: none; changes only while nothing is in flight */
    /* Under the group's lock. */
    unsigned bypassed;    /* drained sections that cover it */
    GQueue waiting[2];    /* by is_write: ThrottleWaiter */
} ThrottleMember;

/* Borrowed, or NULL. */
ThrottleGroup *throttle_group_find(const char *name);
/* The group of that name, a new one without limits if there is none. A reference. */
ThrottleGroup *throttle_group_get(const char *name);
void throttle_group_unref(ThrottleGroup *group);
const char *throttle_group_name(const ThrottleGroup *group);
/* Has it members? */
bool throttle_group_in_use(const ThrottleGroup *group);
void throttle_group_get_config(ThrottleGroup *group, ThrottleConfig *config);
/* Checked by the caller. Who waits is asked again. */
void throttle_group_set_config(ThrottleGroup *group, const ThrottleConfig *config);

/* While nothing is in flight. It holds the group until it leaves; leaving none is fine. */
void throttle_member_join(ThrottleMember *member, ThrottleGroup *group);
void throttle_member_leave(ThrottleMember *member);
/* A drained section of the member: who waits goes on at once, and so does who comes. Nests. */
void throttle_member_bypass_begin(ThrottleMember *member);
void throttle_member_bypass_end(ThrottleMember *member);

/* In a coroutine on any loop: return when the request may begin; it is counted. */
void throttle_member_wait_turn(ThrottleMember *member, bool is_write, int64_t bytes);
static inline void throttle_member_wait(ThrottleMember *member, bool is_write, int64_t bytes)
{
    if (G_UNLIKELY(member->group)) {
        throttle_member_wait_turn(member, is_write, bytes);
    }
}

/* The schema's form; what it does not name stays as it is in *config. Not checked. */
void throttle_config_from_limits(ThrottleConfig *config, const ThrottleLimits *limits);
ThrottleLimits *throttle_config_to_limits(const ThrottleConfig *config);

#endif
