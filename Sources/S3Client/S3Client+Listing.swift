// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import HTTPAccess
import NIOHTTP1
import PercentEncoding

/// One object of a list.
package struct S3ListedObject: Sendable, Hashable {
    /// Its key.
    package let key: String
    /// How many bytes it has.
    package let size: Int64
    /// When it was written.
    package let modifiedAt: Date
}

/// A part of a list.
package struct S3ObjectPage: Sendable {
    /// The objects, by key.
    package let objects: [S3ListedObject]
    /// Where the next page begins; nil when this is the last.
    package let next: String?
}

extension S3Client {
    /// A page of the objects whose keys begin so, in the order of their keys (ListObjectsV2).
    /// - Parameters:
    ///   - prefix: what keys begin with.
    ///   - start: ``S3ObjectPage/next`` of the page before.
    ///   - after: a key: what comes after it is listed. Only for the first page.
    ///   - limit: the most objects, up to 1000.
    /// - Throws: ``S3Error``.
    package func listObjects(
        prefix: String,
        from start: String? = nil,
        after: String? = nil,
        limit: Int = 1000
    ) async throws -> S3ObjectPage {
        var request = S3Request(method: .GET, key: nil, action: "listing")
        request.query = [
            ("list-type", "2"), ("prefix", prefix), ("encoding-type", "url"),
            ("max-keys", String(min(max(limit, 1), 1000))),
        ]
        if let start { request.query.append(("continuation-token", start)) }
        if let after { request.query.append(("start-after", after)) }
        let document = try await self.sendForXML(request, expecting: "ListBucketResult")
        let isEncoded = document["EncodingType"]?.text == "url"
        let objects = try document.all("Contents").map { node in
            guard let key = node["Key"].flatMap({ Self.decoded($0.text, isEncoded) }),
                let size = node["Size"].flatMap({ Int64($0.text) }),
                let time = node["LastModified"].flatMap({ Self.time($0.text) })
            else { throw self.invalid(request, "an object of the list has no key, size or time") }
            return S3ListedObject(key: key, size: size, modifiedAt: time)
        }
        let isTruncated = document["IsTruncated"]?.text == "true"
        let next = document["NextContinuationToken"]?.text
        guard !isTruncated || next?.isEmpty == false else {
            throw self.invalid(request, "the list goes on, but it does not say where")
        }
        // Whoever goes from page to page would never come to an end.
        var last = after
        for object in objects {
            guard last.map({ $0.utf8.lexicographicallyPrecedes(object.key.utf8) }) ?? true else {
                throw self.invalid(
                    request,
                    "the list does not go on: \(object.key.printable()) is not after what was listed"
                )
            }
            last = object.key
        }
        guard !isTruncated || next != start else {
            throw self.invalid(request, "the list goes on where it began")
        }
        return S3ObjectPage(objects: objects, next: isTruncated ? next : nil)
    }

    static func decoded(_ text: String, _ isEncoded: Bool) -> String? {
        isEncoded ? PercentCoding.decode(text[...], plusIsSpace: true) : text
    }

    /// `2009-10-12T17:50:30.000Z`, with or without fractions.
    static func time(_ text: String) -> Date? {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains("."))
        return try? style.parse(text)
    }
}
