/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet frames of the network measurements: UDP from 10.0.2.15 port 7 to 10.0.2.2 port 7007, as
 * user networking has it.
 */
#ifndef VIREO_TESTS_BENCH_GUEST_FRAME_H
#define VIREO_TESTS_BENCH_GUEST_FRAME_H

#include "guest.h"

enum { FRAME_MIN = 60, FRAME_MAX = 1514, FRAME_HEADERS = 42 };

/* Bytes of the job's frames; fails if that is no Ethernet frame. */
uint32_t frame_bytes(const struct job *job);
/* number: what the first 8 bytes of the payload say. */
void frame_build(uint8_t *frame, uint32_t bytes, uint64_t number);
/* Tells who has 10.0.2.15; FRAME_MIN bytes. */
void frame_build_arp(uint8_t *frame);
/* Does it carry that number, and is the rest as frame_build() makes it? */
bool frame_matches(const uint8_t *frame, uint32_t bytes, uint64_t number);
/* Is it one of ours: IPv4, UDP? */
bool frame_is_udp(const uint8_t *frame);

#endif
