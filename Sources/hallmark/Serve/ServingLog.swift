// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import ServiceLifecycle
import Settings
import Synchronization
import UnixSignals

/// The log of a server, on standard error: its form, and its level, which can be changed while it runs.
final class ServingLog: Sendable {
    private static let levels = Logger.Level.allCases

    private let index: Atomic<Int>

    init(level: Logger.Level) {
        self.index = Atomic(Self.levels.firstIndex(of: level) ?? 0)
    }

    /// Makes it the log of this process.
    static func start(_ settings: SettingValues) -> ServingLog {
        let log = ServingLog(level: Logger.Level(rawValue: settings[ServeSettings.logLevel]) ?? .notice)
        let isJSON = settings[ServeSettings.logFormat] == "json"
        LoggingSystem.bootstrap { label in
            let handler: any LogHandler =
                isJSON ? JSONLogHandler(label: label) : StreamLogHandler.standardError(label: label)
            return AdjustableLogHandler(log: log, handler: handler)
        }
        return log
    }

    var level: Logger.Level { Self.levels[self.index.load(ordering: .relaxed)] }

    /// - Parameter more: whether to tell more from now on, or less.
    func adjust(more: Bool) -> Logger.Level {
        let index = self.index.load(ordering: .relaxed) + (more ? -1 : 1)
        self.index.store(min(max(index, 0), Self.levels.count - 1), ordering: .relaxed)
        return self.level
    }
}

/// Lets through what the log's level of the moment lets through.
struct AdjustableLogHandler: LogHandler {
    private let log: ServingLog
    private var handler: any LogHandler
    /// What a logger was told for itself.
    private var own: Logger.Level?

    init(log: ServingLog, handler: any LogHandler) {
        self.log = log
        self.handler = handler
    }

    var logLevel: Logger.Level {
        get { self.own ?? self.log.level }
        set { self.own = newValue }
    }

    var metadata: Logger.Metadata {
        get { self.handler.metadata }
        set { self.handler.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { self.handler.metadataProvider }
        set { self.handler.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.handler[metadataKey: key] }
        set { self.handler[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { self.handler.log(event: event) }
}

/// Tells more on SIGUSR1 and less on SIGUSR2, as Notary does.
struct LogLevelSignals: Service {
    let signals: UnixSignalsSequence
    let log: ServingLog
    let logger: Logger

    func run() async throws {
        for await signal in self.signals.cancelOnGracefulShutdown() {
            let level = self.log.adjust(more: signal == .sigusr1)
            // At a level that is logged still.
            self.logger.log(level: max(level, .notice), "the log level was changed", metadata: ["level": "\(level)"])
        }
    }
}
