/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tools/img/img.h"

/* Three significant digits in the largest unit that leaves at least one before the point. */
char *img_size_text(int64_t bytes)
{
    static const char units[] = "BKMGTPE";
    double value = bytes;
    unsigned unit = 0;

    while (value >= 1000 && unit < sizeof(units) - 2) {
        value /= 1024;
        unit++;
    }
    return unit ? g_strdup_printf("%0.3g %ciB", value, units[unit])
                : g_strdup_printf("%0.3g B", value);
}
