/* SPDX-License-Identifier: Apache-2.0 */
/* What -blockdev says about a qcow2 node, checked and completed. */
#ifndef VIREO_BLOCK_QCOW2_SETTINGS_H
#define VIREO_BLOCK_QCOW2_SETTINGS_H

#include "block/qcow2/qcow2.h"

/* discard_unmap: of the node. Changes nothing but *out. */
bool qcow2_settings_read(const Qcow2 *q, const BlockdevOptionsQcow2 *options, bool discard_unmap,
                         Qcow2Settings *out, GError **error);

#endif
