// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Synchronization

/// An access key with its secret. Neither its description nor a mirror shows the secret.
package struct S3Credentials: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// Names the key; no secret.
    package let accessKey: String
    let secretKey: String
    let sessionToken: String?

    /// - Parameters:
    ///   - accessKey: names the key.
    ///   - secretKey: what requests are signed with.
    ///   - sessionToken: belongs to keys that were lent for a while.
    package init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }

    /// Without the secrets.
    package var description: String { "S3Credentials(\(self.accessKey))" }

    /// Without the secrets.
    package var customMirror: Mirror { Mirror(self, children: ["accessKey": self.accessKey]) }

    /// Those of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; nil when the first two are not there.
    package init?(environment: [String: String]) {
        guard let accessKey = environment["AWS_ACCESS_KEY_ID"], !accessKey.isEmpty,
            let secretKey = environment["AWS_SECRET_ACCESS_KEY"], !secretKey.isEmpty
        else { return nil }
        let token = environment["AWS_SESSION_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
        self.init(accessKey: accessKey, secretKey: secretKey, sessionToken: token)
    }

    /// Those of a profile in the text of a credentials file, as Amazon's tools write it; nil when they are not there.
    init?(parsing text: String, profile: String) {
        var values: [String: String] = [:]
        // Lines before any heading count for every profile, so that a file may hold nothing else.
        var isWanted = true
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmed
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), line.hasSuffix("]") {
                let name = line.dropFirst().dropLast().trimmed
                isWanted = name == profile || name == "profile \(profile)"
                continue
            }
            guard isWanted, let equals = line.firstIndex(of: "=") else { continue }
            values[line[..<equals].trimmed.lowercased()] = line[line.index(after: equals)...].trimmed
        }
        self.init(environment: [
            "AWS_ACCESS_KEY_ID": values["aws_access_key_id"] ?? "",
            "AWS_SECRET_ACCESS_KEY": values["aws_secret_access_key"] ?? "",
            "AWS_SESSION_TOKEN": values["aws_session_token"] ?? "",
        ])
    }
}

extension Substring {
    fileprivate var trimmed: String {
        var rest = self
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}

extension String {
    fileprivate var trimmed: String { Substring(self).trimmed }
}

/// Where a client has its credentials from.
package enum S3CredentialSource: Sendable {
    /// Always the same.
    case fixed(S3Credentials)
    /// A credentials file of Amazon's tools, which is read again when it changes.
    case file(path: String, profile: String)
}

/// Knows the credentials of the moment.
final class S3CredentialStore: Sendable {
    private static let maximumFileSize = 64 << 10

    private struct Read: Sendable {
        let credentials: S3Credentials
        let version: FileVersion?
        let checkedAt: ContinuousClock.Instant
    }

    let source: S3CredentialSource
    private let state = Mutex<Read?>(nil)

    init(_ source: S3CredentialSource) { self.source = source }

    /// The credentials to sign with.
    /// - Parameter isRejected: the storage refused the last ones: the file is looked at at once.
    /// - Throws: ``S3Error`` with code `configuration` when the file has none.
    func current(isRejected: Bool = false) async throws -> S3Credentials {
        switch self.source {
        case .fixed(let credentials): return credentials
        case .file(let path, let profile):
            let now = ContinuousClock.now
            let known = self.state.withLock { $0 }
            if let known, !isRejected, known.checkedAt.duration(to: now) < .seconds(10) { return known.credentials }
            let read = try await BlockingWork.wait {
                let version = FileVersion(of: path)
                if let known, version == known.version, version != nil {
                    return Read(credentials: known.credentials, version: version, checkedAt: now)
                }
                return Read(credentials: try Self.read(path, profile), version: version, checkedAt: now)
            }
            self.state.withLock { $0 = read }
            return read.credentials
        }
    }

    private static func read(_ path: String, _ profile: String) throws -> S3Credentials {
        let bytes: [UInt8]?
        do {
            bytes = try DurableFile.read(path, limit: Self.maximumFileSize)
        } catch {
            throw S3Error(.configuration, "S3: the credentials in \(path) cannot be read: \(error)")
        }
        guard let bytes else { throw S3Error(.configuration, "S3: there is no file \(path) with credentials") }
        guard let text = String(validating: bytes, as: UTF8.self),
            let credentials = S3Credentials(parsing: text, profile: profile)
        else {
            throw S3Error(
                .configuration,
                "S3: \(path) has no aws_access_key_id and aws_secret_access_key for the profile \(profile)"
            )
        }
        return credentials
    }
}
