/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

enum { IP_OFFSET = 14, IP_HEADER = 20, UDP_OFFSET = IP_OFFSET + IP_HEADER, TYPE_OFFSET = 12,
       IP_CHECKSUM = 10, IP_PROTOCOL = 9, PROTOCOL_UDP = 17 };

static const uint8_t udp_headers[FRAME_HEADERS] = {
    0x52, 0x55, 0x0a, 0x00, 0x02, 0x02, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x08, 0x00,
    0x45, 0x00, 0, 0, 0, 0, 0, 0, 64, PROTOCOL_UDP, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,
    0, 7, 7007 >> 8, 7007 & 0xff, 0, 0, 0, 0,
};

static const uint8_t arp[FRAME_HEADERS] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x08, 0x06,
    0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 10, 0, 2, 15,
    0, 0, 0, 0, 0, 0, 10, 0, 2, 15,
};

uint32_t frame_bytes(const struct job *job)
{
    uint64_t bytes = job->argument[0];

    if (bytes < FRAME_MIN || bytes > FRAME_MAX) {
        fail(job->name, "frames have 60 to 1514 bytes");
    }
    return (uint32_t)bytes;
}

static void put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static uint32_t ip_checksum(const uint8_t *header)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < IP_HEADER; i += 2) {
        sum += (uint32_t)header[i] << 8 | header[i + 1];
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16)) & 0xffff;
}

static uint8_t payload_byte(uint64_t number, uint32_t at)
{
    return (uint8_t)(at < 8 ? number >> 8 * at : number + at);
}

void frame_build(uint8_t *frame, uint32_t bytes, uint64_t number)
{
    for (unsigned i = 0; i < FRAME_HEADERS; i++) {
        frame[i] = udp_headers[i];
    }
    put16(frame + IP_OFFSET + 2, bytes - IP_OFFSET);
    put16(frame + IP_OFFSET + IP_CHECKSUM, ip_checksum(frame + IP_OFFSET));
    put16(frame + UDP_OFFSET + 4, bytes - UDP_OFFSET);
    for (uint32_t i = FRAME_HEADERS; i < bytes; i++) {
        frame[i] = payload_byte(number, i - FRAME_HEADERS);
    }
}

void frame_build_arp(uint8_t *frame)
{
    for (unsigned i = 0; i < FRAME_MIN; i++) {
        frame[i] = i < FRAME_HEADERS ? arp[i] : 0;
    }
}

bool frame_matches(const uint8_t *frame, uint32_t bytes, uint64_t number)
{
    for (uint32_t i = FRAME_HEADERS; i < bytes; i++) {
        if (frame[i] != payload_byte(number, i - FRAME_HEADERS)) {
            return false;
        }
    }
    return true;
}

bool frame_is_udp(const uint8_t *frame)
{
    return frame[TYPE_OFFSET] == 8 && frame[TYPE_OFFSET + 1] == 0 &&
           frame[IP_OFFSET + IP_PROTOCOL] == PROTOCOL_UDP;
}
