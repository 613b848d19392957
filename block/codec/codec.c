/* SPDX-License-Identifier: Apache-2.0 */
#include "block/codec/codec.h"

#include "util/module.h"

const Codec *codec_load(CodecMethod method, GError **error)
{
    static const struct {
        const char *module, *symbol;
    } where[] = {
        [CODEC_DEFLATE] = { "block-deflate", "codec_deflate" },
        [CODEC_ZLIB] = { "block-deflate", "codec_zlib" },
        [CODEC_ZSTD] = { "block-zstd", "codec_zstd" },
        [CODEC_BZIP2] = { "block-bzip2", "codec_bzip2" },
        [CODEC_XZ] = { "block-xz", "codec_xz" },
    };

    return module_symbol(where[method].module, where[method].symbol, error);
}
