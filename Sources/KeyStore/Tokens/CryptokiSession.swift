// SPDX-License-Identifier: Apache-2.0

import CPKCS11

/// An open session with a token, for as long as the module's lock is held.
struct CryptokiSession {
    /// More bytes than an attribute or a signature has.
    private static let maximumLength = 64 << 10
    private static let maximumObjects = 10_000

    let handle: CK_ULONG
    let functions: UnsafeMutablePointer<CK_FUNCTION_LIST>

    /// An attribute in a template.
    struct Attribute {
        let type: CK_ULONG
        let value: [UInt8]

        init(_ type: CK_ULONG, _ value: [UInt8]) {
            self.type = type
            self.value = value
        }

        init(_ type: CK_ULONG, _ value: Bool) {
            self.init(type, [value ? 1 : 0])
        }

        init(_ type: CK_ULONG, _ value: CK_ULONG) {
            self.init(type, withUnsafeBytes(of: value) { Array($0) })
        }
    }

    private func call<Function>(_ name: String, _ function: Function?, _ body: (Function) -> CK_RV) throws {
        guard let function else { throw CryptokiFailure(function: name, value: 0x54) }
        let value = body(function)
        guard value == 0 else { throw CryptokiFailure(function: name, value: value) }
    }

    /// Lends attributes as C takes them, and wipes the copy.
    private func withTemplate<Result>(
        _ attributes: [Attribute],
        _ body: (UnsafeMutablePointer<CK_ATTRIBUTE>, CK_ULONG) throws -> Result
    ) rethrows -> Result {
        // Modules read numbers where they lie: each value begins where one may.
        let alignment = MemoryLayout<CK_ULONG>.alignment
        func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }
        let values = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, attributes.reduce(0) { $0 + padded($1.value.count) }),
            alignment: 16
        )
        let start = UnsafeMutablePointer<CK_ATTRIBUTE>.allocate(capacity: max(1, attributes.count))
        start.initialize(repeating: CK_ATTRIBUTE(), count: max(1, attributes.count))
        defer {
            values.initializeMemory(as: UInt8.self, repeating: 0)
            values.deallocate()
            start.deallocate()
        }
        var offset = 0
        for (index, attribute) in attributes.enumerated() {
            let place = UnsafeMutableRawBufferPointer(rebasing: values[offset..<offset + attribute.value.count])
            place.copyBytes(from: attribute.value)
            start[index] = CK_ATTRIBUTE(
                type: attribute.type,
                value: place.baseAddress,
                length: CK_ULONG(attribute.value.count)
            )
            offset += padded(attribute.value.count)
        }
        return try body(start, CK_ULONG(attributes.count))
    }

    // MARK: - The user

    /// Whether the token's user is logged in: by this session or by another of the process.
    var isLoggedIn: Bool {
        get throws {
            var info = CK_SESSION_INFO()
            try self.call("C_GetSessionInfo", self.functions.pointee.C_GetSessionInfo) { $0(self.handle, &info) }
            return Cryptoki.userStates.contains(info.state)
        }
    }

    /// Logs the user in, or approves one use of a key.
    /// - Parameter pin: nil where it is typed at the token.
    func logIn(_ pin: Passphrase?, as user: CK_ULONG = Cryptoki.Option.user) throws {
        do {
            try self.call("C_Login", self.functions.pointee.C_Login) { login in
                guard let pin else { return login(self.handle, user, nil, 0) }
                var bytes = pin.bytes
                defer { bytes.withUnsafeMutableBytes { _ = $0.initializeMemory(as: UInt8.self, repeating: 0) } }
                return login(self.handle, user, &bytes, CK_ULONG(bytes.count))
            }
        } catch let failure as CryptokiFailure where failure.value == CryptokiFailure.alreadyLoggedIn {}
    }

    // MARK: - Objects

    /// The objects that have all of these attributes.
    func objects(_ attributes: [Attribute]) throws -> [CK_ULONG] {
        try self.withTemplate(attributes) { template, count in
            try self.call("C_FindObjectsInit", self.functions.pointee.C_FindObjectsInit) {
                $0(self.handle, template, count)
            }
        }
        defer { _ = self.functions.pointee.C_FindObjectsFinal?(self.handle) }
        var found: [CK_ULONG] = []
        var batch = [CK_ULONG](repeating: 0, count: 64)
        while found.count < Self.maximumObjects {
            var count: CK_ULONG = 0
            try self.call("C_FindObjects", self.functions.pointee.C_FindObjects) {
                $0(self.handle, &batch, CK_ULONG(batch.count), &count)
            }
            guard count > 0 else { break }
            found += batch.prefix(Int(clamping: count))
        }
        return found
    }

    /// An attribute's bytes; nil when the object has none, or does not show it.
    func value(of type: CK_ULONG, in object: CK_ULONG) throws -> [UInt8]? {
        var attribute = CK_ATTRIBUTE(type: type, value: nil, length: 0)
        do {
            try self.call("C_GetAttributeValue", self.functions.pointee.C_GetAttributeValue) {
                $0(self.handle, object, &attribute, 1)
            }
            guard attribute.length <= Self.maximumLength else { return nil }
            var bytes = [UInt8](repeating: 0, count: Int(attribute.length))
            try bytes.withUnsafeMutableBytes { buffer in
                attribute.value = buffer.baseAddress
                try self.call("C_GetAttributeValue", self.functions.pointee.C_GetAttributeValue) {
                    $0(self.handle, object, &attribute, 1)
                }
            }
            return Array(bytes.prefix(Int(clamping: attribute.length)))
        } catch let failure as CryptokiFailure
            where [CryptokiFailure.attributeSensitive, CryptokiFailure.attributeTypeInvalid].contains(failure.value)
        {
            return nil
        }
    }

    /// An attribute that is a number.
    func number(of type: CK_ULONG, in object: CK_ULONG) throws -> CK_ULONG? {
        guard let bytes = try self.value(of: type, in: object), bytes.count == MemoryLayout<CK_ULONG>.size else {
            return nil
        }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: CK_ULONG.self) }
    }

    func create(_ attributes: [Attribute]) throws -> CK_ULONG {
        var object: CK_ULONG = 0
        try self.withTemplate(attributes) { template, count in
            try self.call("C_CreateObject", self.functions.pointee.C_CreateObject) {
                $0(self.handle, template, count, &object)
            }
        }
        return object
    }

    func destroy(_ object: CK_ULONG) throws {
        try self.call("C_DestroyObject", self.functions.pointee.C_DestroyObject) { $0(self.handle, object) }
    }

    /// Makes a key pair.
    /// - Returns: both halves.
    func generate(
        _ mechanism: CK_ULONG,
        public publicAttributes: [Attribute],
        private privateAttributes: [Attribute]
    ) throws -> (publicKey: CK_ULONG, privateKey: CK_ULONG) {
        var mechanism = CK_MECHANISM(mechanism: mechanism, parameter: nil, parameterLength: 0)
        var (publicKey, privateKey): (CK_ULONG, CK_ULONG) = (0, 0)
        try self.withTemplate(publicAttributes) { publicTemplate, publicCount in
            try self.withTemplate(privateAttributes) { privateTemplate, privateCount in
                try self.call("C_GenerateKeyPair", self.functions.pointee.C_GenerateKeyPair) {
                    $0(
                        self.handle,
                        &mechanism,
                        publicTemplate,
                        publicCount,
                        privateTemplate,
                        privateCount,
                        &publicKey,
                        &privateKey
                    )
                }
            }
        }
        return (publicKey, privateKey)
    }

    // MARK: - Signing

    /// Signs in one step.
    /// - Parameter approval: for a key that wants the PIN for each use.
    func sign(
        _ data: [UInt8],
        _ method: TokenSigningMethod,
        key: CK_ULONG,
        approval: TokenKey.Approval?
    ) throws -> [UInt8] {
        var parameters = CK_RSA_PKCS_PSS_PARAMS(
            hash: Cryptoki.Mechanism.sha256,
            mask: Cryptoki.Mechanism.maskSHA256,
            saltLength: 32
        )
        try withUnsafeMutableBytes(of: &parameters) { bytes in
            var mechanism = CK_MECHANISM(mechanism: method.mechanism, parameter: nil, parameterLength: 0)
            if method == .rsaPSS {
                mechanism.parameter = bytes.baseAddress
                mechanism.parameterLength = CK_ULONG(bytes.count)
            }
            try self.call("C_SignInit", self.functions.pointee.C_SignInit) { $0(self.handle, &mechanism, key) }
        }
        var data = data
        var length = CK_ULONG(2048)
        var signature = [UInt8](repeating: 0, count: Int(length))
        if let approval {
            do {
                try self.logIn(approval.pin, as: Cryptoki.Option.contextSpecific)
            } catch {
                // It ends what was begun, and fails: without that, nothing could be signed in this session any more.
                _ = self.functions.pointee.C_Sign?(self.handle, &data, CK_ULONG(data.count), &signature, &length)
                throw error
            }
        }
        try self.call("C_Sign", self.functions.pointee.C_Sign) {
            $0(self.handle, &data, CK_ULONG(data.count), &signature, &length)
        }
        return Array(signature.prefix(Int(clamping: length)))
    }
}

/// How a token signs.
enum TokenSigningMethod: Sendable {
    /// A digest, to r‖s.
    case ecdsa
    /// A SHA-256 digest.
    case rsaPSS
    /// A DigestInfo.
    case rsaPKCS1
    /// The message itself.
    case eddsa

    fileprivate var mechanism: CK_ULONG {
        switch self {
        case .ecdsa: Cryptoki.Mechanism.ecdsa
        case .rsaPSS: Cryptoki.Mechanism.rsaPSS
        case .rsaPKCS1: Cryptoki.Mechanism.rsaPKCS1
        case .eddsa: Cryptoki.Mechanism.eddsa
        }
    }
}
