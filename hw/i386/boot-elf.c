/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF kernels (System V ABI, gABI 4.1 chapters 4 and 5): loadable segments by physical address,
 * and the note that gives a PVH entry. Both classes, little-endian; everything in the file is
 * checked.
 */
#include <elf.h>

#include "hw/i386/boot-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

#define MAX_PROGRAM_HEADERS 256
#define XEN_ELFNOTE_PHYS32_ENTRY 18

typedef struct ElfFile {
    const BootFile *file;
    bool is64;
    uint16_t machine;
    uint64_t entry;
    uint64_t phoff;
    uint16_t phentsize, phnum;
} ElfFile;

/* A program header in either class. */
typedef struct ElfSegment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
} ElfSegment;

bool boot_elf_is(const BootFile *file)
{
    return file->size >= sizeof(Elf32_Ehdr) && memcmp(file->data, ELFMAG, SELFMAG) == 0;
}

static bool elf_open(const BootFile *file, ElfFile *elf)
{
    Elf32_Ehdr h32;
    Elf64_Ehdr h64;

    if (!boot_elf_is(file) || file->data[EI_DATA] != ELFDATA2LSB) {
        return false;
    }
    elf->file = file;
    elf->is64 = file->data[EI_CLASS] == ELFCLASS64;
    if (elf->is64) {
        if (file->size < sizeof(h64)) {
            return false;
        }
        memcpy(&h64, file->data, sizeof(h64));
        elf->machine = le16toh(h64.e_machine);
        elf->entry = le64toh(h64.e_entry);
        elf->phoff = le64toh(h64.e_phoff);
        elf->phentsize = le16toh(h64.e_phentsize);
        elf->phnum = le16toh(h64.e_phnum);
        return elf->phentsize >= sizeof(Elf64_Phdr);
    }
    memcpy(&h32, file->data, sizeof(h32));
    elf->machine = le16toh(h32.e_machine);
    elf->entry = le32toh(h32.e_entry);
    elf->phoff = le32toh(h32.e_phoff);
    elf->phentsize = le16toh(h32.e_phentsize);
    elf->phnum = le16toh(h32.e_phnum);
    return elf->phentsize >= sizeof(Elf32_Phdr);
}

static bool elf_segment(const ElfFile *elf, unsigned n, ElfSegment *segment)
{
    uint64_t at = (uint64_t)n * elf->phentsize;
    Elf64_Phdr p64;
    Elf32_Phdr p32;

    if (!range_ok(elf->phoff, at + elf->phentsize, elf->file->size)) {
        return false;
    }
    at += elf->phoff;
    if (elf->is64) {
        memcpy(&p64, elf->file->data + at, sizeof(p64));
        *segment = (ElfSegment) {
            le32toh(p64.p_type), le64toh(p64.p_offset), le64toh(p64.p_vaddr),
            le64toh(p64.p_paddr), le64toh(p64.p_filesz), le64toh(p64.p_memsz),
            le64toh(p64.p_align),
        };
    } else {
        memcpy(&p32, elf->file->data + at, sizeof(p32));
        *segment = (ElfSegment) {
            le32toh(p32.p_type), le32toh(p32.p_offset), le32toh(p32.p_vaddr),
            le32toh(p32.p_paddr), le32toh(p32.p_filesz), le32toh(p32.p_memsz),
            le32toh(p32.p_align),
        };
    }
    return true;
}

static void boot_segment_clear(void *data)
{
    BootSegment *segment = data;

    g_clear_pointer(&segment->data, g_bytes_unref);
}

void boot_program_clear(BootProgram *program)
{
    g_clear_pointer(&program->segments, g_array_unref);
}

bool boot_program_add(BootProgram *program, const KernelConfig *config, uint64_t addr,
                      uint64_t mem_size, GBytes *data, GError **error)
{
    BootSegment segment = { .addr = addr, .mem_size = mem_size, .data = data };

    if (addr < BOOT_HIGH_START || !boot_range_is_ram(config->e820, addr, mem_size) ||
        addr + mem_size > e820_low_ram_end(config->e820)) {
        g_autofree char *size = format_size(mem_size);

        error_setf(error, "kernel '%s' does not fit into guest memory: it has %s at 0x%" PRIx64,
                   config->kernel, size, addr);
        g_bytes_unref(data);
        return false;
    }
    if (!program->segments) {
        program->segments = g_array_new(false, false, sizeof(BootSegment));
        g_array_set_clear_func(program->segments, boot_segment_clear);
        program->start = addr;
        program->end = addr + mem_size;
    }
    g_array_append_val(program->segments, segment);
    program->start = MIN(program->start, addr);
    program->end = MAX(program->end, addr + mem_size);
    return true;
}

