// SPDX-License-Identifier: Apache-2.0

#include "CProcess.h"

#ifdef __linux__
#include <sys/prctl.h>

int hallmark_make_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L); }
#else
int hallmark_make_undumpable(void) { return 0; }
#endif
