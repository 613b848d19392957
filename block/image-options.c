/* SPDX-License-Identifier: Apache-2.0 */
/* File names inside file names. */
#include "block/image-options.h"

#include "block/driver.h"

json_object *block_image_options(const char *filename, GError **error)
{
    const BlockDriver *driver = block_driver_find_protocol(filename, error);
    json_object *options;

    if (!driver) {
        return NULL;
    }
    options = json_object_new_object();
    json_object_object_add(options, "driver", json_object_new_string(driver->name));
    if (!driver->parse_filename) {
        json_object_object_add(options, "filename", json_object_new_string(filename));
    } else if (!driver->parse_filename(filename, options, error)) {
        json_object_put(options);
        return NULL;
    }
    return options;
}
