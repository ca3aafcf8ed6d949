"""As much of a hub of data sets as HfFileSystem asks for, on the loopback, in memory."""

import base64
import hashlib
import http.server
import json
import re
import threading
from urllib.parse import unquote, urlsplit

REPO = "datasets/me/photos"
COMMIT = "0" * 40


class Hub(http.server.ThreadingHTTPServer):
    """One data set; `files` is what lies in it, `tokens` what clients showed."""

    def __init__(self):
        self.files, self.tokens = {}, set()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):  # noqa: N802 (the name is http.server's)
        self.do_GET()

    def do_GET(self):  # noqa: N802
        self.server.tokens.add(self.headers.get("Authorization"))
        path = unquote(urlsplit(self.path).path)
        if matched := re.fullmatch(rf"/{REPO}/resolve/[^/]+/(.+)", path):
            self.answer_file(matched[1])
        elif matched := re.fullmatch(rf"/api/{REPO}/tree/[^/]+/?(.*)", path):
            self.answer(self.below(matched[1], "recursive=True" in self.path))
        elif re.fullmatch(rf"/api/{REPO}(/revision/[^/]+)?", path):
            self.answer({"id": "me/photos", "sha": COMMIT, "siblings": []})
        else:
            self.refuse("RepoNotFound")

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        if "/paths-info/" in path:
            asked = (
                json.loads(body)["paths"]
                if body[:1] == b"{"
                else re.findall(b"paths=([^&]+)", body)
            )
            names = [unquote(each.decode() if isinstance(each, bytes) else each) for each in asked]
            self.answer([entry for name in names for entry in self.entry(name)])
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            self.answer(
                {
                    "files": [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for f in files
                    ]
                }
            )
        elif "/commit/" in path:
            self.commit([json.loads(line) for line in body.splitlines()])
        else:
            self.refuse("RepoNotFound")

    def commit(self, lines):
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                self.server.files.pop(value["path"], None)
        self.answer(
            {"commitUrl": f"{self.server.address}/{REPO}/commit/{COMMIT}", "commitOid": COMMIT}
        )

    def entry(self, name):
        if name in self.server.files:
            return [self.described(name)]
        is_folder = any(path.startswith(f"{name}/") for path in self.server.files)
        return [{"type": "directory", "path": name, "oid": COMMIT}] if is_folder else []

    def below(self, folder, recursive):
        start = f"{folder}/" if folder else ""
        names = [path for path in self.server.files if path.startswith(start)]
        cut = {f"{start}{path[len(start) :].partition('/')[0]}" for path in names}
        return [
            one for name in sorted(set(names) if recursive else cut) for one in self.entry(name)
        ]

    def described(self, name):
        data = self.server.files[name]
        oid = hashlib.sha1(data).hexdigest()
        return {"type": "file", "path": name, "size": len(data), "oid": oid}

    def answer_file(self, name):
        if name not in self.server.files:
            self.refuse("EntryNotFound")
            return
        data = self.server.files[name]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_body(data, "application/octet-stream")

    def answer(self, content):
        self.send_response(200)
        self.send_body(json.dumps(content).encode(), "application/json")

    def refuse(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_body(b"{}", "application/json")

    def send_body(self, body, kind):
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass
