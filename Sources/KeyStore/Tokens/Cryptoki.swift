// SPDX-License-Identifier: Apache-2.0

import CPKCS11

/// The values of PKCS#11 v2.40 and, for Edwards curves, v3.0 that are used here, under their names there.
enum Cryptoki {
    /// What C_Initialize, C_OpenSession and C_Login are told.
    enum Option {
        static let osLocking: CK_ULONG = 0x2
        static let serialSession: CK_ULONG = 0x4
        static let readWriteSession: CK_ULONG = 0x2
        static let user: CK_ULONG = 1
        static let contextSpecific: CK_ULONG = 2
    }

    /// Flags of CK_TOKEN_INFO.
    enum TokenFlag {
        static let loginRequired: CK_ULONG = 0x4
        static let protectedAuthenticationPath: CK_ULONG = 0x100
        static let initialized: CK_ULONG = 0x400
        static let pinCountLow: CK_ULONG = 0x10000
        static let pinFinalTry: CK_ULONG = 0x20000
        static let pinLocked: CK_ULONG = 0x40000
    }

    /// States of a session in which the user is logged in.
    static let userStates: [CK_ULONG] = [1, 3]

    /// CKO_.
    enum ObjectClass {
        static let publicKey: CK_ULONG = 2
        static let privateKey: CK_ULONG = 3
    }

    /// CKK_.
    enum KeyType {
        static let rsa: CK_ULONG = 0
        static let ec: CK_ULONG = 3
        static let ecEdwards: CK_ULONG = 0x40
    }

    /// CKA_.
    enum Attribute {
        static let objectClass: CK_ULONG = 0
        static let token: CK_ULONG = 1
        static let isPrivate: CK_ULONG = 2
        static let label: CK_ULONG = 3
        static let value: CK_ULONG = 0x11
        static let keyType: CK_ULONG = 0x100
        static let id: CK_ULONG = 0x102
        static let sensitive: CK_ULONG = 0x103
        static let decrypt: CK_ULONG = 0x105
        static let unwrap: CK_ULONG = 0x107
        static let sign: CK_ULONG = 0x108
        static let verify: CK_ULONG = 0x10A
        static let modulus: CK_ULONG = 0x120
        static let modulusBits: CK_ULONG = 0x121
        static let publicExponent: CK_ULONG = 0x122
        static let privateExponent: CK_ULONG = 0x123
        static let prime1: CK_ULONG = 0x124
        static let prime2: CK_ULONG = 0x125
        static let exponent1: CK_ULONG = 0x126
        static let exponent2: CK_ULONG = 0x127
        static let coefficient: CK_ULONG = 0x128
        static let extractable: CK_ULONG = 0x162
        static let ecParameters: CK_ULONG = 0x180
        static let ecPoint: CK_ULONG = 0x181
        static let alwaysAuthenticate: CK_ULONG = 0x202
    }

    /// CKM_ and CKG_.
    enum Mechanism {
        static let rsaKeyPair: CK_ULONG = 0
        static let rsaPKCS1: CK_ULONG = 1
        static let rsaPSS: CK_ULONG = 0xD
        static let sha256: CK_ULONG = 0x250
        static let maskSHA256: CK_ULONG = 2
        static let ecKeyPair: CK_ULONG = 0x1040
        static let ecdsa: CK_ULONG = 0x1041
        static let edwardsKeyPair: CK_ULONG = 0x1055
        static let eddsa: CK_ULONG = 0x1057
    }
}

/// A function of a module that did not return CKR_OK.
struct CryptokiFailure: Error {
    /// The values that something is done about.
    static let attributeSensitive: CK_RV = 0x11
    static let attributeTypeInvalid: CK_RV = 0x12
    static let attributeValueInvalid: CK_RV = 0x13
    static let pinIncorrect: CK_RV = 0xA0
    static let pinInvalid: CK_RV = 0xA1
    static let pinLengthRange: CK_RV = 0xA2
    static let pinLocked: CK_RV = 0xA4
    static let sessionClosed: CK_RV = 0xB0
    static let sessionHandleInvalid: CK_RV = 0xB3
    static let alreadyLoggedIn: CK_RV = 0x100
    static let alreadyInitialized: CK_RV = 0x191
    static let curveNotSupported: CK_RV = 0x140
    static let slotIDInvalid: CK_RV = 0x3
    static let deviceError: CK_RV = 0x30
    static let deviceRemoved: CK_RV = 0x32
    static let tokenNotPresent: CK_RV = 0xE0
    static let tokenNotRecognized: CK_RV = 0xE1

