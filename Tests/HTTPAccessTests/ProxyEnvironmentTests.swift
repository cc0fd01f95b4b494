// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Testing

@testable import HTTPAccess

struct ProxyEnvironmentTests {
    @Test(
        "proxies come from the environment, as curl reads it",
        arguments: [
            (["https_proxy": "http://p:3128"], "https://a/", "p:3128"),
            (["HTTPS_PROXY": "p:3128/"], "https://a/", "p:3128"),
            (["https_proxy": "http://p:3128"], "http://a/", nil), (["http_proxy": "http://p"], "http://a/", "p:80"),
            (["HTTP_PROXY": "http://p"], "http://a/", nil), (["ALL_PROXY": "http://p:1"], "http://a/", "p:1"),
            (["https_proxy": "http://p:1", "ALL_PROXY": "http://q:1"], "https://a/", "p:1"),
            (["https_proxy": ""], "https://a/", nil), (["https_proxy": "http://[::1]:3128"], "https://a/", "::1:3128"),
            (["all_proxy": "http://p:1", "no_proxy": "b, a"], "http://a/", nil),
            (["all_proxy": "http://p:1", "NO_PROXY": ".example.com"], "http://x.example.com/", nil),
            (["all_proxy": "http://p:1", "NO_PROXY": "example.com"], "http://x.example.com:8080/", nil),
            (["all_proxy": "http://p:1", "NO_PROXY": "example.com"], "http://notexample.com/", "p:1"),
            (["all_proxy": "http://p:1", "NO_PROXY": "*"], "http://a/", nil),
            (["all_proxy": "http://p:1", "NO_PROXY": "a:8080"], "http://a:8080/", nil),
            (["all_proxy": "http://p:1", "NO_PROXY": "a:8080"], "http://a/", "p:1"),
            (["all_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8"], "http://10.1.2.3:8080/", nil),
            (["all_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/9"], "http://10.128.2.3/", "p:1"),
            (["all_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8"], "http://registry.example/", "p:1"),
            (["all_proxy": "http://p:1", "NO_PROXY": "fd00::/8,10.0.0.0/40"], "http://[fdab::1]/", nil),
            (["all_proxy": "http://p:1", "NO_PROXY": "0.0.0.0/0"], "http://[fdab::1]/", "p:1"),
            (["all_proxy": "gopher://p:1"], "http://a/", nil), ([:], "http://a/", nil),
        ] as [([String: String], String, String?)]
    )
    func proxies(_ environment: [String: String], _ url: String, _ proxy: String?) throws {
        let found = ProxyEnvironment(environment).proxy(for: try #require(HTTPURL(url)))
        #expect(found.map { "\($0.host):\($0.port)" } == proxy)
    }

    @Test("credentials for a proxy are decoded")
    func credentials() throws {
        let url = try #require(HTTPURL("http://a/"))
        let proxy = ProxyEnvironment(["http_proxy": "http://us%40er:p%3Aw@p:1"]).proxy(for: url)
        #expect(proxy?.authorization == .basic(username: "us@er", password: "p:w"))
    }
}
