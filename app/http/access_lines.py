"""One line a request on standard output: who asked for which route, the answer, the time it took."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

from starlette.types import Scope

log = logging.getLogger("sbt.access")


def install(*, structured: bool) -> None:
    """Starts the lines of this process. `structured`: each is a JSON object, for a collector of logs."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLine() if structured else TextLine())
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def write_line(scope: Scope, status: int, began: float) -> None:
    """Writes the line of a request that was answered; `began`: time.monotonic().
    The route stands for the path, and no query is written: a caller may have put a person into either.
    """
    if not log.isEnabledFor(logging.INFO):
        return
    state = scope["state"]
    route, caller = state.get("routed", scope).get("route"), state.get("caller")
    line = {
        "request_id": str(state["request_id"]),
        "client": caller.client_id if caller is not None else None,
        "address": scope["client"][0] if scope.get("client") else None,
        "method": scope["method"],
        "route": route.path if route is not None else None,
        "status": status,
        "ms": round((time.monotonic() - began) * 1000),
    }
    log.info("request", extra={"line": line})


class JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"at": at, **record.__dict__["line"]}, separators=(",", ":"))


class TextLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = record.__dict__["line"]
        asked = f"{line['method']} {line['route'] or '-'}"
        who = line["client"] or line["address"]
        return f"{self.formatTime(record, '%H:%M:%S')}  {line['status']}  {line['ms']:4} ms  {who}  {asked}"