GBytes *boot_program_flatten(const BootProgram *program)
{
    size_t size = program->end - program->start;
    uint8_t *flat = g_malloc0(size);

    for (unsigned i = 0; i < program->segments->len; i++) {
        const BootSegment *segment = &g_array_index(program->segments, BootSegment, i);
        gsize len;
        const void *data = g_bytes_get_data(segment->data, &len);

        memcpy(flat + (segment->addr - program->start), data, len);
    }
    return g_bytes_new_take(flat, size);
}

/* The entry may be virtual: it is moved by what its segment is moved. */
static void elf_fix_entry(const ElfSegment *segment, uint64_t entry, BootProgram *program)
{
    if (entry >= segment->vaddr && entry - segment->vaddr < segment->memsz) {
        program->entry = segment->paddr + (entry - segment->vaddr);
    }
}

bool boot_elf_load(const BootFile *file, const KernelConfig *config, bool allow64,
                   BootProgram *program, GError **error)
{
    ElfFile elf;

    if (!elf_open(file, &elf) || elf.phnum > MAX_PROGRAM_HEADERS ||
        (elf.machine != EM_386 && elf.machine != EM_X86_64)) {
        error_setf(error, "kernel '%s' is no usable ELF file for x86", file->path);
        return false;
    }
    if (elf.is64 && !allow64) {
        error_setf(error, "kernel '%s' is a 64-bit ELF file; multiboot starts 32-bit ones",
                   file->path);
        return false;
    }
    program->entry = elf.entry;
    for (unsigned i = 0; i < elf.phnum; i++) {
        ElfSegment segment;

        if (!elf_segment(&elf, i, &segment)) {
            error_setf(error, "kernel '%s' is broken: program header %u is outside the file",
                       file->path, i);
            return false;
        }
        if (segment.type != PT_LOAD || segment.memsz == 0) {
            continue;
        }
        if (!range_ok(segment.offset, segment.filesz, file->size) ||
            segment.filesz > segment.memsz) {
            error_setf(error, "kernel '%s' is broken: segment %u at offset 0x%" PRIx64
                       " is outside the file", file->path, i, segment.offset);
            return false;
        }
        if (!boot_program_add(program, config, segment.paddr, segment.memsz,
                              boot_file_slice(file, segment.offset, segment.filesz), error)) {
            return false;
        }
        elf_fix_entry(&segment, elf.entry, program);
    }
    if (!program->segments) {
        error_setf(error, "kernel '%s' has nothing to load", file->path);
        return false;
    }
    return true;
}

/* One note segment: { namesz, descsz, type, name, desc }, names and descriptors padded to align. */
static bool elf_find_note(const uint8_t *data, uint64_t len, uint64_t align, uint32_t *entry)
{
    uint64_t at = 0;

    while (range_ok(at, 12, len)) {
        uint32_t namesz = ldl_le(data + at);
        uint32_t descsz = ldl_le(data + at + 4);
        uint32_t type = ldl_le(data + at + 8);
        uint64_t desc = at + ROUND_UP(12 + (uint64_t)namesz, align);

        if (!range_ok(desc, descsz, len)) {
            return false;
        }
        if (type == XEN_ELFNOTE_PHYS32_ENTRY && namesz == 4 && descsz >= 4 &&
            memcmp(data + at + 12, "Xen", 4) == 0) {
            *entry = ldl_le(data + desc);
            return true;
        }
        at = desc + ROUND_UP((uint64_t)descsz, align);
    }
    return false;
}

bool boot_elf_pvh_entry(const BootFile *file, uint32_t *entry)
{
    ElfFile elf;

    if (!elf_open(file, &elf) || elf.phnum > MAX_PROGRAM_HEADERS) {
        return false;
    }
    for (unsigned i = 0; i < elf.phnum; i++) {
        ElfSegment segment;

        if (!elf_segment(&elf, i, &segment)) {
            return false;
        }
        if (segment.type == PT_NOTE && range_ok(segment.offset, segment.filesz, file->size) &&
            elf_find_note(file->data + segment.offset, segment.filesz,
                          segment.align == 8 ? 8 : 4, entry)) {
            return true;
        }
    }
    return false;
}
