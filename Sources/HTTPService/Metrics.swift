// SPDX-License-Identifier: Apache-2.0

package import NIOCore
import NIOHTTP1
import Synchronization

/// The numbers a server shows to Prometheus (text exposition format 0.0.4).
///
/// A family is made once and kept; asked for again under the same name, the same one is returned. The number of label
/// values that a family keeps apart is bounded: further ones are counted together under `other`.
package final class Metrics: Sendable {
    /// The content type of ``render()``.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private struct Family: Sendable {
        let name: String
        let help: String
        let type: String
        let metric: any RenderedMetric
    }

    private let families = Mutex<[String: Family]>([:])
    private let collectors = Mutex<[@Sendable () -> Void]>([])

    package init() {}

    /// A number that only grows. Its name ends in `_total` by convention.
    package func counter(_ name: String, help: String, labels: [String] = []) -> MetricCounter {
        self.family(name, help, "counter") { MetricCounter(name: name, labels: labels) }
    }

    /// A number that goes up and down.
    package func gauge(_ name: String, help: String, labels: [String] = []) -> MetricGauge {
        self.family(name, help, "gauge") { MetricGauge(name: name, labels: labels) }
    }

    /// How observations are spread over `buckets`, given by their upper bounds.
    package func histogram(
        _ name: String,
        help: String,
        labels: [String] = [],
        buckets: [Double] = MetricHistogram.seconds
    ) -> MetricHistogram {
        self.family(name, help, "histogram") { MetricHistogram(name: name, labels: labels, buckets: buckets) }
    }

    /// Count, sum and quantiles of observations; the quantiles are those of the most recent ones.
    package func summary(_ name: String, help: String, labels: [String] = []) -> MetricSummary {
        self.family(name, help, "summary") { MetricSummary(name: name, labels: labels) }
    }

    /// A name that is taken by another type gets a family that is counted but not shown.
    private func family<M: RenderedMetric>(_ name: String, _ help: String, _ type: String, _ make: () -> M) -> M {
        self.families.withLock { families in
            if let known = families[name] { return known.metric as? M ?? make() }
            let metric = make()
            families[name] = Family(name: name, help: help, type: type, metric: metric)
            return metric
        }
    }

    /// Has something looked up whenever the numbers are asked for. It must not take long.
    package func beforeRendering(_ collect: @escaping @Sendable () -> Void) {
        self.collectors.withLock { $0.append(collect) }
    }

    /// All families, sorted by name.
    package func render() -> ByteBuffer {
        for collect in self.collectors.withLock({ $0 }) { collect() }
        let families = self.families.withLock { $0.values.sorted { $0.name < $1.name } }
        var text = ""
        for family in families {
            text += "# HELP \(family.name) \(family.help.escapedForHelp)\n# TYPE \(family.name) \(family.type)\n"
            family.metric.render(into: &text)
        }
        return ByteBuffer(string: text)
    }

    /// The reply to a scrape.
    package func response() -> HTTPResponse {
        HTTPResponse(status: .ok, headers: ["Content-Type": Self.contentType], body: .bytes(self.render()))
    }
}

/// A family of metrics that can be shown.
protocol RenderedMetric: AnyObject, Sendable {
    func render(into text: inout String)
}

/// The cells of one family, one for each combination of label values.
final class MetricCells<Cell: Sendable>: Sendable {
    /// More combinations than this share one cell.
    static var maximumCount: Int { 1_000 }

    let name: String
    private let labels: [String]
    private let make: @Sendable () -> Cell
    private let cells = Mutex<[[String]: Cell]>([:])

    init(name: String, labels: [String], make: @escaping @Sendable () -> Cell) {
        self.name = name
        self.labels = labels
        self.make = make
        if labels.isEmpty { self.cells.withLock { $0[[]] = make() } }
    }

    /// The cell of these label values. Missing values are empty, surplus ones are left out.
    func cell(_ values: [String]) -> Cell {
        var key = values
        if key.count != self.labels.count {
            key = Array(values.prefix(self.labels.count))
            key += Array(repeating: "", count: self.labels.count - key.count)
        }
        return self.cells.withLock { cells in
            if let cell = cells[key] { return cell }
            if cells.count >= Self.maximumCount { key = Array(repeating: "other", count: self.labels.count) }
            if let cell = cells[key] { return cell }
            let cell = self.make()
            cells[key] = cell
            return cell
        }
    }

    func remove(_ values: [String]) {
        self.cells.withLock { $0[values] = nil }
    }

    /// All cells with their labels in the form of a sample line, sorted.
    func sorted() -> [(labels: [String], cell: Cell)] {
        self.cells.withLock { Array($0) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
            .map { values, cell in (zip(self.labels, values).map { "\($0)=\"\($1.escapedForLabel)\"" }, cell) }
    }
}

enum MetricText {
    static func sample(_ name: String, _ labels: [String], _ value: Double, into text: inout String) {
        text += name
        if !labels.isEmpty { text += "{\(labels.joined(separator: ","))}" }
        text += " \(Self.number(value))\n"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}

extension String {
    fileprivate var escapedForHelp: String {
        self.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }

    fileprivate var escapedForLabel: String {
        self.escapedForHelp.replacing("\"", with: "\\\"")
    }
}

extension Duration {
    /// In seconds, for histograms.
    package var seconds: Double {
        let (seconds, attoseconds) = self.components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
