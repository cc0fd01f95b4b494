// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftASN1
package import X509

/// The keys that tokens may be signed with, and the roots that the certificates of further keys may lead to.
package struct TrustedTokenKeys: Sendable {
    /// The largest file of certificates or keys, in bytes.
    package static let maximumFileSize = 1 << 20
    /// The most certificates or keys of one file.
    package static let maximumCount = 256

    /// A key, and how it may sign.
    struct Entry: Sendable, Hashable {
        let key: TokenVerificationKey
        let algorithms: [TokenAlgorithm]
    }

    private var entriesByID: [String: Entry] = [:]
    private var entriesByKey: [TokenVerificationKey: Entry] = [:]
    private(set) var roots: [Certificate] = []

    package init() {}

    var isEmpty: Bool { self.entriesByKey.isEmpty }

    /// Trusts the key of a certificate, and what its holder certifies if it is a CA's.
    /// - Throws: ``TokenError`` with code `key`.
    package mutating func trust(_ certificate: Certificate) throws {
        try self.trust(TokenVerificationKey(certificate))
        self.roots.append(certificate)
    }

    /// Trusts a key, under both of its names.
    package mutating func trust(_ key: TokenVerificationKey) throws(TokenError) {
        try self.add(Entry(key: key, algorithms: key.algorithms), named: nil)
    }

    private mutating func add(_ entry: Entry, named name: String?) throws(TokenError) {
        for id in [name, entry.key.libtrustID, entry.key.thumbprint].compactMap(\.self) {
            if let known = self.entriesByID[id], known.key != entry.key {
                throw TokenError(.key, "two keys have the name \(id.prefix(256))")
            }
            self.entriesByID[id] = entry
        }
        self.entriesByKey[entry.key] = entry
    }

    /// The key of this name: that of a key set, a libtrust name, or a thumbprint.
    func entry(named id: String) -> Entry? { self.entriesByID[id] }

    /// The key, if it is trusted.
    func entry(of key: TokenVerificationKey) -> Entry? { self.entriesByKey[key] }

    // MARK: Files

    /// Trusts the certificates of a PEM file. Anything else in it is ignored.
    /// - Throws: ``TokenError`` with code `key` that says which cannot be used; with code `file` when there is none.
    package mutating func trust(pem: [UInt8]) throws {
        let documents: [PEMDocument]
        do {
            documents = try PEMDocument.parseMultiple(pemString: String(decoding: pem, as: UTF8.self))
        } catch {
            throw TokenError(.file, "not a PEM file: \(error)")
        }
        let certificates = documents.filter { $0.discriminator == "CERTIFICATE" }
        guard !certificates.isEmpty else { throw TokenError(.file, "no PEM certificate in it") }
        guard certificates.count <= Self.maximumCount else {
            throw TokenError(.file, "more than \(Self.maximumCount) certificates")
        }
        for (index, document) in certificates.enumerated() {
            do {
                try self.trust(Certificate(pemDocument: document))
            } catch {
                throw TokenError(.key, "certificate \(index + 1) cannot be used: \(error)")
            }
        }
    }

    private struct KeySet: Decodable {
        let keys: [Member]
    }

    /// One key of a set; nil what is not understood, which must not keep the others from being used (RFC 7517, section 5).
    private struct Member: Decodable {
        let id: String?
        let use: String?
        let algorithm: String?
        let key: JSONWebKey?

        private enum CodingKeys: String, CodingKey {
            case id = "kid"
            case use
            case algorithm = "alg"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            self.id = try container.decodeIfPresent(String.self, forKey: .id)
            self.use = try container.decodeIfPresent(String.self, forKey: .use)
            self.algorithm = try container.decodeIfPresent(String.self, forKey: .algorithm)
            self.key = try? JSONWebKey(from: decoder)
        }
    }

    /// Trusts the keys of a JSON Web Key Set (RFC 7517), each under the name it has there too. Keys of other kinds, for
    /// other uses or with algorithms that are not accepted are left out.
    /// - Throws: ``TokenError`` with code `file` when it is no key set, or none of its keys can be used; with code `key` when
    ///   a key is weak or damaged, or two have one name.
    package mutating func trust(keySet json: [UInt8]) throws {
        let members: [Member]
        do {
            members = try JSONDecoder().decode(KeySet.self, from: Data(json)).keys
        } catch {
            throw TokenError(.file, "not a JSON Web Key Set, {\"keys\":[…]}")
        }
        guard members.count <= Self.maximumCount else { throw TokenError(.file, "more than \(Self.maximumCount) keys") }
        var count = 0
        for member in members where member.use == nil || member.use == "sig" {
            guard let key = try member.key?.verificationKey() else { continue }
            let algorithms = key.algorithms.filter { member.algorithm == nil || $0.rawValue == member.algorithm }
            guard !algorithms.isEmpty else { continue }
            try self.add(Entry(key: key, algorithms: algorithms), named: member.id)
            count += 1
        }
        guard count > 0 else { throw TokenError(.file, "none of the \(members.count) keys can verify a token") }
    }
}
