// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import NIOCore

/// What went wrong on a connection, in words.
package enum ConnectionFailure {
    /// The system's or the library's own text, which is short.
    package static func reason(_ error: any Error) -> String {
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        return String(((error as? HTTPClientError)?.shortDescription ?? "\(error)").prefix(500))
    }
}
