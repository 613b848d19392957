/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option arguments as JSON values: "file.driver=raw,file.path=/a,,b,size=1G".
 *
 * A dot in a key descends into an object; objects whose keys are all numbers 0..n-1 become arrays;
 * a doubled comma stands for one; the last of equal keys wins. A text that starts with '{' is
 * JSON. Scalars stay strings: read the result with QAPI_KEYVAL (for the JSON form, see
 * keyval_is_json).
 */
#ifndef VIREO_QAPI_KEYVAL_H
#define VIREO_QAPI_KEYVAL_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

#include "qapi/visit.h"

/*
 * A new object, or NULL with the error set. implied_key (may be NULL) names a first part without
 * '='. If help is not NULL, a lone "help" or "?" part sets *help and is dropped; *help is else
 * false.
 */
json_object *keyval_parse(const char *str, const char *implied_key, bool *help, GError **error);

/* How to read what keyval_parse made of str. */
static inline bool keyval_is_json(const char *str)
{
    return str[0] == '{';
}
static inline QapiFlags keyval_flags(const char *str)
{
    return keyval_is_json(str) ? QAPI_JSON : QAPI_KEYVAL;
}

/* One whole JSON value; the depth is bounded, and bytes after it are an error. */
json_object *json_parse_text(const char *str, GError **error);

#endif
