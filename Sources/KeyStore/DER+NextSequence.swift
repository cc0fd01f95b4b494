// SPDX-License-Identifier: Apache-2.0

import SwiftASN1

extension DER {
    /// Parses the next of the nodes as a SEQUENCE.
    static func nextSequence<Result>(
        of nodes: inout ASN1NodeCollection.Iterator,
        _ builder: (inout ASN1NodeCollection.Iterator) throws -> Result
    ) throws -> Result {
        guard let node = nodes.next() else { throw ASN1Error.invalidASN1Object(reason: "a SEQUENCE is missing") }
        return try DER.sequence(node, identifier: .sequence, builder)
    }
}
