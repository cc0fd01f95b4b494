// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import FoundationEssentials
import HTTPService
package import Logging
import NIOHTTP1
import ServiceLifecycle
import Synchronization
import X509

/// Says what tokens are worth.
///
/// A token counts when a trusted key signed it: one of the certificates or of the key set, found by the token's `kid`, or
/// the first certificate of its `x5c` or its `jwk` if that is trusted itself; or the key of the first certificate of its
/// `x5c` if that leads to a trusted CA. Which algorithms may be used follows from the key, never from the token. A trusted
/// certificate pins its key: its dates matter only for certificates below it.
///
/// As a service it looks after its files, and forgets what it verified when they change.
package final class TokenVerifier: Service, Sendable {
    private struct State {
        var keys: TrustedTokenKeys
        var material: Material?
        /// When the files were last looked at because of a key that nobody knew.
        var looked = ContinuousClock.now
    }

    private struct Material: Sendable, Equatable {
        let certificates: [UInt8]?
        let keySet: [UInt8]?
    }

    package let configuration: AuthenticationConfiguration
    private let now: @Sendable () -> Date
    private let sleep: @Sendable (Duration) async throws -> Void
    private let logger: Logger
    private let verified: VerifiedTokens
    private let state: Mutex<State>
    private let redirection = Mutex<(@Sendable (_ host: String?) -> String)?>(nil)

    /// A verifier with the keys of the configuration's files.
    /// - Parameters:
    ///   - configuration: Whose tokens count, and the files with the keys.
    ///   - logger: Is told of files that cannot be read later, and of tokens that are refused.
    ///   - now: The time that tokens and certificates are compared with.
    ///   - sleep: Waits for that long; tests give their own.
    /// - Throws: ``TokenError`` that names the setting or the file, and what is wrong with it.
    package static func load(
        _ configuration: AuthenticationConfiguration,
        logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() },
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) async throws -> TokenVerifier {
        guard configuration.certificateBundle != nil || configuration.keySet != nil else {
            throw TokenError(
                .configuration,
                "without a certificate bundle or a key set of the token service no token can be verified"
            )
        }
        let (material, keys) = try await BlockingWork.run { try Self.read(configuration) }
        Self.warn(of: keys, at: now(), logger)
        return try TokenVerifier(configuration, keys, material, logger, now, sleep)
    }

    /// A verifier with keys that are known otherwise, as those of a token service in the same process. The files of the
    /// configuration are not read.
    /// - Throws: ``TokenError`` that names the setting.
    package convenience init(
        _ configuration: AuthenticationConfiguration,
        keys: TrustedTokenKeys,
        logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws {
        try self.init(configuration, keys, nil, logger, now) { try await Task.sleep(for: $0) }
    }

    private init(
        _ configuration: AuthenticationConfiguration,
        _ keys: TrustedTokenKeys,
        _ material: Material?,
        _ logger: Logger,
        _ now: @escaping @Sendable () -> Date,
        _ sleep: @escaping @Sendable (Duration) async throws -> Void
    ) throws {
        try configuration.validate()
        self.configuration = configuration
        self.now = now
        self.sleep = sleep
        self.logger = logger
        self.verified = VerifiedTokens(limit: configuration.cacheSize)
        self.state = Mutex(State(keys: keys, material: material))
    }

    // MARK: Verifying

    /// What a token says, if it was verified before and holds now. Does not block.
    package func claimsInMemory(of token: Substring) -> JSONWebToken.Claims? {
        guard token.utf8.count <= JSONWebToken.maximumLength, let claims = self.verified[VerifiedTokens.Key(token)],
            (try? self.check(claims)) != nil
        else { return nil }
        return claims
    }

    /// What a token says, if it holds now. Computes elsewhere than on the caller's executor.
    /// - Throws: ``TokenError`` that says why it does not.
    package func claims(of token: Substring) async throws(TokenError) -> JSONWebToken.Claims {
        guard token.utf8.count <= JSONWebToken.maximumLength else {
            throw TokenError(.malformed, "the token is longer than \(JSONWebToken.maximumLength) bytes")
        }
        let key = VerifiedTokens.Key(token)
        if let claims = self.verified[key] {
            try self.check(claims)
            return claims
        }
        let unverified = try JSONWebToken.Unverified(token)
        let generation = self.verified.generation
        let claims: JSONWebToken.Claims
        do {
            claims = try await self.verify(unverified)
        } catch  where error.code == .unknownKey {
            // The token service may have a new key that the files have already.
            guard await self.refreshForUnknownKey() else { throw error }
            return try await self.claims(of: token)
        }
        try self.check(claims)
        self.verified.insert(claims, key, length: token.utf8.count, generation: generation)
        return claims
    }

    private func verify(_ token: JSONWebToken.Unverified) async throws(TokenError) -> JSONWebToken.Claims {
        let keys = self.state.withLock { $0.keys }
        let now = self.now()
        let result = await withTaskExecutorPreference(globalConcurrentExecutor) {
            await Self.verify(token, with: keys, at: now)
        }
        return try result.get()
    }

    private static func verify(
        _ token: JSONWebToken.Unverified,
        with keys: TrustedTokenKeys,
        at now: Date
    ) async -> Result<JSONWebToken.Claims, TokenError> {
        var failure = TokenError(.unknownKey, "none of the token's keys is trusted")
        if let entry = keys.entry(of: token.header) {
            do throws(TokenError) {
                return .success(try token.claims(signedBy: entry))
            } catch {
                failure = error
            }
        }
        guard let certificates = token.header.certificates else { return .failure(failure) }
        do {
            let key = try await CertificateChain.key(of: certificates, roots: keys.roots, at: now)
            return .success(try token.claims(signedBy: key))
        } catch let error as TokenError {
            // What is wrong with a key that is trusted says more than that another is not.
            return .failure(failure.code == .unknownKey ? error : failure)
        } catch {
            return .failure(failure)
        }
    }

    /// Everything of verified claims that time and this server's settings decide.
    private func check(_ claims: JSONWebToken.Claims) throws(TokenError) {
        guard claims.issuer.utf8.elementsEqual(self.configuration.issuer.utf8) else {
            throw TokenError(
                .issuer,
                "the token is from \"\(claims.issuer.prefix(256))\", not from \"\(self.configuration.issuer)\""
            )
        }
        guard claims.audience.contains(where: { $0.utf8.elementsEqual(self.configuration.service.utf8) }) else {
            throw TokenError(
                .audience,
                """
                the token is for "\(claims.audience.joined(separator: ", ").prefix(256))", not for \
                "\(self.configuration.service)"
                """
            )
        }
        let now = Int64(self.now().timeIntervalSince1970)
        guard now - self.configuration.leeway < claims.expires else {
            throw TokenError(.expired, "the token ended at \(claims.expires), it is \(now) (seconds since 1970)")
        }
        guard now + self.configuration.leeway >= claims.notBefore else {
            throw TokenError(.notYetValid, "the token begins at \(claims.notBefore), it is \(now) (seconds since 1970)")
        }
    }

    // MARK: Where tokens are

    /// Sends clients to another realm than the configuration's from now on: one that follows from the `Host` they asked.
    package func sendClients(to realm: @escaping @Sendable (_ host: String?) -> String) {
        self.redirection.withLock { $0 = realm }
    }

    /// The realm of the challenge to a request.
    func realm(for request: HTTPRequest) -> String {
        let redirection = self.redirection.withLock { $0 }
        return redirection?(request.headers.first(name: "Host")) ?? self.configuration.realm(for: request)
    }

    // MARK: Keys

    /// Trusts these keys from now on and no others, and forgets what others signed.
    package func replaceKeys(_ keys: TrustedTokenKeys) {
        self.state.withLock { $0.keys = keys }
        self.verified.removeAll()
    }

    /// Looks whether the files have changed.
    /// - Returns: true when there are other keys now.
    /// - Throws: ``TokenError`` that names the file; the keys stay what they are.
    @discardableResult
    package func refresh() async throws -> Bool {
        guard let known = self.state.withLock({ $0.material }) else { return false }
        let configuration = self.configuration
        let read = try await BlockingWork.run { () -> (Material, TrustedTokenKeys)? in
            let (material, keys) = try Self.read(configuration, unless: known)
            return keys.map { (material, $0) }
        }
        guard let (material, keys) = read else { return false }
        self.state.withLock { $0.material = material }
        self.replaceKeys(keys)
        Self.warn(of: keys, at: self.now(), self.logger)
        self.logger.notice("the keys of the token service were replaced")
        return true
    }

    /// At most once in two seconds, whatever is sent.
    private func refreshForUnknownKey() async -> Bool {
        let now = ContinuousClock.now
        let isDue = self.state.withLock { state in
            guard state.material != nil, now - state.looked >= .seconds(2) else { return false }
            state.looked = now
            return true
        }
        guard isDue else { return false }
        return await self.refreshOrLog()
    }

    private func refreshOrLog() async -> Bool {
        do {
            return try await self.refresh()
        } catch {
            self.logger.error("the keys of the token service cannot be read", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Refreshes until the service group shuts down or the task is cancelled. A failure is logged, and tried again.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do { try await self.sleep(self.configuration.refreshInterval) } catch { break }
                _ = await self.refreshOrLog()
            }
        }
    }

    private static func read(_ configuration: AuthenticationConfiguration) throws -> (Material, TrustedTokenKeys) {
        let (material, keys) = try self.read(configuration, unless: nil)
        return (material, keys ?? TrustedTokenKeys())
    }

    private static func read(
        _ configuration: AuthenticationConfiguration,
        unless known: Material?
    ) throws -> (Material, TrustedTokenKeys?) {
        let material = Material(
            certificates: try configuration.certificateBundle.map(self.bytes),
            keySet: try configuration.keySet.map(self.bytes)
        )
        guard material != known else { return (material, nil) }
        var keys = TrustedTokenKeys()
        try self.parse(material.certificates, configuration.certificateBundle) { try keys.trust(pem: $0) }
        try self.parse(material.keySet, configuration.keySet) { try keys.trust(keySet: $0) }
        return (material, keys)
    }

    private static func bytes(of path: String) throws -> [UInt8] {
        do {
            guard let bytes = try DurableFile.read(path, limit: TrustedTokenKeys.maximumFileSize) else {
                throw TokenError(.file, "\(path) does not exist")
            }
            return bytes
        } catch let error as TokenError {
            throw error
        } catch {
            throw TokenError(.file, "\(path) cannot be read: \(error)")
        }
    }

    private static func parse(_ bytes: [UInt8]?, _ path: String?, _ body: ([UInt8]) throws -> Void) throws {
        guard let bytes, let path else { return }
        do {
            try body(bytes)
        } catch {
            throw TokenError(.file, "\(path): \(error)")
        }
    }

    private static func warn(of keys: TrustedTokenKeys, at now: Date, _ logger: Logger) {
        for certificate in keys.roots where certificate.notValidAfter < now {
            logger.warning(
                "a certificate of the token service is out of date: tokens signed by its key count, those by keys it certified do not",
                metadata: ["subject": "\(certificate.subject)", "expired": "\(certificate.notValidAfter)"]
            )
        }
    }
}

extension TrustedTokenKeys {
    /// The trusted key that a token names, or carries.
    fileprivate func entry(of header: JSONWebToken.Header) -> Entry? {
        if let id = header.keyID, let entry = self.entry(named: id) { return entry }
        if let key = try? header.key?.verificationKey(), let entry = self.entry(of: key) { return entry }
        return nil
    }
}

extension JSONWebToken.Unverified {
    fileprivate func claims(signedBy entry: TrustedTokenKeys.Entry) throws(TokenError) -> JSONWebToken.Claims {
        guard entry.algorithms.contains(self.header.algorithm) else {
            throw TokenError(.algorithm, "the token is not signed by the algorithm of its key")
        }
        return try self.claims(signedBy: entry.key)
    }
}
