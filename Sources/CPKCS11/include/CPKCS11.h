/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What of PKCS#11 v2.40 (OASIS) Hallmark speaks. A token's module is loaded at run time: nothing here needs one to build.
 */
#ifndef HALLMARK_CPKCS11_H
#define HALLMARK_CPKCS11_H

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;

#endif
