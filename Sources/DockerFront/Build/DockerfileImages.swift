// SPDX-License-Identifier: Apache-2.0

/// An image that a Dockerfile names, and where.
struct DockerfileImage: Sendable, Hashable {
    /// Its name, with variables replaced.
    let name: String
    /// Where it stands: the line, from 0, and the columns, which all that stands for it fills.
    let line: Int
    let columns: Range<Int>
    /// False for a stage, a context or `scratch`, whose computed name is put in place of its variables all the same: builders are not to
    /// compute another.
    var isImage = true
}

/// Finds the images that a build would fetch.
struct DockerfileImages: Sendable {
    /// Names that `--build-context` gives to something else.
    private let contexts: Set<String>
    private var variables: BuildVariables
    private var stages: [String] = []
    private var stageCount = 0
    private var allStages: Set<String> = []
    /// What the stage is called that is being read.
    private var currentStage: String?
    /// What was found, in its order.
    private(set) var images: [DockerfileImage] = []

    /// - Parameters:
    ///   - arguments: what `--build-arg` sets.
    ///   - contexts: the names of `--build-context`, as ``contextName(_:)`` spells them.
    /// - Throws: ``DockerFrontError`` with code `build` for a name that cannot be computed or replaced.
    init(of file: Dockerfile, arguments: [String: String], contexts: Set<String>) throws {
        self.contexts = contexts
        self.variables = BuildVariables(given: arguments)
        if let syntax = file.syntax {
            let name = file.lines[syntax.line][syntax.columns]
            self.images.append(
                DockerfileImage(
                    name: String(decoding: name, as: UTF8.self),
                    line: syntax.line,
                    columns: syntax.columns
                )
            )
        }
        let instructions = file.instructions.map { ($0, DockerfileWords($0.bytes).words) }
        self.allStages = Set(instructions.compactMap { Self.stageName($0.1) })
        for (instruction, words) in instructions { try self.read(instruction, words[...]) }
        try Self.refuseInstructions(inHereDocumentsOf: file)
    }

    /// Builders that know no here-documents take the content for instructions; they stop before they begin if they do not know one.
    private static func refuseInstructions(inHereDocumentsOf file: Dockerfile) throws {
        guard let line = file.hereDocumentLine else { return }
        let isBuilt = file.oldInstructions.allSatisfy { instruction in
            guard let word = DockerfileWords(instruction.bytes).words.first?.text else { return true }
            return self.instructions.contains(word.lowercased()) || !word.utf8.allSatisfy { $0 < 0x80 }
        }
        guard !isBuilt else {
            throw DockerFrontError.dockerfile(
                line,
                "older builders take the content of this here-document for instructions: call its end by another name, such as EOF"
            )
        }
    }

    private static let instructions: Set<String> = [
        "add", "arg", "cmd", "copy", "entrypoint", "env", "expose", "from", "healthcheck", "label", "maintainer",
        "onbuild", "run",
        "shell", "stopsignal", "user", "volume", "workdir",
    ]

    /// A name as BuildKit compares it with those of contexts: without `:latest`.
    static func contextName(_ name: String) -> String {
        name.hasSuffix(":latest") ? String(name.dropLast(":latest".count)) : name
    }

    private mutating func read(_ instruction: Dockerfile.Instruction, _ words: ArraySlice<DockerfileWords.Word>) throws
    {
        guard let first = words.first else { return }
        guard Self.instructions.contains(first.text.lowercased()) else {
            throw DockerFrontError.dockerfile(instruction.line, "unknown instruction: \(first.text)")
        }
        let rest = words.dropFirst()
        if ["FROM", "COPY", "ADD", "RUN"].contains(where: first.is) {
            try Self.refuseDoubtfulFlags(rest, in: instruction)
        }
        if first.is("ONBUILD") {
            guard let trigger = rest.first, !["ONBUILD", "FROM", "MAINTAINER"].contains(where: trigger.is) else {
                throw DockerFrontError.dockerfile(instruction.line, "ONBUILD takes another instruction")
            }
            // What a later stage builds on this one does.
            try self.read(instruction, rest)
        } else if first.is("FROM") {
            try self.readFrom(instruction, rest)
        } else if first.is("ARG"), self.stageCount == 0 {
            try self.variables.declare(rest, in: instruction.bytes, line: instruction.line)
        } else if first.is("COPY") || first.is("ADD") {
            for word in Self.flags(rest) where word.text.lowercased().hasPrefix("--from=") {
                let part = word.bytes.indices.dropFirst("--from=".count)
                try self.readReference(instruction, word, part, takesNumbers: true)
            }
        } else if first.is("RUN") {
            for word in Self.flags(rest) where word.text.lowercased().hasPrefix("--mount") {
                try self.readMount(instruction, word)
            }
        }
    }

    private mutating func readFrom(
        _ instruction: Dockerfile.Instruction,
        _ words: ArraySlice<DockerfileWords.Word>
    ) throws {
        let rest = words.drop { $0.bytes.starts(with: Array("--".utf8)) }
        self.stageCount += 1
        self.currentStage = Self.stageName([DockerfileWords.Word.from] + words)
        defer { if let name = self.currentStage { self.stages.append(name) } }
        guard let word = rest.first else { throw DockerFrontError.dockerfile(instruction.line, "FROM names no image") }
        let raw = String(decoding: instruction.bytes[word.range], as: UTF8.self)
        let name = try self.variables.expand(raw, line: instruction.line)
        guard !name.isEmpty else {
            throw DockerFrontError.dockerfile(instruction.line, "FROM \(raw) names no image")
        }
        let isImage =
            name != "scratch" && !self.stages.contains(name.lowercased())
            && !self.contexts.contains(Self.contextName(name))
        guard isImage || name != raw else { return }
        try self.note(name, instruction, word.range, isImage: isImage)
    }

