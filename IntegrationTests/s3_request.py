#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One signed request to S3: s3_request.py METHOD URL, with the keys in the environment. Prints the body of the reply."""

import datetime
import hashlib
import hmac
import os
import sys
import urllib.parse
import urllib.request

method, address = sys.argv[1:3]
url = urllib.parse.urlsplit(address)
now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
empty = hashlib.sha256(b"").hexdigest()
query = "&".join(
    f"{urllib.parse.quote(name, safe='~')}={urllib.parse.quote(value, safe='~')}"
    for name, value in sorted(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
)
headers = {"host": url.netloc, "x-amz-content-sha256": empty, "x-amz-date": now}
fields = "".join(f"{name}:{value}\n" for name, value in headers.items())
names = ";".join(headers)
request = "\n".join([method, url.path, query, fields, names, empty])
scope = f"{now[:8]}/us-east-1/s3/aws4_request"
text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
for word in scope.split("/"):
    key = hmac.new(key, word.encode(), hashlib.sha256).digest()
signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
del headers["host"]
headers["Authorization"] = (
    f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={names}, Signature={signature}"
)
target = f"{url.scheme}://{url.netloc}{url.path}" + (f"?{query}" if query else "")
message = urllib.request.Request(target, method=method, headers=headers)
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(message, timeout=30) as reply:
    sys.stdout.buffer.write(reply.read())
