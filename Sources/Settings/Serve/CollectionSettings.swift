// SPDX-License-Identifier: Apache-2.0

/// What the registry removes by itself, and how it looks after what it keeps.
package enum CollectionSettings: SettingGroup {
    package static let title = "Registry: collecting and scrubbing"
    package static let settings = [
        Self.interval.declaration, Self.grace.declaration, Self.untagged.declaration, Self.referrers.declaration,
        Self.rules.declaration, Self.keepsRepositories.declaration, Self.leftovers.declaration,
        Self.scrubInterval.declaration,
        Self.scrubRate.declaration,
    ]

    package static let interval = Setting(
        "registry.collect.every",
        .durationOrNever(.seconds(1) ... .seconds(365 * 86_400)),
        default: .duration(.seconds(3_600)),
        help: "How often to collect what nobody needs any more, while serving; or never."
    )

    package static let grace = Setting(
        "registry.collect.grace",
        .duration(.seconds(1) ... .seconds(365 * 86_400)),
        default: .seconds(86_400),
        help:
            "How long a blob stays that no manifest uses, since a client was last told that it is there: longer than any "
            + "push takes. The same for all instances."
    )

    package static let untagged = Setting(
        "registry.collect.untagged",
        .durationOrNever(.seconds(1) ... .seconds(100 * 365 * 86_400)),
        default: .never,
        help:
            "After how long without a push or pull untagged manifests go, but for those of an index or about an image "
            + "that stays; or never."
    )

    package static let referrers = Setting(
        "registry.collect.referrers",
        .flag,
        default: false,
        help: "Also remove signatures and other referrers whose image somebody has deleted: not where they are kept "
            + "for images elsewhere."
    )

    package static let rules = Setting(
        "registry.collect.rules",
        .file,
        otherwise: "every tag stays",
        help: "Which tags stay, a YAML file of rules."
    )

    package static let keepsRepositories = Setting(
        "registry.collect.keep-empty",
        .flag,
        default: false,
        help: "Remember repositories that have nothing any more."
    )

    package static let leftovers = Setting(
        "registry.collect.leftovers",
        .duration(.seconds(1) ... .seconds(365 * 86_400)),
        default: .seconds(86_400),
        help: "How old bytes must be that no blob names, as a push that was cut off leaves them, before they go."
    )

    package static let scrubInterval = Setting(
        "registry.scrub.every",
        .durationOrNever(.seconds(60) ... .seconds(10 * 365 * 86_400)),
        default: .never,
        help: "How often to read every blob and see whether it is what its digest says, while serving; or never."
    )

    package static let scrubRate = Setting(
        "registry.scrub.rate",
        .size(64 * 1024...64 << 30),
        default: 32 << 20,
        help: "The most bytes of blobs that are read in a second to see whether they are right."
    )
}

/// A time span, or none.
package enum DurationOrNever: Sendable, Hashable {
    case never
    case duration(Duration)

    /// In whole seconds; nil for never.
    package var seconds: Int64? {
        if case .duration(let duration) = self { duration.components.seconds } else { nil }
    }
}

extension SettingType where Value == DurationOrNever {
    /// A time span, or `never`.
    static func durationOrNever(_ range: ClosedRange<Duration>) -> Self {
        .word(
            "duration, or `never`",
            expected: "never, or a time from \(TimeSpan.text(range.lowerBound)) to \(TimeSpan.text(range.upperBound)), "
                + "such as 15m, 12h or 14d",
            placeholder: "time",
            text: { if case .duration(let duration) = $0 { TimeSpan.text(duration) } else { "never" } },
            parse: { word in
                guard word != "never" else { return .never }
                return TimeSpan.parse(word).flatMap { range.contains($0) ? .duration($0) : nil }
            }
        )
    }
}
