/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blkdebug: rules, and where they come from. An event is a place in a driver's code, or "none",
 * which happens once, when the node is opened. A rule waits for its event, in one state or in all:
 *
 *   inject-error  from now on requests of its kinds, to its sector, fail; this replaces the errors
 *                 that earlier events began
 *   set-state     the node goes to another state when all rules of the event are done
 *   break         the coroutine stops there until it is resumed; the rule is used up
 */
#ifndef VIREO_BLOCK_BLKDEBUG_INTERNAL_H
#define VIREO_BLOCK_BLKDEBUG_INTERNAL_H

#include "block/io.h"
#include "util/coroutine.h"

typedef enum BlkdebugAction {
    BLKDEBUG_INJECT_ERROR,
    BLKDEBUG_SET_STATE,
    BLKDEBUG_BREAK,
} BlkdebugAction;

typedef struct BlkdebugRule {
    BlkdebugAction action;
    BlkdebugEvent event;
    int64_t state;       /* 0: in any */
    bool active;         /* an error: its event has come */
    /* inject-error */
    unsigned iotypes;    /* bits by BlkdebugIOType */
    int error;           /* errno's value; 0: none after all */
    int64_t offset;      /* of the sector, -1: any */
    bool once, immediately;
    /* set-state */
    int64_t new_state;
    /* break */
    char *tag;
} BlkdebugRule;

void blkdebug_rule_free(void *rule);
/* Add rules (BlkdebugRule) as the options say. */
bool blkdebug_add_option_rules(GPtrArray *rules, const BlockdevOptionsBlkdebug *options,
                               GError **error);
/*
 * Add rules of a file: lines `key = "value"` in sections [inject-error] and [set-state], each of
 * which is one rule; '#' begins a comment.
 */
bool blkdebug_add_file_rules(GPtrArray *rules, const char *path, GError **error);

#endif
