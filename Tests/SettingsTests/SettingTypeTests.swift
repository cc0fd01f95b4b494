// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Settings

struct SettingTypeTests {
    @Test(
        "addresses are read and written",
        arguments: [
            ("127.0.0.1:4443", "127.0.0.1", 4443), (":80", "", 80), ("[::1]:0", "::1", 0),
            ("localhost:65535", "localhost", 65535),
        ]
    )
    func addresses(text: String, host: String, port: Int) throws {
        let address = try #require(ListenAddress(text))
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.description == text)
    }

    @Test(
        "what is no address is none",
        arguments: ["", "80", "a:", "a:65536", "a:-1", "::1:80", "[a]:1", "http://a:1", "a b:1", "a:+1"]
    )
    func noAddresses(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test("who listens for this machine alone is told apart")
    func loopback() {
        #expect(
            [":1", "0.0.0.0:1", "[::]:1", "192.168.0.1:1", "127.example.com:1"].allSatisfy {
                ListenAddress($0)?.isLoopback == false
            }
        )
        #expect(["127.0.0.1:1", "localhost:1", "[::1]:1"].allSatisfy { ListenAddress($0)?.isLoopback == true })
    }

    @Test("sizes and times are read in their units, and bounded")
    func quantities() throws {
        let size = SettingType<Int>.size(1024...(1 << 30))
        #expect(try size.parse(["64KiB"]) == 65536)
        #expect(try size.parse(["2048"]) == 2048)
        #expect(throws: UnexpectedValue.self) { try size.parse(["1"]) }
        #expect(throws: UnexpectedValue.self) { try size.parse(["99999999999999GiB"]) }
        #expect(throws: UnexpectedValue.self) { try size.parse(["-1KiB"]) }
        #expect(size.words(1 << 20) == ["1MiB"])
        let time = SettingType<Duration>.duration(.seconds(1)...(.seconds(86400 * 30)))
        #expect(try time.parse(["90s"]) == .seconds(90))
        #expect(try time.parse(["14d"]) == .seconds(14 * 86400))
        #expect(throws: UnexpectedValue.self) { try time.parse(["14"]) }
        #expect(time.words(.seconds(5400)) == ["90m"])
    }

    @Test(
        "prefixes of names are held to Notary's rules",
        arguments: [
            ("example.com/", true), ("example.com/a/", true), ("example.com", false), ("/a/", false), ("../a/", false),
            ("a//b/", false), ("a/./b/", false), ("/", false), ("", false),
        ]
    )
    func prefixes(text: String, isOne: Bool) {
        #expect(((try? SettingType<String>.gunPrefix.parse([text])) != nil) == isOne)
    }

    @Test(
        "passwords of databases are not shown",
        arguments: [
            ("postgres://u:secret@h:1/d", "postgres://u:***@h:1/d"),
            ("postgres://u:se/cret@h/d?sslmode=disable", "postgres://u:***@h/d?sslmode=disable"),
            ("postgresql://u@h/d?password=secret&sslmode=require", "postgresql://u@h/d?password=***&sslmode=require"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("postgres:///d?host=/run/p", "postgres:///d?host=/run/p"),
            ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
            ("host=h password = 'se cr\\'et' dbname=d", "host=h password = *** dbname=d"),
            ("password='secret", "password=***"),
            ("sslpassword=secret", "sslpassword=***"),
        ]
    )
    func passwords(connection: String, shown: String) {
        #expect(ConnectionText.hidingPassword(connection) == shown)
    }

    @Test("rates have a number a second and perhaps one at once")
    func rates() throws {
        #expect(RequestRate("50")?.burst == nil)
        let rate = try #require(RequestRate("50/500"))
        #expect(rate.perSecond == 50 && rate.burst == 500 && rate.text == "50/500")
        #expect(["", "0", "-1", "5/", "/5", "5/5/5", "1.5", "50/s"].allSatisfy { RequestRate($0) == nil })
    }

    @Test("networks are addresses with the length of a prefix, or alone")
    func networks() {
        let type = SettingType<String>.network
        for text in ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "::1"] { #expect((try? type.parse([text])) == text) }
        for text in ["", "10.0.0/8", "10.0.0.0/33", "::/129", "host", "10.0.0.0/8/8", "10.0.0.0/"] {
            #expect((try? type.parse([text])) == nil)
        }
    }
}
