// swift-tools-version: 6.2

import PackageDescription

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioFoundation: Target.Dependency = .product(name: "NIOFoundationCompat", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let serviceLifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let grpcCore: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcTransport: Target.Dependency = .product(name: "GRPCNIOTransportHTTP2", package: "grpc-swift-nio-transport")
let grpcProtobuf: Target.Dependency = .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")

let package = Package(
    name: "hallmark",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "TUF", targets: ["TUF"]),
        .library(name: "Updater", targets: ["Updater"]),
        .executable(name: "hallmark", targets: ["hallmark"]),
        .executable(name: "tuf-conformance-client", targets: ["tuf-conformance-client"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-atomics", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Level 0: files that a power cut cannot halve, and what the standard library lacks.
        .target(name: "DurableFiles"),
        .target(name: "PercentEncoding"),

        // Level 1: values and one SQL interface.
        .target(name: "TUF", dependencies: [crypto, cryptoExtras, x509, asn1]),
        .target(name: "OCI", dependencies: ["DurableFiles", crypto, "CZlib"]),
        .target(
            name: "Database",
            dependencies: [
                "DurableFiles", .product(name: "GRDB", package: "GRDB.swift"), logging,
                .product(name: "DequeModule", package: "swift-collections"),
            ]
        ),
        .target(name: "CProcess"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // The interface of hardware tokens, whose libraries are loaded at run time.
        .target(name: "CPKCS11"),

        // Level 2: what both ends of a protocol share.
        .target(name: "KeyStore", dependencies: ["CPKCS11", "DurableFiles", "TUF", crypto, cryptoExtras, x509, asn1]),
        .target(name: "Ceremony", dependencies: ["DurableFiles", "PercentEncoding", "TUF"]),
        .target(name: "NotaryAPI", dependencies: ["PercentEncoding", "TUF"]),
        .target(
            name: "SignerAPI",
            dependencies: [
                "TUF", "NotaryAPI", logging, nioCore, nioSSL, grpcCore, grpcTransport, grpcProtobuf, protobuf,
                serviceLifecycle,
            ],
            exclude: ["Generated/health.proto", "Generated/signer.proto"]
        ),
        .target(
            name: "HTTPAccess",
            dependencies: ["PercentEncoding", nioCore, nioPosix, nioHTTP1, nioSSL, nioFoundation, httpClient]
        ),
        // Buckets and objects, for what is too large for one machine.
        .target(
            name: "S3Client",
            dependencies: [
                "DurableFiles", "PercentEncoding", "HTTPAccess", crypto, logging, nioCore, nioPosix, nioHTTP1, nioSSL,
                nioFoundation, httpClient,
            ]
        ),
        .target(
            name: "HTTPService",
            dependencies: [
                "CProcess", "DurableFiles", crypto, x509, asn1, logging, nioCore, nioPosix, nioHTTP1, nioFoundation,
                nioSSL,
                serviceLifecycle,
            ]
        ),

        // Where the settings of a server come from: files, variables and options.
        .target(
            name: "Settings",
            dependencies: ["DurableFiles", .product(name: "Yams", package: "Yams")]
        ),
        // Who may do what, as Docker's tokens say it.
        .target(
            name: "TokenAuthentication",
            dependencies: [
                "DurableFiles", "PercentEncoding", "HTTPService", crypto, cryptoExtras, x509, asn1, logging, nioCore,
                nioHTTP1,
                serviceLifecycle,
            ]
        ),
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),

        // Level 3: clients and servers. The updater is what both of TUF's clients share: it is below TrustClient.
        .target(
            name: "Updater",
            dependencies: [
                "DurableFiles", "PercentEncoding", "TUF", "HTTPAccess", nioCore, nioHTTP1, nioSSL, httpClient,
            ]
        ),
        .target(
            name: "TrustClient",
            dependencies: [
                "DurableFiles", "TUF", "KeyStore", "Ceremony", "NotaryAPI", "HTTPAccess", "Updater", crypto, x509,
                logging, nioCore,
                nioHTTP1, nioSSL,
                nioFoundation,
                httpClient,
            ]
        ),
        .target(name: "TUFRepository", dependencies: ["DurableFiles", "TUF", "KeyStore", "Ceremony", crypto]),
        .target(
            name: "RegistryClient",
            dependencies: [
                "OCI", "HTTPAccess", crypto, logging, nioCore, nioPosix, nioHTTP1, nioSSL, nioFoundation, httpClient,
            ]
        ),
        .target(
            name: "TrustSigner",
            dependencies: [
                "DurableFiles", "TUF", "KeyStore", "Database", "NotaryAPI", "SignerAPI", "HTTPService", crypto,
                cryptoExtras, logging, nioCore, nioPosix, nioSSL, grpcCore, grpcTransport, protobuf,
                serviceLifecycle,
            ]
        ),
        .target(
            name: "TrustServer",
            dependencies: [
                "TUF", "Database", "NotaryAPI", "HTTPService", "TokenAuthentication", crypto, logging, nioCore,
                nioHTTP1, nioFoundation, serviceLifecycle,
            ]
        ),
        .target(
            name: "Registry",
            dependencies: [
                "CProcess", "DurableFiles", "PercentEncoding", "OCI", "Database", "S3Client", "HTTPAccess",
                "HTTPService",
                "Settings",
                "TokenAuthentication", .product(name: "Yams", package: "Yams"),
                .product(name: "Atomics", package: "swift-atomics"), crypto, logging, nioCore, nioPosix, nioHTTP1,
                nioSSL,
                nioFoundation, httpClient, serviceLifecycle,
            ]
        ),

        .target(
            name: "TokenService",
            dependencies: [
                "DurableFiles", "PercentEncoding", "HTTPService", "Settings", "TokenAuthentication", "CCrypt",
                .product(name: "Yams", package: "Yams"), crypto, x509, asn1, logging, nioCore, nioPosix, nioHTTP1,
                nioFoundation, serviceLifecycle,
            ]
        ),

        // Level 4: names to digests.
        .target(
            name: "ContentTrust",
            dependencies: [
                "Ceremony", "DurableFiles", "PercentEncoding", "TUF", "OCI", "KeyStore", "NotaryAPI", "HTTPAccess",
                "Settings", "Updater", "TrustClient", "RegistryClient", .product(name: "Yams", package: "Yams"), crypto,
                x509, asn1, logging, nioCore, nioPosix, nioHTTP1, nioFoundation, nioSSL, httpClient,
            ]
        ),

        // Level 5: docker as it was, in front of the docker that is there.
        .target(
            name: "DockerFront",
            dependencies: [
                "CProcess", "DurableFiles", "TUF", "OCI", "KeyStore", "NotaryAPI", "HTTPAccess", "TrustClient",
                "RegistryClient", "ContentTrust", logging,
            ]
        ),

        // Level 6: the command.
        .executableTarget(
            name: "hallmark",
            dependencies: [
                "CProcess", "DurableFiles", "TUF", "OCI", "Database", "KeyStore", "Ceremony", "NotaryAPI",
                "SignerAPI", "HTTPService", "TrustClient", "TUFRepository", "Updater", "RegistryClient", "TrustSigner",
                "TrustServer", "Registry", "S3Client", "ContentTrust", "DockerFront", "Settings", "HTTPAccess",
                "TokenAuthentication", "TokenService", crypto,
                x509, asn1, logging, nioCore, nioHTTP1, serviceLifecycle, unixSignals,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),

        // The updater behind the command line of TUF's conformance suite.
        .executableTarget(
            name: "tuf-conformance-client",
            dependencies: [
                "DurableFiles", "Updater", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),

        // Tools of the benchmarks, not products.
        .executableTarget(
            name: "hallmark-load",
            dependencies: [
                "TUF", "OCI", "KeyStore", "NotaryAPI", crypto, nioCore, nioPosix, nioHTTP1, nioFoundation, nioSSL,
                httpClient,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/Load"
        ),
        .executableTarget(name: "hallmark-metadata", dependencies: ["TUF", crypto], path: "Benchmarks/Metadata"),
        .executableTarget(name: "hallmark-updater", dependencies: ["TUF", "Updater"], path: "Benchmarks/Updater"),

        .testTarget(
            name: "TUFTests",
            dependencies: ["TUF", crypto, cryptoExtras, x509, asn1],
            exclude: ["Corpus", "Vectors"]
        ),
        .testTarget(name: "DurableFilesTests", dependencies: ["DurableFiles"]),
        .testTarget(name: "PercentEncodingTests", dependencies: ["PercentEncoding"]),
        .testTarget(name: "OCITests", dependencies: ["OCI", crypto]),
        // Databases of both kinds for the tests of whoever stores something.
        .target(name: "DatabaseTesting", dependencies: ["Database"], path: "Tests/DatabaseTesting"),
        .testTarget(name: "DatabaseTests", dependencies: ["Database", "DatabaseTesting", logging]),
        .testTarget(name: "KeyStoreTests", dependencies: ["KeyStore", "DurableFiles", "TUF", crypto]),
        .testTarget(name: "CeremonyTests", dependencies: ["Ceremony", "DurableFiles", "KeyStore", "TUF", crypto]),
        .testTarget(name: "HTTPAccessTests", dependencies: ["HTTPAccess", httpClient]),
        // A bucket in memory that breaks off, slows down and fails as it is told.
        .target(
            name: "S3Testing",
            dependencies: ["S3Client", "HTTPAccess", "PercentEncoding", crypto, logging, nioCore, nioPosix, nioHTTP1],
            path: "Tests/S3Testing"
        ),
        .testTarget(
            name: "S3ClientTests",
            dependencies: [
                "S3Client", "S3Testing", "HTTPAccess", crypto, logging, nioCore, nioPosix, nioHTTP1, nioSSL, httpClient,
            ]
        ),
        .testTarget(
            name: "HTTPServiceTests",
            dependencies: ["HTTPService", crypto, x509, asn1, logging, nioCore, nioPosix, nioHTTP1, nioSSL, httpClient]
        ),
        .testTarget(name: "SettingsTests", dependencies: ["Settings"]),
        // Good and bad tokens for the tests of whoever asks for them.
        .target(
            name: "TokenTesting",
            dependencies: ["TokenAuthentication", crypto, cryptoExtras, logging],
            path: "Tests/TokenTesting"
        ),
        .testTarget(
            name: "TokenAuthenticationTests",
            dependencies: [
                "TokenAuthentication", "DurableFiles", "HTTPService", crypto, cryptoExtras, x509, asn1, logging,
                nioCore, nioPosix, nioHTTP1, httpClient,
            ]
        ),
        .testTarget(
            name: "TokenServiceTests",
            dependencies: [
                "TokenService", "TokenAuthentication", "DurableFiles", "HTTPService", crypto, cryptoExtras, x509, asn1,
                logging, nioCore, nioPosix, nioHTTP1, httpClient,
            ]
        ),
        .testTarget(
            name: "UpdaterTests",
            dependencies: [
                "Updater", "DurableFiles", "TUF", "HTTPAccess", crypto, cryptoExtras, nioCore, nioPosix, nioHTTP1,
            ]
        ),
        .testTarget(
            name: "TrustClientTests",
            dependencies: [
                "TrustClient", "TrustServer", "TrustSigner", "Ceremony", "TUF", "KeyStore", "NotaryAPI", "HTTPAccess",
                "HTTPService",
                "Database", crypto, x509, asn1, logging, nioCore, nioPosix, nioHTTP1, nioSSL, httpClient,
            ]
        ),
        .testTarget(
            name: "TUFRepositoryTests",
            dependencies: ["TUFRepository", "Ceremony", "DurableFiles", "TUF", "KeyStore", crypto]
        ),
        .testTarget(
            name: "RegistryClientTests",
            dependencies: [
                "RegistryClient", "Registry", "OCI", "HTTPAccess", "HTTPService", "Database", crypto, logging, nioCore,
                nioPosix,
                nioHTTP1,
            ]
        ),
        .testTarget(
            name: "TrustSignerTests",
            dependencies: [
                "TrustSigner", "SignerAPI", "DurableFiles", "TUF", "KeyStore", "NotaryAPI", "Database",
                "DatabaseTesting", "HTTPService", crypto, logging, nioCore, nioPosix, nioSSL,
                .product(name: "NIOEmbedded", package: "swift-nio"), grpcCore, grpcTransport, protobuf,
                serviceLifecycle,
            ]
        ),
        .testTarget(
            name: "TrustServerTests",
            dependencies: [
                "TrustServer", "TrustSigner", "TUF", "Database", "DatabaseTesting", "NotaryAPI", "HTTPService",
                "TokenAuthentication", "TokenTesting", crypto, x509, asn1, logging,
                nioCore, nioHTTP1, nioFoundation, httpClient,
            ]
        ),
        .testTarget(
            name: "RegistryTests",
            dependencies: [
                "Registry", "DurableFiles", "OCI", "Database", "DatabaseTesting", "HTTPService", "S3Client",
                "S3Testing",
                "TokenAuthentication", "TokenTesting", crypto, logging, nioCore, nioPosix, nioHTTP1, httpClient,
            ]
        ),
        // Attackers between a real client and a real server.
        .testTarget(
            name: "AdversaryTests",
            dependencies: [
                "Updater", "TrustClient", "TrustServer", "TUF", "KeyStore", "NotaryAPI", "HTTPAccess", "HTTPService",
                "Database", crypto, logging, nioCore, nioHTTP1, httpClient,
            ]
        ),
        .testTarget(
            name: "ContentTrustTests",
            dependencies: [
                "ContentTrust", "Ceremony", "DurableFiles", "TUF", "OCI", "KeyStore", "NotaryAPI", "HTTPAccess",
                "TrustClient", "RegistryClient", "Registry", "TrustServer", "TrustSigner", "HTTPService", "Database",
                crypto, x509, asn1, logging, nioCore, nioPosix, nioHTTP1, nioSSL,
            ]
        ),
        .testTarget(
            name: "DockerFrontTests",
            dependencies: [
                "DockerFront", "ContentTrust", "DurableFiles", "TUF", "OCI", "KeyStore", "TrustClient", logging,
            ]
        ),
    ]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .treatAllWarnings(as: .error),
    ]
}
