// SPDX-License-Identifier: Apache-2.0

import Database
import HTTPService
import Logging
import NotaryAPI
import ServiceLifecycle
import Settings

/// What all services of a process have in common for those who run it: numbers, health, and limits of clients.
struct Operations {
    let metrics = Metrics()
    private let health: HealthChecks
    private let limiter: HTTPClientLimiter?
    private let settings: SettingValues
    private let logger: Logger

    init(_ settings: SettingValues, logger: Logger) {
        self.settings = settings
        self.logger = logger
        self.health = HealthChecks(logger: logger)
        let limits = HTTPClientLimits(settings)
        self.limiter = limits.isEmpty ? nil : HTTPClientLimiter(limits)
        ProcessMetrics.register(on: self.metrics)
        if let directory = DataDirectory.path(settings) {
            let disk = DiskSpace(directory: directory)
            let free = self.metrics.gauge("hallmark_disk_free_bytes", help: "Free for what is kept under --data.")
            self.metrics.beforeRendering { if let bytes = try? disk.free() { free.set(bytes) } }
            self.health.register("disk") { try disk.check() }
        }
    }

    /// Shows how busy a database is, and whether it answers.
    func watch(_ database: any SQLDatabase, of service: ServiceName) {
        self.health.register("\(service.rawValue) database") { _ = try await database.query("SELECT 1") }
        let labels = ["service"]
        let metrics = self.metrics
        let connections = metrics.gauge("hallmark_database_connections", help: "Connections open.", labels: labels)
        let inUse = metrics.gauge("hallmark_database_connections_in_use", help: "Connections at work.", labels: labels)
        let waiting = metrics.gauge("hallmark_database_waiting", help: "Calls without a connection.", labels: labels)
        let retries = metrics.counter(
            "hallmark_database_retries_total",
            help: "Transactions run again, because they lost a race or their connection.",
            labels: labels
        )
        let lost = metrics.counter(
            "hallmark_database_connections_lost_total",
            help: "Connections that were lost.",
            labels: labels
        )
        metrics.beforeRendering {
            let statistics = database.statistics
            connections.set(Int64(statistics.connections), service.rawValue)
            inUse.set(Int64(statistics.inUse), service.rawValue)
            waiting.set(Int64(statistics.waiting), service.rawValue)
            retries.cell(service.rawValue).advance(to: statistics.retries)
            lost.cell(service.rawValue).advance(to: statistics.lostConnections)
        }
    }

    /// Asks a signer whether it is in order.
    func watch(_ signer: any Signer) {
        self.health.register("signer") { try await signer.check() }
    }

    /// How a server listens that counts here and holds clients to their limits.
    func measured(_ configuration: HTTPServerConfiguration, as service: ServiceName) -> HTTPServerConfiguration {
        var configuration = configuration
        configuration.metrics = HTTPServerMetrics(self.metrics, service: service.rawValue)
        configuration.clientLimiter = self.limiter
        return configuration
    }

    /// The page of this process, with what keeps it true; nil when nobody wants it.
    /// - Returns: what to run, and its URL.
    func page(_ fronts: HTTPFronts) async throws -> (services: [any Service], url: String)? {
        guard let address = self.settings[OperationsSettings.address] else { return nil }
        if !address.isLoopback {
            self.logger.notice("metrics and health are shown to whoever reaches \(address)")
        }
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(host: address.bindHost, port: address.port, threadCount: 1),
            responder: OperationsResponder(metrics: self.metrics, health: self.health),
            logger: self.logger,
            accessLogger: Logger(label: "hallmark.operations") { _ in SwiftLogNoOpLogHandler() }
        )
        let url = try await fronts.bind(server, address, named: self.settings.name(OperationsSettings.address))
        return ([self.health, server], url)
    }
}

extension HTTPClientLimits {
    init(_ settings: SettingValues) {
        self.init()
        self.reads = settings[OperationsSettings.readRate].map(Rate.init)
        self.writes = settings[OperationsSettings.writeRate].map(Rate.init)
        self.uploads = settings[OperationsSettings.uploads]
        self.trustedProxies = TrustedProxies(settings)
    }
}

extension TrustedProxies {
    init(_ settings: SettingValues) {
        self.init(settings[OperationsSettings.trustedProxies].compactMap(IPNetwork.init))
    }
}

extension HTTPClientLimits.Rate {
    fileprivate init(_ rate: RequestRate) {
        self.init(perSecond: Double(rate.perSecond), burst: rate.burst.map { Double($0) })
    }
}
