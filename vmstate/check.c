/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of saved state, looked at by a test before a stream meets them. */
#include <string.h>

#include "util/timer.h"
#include "vmstate/vmstate.h"

/* A subsection's name has one byte for its length, and one bit in the reader's set. */
#define MAX_NAME 255
#define MAX_SUBSECTIONS 64

static char *check_state(const VmState *state);

/* What is wrong with the field by itself. */
static const char *field_flaw(const VmState *state, const VmStateField *field)
{
    static const size_t widths[] = {
        [VMS_BOOL] = sizeof(bool), [VMS_U8] = 1, [VMS_U16] = 2, [VMS_U32] = 4, [VMS_U64] = 8,
        [VMS_TIMER] = sizeof(Timer *), [VMS_VBUFFER] = 1,
    };
    size_t width = field->kind < G_N_ELEMENTS(widths) ? widths[field->kind] : 0;

    if (!field->name) {
        return "has no name";
    }
    if (field->kind > VMS_VBUFFER) {
        return "has an unknown kind";
    }
    if (width ? field->size != width : field->size == 0) {
        return "has another size in memory than its kind";
    }
    if ((field->count_offset || field->kind == VMS_VBUFFER) &&
        !(field->count_offset && field->max)) {
        return "has a variable count without a place or a bound";
    }
    if (field->kind == VMS_STRUCT && !field->sub) {
        return "is a structure without a table";
    }
    if (field->since > state->version) {
        return "is newer than its table";
    }
    return NULL;
}

static bool name_is_taken(const VmState *state, const VmStateField *field)
{
    for (const VmStateField *other = state->fields; other < field; other++) {
        if (other->kind != VMS_UNUSED && strcmp(other->name, field->name) == 0) {
            return true;
        }
    }
    return false;
}

static char *check_field(const VmState *state, const VmStateField *field)
{
    const char *flaw = field_flaw(state, field);

    if (!flaw && field->kind != VMS_UNUSED && name_is_taken(state, field)) {
        flaw = "stands there twice";
    }
    if (flaw) {
        return g_strdup_printf("%s: field '%s' %s", state->name, field->name ? field->name : "",
                               flaw);
    }
    return field->kind == VMS_STRUCT ? check_state(field->sub) : NULL;
}

static char *check_subsection(const VmState *state, const VmState *sub)
{
    size_t own = strlen(state->name);

    if (strncmp(sub->name, state->name, own) != 0 || sub->name[own] != '/' ||
        sub->name[own + 1] == '\0' || strlen(sub->name) > MAX_NAME) {
        return g_strdup_printf("%s: subsection '%s' must be called '%s/...'", state->name,
                               sub->name, state->name);
    }
    return check_state(sub);
}

static char *check_state(const VmState *state)
{
    char *flaw = NULL;
    unsigned n = 0;

    if (!state->name || !state->fields || state->minimum_version > state->version) {
        return g_strdup_printf("%s: no name, no fields, or a minimum version above the version",
                               state->name ? state->name : "?");
    }
    for (const VmStateField *field = state->fields; field->kind != VMS_END && !flaw; field++) {
        flaw = check_field(state, field);
    }
    for (const VmState *const *sub = state->subsections; sub && *sub && !flaw; sub++) {
        flaw = ++n > MAX_SUBSECTIONS ? g_strdup_printf("%s: too many subsections", state->name)
                                     : check_subsection(state, *sub);
    }
    return flaw;
}

char *vmstate_check(const VmState *state)
{
    return check_state(state);
}
