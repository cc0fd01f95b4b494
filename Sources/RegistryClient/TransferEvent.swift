// SPDX-License-Identifier: Apache-2.0

package import OCI

/// What happens to a blob or manifest on its way, for a progress display.
package enum TransferEvent: Sendable, Hashable {
    /// It is being sent or fetched.
    case started(Descriptor)
    /// So many more bytes went over the wire; after an interruption some may be counted twice.
    case bytes(Digest, Int)
    /// All of it is there, verified.
    case finished(Descriptor)
    /// It was there before.
    case existed(Descriptor)
    /// The registry took it from another repository of its own.
    case mounted(Descriptor)
}

/// Takes events; called from any task, so it must be quick.
package typealias TransferProgress = @Sendable (TransferEvent) -> Void

/// Runs an operation for each element, a bounded number at once; the first error cancels the others.
func forEachConcurrently<Element: Sendable>(
    _ elements: [Element],
    limit: Int,
    _ operation: @escaping @Sendable (Element) async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for (index, element) in elements.enumerated() {
            if index >= max(1, limit) { try await group.next() }
            group.addTask { try await operation(element) }
        }
        try await group.waitForAll()
    }
}
