"""One line a request on standard output: who asked for which route, the answer, the time it took."""

import asyncio
import atexit
import json
import sys
import time

from starlette.types import Scope

from app import clock

FLUSH_SECONDS = 0.2  # lines are written together: a write for each would cost more than the line


class AccessLines:
    """The lines of this process.
    If it is killed, those of the last FLUSH_SECONDS are lost; the access trail does not depend on them.
    """

    def __init__(self, *, structured: bool) -> None:
        """`structured`: each line is a JSON object, for a collector of logs."""
        self._structured, self._waiting, self._scheduled = structured, list[str](), False

    def add(self, scope: Scope, status: int, began: float) -> None:
        """Adds the line of a request that was answered; `began`: time.monotonic().
        The route stands for the path, and no query is written: a caller may have put a person into either.
        """
        state = scope["state"]
        route, caller = state.get("routed", scope).get("route"), state.get("caller")
        path = route.path if route is not None else None
        client = caller.client_id if caller is not None else None
        address = scope["client"][0] if scope.get("client") else None
        milliseconds = round((time.monotonic() - began) * 1000)
        if self._structured:
            at = clock.real().isoformat(timespec="milliseconds")
            line = {"at": at, "request_id": str(state["request_id"]), "client": client, "address": address}
            line |= {"method": scope["method"], "route": path, "status": status, "ms": milliseconds}
            text = json.dumps(line, separators=(",", ":"))
        else:
            asked = f"{scope['method']} {path or '-'}"
            text = f"{time.strftime('%H:%M:%S')}  {status}  {milliseconds:4} ms  {client or address}  {asked}"
        self._waiting.append(text)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        waiting, self._waiting, self._scheduled = self._waiting, [], False
        if waiting:
            sys.stdout.write("\n".join(waiting) + "\n")
            sys.stdout.flush()


_lines: AccessLines | None = None


def install(*, structured: bool) -> None:
    """Starts the lines of this process; a test or another program that serves the application has none."""
    global _lines  # noqa: PLW0603 - one standard output, one list of lines
    _lines = AccessLines(structured=structured)
    atexit.register(_lines.flush)


def write_line(scope: Scope, status: int, began: float) -> None:
    if _lines is not None:
        _lines.add(scope, status, began)
