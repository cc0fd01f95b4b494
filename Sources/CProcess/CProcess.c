// SPDX-License-Identifier: Apache-2.0

// For dl_iterate_phdr, sync_file_range and fallocate.
#define _GNU_SOURCE

#include "CProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#ifdef __linux__
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

int hallmark_make_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L); }

/// Whether the dynamic linker has written to what is read-only otherwise: such pages are not those of the file.
static int has_text_relocations(const struct dl_phdr_info *object) {
    for (int index = 0; index < object->dlpi_phnum; index++) {
        if (object->dlpi_phdr[index].p_type != PT_DYNAMIC) continue;
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[index].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_TEXTREL) return 1;
            if (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL)) return 1;
        }
    }
    return 0;
}

static int release_object(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    (void)context;
    if (has_text_relocations(object)) return 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        // What is read-only only after relocation (GNU_RELRO) is part of a segment that is writable.
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        // Whole pages only: those at the ends may be another segment's too.
        uintptr_t first = object->dlpi_addr + segment->p_vaddr;
        uintptr_t end = (first + segment->p_filesz) & ~(page - 1);
        first = (first + page - 1) & ~(page - 1);
        if (first < end) madvise((void *)first, end - first, MADV_DONTNEED);
    }
    return 0;
}

void hallmark_release_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    dl_iterate_phdr(release_object, NULL);
}

void hallmark_begin_writeback(int descriptor, int64_t offset, int64_t count) {
    sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}

void hallmark_reserve_blocks(int descriptor, int64_t offset, int64_t count) {
    fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, count);
}
#else
int hallmark_make_undumpable(void) { return 0; }

void hallmark_release_memory(void) {}

void hallmark_begin_writeback(int descriptor, int64_t offset, int64_t count) {
    (void)descriptor;
    (void)offset;
    (void)count;
}

void hallmark_reserve_blocks(int descriptor, int64_t offset, int64_t count) {
    (void)descriptor;
    (void)offset;
    (void)count;
}
#endif

int hallmark_open_terminal(int ours, int *secondary) {
    int primary = posix_openpt(O_RDWR | O_NOCTTY);
    if (primary < 0) return -1;
    const char *name = NULL;
    int program = -1;
    if (grantpt(primary) == 0 && unlockpt(primary) == 0 && (name = ptsname(primary)) != NULL) {
        program = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    }
    if (program < 0 || fcntl(primary, F_SETFD, FD_CLOEXEC) != 0) {
        int number = errno;
        close(primary);
        if (program >= 0) close(program);
        errno = number;
        return -1;
    }
    struct winsize size;
    if (ioctl(ours, TIOCGWINSZ, &size) == 0) ioctl(primary, TIOCSWINSZ, &size);
    struct termios settings;
    if (tcgetattr(program, &settings) == 0) {
        settings.c_oflag &= ~(tcflag_t)OPOST;
        tcsetattr(program, TCSANOW, &settings);
    }
    *secondary = program;
    return primary;
}
