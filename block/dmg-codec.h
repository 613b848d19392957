/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression of Apple's disk images that needs a library of its own. Each is a module, loaded when
 * an image that uses it is opened; its constructor registers how to unpack.
 */
#ifndef VIREO_BLOCK_DMG_CODEC_H
#define VIREO_BLOCK_DMG_CODEC_H

#include "block/extent.h"

typedef enum DmgCodec { DMG_CODEC_BZIP2, DMG_CODEC_XZ, DMG_CODEC__MAX } DmgCodec;

/* Main thread. */
void dmg_codec_register(DmgCodec codec, ExtentUnpack *unpack);

#endif
