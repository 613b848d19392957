/* SPDX-License-Identifier: Apache-2.0 */
/* In place of microvm-fdt.c where libfdt is missing. */
#include "hw/i386/microvm-fdt.h"

#include "util/error.h"

GBytes *microvm_fdt_build(const MicrovmFdtConfig *config, GError **error)
{
    error_setf(error, "this build has no device trees: libfdt was missing");
    return NULL;
}
