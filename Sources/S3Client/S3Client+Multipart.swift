// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import HTTPAccess
import NIOHTTP1
import PercentEncoding

/// A part of a multipart upload that the storage has.
package struct S3Part: Sendable, Hashable {
    /// From 1 to 10,000; decides the order.
    package let number: Int
    /// What the storage called it.
    package let etag: String
    /// How many bytes it has, where that was said.
    package let size: Int64?

    /// - Parameters:
    ///   - number: from 1 to 10,000.
    ///   - etag: what the storage called it.
    ///   - size: how many bytes it has, if known.
    package init(number: Int, etag: String, size: Int64? = nil) {
        self.number = number
        self.etag = etag
        self.size = size
    }
}

/// A multipart upload that has neither been completed nor aborted.
package struct S3OpenUpload: Sendable, Hashable {
    /// The key of the object that it will be.
    package let key: String
    /// Its id.
    package let id: String
    /// When it began.
    package let initiatedAt: Date
}

/// A part of a list of open uploads.
package struct S3UploadPage: Sendable {
    /// The uploads, by key.
    package let uploads: [S3OpenUpload]
    /// Where the next page begins; nil when this is the last.
    package let next: Marker?

    /// A place in the list.
    package struct Marker: Sendable, Hashable {
        let key: String
        let id: String
    }
}

extension S3Client {
    /// The most parts of one object.
    package static var maximumParts: Int { 10_000 }
    /// The least bytes of a part that is not the last.
    package static var minimumPartSize: Int { 5 << 20 }

    /// Begins an object of parts. Should the reply be lost and the request be repeated, an upload stays open that nobody
    /// knows: ``listUploads(prefix:from:)`` finds it.
    /// - Returns: the upload's id.
    /// - Throws: ``S3Error``.
    package func createMultipartUpload(_ key: String) async throws -> String {
        var request = S3Request(method: .POST, key: key, query: [("uploads", "")], action: "beginning parts of")
        request.headers = ["Content-Type": "application/octet-stream"]
        let document = try await self.sendForXML(request, expecting: "InitiateMultipartUploadResult")
        guard let id = document["UploadId"]?.text, !id.isEmpty, id.utf8.count <= 2048 else {
            throw self.invalid(request, "the reply names no upload")
        }
        return id
    }

    /// Writes a part; the same number again writes over it.
    /// - Throws: ``S3Error``; `noSuchUpload` when the upload has ended.
    package func uploadPart(_ key: String, upload: String, number: Int, _ payload: S3Payload) async throws -> S3Part {
        var request = S3Request(
            method: .PUT,
            key: key,
            query: [("partNumber", String(number)), ("uploadId", upload)],
            action: "writing part \(number) of"
        )
        request.body = payload
        let reply = try await self.sendForHead(request)
        guard let etag = reply.headers.first(name: "ETag"), Self.isPlausible(etag: etag) else {
            throw self.invalid(request, "the reply has no ETag")
        }
        return S3Part(number: number, etag: etag, size: Int64(payload.count))
    }

    /// Makes a part of another object of the bucket.
    /// - Throws: ``S3Error``; `noSuchKey` when the other object is not there.
    package func uploadPartCopy(_ key: String, upload: String, number: Int, from source: String) async throws -> S3Part
    {
        var request = S3Request(
            method: .PUT,
            key: key,
            query: [("partNumber", String(number)), ("uploadId", upload)],
            action: "copying part \(number) of"
        )
        let path = "/" + self.configuration.bucket + "/" + source
        request.headers = ["x-amz-copy-source": PercentCoding.encode(path, keeping: "/")]
        request.timeout = Self.completionTimeout
        let document = try await self.sendForXML(request, expecting: "CopyPartResult")
        guard let etag = document["ETag"]?.text, Self.isPlausible(etag: etag) else {
            throw self.invalid(request, "the reply has no ETag")
        }
        return S3Part(number: number, etag: etag)
    }

    /// Makes the object of its parts.
    ///
    /// When the reply to a request that succeeded was lost, its repetition finds no upload: whether the object is there
    /// is then for the caller to look at.
    /// - Throws: ``S3Error``; `noSuchUpload`, `invalidPart`.
    package func completeMultipartUpload(_ key: String, upload: String, parts: [S3Part]) async throws {
        var request = S3Request(method: .POST, key: key, query: [("uploadId", upload)], action: "joining the parts of")
        let list = parts.sorted { $0.number < $1.number }.map { part in
            "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(part.etag.escapedForXML)</ETag></Part>"
        }.joined()
        try request.setXML(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
                + "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\(list)"
                + "</CompleteMultipartUpload>"
        )
        request.timeout = Self.completionTimeout
        // Clients that read no root element have let storage get away with the other name.
        _ = try await self.sendForXML(
            request,
            expecting: "CompleteMultipartUploadResult",
            or: "CompleteMultipartUploadResponse"
        )
    }

    /// Drops a multipart upload and its parts; one that is not there is no error.
    /// - Throws: ``S3Error``.
    package func abortMultipartUpload(_ key: String, upload: String) async throws {
        let request = S3Request(
            method: .DELETE,
            key: key,
            query: [("uploadId", upload)],
            action: "dropping the parts of"
        )
        do {
            try await self.sendForHead(request)
        } catch let error as S3Error where error.code == .noSuchUpload || error.code == .noSuchKey {
            return
        }
    }

    /// A page of the multipart uploads that are open.
    /// - Parameters:
    ///   - prefix: what keys begin with.
    ///   - start: ``S3UploadPage/next`` of the page before.
    /// - Throws: ``S3Error``.
    package func listUploads(prefix: String, from start: S3UploadPage.Marker? = nil) async throws -> S3UploadPage {
        var request = S3Request(method: .GET, key: nil, action: "listing the open uploads of")
        request.query = [("uploads", ""), ("prefix", prefix), ("encoding-type", "url"), ("max-uploads", "1000")]
        if let start { request.query += [("key-marker", start.key), ("upload-id-marker", start.id)] }
        let document = try await self.sendForXML(request, expecting: "ListMultipartUploadsResult")
        let isEncoded = document["EncodingType"]?.text == "url"
        let uploads = try document.all("Upload").map { node in
            guard let key = node["Key"].flatMap({ Self.decoded($0.text, isEncoded) }), let id = node["UploadId"]?.text,
                let time = node["Initiated"].flatMap({ Self.time($0.text) })
            else { throw self.invalid(request, "an upload of the list has no key, id or time") }
            return S3OpenUpload(key: key, id: id, initiatedAt: time)
        }
        guard document["IsTruncated"]?.text == "true" else { return S3UploadPage(uploads: uploads, next: nil) }
        guard let key = document["NextKeyMarker"].flatMap({ Self.decoded($0.text, isEncoded) }),
            let id = document["NextUploadIdMarker"]?.text, !key.isEmpty
        else { throw self.invalid(request, "the list goes on, but it does not say where") }
        let next = S3UploadPage.Marker(key: key, id: id)
        if let start, next == start || next.key.utf8.lexicographicallyPrecedes(start.key.utf8) {
            throw self.invalid(request, "the list goes on where it was already")
        }
        return S3UploadPage(uploads: uploads, next: next)
    }

    private static func isPlausible(etag: String) -> Bool {
        (1...256).contains(etag.utf8.count) && etag.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }
}
