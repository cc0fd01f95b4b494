// SPDX-License-Identifier: Apache-2.0

@testable import TUF

/// What holds of every input of the decoders. The fuzzer looks for one of which it does not; the tests ask it of what the
/// fuzzer has found worth keeping.
enum DecoderProperties {
    /// What does not hold of an input; nil when all does.
    static func violation(of bytes: [UInt8]) -> String? {
        if let violation = self.documentViolation(bytes) { return violation }
        for format in [WireFormat.notary, .tuf] {
            if let violation = self.fileViolation(bytes, format) { return violation }
        }
        return nil
    }

    private static func documentViolation(_ bytes: [UInt8]) -> String? {
        var scanner = CanonicalScanner(at: 0, allowsControlCharacters: false)
        let isCanonical = scanner.value(bytes.span.bytes, depth: 0) && scanner.position == bytes.count
        guard let canonical = try? CanonicalTranscoder.canonical(bytes.span.bytes) else {
            if isCanonical { return "what is refused is canonical" }
            return (try? JSONParser.parse(bytes)) == nil ? nil : "what is refused is parsed"
        }
        guard isCanonical == (bytes == canonical) else { return "what is canonical is not its own canonical form" }
        guard canonical.count <= 2 * bytes.count + 16 else { return "the canonical form is much longer" }
        guard let value = try? JSONParser.parse(bytes) else { return "what has a canonical form is not parsed" }
        guard CanonicalJSON.encode(value) == canonical else { return "the canonical form is not that of the value" }
        let wire = CanonicalJSON.encodeForWire(value)
        guard (try? JSONParser.parse(wire)) == value else { return "what is written is not what was read" }
        return nil
    }

    private static func fileViolation(_ bytes: [UInt8], _ format: WireFormat) -> String? {
        guard let envelope = try? MetadataEnvelope(bytes, format: format) else {
            return (try? UnverifiedMetadata(bytes, format: format)) == nil ? nil : "a file without an envelope is read"
        }
        guard let value = try? JSONParser.parse(bytes[envelope.signedRange]) else { return "signed is not JSON" }
        guard CanonicalJSON.encode(value)[...] == envelope.signed.canonical else { return "other bytes are signed" }
        guard envelope.signed.value == value else { return "what is signed is read as something else" }
        _ = try? Root(envelope.signed, format: format)
        guard (try? Snapshot(envelope.signed, format: format)) == (try? Snapshot(value, format: format)) else {
            return "a snapshot is read otherwise as a value"
        }
        _ = try? Timestamp(envelope.signed, format: format)
        if let metadata = try? UnverifiedMetadata(bytes, format: format) { try? metadata.checkClaims() }
        return self.targetsViolation(envelope.signed, value, format)
    }

    private static func targetsViolation(_ signed: SignedObject, _ value: JSONValue, _ format: WireFormat) -> String? {
        let asValue = try? Targets(value, format: format)
        guard var targets = try? Targets(signed, format: format) else {
            return asValue == nil ? nil : "targets are refused as bytes and read as a value"
        }
        guard let asValue, targets == asValue else { return "targets are read otherwise as a value" }
        let files = Array(targets.targets)
        guard files.count == targets.targets.count else { return "a target is not listed" }
        for (path, file) in files where targets.targets[path] != file { return "a target is not found" }
        targets.targets["new"] = files.first?.value ?? TargetFile(length: 1, hashes: Hashes(sha256: [1]))
        if let path = files.last?.key { targets.targets[path] = nil }
        guard let edited = SignedObject(canonical: targets.canonical(format: format), format: format),
            let read = try? Targets(edited, format: format), read.targets == targets.targets
        else { return "edited targets are not read as they were written" }
        return nil
    }
}
