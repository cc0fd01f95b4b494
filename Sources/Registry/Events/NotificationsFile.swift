// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import OCI
import Settings
import Yams

/// Reads who is to be told of events from a file with docker-registry's section `notifications`; its whole configuration
/// file will do, of which the other sections are left alone.
///
///     notifications:
///       endpoints:
///         - name: listener
///           url: https://listener.example/events
///           headers:
///             Authorization: [Bearer secret]
///           timeout: 1s
///           threshold: 5
///           backoff: 10s
///           ignore:
///             mediatypes: [application/octet-stream]
///             actions: [pull]
///           repositories: [team/**]       # not docker-registry's
package struct NotificationsFile {
    /// What is wrong with the file, and where.
    package struct Problem: Error, CustomStringConvertible {
        package let description: String
    }

    private static let maximumEndpoints = 32

    private let path: String

    /// Reads a file. Blocks.
    /// - Throws: ``Problem``.
    package static func endpoints(path: String) throws -> [EventEndpoint] {
        do {
            return try Self(path: path).endpoints(try YAMLDocument(path: path))
        } catch let problem as DocumentProblem {
            throw Problem(description: problem.description)
        }
    }

    /// Whether events are to tell what manifests list: `notifications.events.includereferences`. Blocks.
    /// - Throws: ``Problem``.
    package static func includesReferences(path: String) throws -> Bool {
        do {
            let section = try YAMLDocument(path: path).root?.mapping?["notifications"]?.mapping
            guard let node = section?["events"]?.mapping?["includereferences"] else { return false }
            guard let value = node.bool else {
                throw Self(path: path).problem(node, "`includereferences` is true or false")
            }
            return value
        } catch let problem as DocumentProblem {
            throw Problem(description: problem.description)
        }
    }

    private func endpoints(_ document: YAMLDocument) throws -> [EventEndpoint] {
        guard let root = document.root?.mapping, let section = root["notifications"]?.mapping else {
            throw Problem(description: "\(self.path): there is no section `notifications`")
        }
        guard let list = section["endpoints"]?.sequence, !list.isEmpty else {
            throw Problem(description: "\(self.path): `notifications` has no list `endpoints`")
        }
        guard list.count <= Self.maximumEndpoints else {
            throw Problem(description: "\(self.path): more than \(Self.maximumEndpoints) endpoints")
        }
        var endpoints: [EventEndpoint] = []
        for node in list {
            guard let endpoint = try self.endpoint(node) else { continue }
            guard !endpoints.contains(where: { $0.name == endpoint.name }) else {
                throw self.problem(node, "there is another endpoint with the name `\(endpoint.name)`")
            }
            endpoints.append(endpoint)
        }
        return endpoints
    }

    /// - Returns: nil for one that is disabled.
    private func endpoint(_ node: Node) throws -> EventEndpoint? {
        guard let members = node.mapping else { throw self.problem(node, "an endpoint has a name and a url") }
        let name = try self.text(members["name"], of: node, "a name")
        let address = try self.text(members["url"], of: node, "a url")
        guard (1...128).contains(name.utf8.count) else { throw self.problem(node, "a name has 1 to 128 bytes") }
        guard let url = HTTPURL(address) else { throw self.problem(node, "`\(address.prefix(200))` is no HTTP URL") }
        var endpoint = EventEndpoint(name: name, url: url)
        for (key, value) in members {
            switch key.string ?? "" {
            case "name", "url", "disabled": break
            case "headers": endpoint.headers = try self.headers(value)
            case "timeout": endpoint.timeout = try self.duration(value)
            case "backoff": endpoint.backoff = try self.duration(value)
            case "threshold":
                guard let number = value.int, (1...1_000_000).contains(number) else {
                    throw self.problem(value, "a threshold is a number from 1 on")
                }
                endpoint.threshold = number
            case "ignoredmediatypes": endpoint.ignoredMediaTypes.formUnion(try self.texts(value))
            case "ignore": try self.ignore(value, &endpoint)
            case "repositories":
                endpoint.repositories = try self.texts(value).map { try self.pattern($0, value) }
            case let other: throw self.problem(key, "`\(other)` is nothing that an endpoint has")
            }
        }
        return members["disabled"]?.bool == true ? nil : endpoint
    }

    private func ignore(_ node: Node, _ endpoint: inout EventEndpoint) throws {
        for (key, value) in node.mapping ?? [:] {
            switch key.string ?? "" {
            case "mediatypes": endpoint.ignoredMediaTypes.formUnion(try self.texts(value))
            case "actions":
                for text in try self.texts(value) {
                    guard let action = EventAction(rawValue: text) else {
                        let known = EventAction.allCases.map(\.rawValue).joined(separator: ", ")
                        throw self.problem(value, "`\(text.prefix(80))` is none of the actions \(known)")
                    }
                    endpoint.ignoredActions.insert(action)
                }
            case let other: throw self.problem(key, "`\(other)` cannot be ignored; mediatypes and actions can")
            }
        }
    }

    private func headers(_ node: Node) throws -> [(name: String, value: String)] {
        try (node.mapping ?? [:]).map { key, value in
            let values = if let one = value.string { [one] } else { try self.texts(value) }
            let text = values.joined(separator: ", ")
            let name = key.string ?? ""
            guard !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") }),
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else { throw self.problem(key, "a header is a name with a list of values") }
            return (name: name, value: text)
        }
    }

    private func pattern(_ text: String, _ node: Node) throws -> NamePattern {
        do {
            return try NamePattern(text)
        } catch {
            throw self.problem(node, error.message)
        }
    }

    private func text(_ node: Node?, of parent: Node, _ what: String) throws -> String {
        guard let text = node?.string, !text.isEmpty else {
            throw self.problem(node ?? parent, "an endpoint has \(what)")
        }
        return text
    }

    private func texts(_ node: Node) throws -> [String] {
        guard let list = node.sequence else { throw self.problem(node, "a list was expected, found \(node.found)") }
        return try list.map { item in
            guard let text = item.string else { throw self.problem(item, "text was expected, found \(item.found)") }
            return text
        }
    }

    /// As Go writes it: `500ms`, `1m30s`; a plain number is one of nanoseconds.
    private func duration(_ node: Node) throws -> Duration {
        let text = node.string ?? ""
        guard let duration = Self.duration(text), duration > .zero, duration <= .seconds(3600) else {
            throw self.problem(node, "a time such as 500ms, 10s or 1m was expected, at most 1h; found \(node.found)")
        }
        return duration
    }

    static func duration(_ text: String) -> Duration? {
        if let nanoseconds = Int64(text) { return .nanoseconds(nanoseconds) }
        let units: [(name: String, length: Duration)] = [
            ("ns", .nanoseconds(1)), ("us", .microseconds(1)), ("µs", .microseconds(1)), ("ms", .milliseconds(1)),
            ("s", .seconds(1)), ("m", .seconds(60)), ("h", .seconds(3600)),
        ]
        var rest = text[...]
        var total = Duration.zero
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            let unit = rest.dropFirst(number.count).prefix { $0.isLetter }
            guard let value = Double(number), value.isFinite, (0...1e9).contains(value),
                let length = units.first(where: { $0.name == unit })?.length
            else { return nil }
            total += length * value
            rest = rest.dropFirst(number.count + unit.count)
        }
        return text.isEmpty ? nil : total
    }

    private func problem(_ node: Node, _ message: String) -> Problem {
        Problem(description: "\(self.path):\(node.line): \(message)")
    }
}
