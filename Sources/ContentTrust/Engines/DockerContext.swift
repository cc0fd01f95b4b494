// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
import Foundation
import TUF

/// Docker's contexts: engines by name, below its directory.
enum DockerContext {
    private static let limit = 1 << 20

    /// Where the engine of a context listens.
    /// - Parameters:
    ///   - name: the context; nil for the one that Docker's configuration says is in use.
    ///   - directory: Docker's directory.
    /// - Returns: nil for the default one, or one that is not known.
    static func host(named name: String?, in directory: String) -> String? {
        let used = name ?? self.json("\(directory)/config.json")?["currentContext"]?.string
        guard let used, !used.isEmpty, used != "default" else { return nil }
        let id = SHA256.hash(data: Data(used.utf8)).map { Hexadecimal.encode([$0]) }.joined()
        let host = self.json("\(directory)/contexts/meta/\(id)/meta.json")?["Endpoints"]?["docker"]?["Host"]?.string
        return host.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func json(_ path: String) -> JSONValue? {
        guard let bytes = try? DurableFile.read(path, limit: self.limit) else { return nil }
        return try? JSONParser.parse(bytes)
    }
}
