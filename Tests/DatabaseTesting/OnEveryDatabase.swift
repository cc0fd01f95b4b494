// SPDX-License-Identifier: Apache-2.0

package import Testing

/// Runs each test of a suite once on each driver, which it finds in ``DatabaseDriver/current``.
package struct OnEveryDatabase: SuiteTrait, TestTrait, TestScoping {
    package var isRecursive: Bool { true }

    @concurrent package func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        for driver in DatabaseDriver.all {
            do {
                try await DatabaseDriver.$current.withValue(driver) { try await function() }
            } catch {
                Issue.record(error, "on \(driver)")
            }
        }
    }
}

extension Trait where Self == OnEveryDatabase {
    package static var onEveryDatabase: Self { Self() }
}
