// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

extension RegistryPath {
    /// What is asked for, as metrics name it.
    func operation(_ method: HTTPMethod) -> String {
        switch (self, method) {
        case (.base, _): "ping"
        case (.catalog, _): "catalog"
        case (.tags, _): "tags"
        case (.referrers, _): "referrers"
        case (.blob, .GET): "get_blob"
        case (.blob, .HEAD): "head_blob"
        case (.blob, .DELETE): "delete_blob"
        case (.manifest, .GET): "get_manifest"
        case (.manifest, .HEAD): "head_manifest"
        case (.manifest, .PUT): "put_manifest"
        case (.manifest, .DELETE): "delete_manifest"
        case (.uploads, _): "start_upload"
        case (.upload, .PATCH): "upload"
        case (.upload, .PUT): "finish_upload"
        case (.upload, _): "upload_status"
        default: "other"
        }
    }
}
