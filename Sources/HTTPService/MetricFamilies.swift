// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A number that only grows, for each combination of label values.
package final class MetricCounter: RenderedMetric {
    /// One counter; keep it where the labels are known beforehand.
    package final class Cell: Sendable {
        private let count = Atomic<UInt64>(0)

        package func add(_ amount: UInt64 = 1) {
            self.count.wrappingAdd(amount, ordering: .relaxed)
        }

        /// Takes over a count that is kept elsewhere.
        package func advance(to count: UInt64) {
            self.count.store(count, ordering: .relaxed)
        }

        package var value: UInt64 { self.count.load(ordering: .relaxed) }
    }

    private let cells: MetricCells<Cell>

    init(name: String, labels: [String]) {
        self.cells = MetricCells(name: name, labels: labels) { Cell() }
    }

    /// The counter of these label values, in the order of the family's labels.
    package func cell(_ labels: String...) -> Cell { self.cells.cell(labels) }

    package func add(_ amount: UInt64 = 1, _ labels: String...) {
        self.cells.cell(labels).add(amount)
    }

    func render(into text: inout String) {
        for (labels, cell) in self.cells.sorted() {
            MetricText.sample(self.cells.name, labels, Double(cell.value), into: &text)
        }
    }
}

/// A whole number that goes up and down, for each combination of label values.
package final class MetricGauge: RenderedMetric {
    /// One gauge.
    package final class Cell: Sendable {
        private let number = Atomic<Int64>(0)

        package func set(_ value: Int64) {
            self.number.store(value, ordering: .relaxed)
        }

        package func add(_ amount: Int64) {
            self.number.wrappingAdd(amount, ordering: .relaxed)
        }

        package var value: Int64 { self.number.load(ordering: .relaxed) }
    }

    private let cells: MetricCells<Cell>

    init(name: String, labels: [String]) {
        self.cells = MetricCells(name: name, labels: labels) { Cell() }
    }

    /// The gauge of these label values, in the order of the family's labels.
    package func cell(_ labels: String...) -> Cell { self.cells.cell(labels) }

    package func set(_ value: Int64, _ labels: String...) {
        self.cells.cell(labels).set(value)
    }

    package func add(_ amount: Int64, _ labels: String...) {
        self.cells.cell(labels).add(amount)
    }

    /// Shows nothing for these label values until one is set again.
    package func remove(_ labels: String...) {
        self.cells.remove(labels)
    }

    func render(into text: inout String) {
        for (labels, cell) in self.cells.sorted() {
            MetricText.sample(self.cells.name, labels, Double(cell.value), into: &text)
        }
    }
}

/// How observations are spread, for each combination of label values.
package final class MetricHistogram: RenderedMetric {
    /// Bounds for durations in seconds.
    package static let seconds: [Double] = [
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// One histogram.
    package final class Cell: Sendable {
        private let bounds: [Double]
        private let state: Mutex<(counts: [UInt64], sum: Double)>

        init(bounds: [Double]) {
            self.bounds = bounds
            self.state = Mutex((Array(repeating: 0, count: bounds.count + 1), 0))
        }

        package func observe(_ value: Double) {
            let index = self.bounds.firstIndex { value <= $0 } ?? self.bounds.count
            self.state.withLock { state in
                state.counts[index] &+= 1
                state.sum += value
            }
        }

        fileprivate func render(_ name: String, _ labels: [String], into text: inout String) {
            let (counts, sum) = self.state.withLock { $0 }
            var total: UInt64 = 0
            for (bound, count) in zip(self.bounds + [.infinity], counts) {
                total &+= count
                let labels = labels + ["le=\"\(MetricText.number(bound))\""]
                MetricText.sample(name + "_bucket", labels, Double(total), into: &text)
            }
            MetricText.sample(name + "_sum", labels, sum, into: &text)
            MetricText.sample(name + "_count", labels, Double(total), into: &text)
        }
    }

    private let cells: MetricCells<Cell>

    init(name: String, labels: [String], buckets: [Double]) {
        let bounds = buckets.filter(\.isFinite).sorted()
        self.cells = MetricCells(name: name, labels: labels) { Cell(bounds: bounds) }
    }

    /// The histogram of these label values, in the order of the family's labels.
    package func cell(_ labels: String...) -> Cell { self.cells.cell(labels) }

    package func observe(_ value: Double, _ labels: String...) {
        self.cells.cell(labels).observe(value)
    }

    func render(into text: inout String) {
        for (labels, cell) in self.cells.sorted() { cell.render(self.cells.name, labels, into: &text) }
    }
}

/// Count, sum and recent quantiles of observations, for each combination of label values.
package final class MetricSummary: RenderedMetric {
    private static let quantiles = [0.5, 0.9, 0.99]

    /// One summary.
    package final class Cell: Sendable {
        private struct State {
            var count: UInt64 = 0
            var sum = 0.0
            var recent: [Double] = []
            var next = 0
        }

        /// Quantiles are those of this many observations.
        private static var window: Int { 512 }
        private let state = Mutex(State())

        package func observe(_ value: Double) {
            self.state.withLock { state in
                state.count &+= 1
                state.sum += value
                if state.recent.count < Self.window {
                    state.recent.append(value)
                } else {
                    state.recent[state.next] = value
                    state.next = (state.next + 1) % Self.window
                }
            }
        }

        fileprivate func render(_ name: String, _ labels: [String], into text: inout String) {
            let state = self.state.withLock { $0 }
            let recent = state.recent.sorted()
            for quantile in MetricSummary.quantiles {
                let rank = max(0, min(recent.count - 1, Int((quantile * Double(recent.count)).rounded(.up)) - 1))
                let value = recent.isEmpty ? Double.nan : recent[rank]
                MetricText.sample(name, labels + ["quantile=\"\(quantile)\""], value, into: &text)
            }
            MetricText.sample(name + "_sum", labels, state.sum, into: &text)
            MetricText.sample(name + "_count", labels, Double(state.count), into: &text)
        }
    }

    private let cells: MetricCells<Cell>

    init(name: String, labels: [String]) {
        self.cells = MetricCells(name: name, labels: labels) { Cell() }
    }

    /// The summary of these label values, in the order of the family's labels.
    package func cell(_ labels: String...) -> Cell { self.cells.cell(labels) }

    package func observe(_ value: Double, _ labels: String...) {
        self.cells.cell(labels).observe(value)
    }

    func render(into text: inout String) {
        for (labels, cell) in self.cells.sorted() { cell.render(self.cells.name, labels, into: &text) }
    }
}
