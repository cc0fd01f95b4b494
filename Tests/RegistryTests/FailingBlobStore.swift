// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import HTTPService
import NIOCore
import OCI
import Synchronization

@testable import Registry

/// Says at which steps a store fails.
final class FailureInjector: Sendable {
    enum Step: String, Sendable, CaseIterable {
        case create
        case write
        case truncate
        case sync
        /// Before anything of placing a blob is done.
        case beforePlace
        /// After a blob is in its place and durable: what a crash before the database's commit leaves.
        case afterPlace
        case removeUpload
        case openBlob
    }

    /// The system's error number, by step.
    let failing = Mutex<[Step: CInt]>([:])
    /// Called before each write; may wait.
    let beforeWrite = Mutex<(@Sendable () async -> Void)?>(nil)
    let counts = Mutex<[Step: Int]>([:])
    /// The most memory that the buffers of one write took, in bytes.
    let mostMemory = Mutex(0)

    func fail(_ step: Step, _ number: CInt = EIO) { self.failing.withLock { $0[step] = number } }
    func heal() { self.failing.withLock { $0 = [:] } }

    func pass(_ step: Step) throws {
        self.counts.withLock { $0[step, default: 0] += 1 }
        if let number = self.failing.withLock({ $0[step] }) {
            throw FileSystemError(operation: step.rawValue, path: "injected", number: number)
        }
    }
}

/// Files that fail when a test wants it.
struct FailingBlobStore: BlobStore {
    let files: FileBlobStore
    let injector: FailureInjector

    init(_ files: FileBlobStore, _ injector: FailureInjector) {
        self.files = files
        self.injector = injector
    }

    struct Upload: BlobUpload {
        let file: any BlobUpload
        let injector: FailureInjector
        var key: UploadKey { self.file.key }
        var initialSize: Int64 { self.file.initialSize }

        func write(_ buffers: [ByteBuffer], at offset: Int64, hasher: Digest.Hasher?) async throws -> Digest.Hasher? {
            let memory = buffers.reduce(0) { $0 + $1.storageCapacity }
            self.injector.mostMemory.withLock { $0 = max($0, memory) }
            if let wait = self.injector.beforeWrite.withLock({ $0 }) { await wait() }
            do {
                try self.injector.pass(.write)
            } catch {
                // A disk fills up in the middle of a write, not before it.
                _ = try await self.file.write([ByteBuffer(string: "torn")], at: offset, hasher: nil)
                throw error
            }
            return try await self.file.write(buffers, at: offset, hasher: hasher)
        }
        func settle(at size: Int64) async { await self.file.settle(at: size) }
        func truncate(to offset: Int64) async throws {
            try self.injector.pass(.truncate)
            try await self.file.truncate(to: offset)
        }
        func sync() async throws {
            try self.injector.pass(.sync)
            try await self.file.sync()
        }
        func hash(size: Int64, algorithm: Digest.Algorithm) async throws -> Digest.Hasher {
            try await self.file.hash(size: size, algorithm: algorithm)
        }
        func close() async { await self.file.close() }
    }

    func createUpload(_ key: UploadKey) async throws -> any BlobUpload {
        try self.injector.pass(.create)
        return try await Upload(file: self.files.createUpload(key), injector: self.injector)
    }
    func openUpload(_ key: UploadKey) async throws -> (any BlobUpload)? {
        try await self.files.openUpload(key).map { Upload(file: $0, injector: self.injector) }
    }
    func uploadSize(_ key: UploadKey) async throws -> Int64? { try await self.files.uploadSize(key) }
    func removeUpload(_ key: UploadKey) async throws -> Bool {
        try self.injector.pass(.removeUpload)
        return try await self.files.removeUpload(key)
    }
    func removeUploads(lastWrittenBefore time: Date) async throws -> Int {
        try await self.files.removeUploads(lastWrittenBefore: time)
    }
    func place(_ upload: any BlobUpload, as digest: Digest) async throws -> BlobLocation {
        try self.injector.pass(.beforePlace)
        let inner = (upload as? Upload)?.file ?? upload
        let location = try await self.files.place(inner, as: digest)
        try self.injector.pass(.afterPlace)
        return location
    }
    func size(at location: BlobLocation) async throws -> Int64? { try await self.files.size(at: location) }
    func body(at location: BlobLocation, size: Int64, range: Range<Int64>) async throws -> HTTPResponse.Body? {
        try self.injector.pass(.openBlob)
        return try await self.files.body(at: location, size: size, range: range)
    }
    func read(at location: BlobLocation, range: Range<Int64>) async throws -> ByteBuffer? {
        try await self.files.read(at: location, range: range)
    }
    func remove(at location: BlobLocation) async throws { try await self.files.remove(at: location) }
    func page(after location: BlobLocation?, limit: Int) async throws -> [StoredBytes] {
        try await self.files.page(after: location, limit: limit)
    }
    func close() async throws { try await self.files.close() }
    var place: String { self.files.place }
    func identity() async throws -> String? { try await self.files.identity() }
    func setIdentity(_ identity: String) async throws { try await self.files.setIdentity(identity) }
}
