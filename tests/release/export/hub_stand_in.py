"""The part of the hub's HTTP interface that an upload, and a download by open_clip, need: in memory, on loopback."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_stand_in"
READ_ONLY = "hf_may_only_read"

_LARGE = (".safetensors", ".onnx", ".npy", ".pt", ".data")
"""As in the .gitattributes that the hub gives a new repository."""


@dataclass
class Commit:
    """One commit: its files as path -> (content, whether it is kept as a large file)."""

    sha: str
    message: str
    files: dict[str, tuple[bytes, bool]]


@dataclass
class Repository:
    """Branches of commits, oldest first."""

    private: bool
    branches: dict[str, list[Commit]] = field(default_factory=dict)

    def head(self, revision: str) -> Commit | None:
        """The newest commit of a branch, or the commit of that sha."""
        if revision in self.branches:
            return self.branches[revision][-1]
        every = (commit for commits in self.branches.values() for commit in commits)
        return next((commit for commit in every if commit.sha == revision), None)


@dataclass
class Hub:
    """What the stand-in holds, and what was asked of it.

    Attributes:
        endpoint: for HF_ENDPOINT.
        repositories: by ORG/NAME.
        objects: sha256 -> content of uploaded large files.
        requests: method and path, in order.
        refuse: pattern of `METHOD PATH` -> status to answer with; 0 closes the connection without an answer.
        answers: pattern of `METHOD PATH` -> what to answer with instead, with status 200.
        before_commit: called before a commit is made.
    """

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    before_commit: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, files: dict[str, bytes] | None = None, private: bool = False) -> Repository:
        """A repository with one commit."""
        made = Repository(private)
        made.branches["main"] = [_commit("initial commit", {}, files or {})]
        self.repositories[name] = made
        return made

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """What a branch shows."""
        head = self.repositories[name].head(revision)
        assert head is not None
        return {path: content for path, (content, _) in head.files.items()}


@contextmanager
def hub_stand_in() -> Iterator[Hub]:
    """A hub without repositories, running."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def git_hash(content: bytes) -> str:
    """What git calls a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _commit(message: str, before: dict[str, tuple[bytes, bool]], changes: dict[str, bytes]) -> Commit:
    files = before | {path: (content, path.endswith(_LARGE)) for path, content in changes.items()}
    text = repr([(path, git_hash(content)) for path, (content, _) in sorted(files.items())]) + message
    return Commit(hashlib.sha1(text.encode()).hexdigest(), message, files)


class _Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", **more: str) -> None:
        self.status, self.code, self.message, self.more = status, code, message, more


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        asked = f"{self.command} {path}"
        with self.hub.lock:
            self.hub.requests.append(asked)
        status = next((one for pattern, one in self.hub.refuse.items() if re.search(pattern, asked)), None)
        try:
            if status == 0:
                self.close_connection = True
                self.connection.close()
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if status is not None:
                raise _Refused(status, message=f"refused with {status}: {self.headers.get('Authorization')}")
            if (
                odd := next((one for pattern, one in self.hub.answers.items() if re.search(pattern, asked)), None)
            ) is not None:
                return self._send(200, odd)
            self._route(asked, body)
        except _Refused as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            self._send(
                refusal.status,
                {"error": refusal.message} | refusal.more,
                {key: one for key, one in headers.items() if one},
            )

    def _route(self, asked: str, body: bytes) -> None:
        for pattern, handle in _ROUTES.items():
            if match := re.fullmatch(pattern, asked):
                return handle(self, body, *match.groups())
        raise _Refused(404, message=f"the stand-in has no {asked}")

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _may(self, write: bool) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in (TOKEN, READ_ONLY):
            raise _Refused(401, message="Invalid credentials in Authorization header")
        if write and token != TOKEN:
            raise _Refused(403, message="You don't have the rights")

    def _repository(self, name: str, write: bool = False) -> Repository:
        if name not in self.hub.repositories:
            raise _Refused(404, "RepoNotFound", "Repository not found")
        found = self.hub.repositories[name]
        if write or found.private:
            self._may(write)
        return found

    def _head(self, name: str, revision: str | None, write: bool = False) -> Commit:
        head = self._repository(name, write).head(revision or "main")
        if head is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return head

    def who(self, _: bytes) -> None:
        self._may(write=False)
        self._send(200, {"name": "someone", "type": "user", "orgs": []})

    def create(self, body: bytes) -> None:
        self._may(write=True)
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            raise _Refused(409, message="You already created this repo", url=f"{self.hub.endpoint}/{name}")
        self.hub.add(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, asked.get("visibility") == "private")
        self._send(200, {"url": f"{self.hub.endpoint}/{name}"})

    def branch(self, _: bytes, name: str, branch: str) -> None:
        branches = self._repository(name, write=True).branches
        if branch in branches:
            raise _Refused(409, message="Reference already exists")
        branches[branch] = [branches["main"][-1]]
        self._send(200, {})

    def info(self, _: bytes, name: str, revision: str | None = None) -> None:
        head = self._head(name, revision)
        siblings = [{"rfilename": path} for path in head.files]
        private = self.hub.repositories[name].private
        self._send(200, {"_id": "1", "id": name, "sha": head.sha, "private": private, "siblings": siblings})

    def validate(self, body: bytes) -> None:
        import yaml

        text = json.loads(body)["content"]
        try:
            metadata = yaml.safe_load(text.split("---\n")[1]) if text.startswith("---\n") else {}
            errors = [] if isinstance(metadata, dict) else [{"message": "metadata must be a table"}]
        except yaml.YAMLError as error:
            errors = [{"message": str(error)}]
        self._send(400 if errors else 200, {"errors": errors, "warnings": []})

    def preupload(self, body: bytes, name: str, revision: str) -> None:
        there = self._head(name, revision, write=True).files
        files = []
        for one in json.loads(body)["files"]:
            path, mode = one["path"], "lfs" if one["path"].endswith(_LARGE) else "regular"
            known = {}
            if path in there:
                content, is_large = there[path]
                known = {"oid": hashlib.sha256(content).hexdigest() if is_large else git_hash(content)}
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **known})
        self._send(200, {"files": files})

    def batch(self, body: bytes, name: str) -> None:
        self._repository(name, write=True)
        objects = []
        for one in json.loads(body)["objects"]:
            url = f"{self.hub.endpoint}/lfs/{one['oid']}"
            actions = {"upload": {"href": url}, "verify": {"href": f"{url}/verify"}}
            objects.append(one if one["oid"] in self.hub.objects else one | {"actions": actions})
        self._send(200, {"transfer": "basic", "objects": objects})

    def put(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refused(400, message="the content has another sha256")
        self.hub.objects[oid] = body
        self._send(200, {})

    def verify(self, body: bytes, oid: str) -> None:
        stored = self.hub.objects.get(oid)
        if stored is None or len(stored) != json.loads(body)["size"]:
            raise _Refused(404, message="no such object")
        self._send(200, {})

    def commit(self, body: bytes, name: str, revision: str) -> None:
        if self.hub.before_commit is not None:
            self.hub.before_commit()
        head = self._head(name, revision, write=True)
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines.pop(0)["value"]
        if header.get("parentCommit", head.sha) != head.sha:
            raise _Refused(412, message="A commit has happened since. Please refresh and try again.")
        changes = {one["value"]["path"]: self._content(one) for one in lines if one["key"] in ("file", "lfsFile")}
        gone = {one["value"]["path"] for one in lines if one["key"] == "deletedFile"}
        before = {path: file for path, file in head.files.items() if path not in gone}
        made = _commit(header["summary"], before, changes)
        self.hub.repositories[name].branches[revision].append(made)
        url = f"{self.hub.endpoint}/{name}/commit/{made.sha}"
        self._send(200, {"commitUrl": url, "commitOid": made.sha, "success": True})

    def _content(self, operation: dict[str, Any]) -> bytes:
        value = operation["value"]
        if operation["key"] == "file":
            return base64.b64decode(value["content"])
        if value["oid"] not in self.hub.objects:
            raise _Refused(400, message=f"LFS object {value['oid']} was not uploaded")
        return self.hub.objects[value["oid"]]

    def resolve(self, _: bytes, name: str, revision: str, path: str) -> None:
        head = self._head(name, revision)
        if path not in head.files:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        content, is_large = head.files[path]
        headers = {"X-Repo-Commit": head.sha}
        if not is_large:
            return self._send(200, content, headers | {"ETag": f'"{git_hash(content)}"'})
        oid = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        elsewhere = self.hub.endpoint.replace("127.0.0.1", "localhost")  # large files are on another host
        self._send(302, b"", headers | {"Location": f"{elsewhere}/lfs/{oid}"})

    def get(self, _: bytes, oid: str) -> None:
        if oid not in self.hub.objects:
            raise _Refused(404, message="no such object")
        self._send(200, self.hub.objects[oid], {"ETag": f'"{oid}"'})


_NAME = r"([^/]+/[^/]+)"
_ROUTES: dict[str, Any] = {
    r"GET /api/whoami-v2": _Handler.who,
    r"POST /api/repos/create": _Handler.create,
    r"POST /api/validate-yaml": _Handler.validate,
    rf"POST /api/models/{_NAME}/branch/(.+)": _Handler.branch,
    rf"GET /api/models/{_NAME}": _Handler.info,
    rf"GET /api/models/{_NAME}/revision/(.+)": _Handler.info,
    rf"POST /api/models/{_NAME}/preupload/(.+)": _Handler.preupload,
    rf"POST /api/models/{_NAME}/commit/(.+)": _Handler.commit,
    rf"POST /{_NAME}\.git/info/lfs/objects/batch": _Handler.batch,
    r"PUT /lfs/(\w+)": _Handler.put,
    r"POST /lfs/(\w+)/verify": _Handler.verify,
    r"(?:GET|HEAD) /lfs/(\w+)": _Handler.get,
    rf"(?:GET|HEAD) /{_NAME}/resolve/([^/]+)/(.+)": _Handler.resolve,
}
