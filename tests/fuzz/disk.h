/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzzed images stand on: a few files in memory, laid out by the fuzzer's input, and a
 * protocol "mem:" by which images and their headers name them.
 *
 * An input is little-endian and sparse, so that small ones make large files:
 *
 *   0       flags (FuzzFlag)
 *   1       number of operations
 *   2       0
 *   4       size of each file, 32 bits; FUZZ_FILES of them
 *   16      operations, 4 bytes each
 *   then    records until the end: file (8 bits), length (16), offset (32), and the bytes
 *
 * What does not fit is cut: every input means something.
 */
#ifndef VIREO_TESTS_FUZZ_DISK_H
#define VIREO_TESTS_FUZZ_DISK_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_FILES 3
#define FUZZ_FILE_MAX (16 << 20)
#define FUZZ_HEADER 16
#define FUZZ_RECORD 7
#define FUZZ_MAX_OPS 48

typedef enum FuzzFlag {
    FUZZ_MEND = 1u << 0,       /* checksums are made right, so that more of the driver is reached */
    FUZZ_READ_ONLY = 1u << 1,
    FUZZ_CHECK = 1u << 2,      /* as `vireo-img check` opens: no requests follow */
    FUZZ_NO_BACKING = 1u << 3,
    FUZZ_NO_IO = 1u << 4,      /* as `vireo-img info` opens: no requests follow */
    FUZZ_ENCRYPTED = 1u << 5,  /* qcow, qcow2: with the secret */
} FuzzFlag;

typedef struct FuzzOp {
    uint8_t what, len;
    uint16_t at;
} FuzzOp;

typedef struct FuzzInput {
    unsigned flags, n_ops;
    FuzzOp ops[FUZZ_MAX_OPS];
} FuzzInput;

/* Lay out the files. False: too short to mean anything. */
bool fuzz_disk_load(const uint8_t *data, size_t size, FuzzInput *input);
/* The file that "mem:0" is, for who mends it; FUZZ_FILE_MAX bytes of room. */
uint8_t *fuzz_disk_bytes(size_t *size);
/* Requests to the files since fuzz_disk_load(). */
uint64_t fuzz_disk_requests(void);

/* ---- Encoding, for mutations ---- */

typedef struct FuzzRecord {
    size_t at, len; /* of its bytes, in the input */
} FuzzRecord;
/* The records of an input; FuzzRecord. */
GArray *fuzz_disk_records(const uint8_t *data, size_t size);

#endif
