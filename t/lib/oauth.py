#!/usr/bin/env python3
"""oauth.py PORT: the endpoint at which Dovecot asks about tokens (RFC 7662).

The token "tok-USER" is USER's; any other is inactive."""
import json
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Introspect(BaseHTTPRequestHandler):
	protocol_version = "HTTP/1.1"

	def do_POST(self):
		form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
		token = urllib.parse.parse_qs(form).get("token", [""])[0]
		answer = {"active": False}
		if token.startswith("tok-"):
			answer = {"active": True, "username": token[4:], "scope": "mail"}
		body = json.dumps(answer).encode()
		self.send_response(200)
		self.send_header("Content-Type", "application/json")
		self.send_header("Content-Length", str(len(body)))
		self.end_headers()
		self.wfile.write(body)

	def log_message(self, *args):
		pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Introspect).serve_forever()
