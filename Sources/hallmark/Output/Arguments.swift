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

extension Digest {
    init(argument: String) throws {
        self = try usage { try Digest(argument) }
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

/// A repository, or one tag or digest of it.
struct InspectedImage {
    let reference: ImageReference
    /// The tag that was named; nil for all. A reference without a tag means `latest` everywhere else.
    let tag: Tag?

    /// The digest that was named.
    var digest: Digest? { self.reference.digest }

    init(argument: String) throws {
        self.reference = try ImageReference(argument: argument)
        let name = argument.split(separator: "@", omittingEmptySubsequences: false).first ?? ""
        let isTagged = name.split(separator: "/").last?.contains(":") ?? false
        self.tag = isTagged ? self.reference.tag : nil
    }

    /// A repository as a whole.
    init(repository argument: String) throws {
        try self.init(argument: argument)
        guard self.tag == nil, self.digest == nil else {
            throw ValidationError("\(argument) is one image: name its repository, \(self.reference.gun)")
        }
    }
}

func usage<Value>(_ parse: () throws -> Value) throws -> Value {
    do {
        return try parse()
    } catch {
        throw ValidationError("\(error)")
    }
}
