// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Settings

/// The options of a group of settings: one for each, as the group declares it.
///
/// The argument parser finds the options of a type in its mirror, and fills them in by their labels there. The mirror of this type
/// is made from the settings, so that there is no second list of them.
struct SettingOptions<Group: SettingGroup>: ParsableArguments, CustomReflectable {
    private enum Argument {
        case value(Option<String?>)
        case flag(Flag<Bool>)
        case list(Option<[String]>)
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private let arguments: [(declaration: SettingDeclaration, argument: Argument)]

    init() {
        self.arguments = Group.settings.map { ($0, Self.argument(for: $0)) }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        self.arguments = try Group.settings.map { declaration in
            let key = Key(stringValue: declaration.option)
            return switch declaration.shape {
            case .value: (declaration, .value(try container.decode(Option<String?>.self, forKey: key)))
            case .flag: (declaration, .flag(try container.decode(Flag<Bool>.self, forKey: key)))
            case .list: (declaration, .list(try container.decode(Option<[String]>.self, forKey: key)))
            }
        }
    }

    var customMirror: Mirror {
        let children: [Mirror.Child] = self.arguments.map { declaration, argument in
            switch argument {
            case .value(let option): (declaration.option, option)
            case .flag(let flag): (declaration.option, flag)
            case .list(let option): (declaration.option, option)
            }
        }
        return Mirror(self, children: children, displayStyle: .struct)
    }

    /// What the options of the command line say.
    var given: [GivenSetting] {
        self.arguments.compactMap { declaration, argument in
            let words: [String]?
            switch argument {
            case .value(let option): words = option.wrappedValue.map { [$0] }
            case .flag(let flag): words = flag.wrappedValue ? ["true"] : nil
            case .list(let option): words = option.wrappedValue.isEmpty ? nil : option.wrappedValue
            }
            return words.map { GivenSetting(declaration.key, $0, from: .option("--" + declaration.option)) }
        }
    }

    private static func argument(for declaration: SettingDeclaration) -> Argument {
        let name: NameSpecification = [.customLong(declaration.option)]
        var help = ArgumentHelp(stringLiteral: Self.help(of: declaration))
        help.valueName = declaration.placeholder
        let completion: CompletionKind? = declaration.isPath ? .file() : nil
        switch declaration.shape {
        case .value:
            return .value(Option<String?>(name: name, help: help, completion: completion))
        case .flag:
            help.valueName = nil
            return .flag(Flag(wrappedValue: false, name: name, help: help))
        case .list:
            return .list(Option(wrappedValue: [], name: name, help: help, completion: completion))
        }
    }

    private static func help(of declaration: SettingDeclaration) -> String {
        guard case .value = declaration.shape, let fallback = declaration.fallback?.first else {
            return declaration.help
        }
        return "\(declaration.help) (default: \(fallback))"
    }
}