    /// `--mount=type=bind,from=IMAGE,…`
    private mutating func readMount(_ instruction: Dockerfile.Instruction, _ word: DockerfileWords.Word) throws {
        guard word.bytes.starts(with: Array("--mount=".utf8)) else {
            throw DockerFrontError.dockerfile(
                instruction.line,
                "write --mount=…, so that it can be seen what it takes from where"
            )
        }
        guard !word.bytes.contains(UInt8(ascii: "\"")) else {
            throw DockerFrontError.dockerfile(instruction.line, "quotes inside of --mount: write it without")
        }
        let fields = word.bytes.indices.dropFirst("--mount=".count)
        for field in fields.split(whereSeparator: { word.bytes[$0] == UInt8(ascii: ",") }) {
            let key = String(
                decoding: field.prefix { word.bytes[$0] != UInt8(ascii: "=") }.map { word.bytes[$0] },
                as: UTF8.self
            )
            guard key.trimmingBlanks.lowercased() == "from" else { continue }
            // No number is a stage here.
            try self.readReference(instruction, word, field.dropFirst(key.utf8.count + 1), takesNumbers: false)
        }
    }

    /// An image or a stage in a part of a word.
    private mutating func readReference(
        _ instruction: Dockerfile.Instruction,
        _ word: DockerfileWords.Word,
        _ part: some Collection<Int>,
        takesNumbers: Bool
    ) throws {
        let name = String(decoding: part.map { word.bytes[$0] }, as: UTF8.self)
        guard !name.contains("$") else {
            throw DockerFrontError.dockerfile(instruction.line, "\(name): a variable cannot say where files come from")
        }
        guard name.lowercased() != self.currentStage else {
            throw DockerFrontError.dockerfile(
                instruction.line,
                "\(name) is this very stage for some builders and an image for others"
            )
        }
        // A number is a stage's, also one that is not there.
        if name.isEmpty || name == "scratch" || (takesNumbers && Int(name) != nil) { return }
        if self.stages.contains(name.lowercased()) { return }
        if self.contexts.contains(Self.contextName(name)) { return }
        guard !self.allStages.contains(name.lowercased()) else {
            throw DockerFrontError.dockerfile(
                instruction.line,
                "\(name) is a later stage for some builders and an image for others: move the stage before its use"
            )
        }
        let indices = part.map { word.indices[$0] }
        guard let first = indices.first, let last = indices.last, last - first + 1 == indices.count else {
            throw DockerFrontError.dockerfile(
                instruction.line,
                "\(name): write the name of the image without quotes and escapes"
            )
        }
        try self.note(name, instruction, first..<(last + 1))
    }

    private mutating func note(
        _ name: String,
        _ instruction: Dockerfile.Instruction,
        _ range: Range<Int>,
        isImage: Bool = true
    ) throws {
        let places = instruction.places[range]
        guard let first = places.first, let last = places.last, first.line == last.line,
            last.column - first.column + 1 == places.count
        else {
            throw DockerFrontError.dockerfile(instruction.line, "\(name): write the name of the image on one line")
        }
        self.images.append(
            DockerfileImage(
                name: name,
                line: first.line,
                columns: first.column..<(last.column + 1),
                isImage: isImage
            )
        )
    }

    /// Refuses flags in which builders find blanks and escapes at different places.
    private static func refuseDoubtfulFlags(
        _ words: ArraySlice<DockerfileWords.Word>,
        in instruction: Dockerfile.Instruction
    ) throws {
        let blanks: [UInt8] = [0x85, 0xA0]
        let doubtful = blanks + [UInt8(ascii: "\\"), UInt8(ascii: "`")]
        let flags = words.prefix { $0.bytes.starts(with: Array("--".utf8)) }
        let isDoubtful = flags.contains { instruction.bytes[$0.range].contains(where: doubtful.contains) }
        let next = words.dropFirst(flags.count).first.flatMap { instruction.bytes[$0.range].first }
        guard !isDoubtful, next.map(blanks.contains) != true else {
            throw DockerFrontError.dockerfile(
                instruction.line,
                "escapes or unusual blanks in flags, which builders read differently: write them plainly"
            )
        }
    }

    private static func flags(_ words: ArraySlice<DockerfileWords.Word>) -> ArraySlice<DockerfileWords.Word> {
        words.prefix { $0.bytes.starts(with: Array("--".utf8)) && $0.bytes.count > 2 }
    }

    /// What `FROM … AS` calls a stage.
    private static func stageName(_ words: [DockerfileWords.Word]) -> String? {
        guard let first = words.first, first.is("FROM") else { return nil }
        let rest = words.dropFirst().drop { $0.bytes.starts(with: Array("--".utf8)) }.dropFirst()
        guard rest.count == 2, let word = rest.first, word.is("AS") else { return nil }
        return rest.last?.text.lowercased()
    }
}

extension DockerfileWords.Word {
    fileprivate static let from = DockerfileWords.Word(bytes: Array("FROM".utf8), indices: [], range: 0..<0)
}

extension String {
    fileprivate var trimmingBlanks: String {
        String(self.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
