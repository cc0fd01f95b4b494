// SPDX-License-Identifier: Apache-2.0

#ifndef HALLMARK_CPROCESS_H
#define HALLMARK_CPROCESS_H

#include <stdint.h>

/// Keeps the memory of this process from core files and from debuggers of the same user. Swift cannot call prctl, which
/// takes a variable number of arguments.
///
/// Returns 0, or -1 with errno set. Does nothing where there is no such thing.
int hallmark_make_undumpable(void);

/// Takes the pages of the program's and its libraries' files out of this process, and gives what was freed of the heap back
/// to the system. What is in the files stays in the system's cache of them: what is used again is mapped again, without being
/// read again. Only what nobody can have written to is taken out: segments that are not writable, of files whose text was
/// not relocated.
///
/// Safe at any time and from any thread. Does nothing where there is no such thing.
void hallmark_release_memory(void);

/// Has the disk begin with what was written to a part of a file. No more than that: whether the bytes have arrived is said by
/// fsync alone, which has less left to do then. Does nothing where there is no such thing.
void hallmark_begin_writeback(int descriptor, int64_t offset, int64_t count);

/// Opens a terminal for a program whose output is looked at on its way to ours: of the size of ours, and without a translation of
/// lines, as ours translates them.
///
/// Returns the end to read from and puts the program's end into `secondary`; or -1 with errno set. Both are closed on exec.
int hallmark_open_terminal(int ours, int *secondary);

/// Has the file system set blocks aside for what is about to be written to a part of a file, whose length stays as it is: in one
/// piece, which is cheaper than block by block. What lies behind the file's end is given back when it is truncated. Does nothing
/// where there is no such thing, or no room.
void hallmark_reserve_blocks(int descriptor, int64_t offset, int64_t count);

#endif
