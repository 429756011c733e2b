"""A Keyway plugin without an SDK: secrets from its settings, read by name.

Five rules make a program a plugin; the numbers stand where each is kept.

1. With --describe it prints what it is, as JSON, and exits.
2. Started by a host, it serves keyway.plugin.v1.Plugin on a Unix socket and says where in one line on stdout.
3. It lives as long as its stdin. Signals are the host's business.
4. It logs to stderr, one JSON object a line, and never a value.
5. It fails with a gRPC status that carries a keyway.plugin.v1.Error.
"""

import functools
import json
import os
import signal
import sys
from concurrent import futures
from datetime import datetime, timezone

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from keyway.plugin.v1 import plugin_pb2 as pb
from keyway.plugin.v1 import plugin_pb2_grpc as rpc

MANIFEST = {
    "name": "python-example",
    "version": "0.1.0",
    "summary": "Secrets from the settings, served by a program without an SDK.",
    "capabilities": ["get"],
    "settings_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "secrets": {
                "description": "The secrets, by name.",
                "writeOnly": True,
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
        },
    },
}

MAX_NAME = 1024  # bytes
MAX_VALUE = 1 << 20  # bytes


class Failure(Exception):
    """A failure with its code. The message is one line and holds no value."""

    def __init__(self, code, message, **fields):
        super().__init__(message)
        self.code = code.value[0]
        self.error = pb.Error(code=self.code, message=message, **fields)

    def status(self):
        detail = any_pb2.Any()
        detail.Pack(self.error)
        return rpc_status.to_status(status_pb2.Status(code=self.code, message=self.error.message, details=[detail]))


def invalid(message, **fields):
    return Failure(grpc.StatusCode.INVALID_ARGUMENT, message, **fields)


def log(level, message, **fields):
    now = datetime.now(timezone.utc).isoformat()
    line = {"@level": level, "@message": message, "@timestamp": now, **fields}
    print(json.dumps(line), file=sys.stderr, flush=True)


def answering(method):
    """Turns what a method raises into a status (5). A bug is told by its type: its text may hold a value."""

    @functools.wraps(method)
    def call(self, request, context):
        try:
            return method(self, request)
        except Failure as failure:
            context.abort_with_status(failure.status())
        except Exception as bug:
            kind = type(bug).__name__
            log("error", "bug", op=method.__name__, type=kind)
            failure = Failure(grpc.StatusCode.INTERNAL, f"{method.__name__.lower()}: {kind}")
            context.abort_with_status(failure.status())

    return call


def check_name(name):
    """Names are UTF-8 without control characters, 1 to 1024 bytes, and no segment walks."""
    if not 1 <= len(name.encode()) <= MAX_NAME:
        raise invalid(f"name has {len(name.encode())} bytes, want 1 to {MAX_NAME}")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        raise invalid(f"name {name!r} has a control character")
    if any(segment in ("", ".", "..") for segment in name.split("/")):
        raise invalid(f"name {name!r} has an empty, '.' or '..' segment")


def decode(raw):
    """Reads the settings strictly: every fault is a problem at its path, and no message quotes a value."""
    try:
        settings = json.loads(raw or b"{}")
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise invalid("settings", problems=[pb.Problem(message="must be an object")])
    secrets = settings.pop("secrets", {})
    problems = [pb.Problem(path=f"/{name}", message="is not a setting; the setting is secrets") for name in settings]
    if not isinstance(secrets, dict) or not all(isinstance(value, str) for value in secrets.values()):
        problems.append(pb.Problem(path="/secrets", message="must be an object of strings"))
    elif not all(1 <= len(value.encode()) <= MAX_VALUE for value in secrets.values()):
        problems.append(pb.Problem(path="/secrets", message=f"each value has 1 byte to {MAX_VALUE}"))
    if problems:
        raise invalid("settings", problems=problems)
    return {name: value.encode() for name, value in secrets.items()}


class Plugin(rpc.PluginServicer):
    """The methods that "get" needs. Those it leaves out answer UNIMPLEMENTED by themselves."""

    def __init__(self):
        self.stores = {}  # handle -> (settings as they came, secrets)

    @answering
    def Describe(self, request):
        fields = {**MANIFEST, "settings_schema": json.dumps(MANIFEST["settings_schema"])}
        return pb.DescribeResponse(**fields)

    @answering
    def Open(self, request):
        opened = self.stores.setdefault(request.store, (request.settings, decode(request.settings)))
        if opened[0] != request.settings:
            raise Failure(grpc.StatusCode.ALREADY_EXISTS, f"open {request.store!r}: is open with other settings")
        log("debug", "opened", store=request.store)
        return pb.OpenResponse(capabilities=MANIFEST["capabilities"], reach=pb.Reach())

    @answering
    def Close(self, request):
        self.stores.pop(request.store, None)
        return pb.CloseResponse()

    @answering
    def Check(self, request):
        self.secrets(request.store)
        return pb.CheckResponse(identity="nobody")

    @answering
    def Get(self, request):
        secrets = self.secrets(request.store)
        check_name(request.name)
        if request.version:
            raise Failure(grpc.StatusCode.UNIMPLEMENTED, "get: the store lacks get.version, so version cannot be honoured")
        if request.name not in secrets:
            raise Failure(grpc.StatusCode.NOT_FOUND, f"get {request.name!r}: no such secret")
        return pb.GetResponse(secret=pb.Secret(value=secrets[request.name]))

    def secrets(self, handle):
        if handle not in self.stores:
            message = f"store {handle!r} is not open in this plugin"
            raise Failure(grpc.StatusCode.FAILED_PRECONDITION, message, unknown_store=True)
        return self.stores[handle][1]


def main():
    if sys.argv[1:] == ["--describe"]:  # (1)
        print(json.dumps(MANIFEST, indent=2))
        return
    if os.environ.get("KEYWAY_PLUGIN") != "keyway.plugin.v1":
        sys.exit("This program is a Keyway plugin: a Keyway host starts it. Try --describe.")
    for ignored in (signal.SIGTERM, signal.SIGINT):  # (3)
        signal.signal(ignored, signal.SIG_IGN)
    server = grpc.server(futures.ThreadPoolExecutor(8))
    rpc.add_PluginServicer_to_server(Plugin(), server)
    path = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], "plugin.sock")
    server.add_insecure_port("unix:" + path)
    server.start()
    print(f"1|1|unix|{path}|grpc", flush=True)  # (2)
    sys.stdin.buffer.read()  # (3): it ends when the host closes it, or is no more
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
