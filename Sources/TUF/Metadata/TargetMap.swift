// SPDX-License-Identifier: Apache-2.0

/// The targets of a role by their paths, in the order of the paths' bytes.
///
/// What was read stays the bytes that were verified, and an index into them: a target becomes a value when somebody asks for
/// it. What is set or removed lies over them, so that to write a million targets with one more is to copy bytes. Paths are
/// compared byte for byte.
public struct TargetMap: Sendable {
    /// A path, and what is said of it.
    public typealias Element = (key: String, value: TargetFile)

    enum Edit: Sendable {
        case set(TargetFile)
        case removed
    }

    /// A path that equals another when its bytes do.
    struct Path: Hashable, Comparable {
        let text: String

        static func == (left: Path, right: Path) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

        static func < (left: Path, right: Path) -> Bool {
            left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
        }

        func hash(into hasher: inout Hasher) {
            var text = self.text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    /// What was read, if anything was.
    let index: TargetIndex?
    /// What has been set since, and what has been removed of what was read.
    private(set) var edits: [Path: Edit] = [:]
    /// The number of targets.
    public private(set) var count: Int

    /// No targets.
    public init() {
        self.index = nil
        self.count = 0
    }

    /// The same targets.
    public init(_ files: ByteOrderedMap<TargetFile>) {
        self.init()
        for (path, file) in files { self[path] = file }
    }

    /// Takes what was read.
    /// - Throws: ``TUFError`` with code `malformed` or `invalid` when a member is not a target.
    init(_ index: TargetIndex) throws {
        try index.check()
        self.index = index
        self.count = index.count
    }

    /// What is said of exactly this path; nil when it is not among the targets.
    public subscript(path: String) -> TargetFile? {
        get {
            switch self.edits[Path(text: path)] {
            case .set(let file): return file
            case .removed: return nil
            case .none:
                guard let found = self.index?.find(path), found.isThere else { return nil }
                return self.index?.file(found.index)
            }
        }
        set {
            let wasRead = self.index?.find(path).isThere ?? false
            let before: Bool
            switch self.edits[Path(text: path)] {
            case .set: before = true
            case .removed: before = false
            case .none: before = wasRead
            }
            if let newValue {
                self.edits[Path(text: path)] = .set(newValue)
            } else {
                self.edits[Path(text: path)] = wasRead ? .removed : nil
            }
            self.count += (newValue == nil ? 0 : 1) - (before ? 1 : 0)
        }
    }

    /// Whether there are none.
    public var isEmpty: Bool { self.count == 0 }

    /// The paths in order.
    public var keys: [String] { self.map(\.key) }

    /// The targets in the order of their paths.
    public var values: [TargetFile] { self.map(\.value) }

    /// What was edited, in order.
    var sortedEdits: [(path: Path, edit: Edit)] {
        self.edits.map { (path: $0.key, edit: $0.value) }.sorted { $0.path < $1.path }
    }
}

extension TargetMap: Sequence {
    /// Goes through the targets in the order of their paths.
    public struct Iterator: IteratorProtocol {
        private let index: TargetIndex?
        private let edits: [(path: Path, edit: Edit)]
        private var nextIndex = 0
        private var nextEdit = 0

        init(_ map: TargetMap) {
            self.index = map.index
            self.edits = map.sortedEdits
        }

        /// The next target.
        public mutating func next() -> Element? {
            while true {
                let read = self.nextRead
                guard self.nextEdit < self.edits.count else {
                    guard let read else { return nil }
                    self.nextIndex += 1
                    guard let file = self.index?.file(self.nextIndex - 1) else { continue }
                    return (read.text, file)
                }
                let (path, edit) = self.edits[self.nextEdit]
                if let read, read < path {
                    self.nextIndex += 1
                    guard let file = self.index?.file(self.nextIndex - 1) else { continue }
                    return (read.text, file)
                }
                self.nextEdit += 1
                if read == path { self.nextIndex += 1 }
                if case .set(let file) = edit { return (path.text, file) }
            }
        }

        private var nextRead: Path? {
            guard let index = self.index, self.nextIndex < index.count else { return nil }
            return Path(text: index.path(self.nextIndex))
        }
    }

    /// Goes through the targets in the order of their paths.
    public func makeIterator() -> Iterator { Iterator(self) }

    /// The number of targets.
    public var underestimatedCount: Int { self.count }
}

extension TargetMap: Hashable {
    /// Same paths, byte for byte, with equal targets.
    public static func == (left: Self, right: Self) -> Bool {
        guard left.count == right.count else { return false }
        if left.edits.isEmpty, right.edits.isEmpty, let first = left.index, let second = right.index,
            first.format == second.format
        {
            let members = (first.bytes[first.range(0..<first.count)], second.bytes[second.range(0..<second.count)])
            if members.0.span.bytes.isEqual(to: members.1.span.bytes) { return true }
        }
        return left.elementsEqual(right) { $0.key.utf8.elementsEqual($1.key.utf8) && $0.value == $1.value }
    }

    /// Hashes the paths.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.count)
        for element in self { hasher.combine(Path(text: element.key)) }
    }
}

extension TargetMap: ExpressibleByDictionaryLiteral {
    /// Targets by their paths; the last of equal paths wins.
    public init(dictionaryLiteral elements: (String, TargetFile)...) {
        self.init()
        for (path, file) in elements { self[path] = file }
    }
}
