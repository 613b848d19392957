/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LeakSanitizer looks for pointers in the heap and on threads' stacks, and has to be told of other
 * mapped memory that owns something. What this thread allocates between sanitizer_expect_leaks()
 * with true and with false (a library that frees less than it makes) is not looked for. Nothing in
 * an ordinary build. Any thread.
 */
#ifndef VIREO_UTIL_SANITIZER_H
#define VIREO_UTIL_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define sanitizer_add_owner(memory, size) __lsan_register_root_region(memory, size)
#define sanitizer_remove_owner(memory, size) __lsan_unregister_root_region(memory, size)
static inline void sanitizer_expect_leaks(bool on)
{
    if (on) {
        __lsan_disable();
    } else {
        __lsan_enable();
    }
}
#else
static inline void sanitizer_expect_leaks(bool on)
{
}

static inline void sanitizer_add_owner(const void *memory, size_t size)
{
}

static inline void sanitizer_remove_owner(const void *memory, size_t size)
{
}
#endif

#endif
