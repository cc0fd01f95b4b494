// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import Registry
import Settings

/// `hallmark registry collect`
struct RegistryCollect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect",
        abstract: "Remove what nobody needs any more, or say what that is.",
        discussion: """
            Tags that no retention rule keeps, untagged manifests where the settings say so, blobs that no manifest uses, and bytes \
            that pushes have left when they were cut off: what hallmark serve does every hour by itself, and once a day for the \
            bytes. It may serve meanwhile.
            """
    )

    @Flag(name: .customLong("dry-run"), help: "Change nothing: say what would go, and why.")
    var dryRun = false

    @Option(help: ArgumentHelp("How long to wait while another process collects.", valueName: "seconds"))
    var wait = 600

    @OptionGroup var place: RegistryPlaceOptions
    @OptionGroup(title: "Registry: collecting and scrubbing")
    var collection: SettingOptions<CollectionSettings>
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let settings = try self.place.settings(self.collection.given)
        let policy = try CollectionPolicy(settings)
        let events = try EventConfiguration(settings)
        let isJSON = self.output.output == .json
        let progress = StepProgress(isEnabled: !isJSON)
        let lines = CollectedLines(isJSON: isJSON, isShown: self.dryRun || isJSON, progress: progress)
        let (wait, mode) = (self.wait, self.dryRun ? Collector.Mode.dryRun : .collect)
        var observer = ChoreObserver()
        observer.progress = { step, count in progress.show("looking at \(step): \(count)") }
        observer.item = { lines.write($0) }
        let settled = observer
        lines.begin(isDry: self.dryRun)
        let summary = try await ChoreWait.guarding {
            defer { progress.clear() }
            return try await RegistryPlace.with(settings) { place, logger in
                let collector = try await Collector(place.contents(events: events), policy: policy, logger: logger)
                return try await ChoreWait.run(seconds: wait, progress: progress, what: "collects") {
                    try await collector.run(mode, walksStorage: true, observer: settled)
                }
            }
        }
        lines.end(summary, isDry: self.dryRun)
        guard summary.failures == 0 else {
            throw CommandError(
                .failure,
                "\(summary.failures) blobs were taken out of the registry, but their bytes could not be removed: the next "
                    + "collection tries again"
            )
        }
    }
}

/// What a collection did, line by line, as it goes on: there may be millions.
final class CollectedLines: Sendable {
    private let isJSON: Bool
    private let isShown: Bool
    private let progress: StepProgress
    private let isFirst = FirstTime()

    init(isJSON: Bool, isShown: Bool, progress: StepProgress) {
        self.isJSON = isJSON
        self.isShown = isShown
        self.progress = progress
    }

    func begin(isDry: Bool) {
        if self.isJSON { print("{\n\"dryRun\" : \(isDry),\n\"items\" : [", terminator: "") }
    }

    func write(_ item: CollectedItem) {
        guard self.isShown else { return }
        if self.isJSON {
            print(self.isFirst.pass() ? "" : ",")
            print(JSONOutput.text(item), terminator: "")
            return
        }
        self.progress.clear()
        print(TerminalText.line(Self.text(item)))
    }

    func end(_ summary: CollectionSummary, isDry: Bool) {
        if self.isJSON {
            print("\n],\n\"summary\" : \(JSONOutput.text(summary))\n}")
            return
        }
        let verb = isDry ? "Would remove" : "Removed"
        print(
            "\(verb) \(summary.tags) tags, \(summary.manifests) manifests, \(summary.blobs) blobs with \(summary.blobBytes) "
                + "bytes, \(summary.links) links, \(summary.repositories) repositories, and \(summary.orphans) leftovers with "
                + "\(summary.orphanBytes) bytes: \(summary.bytes) bytes in all."
        )
    }

    private static func text(_ item: CollectedItem) -> String {
        let name =
            switch item.kind {
            case .tag: "\(item.repository ?? ""):\(item.tag ?? "") (\(item.digest ?? ""))"
            case .manifest, .link: "\(item.repository ?? "")@\(item.digest ?? "")"
            case .blob: item.digest ?? ""
            case .repository: item.repository ?? ""
            case .bytes: item.location ?? ""
            }
        let size = item.size.map { ", \($0) bytes" } ?? ""
        return "\(item.kind.rawValue) \(name)\(size): \(item.reason)"
    }
}
