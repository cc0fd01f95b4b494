// SPDX-License-Identifier: Apache-2.0

import NotaryAPI

/// What a request does to a collection, in the terms of token authentication.
struct Access: Sendable, Hashable {
    enum Action: String, Sendable {
        case pull
        case push
        case all = "*"
    }

    let gun: GUN
    let actions: [Action]

    init(_ gun: GUN, _ actions: [Action]) {
        self.gun = gun
        self.actions = actions
    }

    var scope: String { "repository:\(self.gun):\(self.actions.map(\.rawValue).joined(separator: ","))" }
}
