// SPDX-License-Identifier: Apache-2.0

package import NIOSSL
import Synchronization

/// Where a server takes the TLS context of a new connection from; can be exchanged while it runs.
package final class TLSContextSource: Sendable {
    private let context: Mutex<NIOSSLContext>

    package init(_ context: NIOSSLContext) {
        self.context = Mutex(context)
    }

    /// The context for the next connection.
    package var current: NIOSSLContext {
        self.context.withLock { $0 }
    }

    /// Serves all connections accepted from now on with `context`.
    package func replace(with context: NIOSSLContext) {
        self.context.withLock { $0 = context }
    }
}
