// SPDX-License-Identifier: Apache-2.0

package import TUF

/// An upload as the Notary client sends it: multipart/form-data with one file for each role (RFC 7578).
package struct MultipartForm: Sendable {
    /// One file of a form.
    package struct Part: Sendable, Hashable {
        /// The file's name as it was sent, slashes included, without one `.json` at its end; nil when there is none.
        package let filename: String?
        /// The file.
        package let content: [UInt8]

        package init(filename: String?, content: [UInt8]) {
            self.filename = filename
            self.content = content
        }
    }

    /// The value of the Content-Type field.
    package let contentType: String
    /// The body.
    package let body: [UInt8]

    /// Writes a form.
    /// - Parameters:
    ///   - files: metadata by role, in the order in which to send it.
    ///   - random: 30 random bytes, of which the boundary is made: nobody can write metadata that contains it.
    package init(files: [(role: RoleName, bytes: [UInt8])], random: [UInt8]) {
        let boundary = Hexadecimal.encode(random.prefix(35))
        self.contentType = "multipart/form-data; boundary=\(boundary)"
        var body: [UInt8] = []
        body.reserveCapacity(files.reduce(80) { $0 + $1.bytes.count + 256 })
        for (index, file) in files.enumerated() {
            if index > 0 { body += "\r\n".utf8 }
            body += "--\(boundary)\r\n".utf8
            body += "Content-Disposition: form-data; name=\"files\"; filename=\(Self.quoted(file.role.text))\r\n".utf8
            body += "Content-Type: application/octet-stream\r\n\r\n".utf8
            body += file.bytes
        }
        body += "\r\n--\(boundary)--\r\n".utf8
        self.body = body
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(scalar.value < 0x20 ? "_" : scalar)
        }
        return quoted + "\""
    }
}

/// Why a body is not a form.
package struct MultipartError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The Content-Type is missing or not multipart.
        case notMultipart
        /// The Content-Type has no usable boundary.
        case noBoundary
        /// The body ends before its closing boundary.
        case truncated
        /// More parts than are accepted.
        case tooManyParts
        /// A part's header cannot be read.
        case malformedHeader
    }

    package let code: Code
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }
}
