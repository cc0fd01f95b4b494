// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import NotaryAPI
import TUF
import TrustClient

/// What every reading command says of the trust behind its answer, as JSON.
struct TrustReport: Encodable {
    struct FirstUseReport: Encodable {
        let rootKeys: [String]
        let pinned: Bool
    }

    struct FreshnessReport: Encodable {
        let timestampVersion: Int64
        let expires: String
        let fromServer: Bool
    }

    let firstUse: FirstUseReport?
    let freshness: FreshnessReport?
    let warnings: [String]

    init(firstUse: FirstUse?, freshness: Freshness?, warnings: [CollectionWarning]) {
        self.firstUse = firstUse.map {
            FirstUseReport(rootKeys: $0.rootKeyIDs.map(\.text), pinned: $0.isPinned)
        }
        self.freshness = freshness.map {
            FreshnessReport(timestampVersion: $0.version, expires: $0.expires.text, fromServer: $0.isFromServer)
        }
        self.warnings = warnings.map(\.description)
    }
}

extension TrustReport {
    init(_ answer: TrustedFiles.Answer<some Sendable>) {
        self.init(firstUse: answer.firstUse, freshness: answer.freshness, warnings: answer.warnings)
    }
}

/// Notices for people, on standard error so that they never mix with an answer.
enum Notice {
    static func show(_ gun: GUN, _ answer: TrustedFiles.Answer<some Sendable>) {
        self.show(gun: gun.text, firstUse: answer.firstUse, warnings: answer.warnings)
    }

    static func show(gun: String, firstUse: FirstUse?, warnings: [CollectionWarning]) {
        if let firstUse {
            let ids = firstUse.rootKeyIDs.map(\.text).joined(separator: ", ")
            let how = firstUse.isPinned ? "as pinned" : "on first use: compare it with what its publisher tells you"
            self.write("Trusting \(gun) with root key \(ids), \(how)")
        }
        for warning in warnings { self.write("Warning: \(warning)") }
    }

    static func write(_ text: String) {
        FileHandle.standardError.write(Data((TerminalText.line(text) + "\n").utf8))
    }
}
