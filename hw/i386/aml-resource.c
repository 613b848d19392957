/* SPDX-License-Identifier: Apache-2.0 */
/* AML resource descriptors (ACPI 6.4, section 6.4). */
#include "hw/i386/aml-internal.h"

/*
 * Tags: small descriptors carry their length in bits 2..0; large ones have a 16-bit length after.
 */
enum {
    TAG_IRQ_NO_FLAGS = 0x22,
    TAG_DMA = 0x2a,
    TAG_IO = 0x47,
    TAG_MEMORY32_FIXED = 0x86,
    TAG_DWORD_SPACE = 0x87,
    TAG_WORD_SPACE = 0x88,
    TAG_INTERRUPT = 0x89,
    TAG_QWORD_SPACE = 0x8a,
};

enum {
    SPACE_MEMORY = 0,
    SPACE_IO = 1,
    SPACE_BUS = 2,
};

#define IO_DECODE16 1
#define WINDOW_FIXED 0x0c /* both ends fixed, positive decode, producer */
#define IO_ENTIRE_RANGE 0x03
#define MEMORY_READ_WRITE 0x01
#define MEMORY_CACHEABLE 0x02

Aml *aml_io(uint16_t base, uint16_t len)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_int(aml, 1, TAG_IO);
    aml_put_int(aml, 1, IO_DECODE16);
    aml_put_int(aml, 2, base);
    aml_put_int(aml, 2, base);
    aml_put_int(aml, 1, 1); /* alignment */
    aml_put_int(aml, 1, len);
    return aml;
}

Aml *aml_irq_no_flags(uint8_t irq)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    g_assert(irq < 16);
    aml_put_int(aml, 1, TAG_IRQ_NO_FLAGS);
    aml_put_int(aml, 2, 1u << irq);
    return aml;
}

Aml *aml_dma8(unsigned channel)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    g_assert(channel < 8);
    aml_put_int(aml, 1, TAG_DMA);
    aml_put_int(aml, 1, 1u << channel);
    aml_put_int(aml, 1, 0);
    return aml;
}

Aml *aml_interrupt(AmlIrqFlags flags, const uint32_t *gsi, unsigned count)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_int(aml, 1, TAG_INTERRUPT);
    aml_put_int(aml, 2, 2 + 4 * count);
    aml_put_int(aml, 1, flags << 1 | 1); /* consumer */
    aml_put_int(aml, 1, count);
    for (unsigned i = 0; i < count; i++) {
        aml_put_int(aml, 4, gsi[i]);
    }
    return aml;
}

Aml *aml_memory32_fixed(uint32_t base, uint32_t len, bool writable)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_int(aml, 1, TAG_MEMORY32_FIXED);
    aml_put_int(aml, 2, 9);
    aml_put_int(aml, 1, writable);
    aml_put_int(aml, 4, base);
    aml_put_int(aml, 4, len);
    return aml;
}

/* Width is that of the numbers: 2, 4 or 8 bytes. */
static Aml *aml_space(uint8_t tag, unsigned width, uint8_t type, uint8_t type_flags,
                      uint64_t first, uint64_t last)
{
    Aml *aml = aml_new(AML_PLAIN, 0);

    aml_put_int(aml, 1, tag);
    aml_put_int(aml, 2, 3 + 5 * width);
    aml_put_int(aml, 1, type);
    aml_put_int(aml, 1, WINDOW_FIXED);
    aml_put_int(aml, 1, type_flags);
    aml_put_int(aml, width, 0); /* granularity */
    aml_put_int(aml, width, first);
    aml_put_int(aml, width, last);
    aml_put_int(aml, width, 0); /* translation */
    aml_put_int(aml, width, last - first + 1);
    return aml;
}

Aml *aml_word_bus_number(uint16_t first, uint16_t last)
{
    return aml_space(TAG_WORD_SPACE, 2, SPACE_BUS, 0, first, last);
}

Aml *aml_word_io(uint16_t first, uint16_t last)
{
    return aml_space(TAG_WORD_SPACE, 2, SPACE_IO, IO_ENTIRE_RANGE, first, last);
}

static uint8_t aml_memory_flags(bool cacheable)
{
    return MEMORY_READ_WRITE | (cacheable ? MEMORY_CACHEABLE : 0);
}

Aml *aml_dword_memory(uint32_t first, uint32_t last, bool cacheable)
{
    return aml_space(TAG_DWORD_SPACE, 4, SPACE_MEMORY, aml_memory_flags(cacheable), first, last);
}

Aml *aml_qword_memory(uint64_t first, uint64_t last, bool cacheable)
{
    return aml_space(TAG_QWORD_SPACE, 8, SPACE_MEMORY, aml_memory_flags(cacheable), first, last);
}
