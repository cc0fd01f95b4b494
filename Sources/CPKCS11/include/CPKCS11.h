/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What of PKCS#11 v2.40 (OASIS) Hallmark speaks. A token's module is loaded at run time: nothing here needs one to build.
 *
 * The function table has all of its places in their order; those that nothing calls are plain pointers.
 */
#ifndef HALLMARK_CPKCS11_H
#define HALLMARK_CPKCS11_H

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;

typedef struct {
    unsigned char major;
    unsigned char minor;
} CK_VERSION;

typedef struct {
    void *createMutex;
    void *destroyMutex;
    void *lockMutex;
    void *unlockMutex;
    CK_ULONG flags;
    void *reserved;
} CK_C_INITIALIZE_ARGS;

typedef struct {
    unsigned char label[32];
    unsigned char manufacturerID[32];
    unsigned char model[16];
    unsigned char serialNumber[16];
    CK_ULONG flags;
    CK_ULONG maximumSessions;
    CK_ULONG sessions;
    CK_ULONG maximumRWSessions;
    CK_ULONG rwSessions;
    CK_ULONG maximumPINLength;
    CK_ULONG minimumPINLength;
    CK_ULONG totalPublicMemory;
    CK_ULONG freePublicMemory;
    CK_ULONG totalPrivateMemory;
    CK_ULONG freePrivateMemory;
    CK_VERSION hardwareVersion;
    CK_VERSION firmwareVersion;
    unsigned char time[16];
} CK_TOKEN_INFO;

typedef struct {
    CK_ULONG slot;
    CK_ULONG state;
    CK_ULONG flags;
    CK_ULONG deviceError;
} CK_SESSION_INFO;

typedef struct {
    CK_ULONG type;
    void *value;
    CK_ULONG length;
} CK_ATTRIBUTE;

typedef struct {
    CK_ULONG mechanism;
    void *parameter;
    CK_ULONG parameterLength;
} CK_MECHANISM;

typedef struct {
    CK_ULONG hash;
    CK_ULONG mask;
    CK_ULONG saltLength;
} CK_RSA_PKCS_PSS_PARAMS;

typedef struct CK_FUNCTION_LIST {
    CK_VERSION version;
    CK_RV (*C_Initialize)(void *arguments);
    CK_RV (*C_Finalize)(void *reserved);
    void *C_GetInfo;
    void *C_GetFunctionList;
    CK_RV (*C_GetSlotList)(unsigned char tokenPresent, CK_ULONG *slots, CK_ULONG *count);
    void *C_GetSlotInfo;
    CK_RV (*C_GetTokenInfo)(CK_ULONG slot, CK_TOKEN_INFO *info);
    void *C_GetMechanismList;
    void *C_GetMechanismInfo;
    void *C_InitToken;
    void *C_InitPIN;
    void *C_SetPIN;
    CK_RV (*C_OpenSession)(CK_ULONG slot, CK_ULONG flags, void *application, void *notify, CK_ULONG *session);
    CK_RV (*C_CloseSession)(CK_ULONG session);
    void *C_CloseAllSessions;
    CK_RV (*C_GetSessionInfo)(CK_ULONG session, CK_SESSION_INFO *info);
    void *C_GetOperationState;
    void *C_SetOperationState;
    CK_RV (*C_Login)(CK_ULONG session, CK_ULONG user, unsigned char *pin, CK_ULONG length);
    void *C_Logout;
    CK_RV (*C_CreateObject)(CK_ULONG session, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_ULONG *object);
    void *C_CopyObject;
    CK_RV (*C_DestroyObject)(CK_ULONG session, CK_ULONG object);
    void *C_GetObjectSize;
    CK_RV (*C_GetAttributeValue)(CK_ULONG session, CK_ULONG object, CK_ATTRIBUTE *attributes, CK_ULONG count);
    void *C_SetAttributeValue;
    CK_RV (*C_FindObjectsInit)(CK_ULONG session, CK_ATTRIBUTE *attributes, CK_ULONG count);
    CK_RV (*C_FindObjects)(CK_ULONG session, CK_ULONG *objects, CK_ULONG maximum, CK_ULONG *count);
    CK_RV (*C_FindObjectsFinal)(CK_ULONG session);
    void *C_EncryptInit;
    void *C_Encrypt;
    void *C_EncryptUpdate;
    void *C_EncryptFinal;
    void *C_DecryptInit;
    void *C_Decrypt;
    void *C_DecryptUpdate;
    void *C_DecryptFinal;
    void *C_DigestInit;
    void *C_Digest;
    void *C_DigestUpdate;
    void *C_DigestKey;
    void *C_DigestFinal;
    CK_RV (*C_SignInit)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ULONG key);
    CK_RV (*C_Sign)(
        CK_ULONG session, unsigned char *data, CK_ULONG length, unsigned char *signature, CK_ULONG *signatureLength);
    void *C_SignUpdate;
    void *C_SignFinal;
    void *C_SignRecoverInit;
    void *C_SignRecover;
    void *C_VerifyInit;
    void *C_Verify;
    void *C_VerifyUpdate;
    void *C_VerifyFinal;
    void *C_VerifyRecoverInit;
    void *C_VerifyRecover;
    void *C_DigestEncryptUpdate;
    void *C_DecryptDigestUpdate;
    void *C_SignEncryptUpdate;
    void *C_DecryptVerifyUpdate;
    void *C_GenerateKey;
    CK_RV (*C_GenerateKeyPair)(
        CK_ULONG session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *publicAttributes, CK_ULONG publicCount,
        CK_ATTRIBUTE *privateAttributes, CK_ULONG privateCount, CK_ULONG *publicKey, CK_ULONG *privateKey);
    void *C_WrapKey;
    void *C_UnwrapKey;
    void *C_DeriveKey;
    void *C_SeedRandom;
    void *C_GenerateRandom;
    void *C_GetFunctionStatus;
    void *C_CancelFunction;
    void *C_WaitForSlotEvent;
} CK_FUNCTION_LIST;

typedef CK_RV (*CK_C_GetFunctionList)(CK_FUNCTION_LIST **list);

#endif
