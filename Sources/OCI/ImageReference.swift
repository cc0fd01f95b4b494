// SPDX-License-Identifier: Apache-2.0

/// The name of an image as people type it, in Docker's grammar: `alpine`, `localhost:5000/a/b:tag@sha256:…`.
///
/// What is left out is filled in as Docker does it: the registry is `docker.io` unless the part before the first slash
/// has a `.` or `:`, is `localhost` or has upper case; `library/` goes before a single name on Docker Hub; the tag is
/// `latest` when neither tag nor digest is given. `index.docker.io` is an old name of `docker.io`.
public struct ImageReference: Sendable, Hashable, CustomStringConvertible {
    /// The registry of references that name none.
    public static let defaultRegistry = "docker.io"

    /// The host, with its port if one was given.
    public let registry: String
    /// The repository in that registry.
    public let repository: RepositoryName
    /// The tag, if one was given, or `latest` when there is no digest either.
    public let tag: Tag?
    /// The digest, if one was given.
    public let digest: Digest?

    /// Parses a reference.
    /// - Throws: ``OCIError`` with code `referenceInvalid` or `digestInvalid`, naming the part that is wrong.
    public init(_ text: some StringProtocol) throws {
        var rest = Substring(text)
        guard rest.utf8.count <= 1024 else {
            throw OCIError(.referenceInvalid, "image reference \(text.prefix(64))… is longer than 1024 characters")
        }
        var digest: Digest?
        if let at = rest.firstIndex(of: "@") {
            digest = try Digest(rest[rest.index(after: at)...])
            rest = rest[..<at]
        }
        var (registry, remainder) = Self.splitRegistry(rest)
        var tag: Tag?
        if let colon = remainder.lastIndex(of: ":") {
            tag = try Tag(remainder[remainder.index(after: colon)...])
            remainder = remainder[..<colon]
        }
        if let upper = remainder.first(where: \.isUppercase) {
            throw OCIError(
                .referenceInvalid,
                "image reference \(text): repository name \(remainder) has the upper-case letter '\(upper)'; use lower case"
            )
        }
        if remainder.utf8.count == 64, rest.utf8.count == 64, remainder.utf8.allSatisfy(Self.isHexadecimal) {
            throw OCIError(
                .referenceInvalid,
                "\(text) is 64 hexadecimal characters, which cannot be told from an image id; write name@sha256:\(remainder)"
            )
        }
        if registry == "index.docker.io" { registry = Self.defaultRegistry }
        if registry == Self.defaultRegistry, !remainder.contains("/"), !remainder.isEmpty {
            remainder = "library/" + remainder
        }
        try self.init(registry: registry, repository: RepositoryName(remainder), tag: tag, digest: digest)
    }

    /// Puts a reference together.
    /// - Parameters:
    ///   - registry: host, or host and port.
    ///   - repository: the name in it.
    ///   - tag: `latest` is taken when this and `digest` are nil.
    ///   - digest: the content.
    /// - Throws: ``OCIError`` with code `referenceInvalid` when the registry is no host, or registry, slash and name have
    ///   more than 255 characters.
    public init(registry: String, repository: RepositoryName, tag: Tag? = nil, digest: Digest? = nil) throws {
        try Self.validate(registry: registry)
        guard registry.utf8.count + 1 + repository.description.utf8.count <= RepositoryName.maximumLength else {
            throw OCIError(
                .referenceInvalid,
                "\(registry)/\(repository) is longer than \(RepositoryName.maximumLength) characters"
            )
        }
        self.registry = registry
        self.repository = repository
        self.tag = tag == nil && digest == nil ? .latest : tag
        self.digest = digest
    }

    /// Registry and repository: what Notary calls the GUN of the image's collection.
    public var gun: String { "\(self.registry)/\(self.repository)" }

    /// The whole reference with nothing left out.
    public var description: String { self.gun + self.suffix }

    /// Registry and repository with what Docker's tools leave out: `alpine` for `docker.io/library/alpine`.
    public var familiarName: String {
        guard self.registry == Self.defaultRegistry else { return self.gun }
        let name = self.repository.description
        guard name.hasPrefix("library/") else { return name }
        let short = name.dropFirst("library/".count)
        return short.contains("/") ? name : String(short)
    }

    /// ``familiarName`` with tag and digest.
    public var familiarDescription: String { self.familiarName + self.suffix }

    /// What to ask the registry for: the digest if there is one, else the tag.
    public var reference: Reference {
        if let digest = self.digest { .digest(digest) } else { .tag(self.tag ?? .latest) }
    }

    /// The same image by content: the tag stays for people to read.
    public func with(digest: Digest) -> ImageReference {
        ImageReference(self, tag: self.tag, digest: digest)
    }

    /// The same repository by another tag, without a digest.
    public func with(tag: Tag) -> ImageReference {
        ImageReference(self, tag: tag, digest: nil)
    }

    private init(_ other: ImageReference, tag: Tag?, digest: Digest?) {
        self.registry = other.registry
        self.repository = other.repository
        self.tag = tag
        self.digest = digest
    }

    private var suffix: String {
        (self.tag.map { ":\($0)" } ?? "") + (self.digest.map { "@\($0)" } ?? "")
    }
}

extension ImageReference {
    private static func splitRegistry(_ text: Substring) -> (registry: String, remainder: Substring) {
        guard let slash = text.firstIndex(of: "/") else { return (Self.defaultRegistry, text) }
        let first = text[..<slash]
        let isRegistry =
            first.contains { $0 == "." || $0 == ":" || $0.isUppercase } || first == "localhost"
        return isRegistry ? (String(first), text[text.index(after: slash)...]) : (Self.defaultRegistry, text)
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default:
            false
        }
    }

    /// `host[:port]`, where host is dotted labels or an IPv6 address in brackets.
    private static func validate(registry: String) throws {
        var host = Substring(registry)
        var port: Substring?
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            let after = host[host.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw Self.badHost(registry) }
            port = after.isEmpty ? nil : after.dropFirst()
            host = host[..<end].dropFirst()
            let isAddress = host.utf8.allSatisfy {
                Self.isAlphanumeric($0) && ($0 | 0x20) <= UInt8(ascii: "f") || $0 == UInt8(ascii: ":")
            }
            guard isAddress, host.contains(":") else { throw Self.badHost(registry) }
        } else {
            if let colon = host.firstIndex(of: ":") {
                port = host[host.index(after: colon)...]
                host = host[..<colon]
            }
            for label in host.split(separator: ".", omittingEmptySubsequences: false) {
                guard let first = label.utf8.first, let last = label.utf8.last,
                    Self.isAlphanumeric(first), Self.isAlphanumeric(last),
                    label.utf8.allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: "-") })
                else { throw Self.badHost(registry) }
            }
        }
        guard let port else { return }
        guard (1...5).contains(port.utf8.count), port.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = Int(port), (1...65_535).contains(number)
        else {
            throw OCIError(.referenceInvalid, "registry \(registry): the port must be a number from 1 to 65535")
        }
    }

    private static func badHost(_ registry: String) -> OCIError {
        OCIError(
            .referenceInvalid,
            "registry \"\(registry.prefix(300))\" is not a host name or address with optional port"
        )
    }
}
