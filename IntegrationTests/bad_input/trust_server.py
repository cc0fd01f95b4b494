#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input for a trust server: trust_server.py ADDRESS CA GUN METADATA_DIRECTORY [--lenient] [--pid PID]

METADATA_DIRECTORY has a valid, never published root, targets and snapshot of GUN. Whatever goes wrong, GUN must stay
unpublished until, at the very end, the valid set is accepted.
"""

import argparse
import copy
import json
import os

from wire import ANSWERED, REFUSED, REFUSED_OR_CLOSED, REFUSED_OR_MOVED, Checks, Server, http_garbage, resident_bytes

BOUNDARY = "a-boundary-of-the-test"


def part(filename, data, disposition=None):
    disposition = disposition if disposition is not None else f'form-data; name="files"; filename="{filename}"'
    header = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
    return header.encode("utf-8", "surrogateescape") + data + b"\r\n"


def form(*parts, end=f"--{BOUNDARY}--\r\n"):
    return b"".join(parts) + end.encode()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("ca")
    parser.add_argument("gun")
    parser.add_argument("metadata")
    parser.add_argument("--lenient", action="store_true")
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    server, gun = Server(options.address, options.ca), options.gun
    path = f"/v2/{gun}/_trust/tuf/"
    valid = {}
    for role in ("root", "targets", "snapshot"):
        with open(os.path.join(options.metadata, role + ".json"), "rb") as file:
            valid[role] = file.read()
    valid_parts = [part(role, data) for role, data in valid.items()]

    def untouched():
        reply = server.request("GET", "/v2/")
        assert reply.status == 200, f"the server no longer answers: {reply}"
        for role in ("root", "targets", "snapshot", "timestamp"):
            reply = server.request("GET", f"{path}{role}.json")
            assert reply.status == 404, f"{role} was stored, in part of an upload that failed: {reply}"

    checks = Checks(untouched, options.lenient)
    content_type = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")

    def post(body, headers=(content_type,), to=path):
        return lambda: server.request("POST", to, body, headers)

    # ---- the form
    whole = form(*valid_parts)
    for share in (0.02, 0.3, 0.6, 0.97):
        cut = whole[: int(len(whole) * share)]
        checks.expect(f"a form that ends after {share:.0%}", post(cut), REFUSED)
        checks.check(
            f"a connection cut after {share:.0%} of the form",
            lambda cut=cut: server.cut(server.head("POST", path, [content_type, ("Content-Length", len(whole))]) + cut),
        )
        checks.check(
            f"a chunked form cut after {share:.0%}",
            lambda cut=cut: server.cut(
                server.head("POST", path, [content_type, ("Transfer-Encoding", "chunked")])
                + b"%x\r\n%b\r\n" % (len(cut), cut)
            ),
        )
    checks.expect("no closing boundary", post(form(*valid_parts, end="")))
    checks.expect("an empty body", post(b""))
    checks.expect("no part, for a GUN without metadata", post(form()))
    checks.expect("no Content-Type", post(whole, ()), code="MALFORMED_UPLOAD")
    checks.expect("another Content-Type", post(whole, [("Content-Type", "application/json")]), code="MALFORMED_UPLOAD")
    checks.expect("no boundary", post(whole, [("Content-Type", "multipart/form-data")]), code="MALFORMED_UPLOAD")
    checks.expect("another boundary", post(whole, [("Content-Type", "multipart/form-data; boundary=other")]))
    checks.expect(
        "a boundary of 5,000 characters", post(whole, [("Content-Type", "multipart/form-data; boundary=" + "b" * 5000)])
    )
    checks.expect("random bytes", post(os.urandom(100_000)))
    checks.expect("a header of a part of 1 MB", post(form(part("root" + "a" * 1_000_000, valid["root"]))))
    checks.expect(
        "5,000 parts", post(form(*[part(f"targets/r{n}", valid["targets"]) for n in range(5000)])), REFUSED_OR_CLOSED
    )

    # ---- the names of the parts: one bad one spoils the upload
    for text, disposition in (
        ("no filename", 'form-data; name="files"'),
        ("an empty filename", 'form-data; filename=""'),
        ("the filename .json", 'form-data; name="files"; filename=".json"'),
        ("an empty disposition", ""),
        ("a broken disposition", 'form-data; filename="root'),
    ):
        checks.expect(f"a part with {text}", post(form(*valid_parts, part("", valid["targets"], disposition))))
    for name in (
        "../../../../etc/passwd",
        "/etc/passwd",
        "targets/../root",
        "targets/..",
        "targets//a",
        "targets/",
        "targets/A",
        "targets/a.b",
        "snapshot/a",
        "roots",
        "ROOT",
        "root\x01",
        "targets/a\x7f",
        "targets/*",
        " root",
        "targets/é",
        "targets/\udcff\udcfe",
        "targets/" + "a" * 300,
        "..",
        ".",
        "con",
        "targets\\a",
    ):
        checks.expect(f"a part named {name[:40]!r}", post(form(*valid_parts, part(name, valid["targets"]))))
    checks.expect("a delegation nobody made", post(form(*valid_parts, part("targets/nobody", valid["targets"]))))
    checks.expect(
        "the same role twice, differently", post(form(*valid_parts, part("targets", valid["targets"] + b" "))), REFUSED
    )

    # ---- the JSON of a part
    def replaced(role, data):
        return form(*[part(name, data if name == role else text) for name, text in valid.items()])

    broken = {
        "nothing": b"",
        "null": b"null",
        "an array": b"[]",
        "a number": b"1",
        "a string": b'"targets"',
        "two values": b"{}{}",
        "an object without members": b"{}",
        "signed being null": b'{"signed":null,"signatures":[]}',
        "signatures being an object": b'{"signed":{},"signatures":{}}',
        "a lone brace": b"{",
        "a comment": b"/**/{}",
        "100,000 arrays in each other": b"[" * 100_000 + b"]" * 100_000,
        "100,000 objects in each other": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "deep nesting in signed": b'{"signed":{"_type":"Targets","a":'
        + b"[" * 50_000
        + b"]" * 50_000
        + b'},"signatures":[]}',
        "a byte order mark": b"\xef\xbb\xbf" + valid["targets"],
        "UTF-16": valid["targets"].decode().encode("utf-16"),
        "invalid UTF-8": valid["targets"].replace(b"Targets", b"Targ\xff\xfe", 1),
        "a NUL byte": valid["targets"].replace(b"Targets", b"Targ\x00ts", 1),
        "a lone surrogate": valid["targets"].replace(b"Targets", b"Targ\\ud800ts", 1),
        "a number beyond every range": valid["targets"].replace(b'"version":1', b'"version":1e999', 1),
        "a number of 100,000 digits": valid["targets"].replace(b'"version":1', b'"version":' + b"9" * 100_000, 1),
        "members twice": valid["targets"].replace(b'"version":1', b'"version":1,"version":2', 1),
        "signed twice": b'{"signed":{"_type":"Targets","version":9},' + valid["targets"][1:],
        "a string of 5 MB": valid["targets"].replace(b'"version":1', b'"a":"' + b"a" * 5_000_000 + b'","version":1', 1),
        "a member's name of 1 MB": valid["targets"].replace(
            b'"version":1', b'"' + b"a" * 1_000_000 + b'":1,"version":1', 1
        ),
        "100,000 members": valid["targets"].replace(
            b'"version":1', b",".join(b'"m%d":0' % n for n in range(100_000)) + b',"version":1', 1
        ),
    }
    for role in ("targets", "root"):
        for name, data in broken.items():
            if role == "targets" or name in ("nothing", "null", "100,000 arrays in each other", "invalid UTF-8"):
                checks.expect(f"{role} with {name}", post(replaced(role, data)))
    assert valid["targets"].count(b'"version":1') == 1, "the replacements above would replace nothing"

    # ---- what the metadata says
    def changed(role, change):
        value = json.loads(valid[role])
        change(value)
        return post(replaced(role, compact(value)))

    def set_signed(name, new):
        return lambda value: value["signed"].__setitem__(name, new)

    for version in (
        -1,
        0,
        2,
        2**31,
        2**53,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64,
        -(2**63),
        1.5,
        1e300,
        "1",
        None,
        True,
        [1],
    ):
        for role in valid:
            checks.expect(f"{role} with the version {version!r}", changed(role, set_signed("version", version)))
    for expires in (
        "",
        "2036-11-18",
        "never",
        "9999-99-99T99:99:99Z",
        "2000-01-01T00:00:00Z",
        0,
        None,
        "2036-11-18T06:42:09." + "9" * 10_000 + "Z",
    ):
        for role in valid:
            checks.expect(f"{role} that expires {str(expires)[:30]!r}", changed(role, set_signed("expires", expires)))
    for kind in ("targets", "Root", "", None, 5):
        checks.expect(f"targets of type {kind!r}", changed("targets", set_signed("_type", kind)))
    for name, signatures in {
        "no signatures": [],
        "null for signatures": None,
        "an unknown signer": [{"keyid": "0" * 64, "method": "ecdsa", "sig": "AA=="}],
        "a signature that is no base64": [{"keyid": "0" * 64, "method": "ecdsa", "sig": "***"}],
        "20,000 signatures": [{"keyid": "%064x" % n, "method": "ecdsa", "sig": "AA=="} for n in range(20_000)],
        "a key id of 1 MB": [{"keyid": "0" * 1_000_000, "method": "ecdsa", "sig": "AA=="}],
    }.items():
        for role in valid:
            checks.expect(
                f"{role} with {name}", changed(role, lambda value: value.__setitem__("signatures", signatures))
            )

    def shortened(value):
        for signature in value["signatures"]:
            signature["sig"] = signature["sig"][:40]

    checks.expect("a signature of another length", changed("root", shortened))

    def other_threshold(threshold):
        def change(value):
            value["signed"]["roles"]["root"]["threshold"] = threshold

        return change

    for threshold in (0, -1, 2, 2**31, 2**63, "1", None):
        checks.expect(f"a root with the threshold {threshold!r}", changed("root", other_threshold(threshold)))

    def every_key(member, new):
        def change(value):
            for key in value["signed"]["keys"].values():
                key[member] = copy.deepcopy(new)

        return change

    for keytype in ("", "dsa", "rsa", "rsa-x509", "ed25519", None, "ecdsa" * 1000):
        checks.expect(f"keys of type {str(keytype)[:20]!r}", changed("root", every_key("keytype", keytype)))
    for keyval in (None, {}, {"public": ""}, {"public": "AAAA"}, {"public": "*"}, {"public": "A" * 1_000_000}, []):
        checks.expect(f"keys with the value {str(keyval)[:30]!r}", changed("root", every_key("keyval", keyval)))
    checks.expect("targets without a root", post(form(valid_parts[1], valid_parts[2])))
    checks.expect("a root alone", post(form(valid_parts[0])))
    checks.expect("a snapshot of other targets", post(replaced("targets", valid["targets"] + b"\n")))
    checks.expect("roots in the place of targets", post(replaced("targets", valid["root"])))

    # ---- GUNs
    for bad in (
        "..",
        "a/../b",
        "%2e%2e/%2e%2e/etc",
        "a/%2e%2e/b",
        "a/..%2f..%2fb",
        "",
        "a//b",
        "*",
        "a%00b",
        "a%0ab",
        "%ff%fe",
        "a%5c..%5cb",
        "%25%32%65",
        "g" * 5000,
        "g/" * 2000 + "g",
        "%",
        "%zz",
        "a?b",
        "a%23b",
        "é".encode().decode("latin-1"),
    ):
        for action in ("root.json", "timestamp.key"):
            checks.expect(
                f"GET {action} of the GUN {bad[:30]!r}",
                lambda: server.request("GET", f"/v2/{bad}/_trust/tuf/{action}"),
                ANSWERED,
            )
        checks.expect(f"an upload to the GUN {bad[:30]!r}", post(whole, to=f"/v2/{bad}/_trust/tuf/"), REFUSED_OR_MOVED)
        checks.expect(
            f"DELETE of the GUN {bad[:30]!r}", lambda: server.request("DELETE", f"/v2/{bad}/_trust/tuf/"), ANSWERED
        )
    checks.expect("the set of one GUN uploaded to another", post(whole, to="/v2/example.com/another/_trust/tuf/"))

    # ---- other routes
    for name in (
        "0.root.json",
        "-1.root.json",
        "99999999999999999999.root.json",
        "1e1.root.json",
        "root.json.json",
        ".json",
        "root.%00.json",
        "root." + "A" * 64 + ".json",
        "root." + "a" * 5000 + ".json",
        "..%2froot.json",
        "targets/../root.json",
        "root",
        "targets/é.json".encode().decode("latin-1"),
        "root.key",
        "targets.key",
        "timestamp.key/",
        "targets/a.key",
    ):
        checks.expect(f"GET {name[:40]}", lambda name=name: server.request("GET", path + name), REFUSED_OR_MOVED)
        checks.expect(f"POST {name[:40]}", lambda name=name: server.request("POST", path + name), REFUSED_OR_CLOSED)
    for query in (
        "records=x",
        "records=99999999999999999999",
        "records=1&change_id=x",
        "records=1&change_id=99999999999999999999",
        "records=%00",
        "",
        "records=1&records=2",
        "records=-99999999999",
    ):
        checks.expect(
            f"changefeed?{query}", lambda query=query: server.request("GET", f"/v2/_trust/changefeed?{query}"), ANSWERED
        )
    for method in ("PUT", "PATCH", "HEAD", "OPTIONS"):
        checks.expect(
            f"{method} of an upload", lambda method=method: server.request(method, path, whole, [content_type])
        )

    # ---- more than anybody may send
    if options.pid:

        def oversized(headers, chunk):
            def send():
                before = resident_bytes(options.pid)
                with server.connect() as connection:
                    sent = 0
                    try:
                        connection.sendall(headers)
                        while sent < 400_000_000:
                            connection.sendall(chunk)
                            sent += len(chunk)
                    except OSError:
                        pass
                grown = resident_bytes(options.pid) - before
                assert sent < 400_000_000, "400 MB of metadata were read to the end"
                assert grown < 250_000_000, f"the server grew by {grown} bytes"

            return send

        start = part("root", b"")[:-2]
        blanks = b" " * 1_000_000
        checks.check(
            "a part of 400 MB",
            oversized(server.head("POST", path, [content_type, ("Content-Length", 500_000_000)]) + start, blanks),
        )
        checks.check(
            "a part of 400 MB in chunks",
            oversized(
                server.head("POST", path, [content_type, ("Transfer-Encoding", "chunked")])
                + b"%x\r\n%b\r\n" % (len(start), start),
                b"%x\r\n%b\r\n" % (len(blanks), blanks),
            ),
        )
        checks.check(
            "a preamble of 400 MB",
            oversized(server.head("POST", path, [content_type, ("Content-Length", 500_000_000)]), blanks),
        )

    http_garbage(checks, server)

    # ---- and now the set that was good all along
    def accepted():
        reply = post(whole)()
        assert reply.status == 200, f"the valid upload was refused: {reply}"
        for role, data in valid.items():
            reply = server.request("GET", f"{path}{role}.json")
            assert reply.status == 200 and reply.body == data, f"{role} is served other than it was uploaded: {reply}"
        reply = post(whole)()
        assert reply.status == 400 and "VERSION" in reply.codes(), f"the same versions were accepted twice: {reply}"

    checks.invariant = lambda: None
    checks.check("the valid set is accepted", accepted, essential=True)
    checks.finish()


if __name__ == "__main__":
    main()
