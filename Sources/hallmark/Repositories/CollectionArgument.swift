// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import NotaryAPI

/// What a collection verb works on.
enum CollectionArgument: Sendable {
    /// A TUF repository in a directory: what begins with `/`, `./`, `../` or `file:`, or is `.` or `..`.
    case directory(String)
    /// A TUF repository on a web server.
    case url(String)
    /// A collection on a trust server.
    case gun(GUN)

    init(argument: String) throws {
        if argument.hasPrefix("file:") {
            guard let url = URL(string: argument), url.isFileURL, url.path.hasPrefix("/") else {
                throw ValidationError("\(argument) is no file URL: write file:///DIRECTORY")
            }
            self = .directory(url.path)
        } else if argument == "." || argument == ".." || ["/", "./", "../"].contains(where: argument.hasPrefix) {
            self = .directory(argument)
        } else if argument.hasPrefix("https://") || argument.hasPrefix("http://") {
            self = .url(argument)
        } else {
            self = .gun(try GUN(argument: argument))
        }
    }

    /// The directory, for a verb that works on nothing else.
    /// - Throws: a usage error for anything else.
    func directory(for verb: String) throws -> String {
        switch try self.changeable(by: verb) {
        case .directory(let path): return path
        case .gun(let gun):
            throw ValidationError(
                "hallmark \(verb) is for a repository in a directory, and \(gun.text) names a collection on a trust server: a "
                    + "directory begins with / or ./"
            )
        }
    }

    /// What can be changed.
    enum Changeable {
        case directory(String)
        case gun(GUN)
    }

    /// What a verb changes.
    /// - Throws: a usage error for a URL.
    func changeable(by verb: String) throws -> Changeable {
        switch self {
        case .directory(let path): return .directory(path)
        case .gun(let gun): return .gun(gun)
        case .url(let url):
            throw ValidationError("\(url) can only be read: hallmark \(verb) wants the repository's directory")
        }
    }

    var isGUN: Bool { if case .gun = self { true } else { false } }

    /// How reports call it.
    var name: String {
        switch self {
        case .directory(let path): path
        case .url(let url): url
        case .gun(let gun): gun.text
        }
    }

    /// Refuses options that only mean something for a repository in a directory, or only on a trust server.
    func check(
        onlyDirectories: [(name: String, isGiven: Bool)] = [],
        onlyServers: [(name: String, isGiven: Bool)] = []
    ) throws {
        if let option = (self.isGUN ? onlyDirectories : onlyServers).first(where: { $0.isGiven }) {
            let place = self.isGUN ? "a repository in a directory" : "a collection on a trust server"
            throw ValidationError("\(option.name) is for \(place), which \(self.name) does not name")
        }
    }
}

/// The collection that a verb works on, wherever it lies.
struct CollectionOperand: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "A collection's globally unique name, or a repository's directory: /…, ./…, ../… or file:….",
            valueName: "collection"
        ),
        completion: .collections,
        transform: CollectionArgument.init(argument:)
    )
    var collection: CollectionArgument
}
