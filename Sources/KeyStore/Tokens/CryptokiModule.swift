// SPDX-License-Identifier: Apache-2.0

import CPKCS11
import Foundation
import Synchronization

/// The library of a token's vendor, loaded for as long as the process runs. Everything here blocks.
///
/// Unchecked: the table of functions is the library's, constant and never unloaded; all calls into it go through one lock.
final class CryptokiModule: @unchecked Sendable {
    private static let loaded = Mutex<[String: CryptokiModule]>([:])

    /// Where the library lies.
    let path: String
    private let functions: UnsafeMutablePointer<CK_FUNCTION_LIST>
    /// The one session of each slot. As long as it is open, the PIN need not be given again.
    private let sessions = Mutex<[CK_ULONG: (handle: CK_ULONG, slot: Slot)]>([:])

    private init(path: String) throws {
        self.path = path
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "unknown"
            throw KeyStoreError(
                .token,
                "cannot load the PKCS#11 module \(path): \(reason); set HALLMARK_PKCS11_MODULE to the library of the token's vendor"
            )
        }
        guard let symbol = dlsym(handle, "C_GetFunctionList") else {
            dlclose(handle)
            throw KeyStoreError(.token, "\(path) is no PKCS#11 module: it has no C_GetFunctionList")
        }
        let getList = unsafeBitCast(symbol, to: CK_C_GetFunctionList.self)
        var list: UnsafeMutablePointer<CK_FUNCTION_LIST>?
        let result = getList(&list)
        guard result == 0, let list, (2...3).contains(list.pointee.version.major) else {
            throw KeyStoreError(.token, "\(path) is no PKCS#11 module of version 2 or 3")
        }
        self.functions = list
        var arguments = CK_C_INITIALIZE_ARGS()
        arguments.flags = Cryptoki.Option.osLocking
        do {
            try self.call("C_Initialize", list.pointee.C_Initialize) { $0(&arguments) }
        } catch let failure as CryptokiFailure where failure.value == CryptokiFailure.alreadyInitialized {
        } catch let failure as CryptokiFailure {
            throw failure.error(on: path)
        }
    }

    /// The module of a path, loaded once however often it is asked for.
    /// - Throws: ``KeyStoreError`` with code `token`.
    static func load(_ path: String) throws -> CryptokiModule {
        try self.loaded.withLock { loaded in
            if let module = loaded[path] { return module }
            let module = try CryptokiModule(path: path)
            loaded[path] = module
            return module
        }
    }

    private func call<Function>(_ name: String, _ function: Function?, _ body: (Function) -> CK_RV) throws {
        guard let function else { throw CryptokiFailure(function: name, value: 0x54) }
        let value = body(function)
        guard value == 0 else { throw CryptokiFailure(function: name, value: value) }
    }

    // MARK: - Tokens

    /// A token and the slot that it is in.
    struct Slot: Sendable, Hashable {
        let number: UInt
        let label: String
        let manufacturer: String
        let model: String
        let serial: String
        let flags: CK_ULONG

        func has(_ flag: CK_ULONG) -> Bool { self.flags & flag != 0 }

        /// Whether both are the same token, whatever its state.
        func isToken(_ other: Slot) -> Bool {
            self.serial == other.serial && self.label == other.label && self.model == other.model
                && self.manufacturer == other.manufacturer
        }
    }

    /// The tokens that are there now and made ready for use.
    func slots() throws -> [Slot] {
        try self.sessions.withLock { _ in
            var count: CK_ULONG = 0
            try self.call("C_GetSlotList", self.functions.pointee.C_GetSlotList) { $0(1, nil, &count) }
            count = min(count, 1024)
            guard count > 0 else { return [] }
            var numbers = [CK_ULONG](repeating: 0, count: Int(count))
            try self.call("C_GetSlotList", self.functions.pointee.C_GetSlotList) { $0(1, &numbers, &count) }
            return try numbers.prefix(Int(clamping: count)).compactMap { number in
                do {
                    let slot = try self.information(number)
                    return slot.has(Cryptoki.TokenFlag.initialized) ? slot : nil
                } catch let failure as CryptokiFailure where failure.isOfOneSlot {
                    return nil
                }
            }
        }
    }

    /// A slot's token as it is now: its flags change when a PIN was wrong.
    /// - Throws: ``KeyStoreError`` with code `token` when another one is in its place.
    func refreshed(_ slot: Slot) throws -> Slot {
        try self.sessions.withLock { _ in try self.current(slot) }
    }

    private func current(_ slot: Slot) throws -> Slot {
        let now = try self.information(slot.number)
        guard now.isToken(slot) else {
            throw KeyStoreError(.token, "\(slot.uri) was taken out, and \(now.uri) is in its place")
        }
        return now
    }

    private func information(_ number: CK_ULONG) throws -> Slot {
        var info = CK_TOKEN_INFO()
        try self.call("C_GetTokenInfo", self.functions.pointee.C_GetTokenInfo) { $0(number, &info) }
        func text(_ value: some Any) -> String {
            var bytes = withUnsafeBytes(of: value) { Array($0) }
            while let last = bytes.last, last == 0x20 || last == 0 { bytes.removeLast() }
            return String(decoding: bytes, as: UTF8.self)
        }
        return Slot(
            number: number,
            label: text(info.label),
            manufacturer: text(info.manufacturerID),
            model: text(info.model),
            serial: text(info.serialNumber),
            flags: info.flags
        )
    }

    // MARK: - Sessions

    /// Work on a token, while nobody else does any.
    /// - Parameter changes: whether objects are made or destroyed.
    /// - Throws: ``KeyStoreError`` with code `token` when another token is in the slot than was seen there.
    func withSession<Result: Sendable>(
        _ slot: Slot,
        changes: Bool = false,
        _ body: (CryptokiSession) throws -> Result
    ) throws -> Result {
        try self.sessions.withLock { sessions in
            let number = slot.number
            if let known = sessions[number], !known.slot.isToken(slot) || !self.isOpen(known.handle) {
                _ = try self.current(slot)
                sessions[number] = nil
            }
            let session: CK_ULONG
            if let known = sessions[number] {
                session = known.handle
            } else {
                session = try self.open(slot, flags: 0)
                sessions[number] = (session, slot)
            }
            guard changes else { return try body(CryptokiSession(handle: session, functions: self.functions)) }
            let writing = try self.open(slot, flags: Cryptoki.Option.readWriteSession)
            defer { _ = self.functions.pointee.C_CloseSession?(writing) }
            return try body(CryptokiSession(handle: writing, functions: self.functions))
        }
    }

    private func isOpen(_ session: CK_ULONG) -> Bool {
        var info = CK_SESSION_INFO()
        return self.functions.pointee.C_GetSessionInfo?(session, &info) == 0
    }

    private func open(_ slot: Slot, flags: CK_ULONG) throws -> CK_ULONG {
        var session: CK_ULONG = 0
        try self.call("C_OpenSession", self.functions.pointee.C_OpenSession) {
            $0(slot.number, Cryptoki.Option.serialSession | flags, nil, nil, &session)
        }
        // From here on the session is one token's: it ends when that is taken out.
        do {
            _ = try self.current(slot)
        } catch {
            _ = self.functions.pointee.C_CloseSession?(session)
            throw error
        }
        return session
    }
}
