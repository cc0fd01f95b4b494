// SPDX-License-Identifier: Apache-2.0

/// The machine an image runs on (OCI image index, `platform`).
public struct Platform: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The operating system, in Go's spelling: `linux`, `windows`.
    public var os: String
    /// The processor, in Go's spelling: `amd64`, `arm64`.
    public var architecture: String
    /// The processor's variant: `v7`, `v8`.
    public var variant: String?
    /// The version of the operating system; Windows needs it.
    public var osVersion: String?
    /// Features of the operating system that are needed.
    public var osFeatures: [String]?

    private enum CodingKeys: String, CodingKey {
        case os
        case architecture
        case variant
        case osVersion = "os.version"
        case osFeatures = "os.features"
    }

    /// Puts a platform together as it is, without normalisation.
    public init(
        os: String,
        architecture: String,
        variant: String? = nil,
        osVersion: String? = nil,
        osFeatures: [String]? = nil
    ) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
        self.osVersion = osVersion
        self.osFeatures = osFeatures
    }

    /// Reads a platform; members left out by careless writers are taken as empty.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.os = try container.decodeIfPresent(String.self, forKey: .os) ?? ""
        self.architecture = try container.decodeIfPresent(String.self, forKey: .architecture) ?? ""
        self.variant = try container.decodeIfPresent(String.self, forKey: .variant)
        self.osVersion = try container.decodeIfPresent(String.self, forKey: .osVersion)
        self.osFeatures = try container.decodeIfPresent([String].self, forKey: .osFeatures)
    }

    /// Parses `os/architecture[/variant]`; other spellings of processors (`x86_64`, `aarch64`, `armhf`) become Go's.
    /// - Throws: ``OCIError`` with code `referenceInvalid`.
    public init(_ text: some StringProtocol) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { $0.lowercased() }
        guard (2...3).contains(parts.count),
            parts.allSatisfy({ part in
                (1...64).contains(part.utf8.count)
                    && part.utf8.allSatisfy {
                        (48...57).contains($0) || (97...122).contains($0) || [45, 46, 95].contains($0)
                    }
            })
        else {
            throw OCIError(
                .referenceInvalid,
                "platform \"\(text.prefix(160))\" is not os/architecture or os/architecture/variant, such as linux/arm64/v8"
            )
        }
        self = Platform(os: parts[0], architecture: parts[1], variant: parts.count == 3 ? parts[2] : nil).normalized
    }

    /// The platform this program runs on; containers are Linux's also where the host is not.
    public static var current: Platform {
        #if arch(arm64)
        Platform(os: "linux", architecture: "arm64")
        #elseif arch(arm)
        Platform(os: "linux", architecture: "arm", variant: "v7")
        #else
        Platform(os: "linux", architecture: "amd64")
        #endif
    }

    /// `os/architecture[/variant]`.
    public var description: String {
        "\(self.os)/\(self.architecture)" + (self.variant.map { "/\($0)" } ?? "")
    }

    /// The one spelling of platforms that mean the same: `arm64/v8` is `arm64`, `arm` is `arm/v7`.
    public var normalized: Platform {
        var platform = self
        if platform.variant == "" { platform.variant = nil }
        switch platform.architecture {
        case "x86_64", "x86-64": platform.architecture = "amd64"
        case "aarch64": platform.architecture = "arm64"
        case "i386", "i486", "i586", "i686", "x86": platform.architecture = "386"
        case "armhf": (platform.architecture, platform.variant) = ("arm", "v7")
        case "armel": (platform.architecture, platform.variant) = ("arm", "v6")
        default: break
        }
        switch (platform.architecture, platform.variant) {
        case ("arm64", "v8"), ("arm64", "8"), ("amd64", "v1"): platform.variant = nil
        case ("arm", nil): platform.variant = "v7"
        case ("arm", "5"), ("arm", "6"), ("arm", "7"), ("arm", "8"):
            platform.variant = platform.variant.map { "v" + $0 }
        default: break
        }
        return platform
    }

    /// True when an image for this platform is what somebody asks for who wants `wanted`.
    ///
    /// Variants must be the same after normalisation; a version of the operating system only counts when asked for.
    public func matches(_ wanted: Platform) -> Bool {
        self.suitability(for: wanted) == 0
    }

    /// How well an image for this platform runs on `machine`: 0 exactly, more is worse, nil not at all.
    ///
    /// ARM machines also run images of smaller variants.
    public func suitability(for machine: Platform) -> Int? {
        let (image, machine) = (self.normalized, machine.normalized)
        guard image.os == machine.os, image.architecture == machine.architecture else { return nil }
        if let version = machine.osVersion, let own = image.osVersion, version != own { return nil }
        if image.variant == machine.variant { return 0 }
        guard let own = image.level, let available = machine.level, own <= available else { return nil }
        return available - own
    }

    /// The number of a variant that includes the smaller ones.
    private var level: Int? {
        switch (self.architecture, self.variant) {
        case ("arm64", nil): 8
        case ("amd64", nil): 1
        case ("arm", .some(let variant)), ("amd64", .some(let variant)), ("arm64", .some(let variant)):
            variant.hasPrefix("v") ? Int(variant.dropFirst()) : nil
        default: nil
        }
    }
}
