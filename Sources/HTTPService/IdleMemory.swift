// SPDX-License-Identifier: Apache-2.0

import CProcess
import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Gives memory back while the process has little to do: the pages of the program's own file, most of which were mapped for
/// the start alone or because they were near others, and what is free in the heap. The next request maps what it needs
/// again, which costs it a fraction of a millisecond.
package struct IdleMemory: Service {
    /// How often is looked whether there is something to do.
    private static let interval = Duration.milliseconds(500)

    package init() {}

    /// Ends with the services around it.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var activity = Activity(interval: Self.interval, processorTime: Self.processorTime())
            while (try? await Task.sleep(for: Self.interval)) != nil {
                if activity.hasEbbed(processorTime: Self.processorTime()) { Self.release() }
            }
        }
    }

    /// Gives back now what can be given back. Safe whatever the process does meanwhile.
    package static func release() {
        hallmark_release_memory()
    }

    /// What this process has used of all processors.
    private static func processorTime() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// When it is worth it.
    package struct Activity {
        private let interval: Duration
        private var last: Duration
        private var atRelease: Duration?

        /// - Parameters:
        ///   - interval: the time between two looks.
        ///   - processorTime: what the process has used until now.
        package init(interval: Duration, processorTime: Duration) {
            self.interval = interval
            self.last = processorTime
        }

        /// Whether the process has rested since the last look, and had worked since it last gave memory back: what there is
        /// to give back was used by that work.
        /// - Parameter processorTime: what the process has used until now.
        package mutating func hasEbbed(processorTime: Duration) -> Bool {
            defer { self.last = processorTime }
            guard processorTime - self.last < self.interval / 50 else { return false }
            if let atRelease, processorTime - atRelease < self.interval / 10 { return false }
            self.atRelease = processorTime
            return true
        }
    }
}
