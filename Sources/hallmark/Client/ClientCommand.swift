// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import NotaryAPI
import OCI

/// `hallmark client`
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Show and check the settings that this client reads collections and images with.",
        discussion: """
            They are in ~/.config/hallmark/client.yaml ($XDG_CONFIG_HOME/hallmark), or in the file that --config or \
            HALLMARK_CLIENT_CONFIG names; and in /etc/hallmark/client.yaml, whose pins, refusal of first use and ages bind everybody.
            """,
        subcommands: [ClientShow.self, ClientCheck.self]
    )
}

/// `hallmark client show`
struct ClientShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print the settings that count, and what they mean for a collection or image.",
        discussion: "Nothing is asked of any server."
    )

    @Argument(help: ArgumentHelp("An image, or a collection's name.", valueName: "name"))
    var name: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let settings = try self.trust.settings
        let report = try await self.report(settings)
        if self.output.output == .json {
            JSONOutput.write(report)
        } else {
            print(report.text, terminator: "")
        }
    }

    private func report(_ settings: ClientSettings) async throws -> ClientReport {
        guard let name = self.name else {
            return try await BlockingWork.run { try ClientReport(settings, at: Date()) }
        }
        if let reference = try? ImageReference(name) {
            return try await BlockingWork.run { try ClientReport(settings, image: reference, at: Date()) }
        }
        let gun = try GUN(argument: name)
        return try await BlockingWork.run { try ClientReport(settings, collection: gun, at: Date()) }
    }
}

/// `hallmark client check`
struct ClientCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check the settings, their pins and every pin bundle that counts; says nothing else when all is well."
    )

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let settings = try self.trust.settings
        try await BlockingWork.run { try settings.check(at: Date()) }
        let files = settings.readFiles
        if self.output.output == .json {
            JSONOutput.write(Report(files: files, valid: true))
        } else {
            print(files.isEmpty ? "No settings: the defaults count." : "Good: \(files.joined(separator: ", "))")
        }
    }

    private struct Report: Encodable {
        let files: [String]
        let valid: Bool
    }
}
