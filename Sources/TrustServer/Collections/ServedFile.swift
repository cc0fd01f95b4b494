// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import NotaryAPI
import TUF

/// A stored file with the replies that serve it.
struct ServedFile: Sendable {
    let file: StoredFile
    /// The reply to whoever asks for what is current.
    let current: HTTPResponse
    /// The reply to whoever asks by hash or version.
    let consistent: HTTPResponse

    init(_ file: StoredFile, configuration: TrustServerConfiguration) {
        self.file = file
        let modified = HTTPDate.format(file.storedAt / 1000)
        func reply(_ caching: HTTPHeaders) -> HTTPResponse {
            var headers = caching
            headers.add(name: "Last-Modified", value: modified)
            headers.add(name: "Content-Type", value: "text/plain; charset=utf-8")
            return HTTPResponse(status: .ok, headers: headers, body: .bytes(file.content)).preparedForReuse
        }
        self.current = reply(Self.caching(configuration.currentMaximumAge, revalidate: true))
        self.consistent = reply(Self.caching(configuration.consistentMaximumAge, revalidate: false))
    }

    /// Roughly what it takes in memory, in bytes.
    var cost: Int { 1024 + self.file.content.readableBytes }

    private static func caching(_ seconds: Int, revalidate: Bool) -> HTTPHeaders {
        guard seconds > 0 else {
            return ["Cache-Control": "max-age=0, no-cache, no-store", "Pragma": "no-cache"]
        }
        let ending = revalidate ? ", must-revalidate" : ""
        return ["Cache-Control": "public, max-age=\(seconds), s-maxage=\(seconds)\(ending)"]
    }
}
