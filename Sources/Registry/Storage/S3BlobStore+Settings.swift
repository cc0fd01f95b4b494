// SPDX-License-Identifier: Apache-2.0

package import Database
import HTTPAccess
package import Logging
import NIOSSL
import S3Client
package import Settings

extension S3BlobStore {
    /// The store that settings name; nil when blobs are to be files. No connection is made.
    /// - Parameters:
    ///   - settings: Those of `hallmark serve`.
    ///   - environment: Where Amazon's tools have credentials, and proxies are named.
    ///   - database: The registry's.
    ///   - directory: Where parts are kept for which there is no memory; made when it is not there.
    ///   - logger: Gets what the store has to say.
    /// - Throws: `S3Error` that says which setting cannot be used.
    package static func configured(
        by settings: SettingValues,
        environment: [String: String],
        database: any SQLDatabase,
        directory: String,
        logger: Logger
    ) throws -> S3BlobStore? {
        guard let bucket = settings[S3Settings.bucket] else { return nil }
        var configuration = S3Configuration(
            bucket: bucket,
            region: settings[S3Settings.region],
            endpoint: try self.url(settings, S3Settings.endpoint)
        )
        switch settings[S3Settings.addressing] {
        case "path": configuration.addressing = .path
        case "virtual-host": configuration.addressing = .virtualHost
        default: break
        }
        configuration.checksum = settings[S3Settings.checksum] == "sha256" ? .sha256 : .md5
        configuration.maximumRequests = settings[S3Settings.requests]
        configuration.proxies = ProxyEnvironment(environment)
        if let file = settings[S3Settings.authority].map({ self.expanding($0, environment) }) {
            do {
                configuration.additionalTrustRoots = try NIOSSLCertificate.fromPEMFile(file)
            } catch {
                throw S3Error(setting: S3Settings.authority.declaration.key, "\(file) holds no certificate in PEM")
            }
        }
        var redirection: Redirection?
        if settings[S3Settings.redirects] {
            redirection = Redirection(
                endpoint: try self.url(settings, S3Settings.redirectEndpoint),
                lifetime: settings[S3Settings.redirectLifetime]
            )
        }
        return S3BlobStore(
            client: try S3Client(configuration, credentials: self.credentials(settings, environment), logger: logger),
            prefix: try self.prefix(settings),
            redirection: redirection,
            database: database,
            memory: S3PayloadMemory(bytes: self.partMemory, directory: directory),
            logger: logger
        )
    }

    /// For the parts of all uploads together, in bytes: what a few take that run at the same time. More of them go through
    /// files.
    private static let partMemory = 24 << 20

    private static func credentials(
        _ settings: SettingValues,
        _ environment: [String: String]
    ) throws -> S3CredentialSource {
        if let accessKey = settings[S3Settings.accessKey], let secretKey = settings[S3Settings.secretKey] {
            return .fixed(S3Credentials(accessKey: accessKey, secretKey: secretKey))
        }
        let profile = settings[S3Settings.profile]
        if let path = settings[S3Settings.credentialsFile] {
            return .file(path: self.expanding(path, environment), profile: profile)
        }
        if let credentials = S3Credentials(environment: environment) { return .fixed(credentials) }
        if let path = environment["AWS_SHARED_CREDENTIALS_FILE"], !path.isEmpty {
            return .file(path: self.expanding(path, environment), profile: profile)
        }
        throw S3Error(
            setting: S3Settings.accessKey.declaration.key,
            "there are no credentials for the bucket: name \(S3Settings.accessKey.declaration.key) and "
                + "\(S3Settings.secretKey.declaration.key), or \(S3Settings.credentialsFile.declaration.key), or set "
                + "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    }

    private static func url(_ settings: SettingValues, _ setting: Setting<String?>) throws -> HTTPURL? {
        guard let text = settings[setting] else { return nil }
        guard let url = HTTPURL(text) else {
            throw S3Error(setting: setting.declaration.key, "\(text.printable()) is not the URL of a host")
        }
        return url
    }

    /// A prefix that is not a folder of its own would make a part of another's keys ours.
    private static func prefix(_ settings: SettingValues) throws -> String {
        guard let prefix = settings[S3Settings.prefix] else { return "" }
        let isPlain = prefix.utf8.count <= 400 && prefix.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        guard isPlain, !prefix.hasPrefix("/"), !prefix.contains("//"), !prefix.contains("..") else {
            throw S3Error(
                setting: S3Settings.prefix.declaration.key,
                "\(prefix.printable()) cannot begin keys; such as registry/ can"
            )
        }
        return prefix.hasSuffix("/") ? prefix : prefix + "/"
    }

    private static func expanding(_ path: String, _ environment: [String: String]) -> String {
        guard path == "~" || path.hasPrefix("~/"), let home = environment["HOME"] else { return path }
        return home + path.dropFirst()
    }
}
