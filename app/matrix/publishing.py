"""Publishes the matrix: row by row at /v1/reference/access-matrix, and as a page of the docs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.http.conditional import PublicDocument, cached
from app.http.limits import limit_public
from app.matrix.cells import Cell, expected, operations, parties, state
from app.matrix.situations import Situation, situations

router = APIRouter(tags=["reference"])


def rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the rows of the published matrix.
    What does not depend on the case appears once.
    """
    for operation in operations(document):
        for party in parties():
            written: set[tuple[str, Cell]] = set()
            for case in situations():
                cell = expected(operation, party, case)
                where = state(party, case)
                if (where, cell) not in written:
                    written.add((where, cell))
                    yield {
                        "operation": operation.name,
                        "party": party,
                        "state": where,
                        "case": case.name,
                        "status": cell.status,
                        "shows": list(cell.shows),
                    }


def matrix_page(document: Mapping[str, Any]) -> str:
    """Make docs/access-matrix.md.
    For each operation and party it has every status, over the cases in every state.
    """
    head = ["operation", *parties()]
    lines = [PAGE, f"| {' | '.join(head)} |", f"|---{'|---' * len(parties())}|"]
    for operation in operations(document):
        statuses = [sorted({expected(operation, party, case).status for case in situations()}) for party in parties()]
        lines.append(f"| `{operation.name}` | {' | '.join(', '.join(map(str, each)) for each in statuses)} |")
    return "\n".join(lines) + "\n"


PAGE = """# Who gets what

Made by `sbt openapi` from the operations' scopes and the procedures' data; a test holds the service to it, cell by cell. Several statuses in
one cell: it depends on the case. `GET /v1/reference/access-matrix` says on what, and which guarded members (who it is, who reported, the
account, the members of each stage) are shown.

200, 201, 202, 204: it is answered, or may write; in production what gives power is 202 until a second operator approves. 401: no token, or no
good one. 403: another's turn, or no right. 404: not theirs to see. 409: it might, were the stage open. 422: the case has no such role.
"""


@router.get("/v1/reference/access-matrix", operation_id="read_access_matrix", dependencies=[Depends(limit_public)])
async def read_access_matrix(request: Request) -> Response:
    """Who gets what: every operation x every party x a case in every state,
    with the status and the guarded members that are shown.
    `state`: how the case stands to the party. 201 and 202: it may write; 409: it might, were the stage open. What is not told of a single
    case shows no guarded member. The service is held to each row by a test, which asks as the party would; where it may write, with
    what is refused only then (a stale version, a duplicate). In production 201 of an operator is 202 for what needs a second one, and
    `check_signature` is not there. No token needed.
    """
    if not hasattr(request.app.state, "matrix"):  # computed once: it changes only with the program
        body = {"situations": [_told(s) for s in situations()], "data": list(rows(request.app.openapi()))}
        request.app.state.matrix = PublicDocument(json.dumps(body, ensure_ascii=False).encode())
    return cached(request, request.app.state.matrix)


def _told(case: Situation) -> dict[str, Any]:
    return {"case": case.name, "procedure": case.procedure, "opened_by": case.opened_by, "open": list(case.open)}
