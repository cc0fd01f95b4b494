// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
import TUF

/// What a publisher has sent: metadata by role, well-formed and not yet believed.
struct Upload: Sendable {
    /// The most signatures on all files together. One takes up to milliseconds to check: without this bound an upload of
    /// 32 MiB could keep a processor busy for minutes.
    static let signatureLimit = 2048

    let files: [RoleName: UnverifiedMetadata]

    /// Reads the body of an upload, each part in turn.
    /// - Throws: ``NotaryError`` with code `malformedUpload`, `noFilename`, `invalidRole` or `malformedJSON`.
    init(_ body: [UInt8], contentType: String?, partLimit: Int) throws(NotaryError) {
        let parts: [MultipartForm.Part]
        do {
            parts = try MultipartForm.parse(body, contentType: contentType, limit: partLimit)
        } catch {
            throw NotaryError(.malformedUpload, detail: .text(error.message))
        }
        var files: [RoleName: UnverifiedMetadata] = [:]
        for part in parts {
            guard let name = part.filename, !name.isEmpty else { throw NotaryError(.noFilename) }
            guard let role = try? RoleName(notary: name) else {
                throw NotaryError(.invalidRole, detail: .text(String(name.unicodeScalars.prefix(300))))
            }
            do {
                let metadata = try UnverifiedMetadata(part.content, format: .notary)
                try metadata.checkClaims()
                files[role] = metadata
            } catch {
                throw NotaryError(.malformedJSON, detail: .text("\(role): \(error)"))
            }
        }
        let signatures = files.values.reduce(0) { $0 + $1.signatures.count }
        guard signatures <= Self.signatureLimit else {
            let limit = "\(signatures) signatures on all files together, at most \(Self.signatureLimit) are checked"
            throw NotaryError(.malformedUpload, detail: .text(limit))
        }
        self.files = files
    }

    /// The uploaded targets roles, each after the roles above it.
    var targetsRoles: [RoleName] {
        func depth(_ role: RoleName) -> Int { role.text.utf8.count { $0 == UInt8(ascii: "/") } }
        return self.files.keys.filter(\.listsTargets).sorted { (depth($0), $0) < (depth($1), $1) }
    }
}
