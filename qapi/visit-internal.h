/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about descriptors that the visitor's files share. Private to qapi/. */
#ifndef VIREO_QAPI_VISIT_INTERNAL_H
#define VIREO_QAPI_VISIT_INTERNAL_H

#include "qapi/visit.h"

bool qapi_kind_is_pointer(QapiKind kind);
/* The branch that obj's discriminator selects; NULL if type is no union or the branch is empty. */
const QapiType *qapi_union_branch(const QapiType *type, const void *obj);
/* The alternate's branch for this JSON type, or NULL. */
const QapiMember *qapi_alternate_branch(const QapiType *type, QapiJsonType json_type);
bool qapi_member_accepts(const QapiMember *member, QapiJsonType json_type);
/* Free what the field owns and make it NULL. */
void qapi_member_clear(const QapiMember *member, void *field);

QapiJsonType qapi_json_type(json_object *json);

#endif
