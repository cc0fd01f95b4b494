// SPDX-License-Identifier: Apache-2.0

import Database
package import FoundationEssentials
package import HTTPService
import Logging
import NIOCore
import NIOSSL
import OCI
import Synchronization

/// Who is told of events, and how.
package struct EventConfiguration: Sendable {
    package var endpoints: [EventEndpoint]
    /// Certificates to trust besides the system's.
    var additionalTrustRoots: [NIOSSLCertificate] = []
    /// Whether events of manifests tell what these list.
    package var includesReferences = false
    /// The most events that wait for one endpoint. Beyond, the oldest are dropped.
    package var maximumQueued: Int64 = 100_000
    /// How long an event waits at most, in seconds. Default: a week.
    package var maximumAge: TimeInterval = 7 * 24 * 60 * 60
    /// Those who may say that the client has come by TLS.
    package var trustedProxies = TrustedProxies()
    /// Whether other instances may use the same database. Then each endpoint is served by one of them at a time.
    var isShared = false
    /// How often the queue is looked at, and pulls are written to it.
    package var interval: Duration = .seconds(1)

    package init(endpoints: [EventEndpoint]) {
        self.endpoints = endpoints
    }

    /// Reads who is to be told. Blocks.
    /// - Parameters:
    ///   - file: as ``NotificationsFile`` describes it.
    ///   - authority: a file of certificates to trust besides the system's, PEM.
    /// - Throws: ``NotificationsFile/Problem``.
    package init(file: String, authority: String?) throws {
        self.init(endpoints: try NotificationsFile.endpoints(path: file))
        self.includesReferences = try NotificationsFile.includesReferences(path: file)
        guard let authority else { return }
        do {
            self.additionalTrustRoots = try NIOSSLCertificate.fromPEMFile(authority)
        } catch {
            throw NotificationsFile.Problem(description: "\(authority) is not a PEM certificate: \(error)")
        }
    }
}

/// Makes events of what happens, for those who want to know.
///
/// A change writes them in its own transaction: they are there exactly when it is. Pulls change nothing; they are gathered and
/// written in batches, so that what was pulled in the second before a crash may go untold.
final class RegistryEvents: Sendable {
    private struct Waiting {
        var statements: [SQLStatement] = []
        var dropped = 0
        /// Of events in the same millisecond, which came first.
        var sequence: UInt32 = 0
    }

    /// The most pulls that wait to be written.
    private static let maximumWaiting = 20_000

    let configuration: EventConfiguration
    private let clock: @Sendable () -> Date
    private let source: RegistryEvent.Source
    private let waiting = Mutex(Waiting())

    init(_ configuration: EventConfiguration, clock: @escaping @Sendable () -> Date = { Date() }) {
        self.configuration = configuration
        self.clock = clock
        self.source = RegistryEvent.Source(addr: ProcessInfo.processInfo.hostName, instanceID: UUID().text)
    }

    /// What writes an event to the queues of all who want it.
    func statements(for subject: EventSubject) -> [SQLStatement] {
        let wanting = self.configuration.endpoints.filter {
            $0.wants(subject.action, subject.mediaType, of: subject.repository)
        }
        guard !wanting.isEmpty else { return [] }
        let now = self.clock()
        let milliseconds = Int64(now.timeIntervalSince1970 * 1000)
        let event = self.event(of: subject, at: now)
        let payload = String(buffer: RegistryJSON.encode(event))
        // Queues are in the order of their keys.
        let sequence = self.waiting.withLock { waiting in
            waiting.sequence &+= 1
            return waiting.sequence
        }
        let key = Self.hexadecimal(UInt64(max(0, milliseconds)), 12) + Self.hexadecimal(UInt64(sequence), 8) + event.id
        return wanting.map { EventQueue.insertion(endpoint: $0.name, key: key, at: milliseconds, payload: payload) }
    }

    /// Takes note that content was handed out.
    func notePull(_ subject: EventSubject) {
        let statements = self.statements(for: subject)
        guard !statements.isEmpty else { return }
        self.waiting.withLock { waiting in
            guard waiting.statements.count < Self.maximumWaiting else {
                waiting.dropped += 1
                return
            }
            waiting.statements += statements
        }
    }

    /// The pulls since the last call, and how many were too many to keep.
    func takePulls() -> (statements: [SQLStatement], dropped: Int) {
        self.waiting.withLock { waiting in
            defer { (waiting.statements, waiting.dropped) = ([], 0) }
            return (waiting.statements, waiting.dropped)
        }
    }

    /// Takes pulls back that could not be written.
    func giveBack(_ statements: [SQLStatement]) {
        self.waiting.withLock { waiting in
            guard waiting.statements.count + statements.count <= Self.maximumWaiting else {
                waiting.dropped += statements.count
                return
            }
            waiting.statements = statements + waiting.statements
        }
    }

    private static func hexadecimal(_ number: UInt64, _ length: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, length - text.count)) + text + "-"
    }

    /// An event that lists more is larger than any receiver expects.
    private static let maximumReferences = 1_000

    private func references(of subject: EventSubject) -> [RegistryEvent.Reference]? {
        guard self.configuration.includesReferences, let references = subject.references,
            references.count <= Self.maximumReferences
        else { return nil }
        return references.map(RegistryEvent.Reference.init)
    }

    private func event(of subject: EventSubject, at now: Date) -> RegistryEvent {
        let origin = EventOrigin.current
        let isBlob = subject.mediaType == EventSubject.blobType
        return RegistryEvent(
            id: UUID().text,
            timestamp: now.formatted(
                .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .colon)
            ),
            action: subject.action,
            target: RegistryEvent.Target(
                mediaType: subject.mediaType,
                digest: subject.digest?.description,
                size: subject.size,
                length: subject.size,
                repository: subject.repository.description,
                fromRepository: subject.fromRepository?.description,
                url: subject.action == .delete
                    ? nil
                    : subject.digest.flatMap {
                        origin?.url(isBlob ? "blobs" : "manifests", $0, in: subject.repository)
                    },
                tag: subject.tag?.description,
                references: self.references(of: subject)
            ),
            request: RegistryEvent.Request(
                id: origin?.id ?? "",
                addr: origin?.address ?? "",
                host: origin?.host ?? "",
                method: origin?.method ?? "",
                useragent: origin?.userAgent ?? ""
            ),
            actor: RegistryEvent.Actor(name: origin?.actor),
            source: self.source
        )
    }
}

extension UUID {
    fileprivate var text: String { self.uuidString.lowercased() }
}
