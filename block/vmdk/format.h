/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMware Virtual Disk Format 5.0: where things stand in a sparse extent. All little-endian;
 * "sectors" are of 512 bytes.
 */
#ifndef VIREO_BLOCK_VMDK_FORMAT_H
#define VIREO_BLOCK_VMDK_FORMAT_H

#define VMDK_MAGIC "KDMV"
#define VMDK_HEADER_SIZE 512
#define VMDK_VERSION 4
#define VMDK_FLAGS 8
#define VMDK_CAPACITY 12          /* sectors */
#define VMDK_GRAIN_SIZE 20        /* sectors */
#define VMDK_DESCRIPTOR_AT 28     /* sector */
#define VMDK_DESCRIPTOR_SIZE 36   /* sectors */
#define VMDK_GTES_PER_GT 44
#define VMDK_RGD_AT 48            /* sector of the redundant grain directory */
#define VMDK_GD_AT 56             /* sector of the grain directory */
#define VMDK_OVERHEAD 64          /* sectors of metadata before the first grain */
#define VMDK_UNCLEAN 72
#define VMDK_NEWLINES 73          /* what a transfer as text would spoil */
#define VMDK_NEWLINE_TEXT "\n \r\n"
#define VMDK_COMPRESSION 77

#define VMDK_FLAG_NEWLINES (1u << 0)
#define VMDK_FLAG_REDUNDANT (1u << 1)
#define VMDK_FLAG_ZEROED_GRAIN (1u << 2)
#define VMDK_FLAG_COMPRESSED (1u << 16)
#define VMDK_FLAG_MARKERS (1u << 17)
#define VMDK_COMPRESSION_DEFLATE 1
/* The directory stands at the end; the last sectors (footer marker, footer, EOS) say where. */
#define VMDK_GD_AT_END UINT64_MAX

#define VMDK_GTE_ZERO 1u          /* with VMDK_FLAG_ZEROED_GRAIN */

/* A marker's sector, and what comes before a compressed grain. */
#define VMDK_MARKER_VALUE 0       /* 64 bits: sectors that follow; of a grain: where in the disk */
#define VMDK_MARKER_SIZE 8        /* 32 bits: bytes of compressed data; 0 in other markers */
#define VMDK_MARKER_TYPE 12
#define VMDK_GRAIN_MARKER 12      /* bytes before a compressed grain's data */
enum { VMDK_MARKER_EOS, VMDK_MARKER_GT, VMDK_MARKER_GD, VMDK_MARKER_FOOTER };

/* ESX's older "vmfsSparse". */
#define COWD_MAGIC "COWD"
#define COWD_VERSION 4
#define COWD_CAPACITY 12
#define COWD_GRAIN_SIZE 16
#define COWD_GD_AT 20
#define COWD_GD_ENTRIES 24
#define COWD_GTES_PER_GT 4096u

#define VMDK_GRAIN_SECTORS 128u
#define VMDK_GTES 512u
#define VMDK_NO_PARENT 0xffffffffu

#endif
