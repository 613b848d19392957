/* SPDX-License-Identifier: Apache-2.0 */
/* What the tools print alike. */
#ifndef VIREO_TOOLS_DUMP_H
#define VIREO_TOOLS_DUMP_H

#include "qapi-types-block-core.h"

/* "Format specific information:" and a line for each member; nothing if there is none, or NULL. */
void tool_print_specific(const ImageInfoSpecific *specific);

#endif
