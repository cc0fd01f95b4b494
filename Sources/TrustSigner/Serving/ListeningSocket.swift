// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Synchronization

/// A bound TCP socket that somebody will listen on, so that an address that is taken is known before anything runs.
final class ListeningSocket: Sendable {
    /// The port that the system chose, or that was asked for.
    let port: Int
    private let descriptor: Mutex<CInt?>

    /// - Parameter host: A name or an address. Resolving a name blocks.
    /// - Throws: `IOError` when the address is taken or not ours.
    init(host: String, port: Int) throws {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        #if canImport(Glibc)
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        #else
        hints.ai_socktype = SOCK_STREAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, String(port), &hints, &list)
        guard result == 0, let first = list else {
            throw IOError(
                errnoCode: EADDRNOTAVAIL,
                reason: "getaddrinfo(\(host)): \(String(cString: gai_strerror(result)))"
            )
        }
        defer { freeaddrinfo(list) }
        let address = first.pointee
        let descriptor = try Self.check("socket") {
            socket(address.ai_family, address.ai_socktype, address.ai_protocol)
        }
        do {
            var yes: CInt = 1
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            _ = try Self.check("setsockopt") {
                setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
            }
            _ = try Self.check("bind") { bind(descriptor, address.ai_addr, address.ai_addrlen) }
            // Connections wait in the kernel's queue until they are accepted.
            _ = try Self.check("listen") { listen(descriptor, 256) }
            self.port = try Self.port(of: descriptor)
        } catch {
            _ = close(descriptor)
            throw error
        }
        self.descriptor = Mutex(descriptor)
    }

    deinit {
        self.descriptor.withLock { if let open = $0 { _ = close(open) } }
    }

    /// Hands over the descriptor, which is the caller's to close; nil the second time.
    func take() -> CInt? {
        self.descriptor.withLock { descriptor in
            defer { descriptor = nil }
            return descriptor
        }
    }

    private static func port(of descriptor: CInt) throws -> Int {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return try withUnsafeMutablePointer(to: &storage) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = try Self.check("getsockname") { getsockname(descriptor, address, &size) }
            }
            // The port is at the same place in both families.
            return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                Int(UInt16(bigEndian: $0.pointee.sin_port))
            }
        }
    }

    private static func check(_ function: String, _ body: () -> CInt) throws -> CInt {
        let result = body()
        guard result >= 0 else { throw IOError(errnoCode: errno, reason: function) }
        return result
    }
}
