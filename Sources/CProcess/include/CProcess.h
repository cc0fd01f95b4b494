// SPDX-License-Identifier: Apache-2.0

#ifndef HALLMARK_CPROCESS_H
#define HALLMARK_CPROCESS_H

/// Keeps the memory of this process from core files and from debuggers of the same user. Swift cannot call prctl, which
/// takes a variable number of arguments.
///
/// Returns 0, or -1 with errno set. Does nothing where there is no such thing.
int hallmark_make_undumpable(void);

#endif
