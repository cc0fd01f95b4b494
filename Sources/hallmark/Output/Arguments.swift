// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import NotaryAPI
import OCI
import TUF

// What is wrong with an argument is a matter of usage, and says so before anything is asked of a server.

extension ImageReference {
    init(argument: String) throws {
        self = try usage { try ImageReference(argument) }
    }
}

extension Platform {
    init(argument: String) throws {
        self = try usage { try Platform(argument) }
    }
}

extension GUN {
    init(argument: String) throws {
        self = try usage { try GUN(argument) }
    }
}

extension RoleName {
    /// A role that lists targets.
    init(argument: String) throws {
        self = try usage { try RoleName(notary: argument) }
        guard self.listsTargets else { throw ValidationError("only targets and delegated roles list targets") }
    }
}

/// A repository, or one tag of it.
struct InspectedImage {
    let reference: ImageReference
    /// The tag that was named; nil for all. A reference without a tag means `latest` everywhere else.
    let tag: Tag?

    init(argument: String) throws {
        self.reference = try ImageReference(argument: argument)
        if let digest = self.reference.digest {
            throw ValidationError("content trust ties tags to digests: name a tag or a repository, not \(digest)")
        }
        let isTagged = argument.split(separator: "/").last?.contains(":") ?? false
        self.tag = isTagged ? self.reference.tag : nil
    }
}

private func usage<Value>(_ parse: () throws -> Value) throws -> Value {
    do {
        return try parse()
    } catch {
        throw ValidationError("\(error)")
    }
}