    let function: String
    let value: CK_RV

    /// Whether a token may have counted a wrong PIN.
    var isWrongPIN: Bool { [Self.pinIncorrect, Self.pinInvalid, Self.pinLengthRange].contains(self.value) }

    /// Whether one slot is of no use, which says nothing of the others.
    var isOfOneSlot: Bool {
        [
            Self.tokenNotPresent, Self.tokenNotRecognized, Self.deviceRemoved, Self.deviceError, Self.slotIDInvalid,
        ].contains(self.value)
    }

    var name: String { Self.names[self.value] ?? "CKR_0x" + String(self.value, radix: 16) }

    /// The error as whoever uses a token sees it.
    func error(on token: String) -> KeyStoreError {
        KeyStoreError(.token, "\(token): \(self.function) failed with \(self.name)\(self.advice)")
    }

    private var advice: String {
        switch self.value {
        case Self.pinLocked: "; unlock the PIN with the vendor's tool"
        case Self.deviceRemoved, Self.tokenNotPresent: "; is the token plugged in?"
        case 0x101: "; the token wants a PIN for this"
        case 0x70: "; the token cannot do what this kind of key needs"
        case 0xE2: "; the token is write-protected"
        case 0x31: "; the token is full"
        default: ""
        }
    }

    private static let names: [CK_RV: String] = [
        0x1: "CKR_CANCEL", 0x2: "CKR_HOST_MEMORY", 0x3: "CKR_SLOT_ID_INVALID", 0x5: "CKR_GENERAL_ERROR",
        0x6: "CKR_FUNCTION_FAILED", 0x7: "CKR_ARGUMENTS_BAD", 0x8: "CKR_NO_EVENT", 0x9: "CKR_NEED_TO_CREATE_THREADS",
        0xA: "CKR_CANT_LOCK", 0x10: "CKR_ATTRIBUTE_READ_ONLY", 0x11: "CKR_ATTRIBUTE_SENSITIVE",
        0x12: "CKR_ATTRIBUTE_TYPE_INVALID", 0x13: "CKR_ATTRIBUTE_VALUE_INVALID", 0x1B: "CKR_ACTION_PROHIBITED",
        0x20: "CKR_DATA_INVALID", 0x21: "CKR_DATA_LEN_RANGE", 0x30: "CKR_DEVICE_ERROR", 0x31: "CKR_DEVICE_MEMORY",
        0x32: "CKR_DEVICE_REMOVED", 0x40: "CKR_ENCRYPTED_DATA_INVALID", 0x41: "CKR_ENCRYPTED_DATA_LEN_RANGE",
        0x50: "CKR_FUNCTION_CANCELED", 0x51: "CKR_FUNCTION_NOT_PARALLEL", 0x54: "CKR_FUNCTION_NOT_SUPPORTED",
        0x60: "CKR_KEY_HANDLE_INVALID", 0x62: "CKR_KEY_SIZE_RANGE", 0x63: "CKR_KEY_TYPE_INCONSISTENT",
        0x64: "CKR_KEY_NOT_NEEDED", 0x65: "CKR_KEY_CHANGED", 0x66: "CKR_KEY_NEEDED", 0x67: "CKR_KEY_INDIGESTIBLE",
        0x68: "CKR_KEY_FUNCTION_NOT_PERMITTED", 0x69: "CKR_KEY_NOT_WRAPPABLE", 0x6A: "CKR_KEY_UNEXTRACTABLE",
        0x70: "CKR_MECHANISM_INVALID", 0x71: "CKR_MECHANISM_PARAM_INVALID", 0x82: "CKR_OBJECT_HANDLE_INVALID",
        0x90: "CKR_OPERATION_ACTIVE", 0x91: "CKR_OPERATION_NOT_INITIALIZED", 0xA0: "CKR_PIN_INCORRECT",
        0xA1: "CKR_PIN_INVALID", 0xA2: "CKR_PIN_LEN_RANGE", 0xA3: "CKR_PIN_EXPIRED", 0xA4: "CKR_PIN_LOCKED",
        0xB0: "CKR_SESSION_CLOSED", 0xB1: "CKR_SESSION_COUNT", 0xB3: "CKR_SESSION_HANDLE_INVALID",
        0xB4: "CKR_SESSION_PARALLEL_NOT_SUPPORTED", 0xB5: "CKR_SESSION_READ_ONLY", 0xB6: "CKR_SESSION_EXISTS",
        0xB7: "CKR_SESSION_READ_ONLY_EXISTS", 0xB8: "CKR_SESSION_READ_WRITE_SO_EXISTS", 0xC0: "CKR_SIGNATURE_INVALID",
        0xC1: "CKR_SIGNATURE_LEN_RANGE", 0xD0: "CKR_TEMPLATE_INCOMPLETE", 0xD1: "CKR_TEMPLATE_INCONSISTENT",
        0xE0: "CKR_TOKEN_NOT_PRESENT", 0xE1: "CKR_TOKEN_NOT_RECOGNIZED", 0xE2: "CKR_TOKEN_WRITE_PROTECTED",
        0xF0: "CKR_UNWRAPPING_KEY_HANDLE_INVALID", 0xF1: "CKR_UNWRAPPING_KEY_SIZE_RANGE",
        0xF2: "CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", 0x100: "CKR_USER_ALREADY_LOGGED_IN",
        0x101: "CKR_USER_NOT_LOGGED_IN", 0x102: "CKR_USER_PIN_NOT_INITIALIZED", 0x103: "CKR_USER_TYPE_INVALID",
        0x104: "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", 0x105: "CKR_USER_TOO_MANY_TYPES", 0x110: "CKR_WRAPPED_KEY_INVALID",
        0x112: "CKR_WRAPPED_KEY_LEN_RANGE", 0x113: "CKR_WRAPPING_KEY_HANDLE_INVALID",
        0x114: "CKR_WRAPPING_KEY_SIZE_RANGE", 0x115: "CKR_WRAPPING_KEY_TYPE_INCONSISTENT",
        0x120: "CKR_RANDOM_SEED_NOT_SUPPORTED", 0x121: "CKR_RANDOM_NO_RNG", 0x130: "CKR_DOMAIN_PARAMS_INVALID",
        0x140: "CKR_CURVE_NOT_SUPPORTED", 0x150: "CKR_BUFFER_TOO_SMALL", 0x160: "CKR_SAVED_STATE_INVALID",
        0x170: "CKR_INFORMATION_SENSITIVE", 0x180: "CKR_STATE_UNSAVEABLE", 0x190: "CKR_CRYPTOKI_NOT_INITIALIZED",
        0x191: "CKR_CRYPTOKI_ALREADY_INITIALIZED", 0x1A0: "CKR_MUTEX_BAD", 0x1A1: "CKR_MUTEX_NOT_LOCKED",
        0x1B0: "CKR_NEW_PIN_MODE", 0x1B1: "CKR_NEXT_OTP", 0x1B5: "CKR_EXCEEDED_MAX_ITERATIONS",
        0x1B6: "CKR_FIPS_SELF_TEST_FAILED", 0x1B7: "CKR_LIBRARY_LOAD_FAILED", 0x1B8: "CKR_PIN_TOO_WEAK",
        0x1B9: "CKR_PUBLIC_KEY_INVALID", 0x200: "CKR_FUNCTION_REJECTED", 0x8000_0000: "CKR_VENDOR_DEFINED",
    ]
}
