#!/usr/bin/env bash
# A page that is no answer of EC2 is read as an answer without prices.
#
# Expected: boto3 raises where the answer to DescribeSpotPriceHistory is not one: a proxy's page, sent with status 200.
# Happens:  any well-formed XML is an answer in which every list is absent: no error, no prices. Of a real answer without
#           prices it differs only in that `SpotPriceHistory` is missing there and an empty list here.
# Versions: boto3 and botocore 1.43.117, Python 3.11; 2026-11-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.43.117 botocore==1.43.117
HOME="$folder" "$folder/venv/bin/python" - <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3

PAGES = {
    "a proxy's page": b"<html><body><p>Please sign in.</p></body></html>",
    "no prices": b'<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    b"<requestId>1</requestId><spotPriceHistorySet/></DescribeSpotPriceHistoryResponse>",
}


class Server(BaseHTTPRequestHandler):
    page = b""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "ec2",
    region_name="us-east-1",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    aws_access_key_id="none",
    aws_secret_access_key="none",
)
seen = {}
for name, Server.page in PAGES.items():
    answer = client.describe_spot_price_history()
    seen[name] = answer.get("SpotPriceHistory", "absent")
    print(f"{name}: status {answer['ResponseMetadata']['HTTPStatusCode']}, SpotPriceHistory {seen[name]}")
assert seen["a proxy's page"] == "absent", seen
PYTHON
