/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors are GError on every control path: `bool f(..., GError **error)`, error last. The code says
 * which class QMP shows to the client; one line of text says what was wrong, where, and what to do.
 * Data paths return 0 or -errno instead; convert once, where the two meet.
 */
#ifndef VIREO_UTIL_ERROR_H
#define VIREO_UTIL_ERROR_H

#include <glib.h>
#include <stdbool.h>

#define VIREO_ERROR vireo_error_quark()
GQuark vireo_error_quark(void);

/* Each maps to the QMP error class of the same name. */
typedef enum VireoError {
    VIREO_ERROR_GENERIC,
    VIREO_ERROR_COMMAND_NOT_FOUND,
    VIREO_ERROR_DEVICE_NOT_ACTIVE,
    VIREO_ERROR_DEVICE_NOT_FOUND,
    VIREO_ERROR_KVM_MISSING_CAP,
} VireoError;

/* Set *error (if error is not NULL) to a VIREO_ERROR_GENERIC. *error must be NULL before. */
void error_setf(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void error_set_code(GError **error, VireoError code, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
/* As error_setf, followed by ": " and the text of errno value `err` (positive). */
void error_set_errno(GError **error, int err, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/*
 * Append to an error that names a wrong word the nearest of `candidates` (NULL-terminated), if one
 * is near enough: "; did you mean 'foo'?".
 */
void error_append_nearest(GError **error, const char *word, const char *const *candidates);

/* The nearest candidate by edit distance, or NULL if none is close. Borrowed from candidates. */
const char *nearest_word(const char *word, const char *const *candidates);

/*
 * One line on stderr: "vireo: <text>". `error_report_err` takes ownership of the error.
 * Any thread. The program's name is set once by error_init() before other threads start.
 */
void error_init(const char *program_name);
void error_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void error_report_err(GError *error);
void warn_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void info_report(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* Prepend an ISO 8601 timestamp to each report (-msg timestamp=on), or the guest's name. */
void error_set_timestamps(bool on);
void error_set_guest_name(const char *name);

#endif
