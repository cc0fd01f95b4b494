// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The functions of PostgreSQL's client library, which is loaded when the first connection is made: who uses SQLite neither
/// needs it nor pays for it.
struct LibPQ: Sendable {
    typealias Handle = OpaquePointer
    typealias Result = OpaquePointer
    typealias Texts = UnsafePointer<UnsafePointer<CChar>?>

    let connect: @convention(c) (Texts?, Texts?, CInt) -> Handle?
    let finish: @convention(c) (Handle?) -> Void
    let status: @convention(c) (Handle?) -> CInt
    let errorMessage: @convention(c) (Handle?) -> UnsafePointer<CChar>?
    let socket: @convention(c) (Handle?) -> CInt
    let serverVersion: @convention(c) (Handle?) -> CInt
    let usesTLS: @convention(c) (Handle?) -> CInt
    let setNonBlocking: @convention(c) (Handle?, CInt) -> CInt
    let setNoticeProcessor:
        @convention(c) (
            Handle?, (@convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?) -> Void)?,
            UnsafeMutableRawPointer?
        ) -> UnsafeRawPointer?
    let parseOptions:
        @convention(c) (UnsafePointer<CChar>?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> OpaquePointer?
    let freeOptions: @convention(c) (OpaquePointer?) -> Void
    let freeMemory: @convention(c) (UnsafeMutableRawPointer?) -> Void

    let sendQueryParameters:
        @convention(c) (
            Handle?, UnsafePointer<CChar>?, CInt, UnsafePointer<UInt32>?, Texts?, UnsafePointer<CInt>?,
            UnsafePointer<CInt>?, CInt
        ) -> CInt
    let sendPrepare:
        @convention(c) (Handle?, UnsafePointer<CChar>?, UnsafePointer<CChar>?, CInt, UnsafePointer<UInt32>?) -> CInt
    let sendDescribePrepared: @convention(c) (Handle?, UnsafePointer<CChar>?) -> CInt
    let sendQueryPrepared:
        @convention(c) (
            Handle?, UnsafePointer<CChar>?, CInt, Texts?, UnsafePointer<CInt>?, UnsafePointer<CInt>?, CInt
        ) -> CInt
    let flush: @convention(c) (Handle?) -> CInt
    let consumeInput: @convention(c) (Handle?) -> CInt
    let isBusy: @convention(c) (Handle?) -> CInt
    let getResult: @convention(c) (Handle?) -> Result?

    let resultStatus: @convention(c) (Result?) -> CInt
    let resultErrorField: @convention(c) (Result?, CInt) -> UnsafePointer<CChar>?
    let resultErrorMessage: @convention(c) (Result?) -> UnsafePointer<CChar>?
    let commandStatus: @convention(c) (Result?) -> UnsafePointer<CChar>?
    let commandTuples: @convention(c) (Result?) -> UnsafePointer<CChar>?
    let rowCount: @convention(c) (Result?) -> CInt
    let columnCount: @convention(c) (Result?) -> CInt
    let columnType: @convention(c) (Result?, CInt) -> UInt32
    let value: @convention(c) (Result?, CInt, CInt) -> UnsafePointer<CChar>?
    let valueLength: @convention(c) (Result?, CInt, CInt) -> CInt
    let valueIsNull: @convention(c) (Result?, CInt, CInt) -> CInt
    let parameterCount: @convention(c) (Result?) -> CInt
    let parameterType: @convention(c) (Result?, CInt) -> UInt32
    let clear: @convention(c) (Result?) -> Void

    /// What sends several statements in one round trip; nil before version 14 of the library.
    let pipeline: Pipeline?

    struct Pipeline: Sendable {
        let enter: @convention(c) (Handle?) -> CInt
        let sync: @convention(c) (Handle?) -> CInt
    }

    // Values of ConnStatusType and ExecStatusType that are looked at.
    static let connectionOK: CInt = 0
    static let commandOK: CInt = 1
    static let tuplesOK: CInt = 2
    static let pipelineSync: CInt = 10
    static let pipelineAborted: CInt = 11

    // Fields of an error: PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY.
    static let sqlState = CInt(UInt8(ascii: "C"))
    static let primaryMessage = CInt(UInt8(ascii: "M"))

    private static let loaded = Swift.Result { try LibPQ(library: Self.open()) }

    /// The library, loaded once.
    /// - Throws: ``DatabaseError`` with code `unavailable` that names the package to install.
    static func load() throws -> LibPQ { try self.loaded.get() }

    private static func open() throws -> UnsafeMutableRawPointer {
        let names = [
            "libpq.so.5", "libpq.5.dylib", "/opt/homebrew/opt/libpq/lib/libpq.5.dylib",
            "/usr/local/opt/libpq/lib/libpq.5.dylib",
        ]
        return try self.open(names)
    }

    /// Opens the first of the libraries that is there.
    static func open(_ names: [String]) throws -> UnsafeMutableRawPointer {
        var reason: String?
        for name in names {
            if let library = dlopen(name, RTLD_NOW | RTLD_LOCAL) { return library }
            // The first is the one that is missed, whichever was tried last.
            if let message = dlerror() { reason = reason ?? String(cString: message) }
        }
        throw DatabaseError(
            code: .unavailable,
            message:
                "PostgreSQL's client library cannot be loaded: \(reason ?? "not found"); install it (Debian and Ubuntu: apt-get "
                + "install libpq5)"
        )
    }

    private init(library: UnsafeMutableRawPointer) throws {
        func symbol<Function>(_ name: String, as type: Function.Type = Function.self) throws -> Function {
            guard let address = dlsym(library, name) else {
                throw DatabaseError(
                    code: .unavailable,
                    message: "the libpq that is installed has no \(name): it is too old; version 13 or newer is needed"
                )
            }
            return unsafeBitCast(address, to: type)
        }
        self.connect = try symbol("PQconnectdbParams")
        self.finish = try symbol("PQfinish")
        self.status = try symbol("PQstatus")
        self.errorMessage = try symbol("PQerrorMessage")
        self.socket = try symbol("PQsocket")
        self.serverVersion = try symbol("PQserverVersion")
        self.usesTLS = try symbol("PQsslInUse")
        self.setNonBlocking = try symbol("PQsetnonblocking")
        self.setNoticeProcessor = try symbol("PQsetNoticeProcessor")
        self.parseOptions = try symbol("PQconninfoParse")
        self.freeOptions = try symbol("PQconninfoFree")
        self.freeMemory = try symbol("PQfreemem")
        self.sendQueryParameters = try symbol("PQsendQueryParams")
        self.sendPrepare = try symbol("PQsendPrepare")
        self.sendDescribePrepared = try symbol("PQsendDescribePrepared")
        self.sendQueryPrepared = try symbol("PQsendQueryPrepared")
        self.flush = try symbol("PQflush")
        self.consumeInput = try symbol("PQconsumeInput")
        self.isBusy = try symbol("PQisBusy")
        self.getResult = try symbol("PQgetResult")
        self.resultStatus = try symbol("PQresultStatus")
        self.resultErrorField = try symbol("PQresultErrorField")
        self.resultErrorMessage = try symbol("PQresultErrorMessage")
        self.commandStatus = try symbol("PQcmdStatus")
        self.commandTuples = try symbol("PQcmdTuples")
        self.rowCount = try symbol("PQntuples")
        self.columnCount = try symbol("PQnfields")
        self.columnType = try symbol("PQftype")
        self.value = try symbol("PQgetvalue")
        self.valueLength = try symbol("PQgetlength")
        self.valueIsNull = try symbol("PQgetisnull")
        self.parameterCount = try symbol("PQnparams")
        self.parameterType = try symbol("PQparamtype")
        self.clear = try symbol("PQclear")
        self.pipeline = try? Pipeline(enter: symbol("PQenterPipelineMode"), sync: symbol("PQpipelineSync"))
    }
}
