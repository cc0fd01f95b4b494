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

    /// The directory, for a verb that changes a repository.
    /// - Throws: a usage error for anything else.
    func directory(for verb: String) throws -> String {
        switch self {
        case .directory(let path): return path
        case .url(let url):
            throw ValidationError("\(url) can only be read: hallmark \(verb) wants the repository's directory")
        case .gun(let gun):
            throw ValidationError(
                "hallmark \(verb) does not work on a trust server's collections yet, and \(gun.text) names one: a directory "
                    + "begins with / or ./"
            )
        }
    }
}
