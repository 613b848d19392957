/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of qom/ share; nobody else includes this. */
#ifndef VIREO_QOM_QOM_INTERNAL_H
#define VIREO_QOM_QOM_INTERNAL_H

#include "qom/object.h"

/* Deeper type chains are taken for a cycle. */
#define TYPE_CHAIN_MAX 32

/* The chain from the leaf to the root; returns its length. */
size_t type_chain(const TypeInfo *type, const TypeInfo **chain);

/* A property that object_add_link() made. */
typedef struct ObjectLink {
    char *type;
    Object **target; /* borrowed */
} ObjectLink;

/* Storage of a declared property inside obj, or NULL if it has none (computed). */
static inline void *property_field(const Object *obj, const Property *prop)
{
    return prop->offset >= sizeof(Object) ? (char *)obj + prop->offset : NULL;
}

/* Try every global on a new object; the first failure is kept in obj->globals_error. */
void object_try_globals(Object *obj);

#endif
