// SPDX-License-Identifier: Apache-2.0

import TUF

extension NotaryError {
    /// How much of a reply Notary's client reads, in bytes: what is longer is lost on it.
    package static let bodyLimit = 1024

    /// The body of the reply, with the newline that ends it. Never longer than ``bodyLimit``: a message that would make it so is
    /// cut.
    package var body: [UInt8] {
        let whole = Self.body(self.code, self.detail.truncated(to: Self.bodyLimit))
        guard whole.count > Self.bodyLimit else { return whole }
        // Each character takes at least a byte; with escapes it may take six: halve the doubt until the longest that fits is
        // known.
        var fitting: [UInt8]?
        var range = 0..<min(self.detail.text?.unicodeScalars.count ?? 0, Self.bodyLimit)
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            let body = Self.body(self.code, self.detail.truncated(to: middle))
            if body.count <= Self.bodyLimit {
                fitting = body
                range = (middle + 1)..<range.upperBound
            } else {
                range = range.lowerBound..<middle
            }
        }
        if let fitting { return fitting }
        return Self.body(self.code, .none)
    }

    private static func body(_ code: NotaryErrorCode, _ detail: Detail) -> [UInt8] {
        var json = "{\"errors\":[{\"code\":\(self.quoted(code.rawValue)),\"message\":\(self.quoted(code.message))"
        switch detail {
        case .none: break
        case .empty: json += ",\"detail\":{}"
        case .text(let text): json += ",\"detail\":\(self.quoted(text))"
        case .json(let value):
            json += ",\"detail\":\(String(decoding: CanonicalJSON.encodeForWire(value), as: UTF8.self))"
        case .update(let update):
            let missing = update.missing.map { "\"Missing\":\(self.quoted($0))," } ?? ""
            json += ",\"detail\":{\"Name\":\(self.quoted(update.kind.rawValue)),"
            json += "\"Error\":{\(missing)\"Msg\":\(self.quoted(update.message))}}"
        }
        return Array((json + "}]}\n").utf8)
    }

    private static func quoted(_ text: String) -> String { GoJSON.quoted(text) }

    /// Reads an error reply.
    /// - Returns: nil when the first ``bodyLimit`` bytes are not a reply of this API with a code that it knows.
    package init?(decoding body: some Collection<UInt8>) {
        guard let value = try? JSONParser.parse(body.prefix(Self.bodyLimit)),
            let error = value["errors"]?.array?.first,
            let code = error["code"]?.string.flatMap(NotaryErrorCode.init(rawValue:))
        else { return nil }
        self.init(code, detail: Self.detail(error["detail"], of: code))
    }

    private static func detail(_ value: JSONValue?, of code: NotaryErrorCode) -> Detail {
        switch value {
        case nil, .null: return .none
        case .object(let members) where members.isEmpty: return .empty
        case .string(let text): return .text(text)
        case .some(let value):
            guard code == .invalidUpdate,
                let kind = value["Name"]?.string.flatMap(InvalidUpdate.Kind.init(rawValue:)),
                let message = value["Error"]?["Msg"]?.string
            else { return .json(value) }
            return .update(InvalidUpdate(kind, message, missing: value["Error"]?["Missing"]?.string))
        }
    }
}

extension NotaryError.Detail {
    fileprivate var text: String? {
        switch self {
        case .none, .empty, .json: nil
        case .text(let text): text
        case .update(let update): update.message
        }
    }

    fileprivate func truncated(to length: Int) -> Self {
        func cut(_ text: String) -> String {
            let kept = String(text.unicodeScalars.prefix(length))
            return kept.utf8.count == text.utf8.count ? text : kept + "…"
        }
        return switch self {
        case .none, .empty, .json: self
        case .text(let text): .text(cut(text))
        case .update(let update): .update(InvalidUpdate(update.kind, cut(update.message), missing: update.missing))
        }
    }
}

/// JSON whose members stand in the order of Go's structs, for which there is no canonical form.
enum GoJSON {
    static func quoted(_ text: String) -> String {
        String(decoding: CanonicalJSON.encodeForWire(.string(text)), as: UTF8.self)
    }
}
