/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/nettle-ops.h"

#include "util/module.h"

static const NettleOps *loaded;

const NettleOps *nettle_ops(GError **error)
{
    const NettleOps *ops = g_atomic_pointer_get(&loaded);

    if (!ops) {
        ops = module_symbol("crypto-nettle", "crypto_nettle", error);
        g_atomic_pointer_set(&loaded, ops);
    }
    return ops;
}

const NettleOps *nettle_ops_loaded(void)
{
    const NettleOps *ops = nettle_ops(NULL);

    g_assert(ops);
    return ops;
}
