"""The visibility predicate: which cases a caller sees, for one case and for lists."""

from dataclasses import dataclass, field
from typing import Any

from app.access.caller import Caller
from app.access.policy import case_scope

# `c` is the row of cases. access.policy.case_scope decides; this is the same rule in SQL, for a case that is named.
VISIBLE = "(CAST(:sees_all AS boolean) OR :acted = ANY(c.acted) OR (c.reached_ppk AND c.agency_code = :employer))"
# The case is found by this person, and no other was put in the person's place since.
FINDS = (
    "EXISTS (SELECT 1 FROM blind_index b WHERE b.case_id = c.id AND b.digest = ANY(CAST(:digests AS bytea[]))"
    " AND (b.entry_id = c.subject_entry_id OR NOT EXISTS (SELECT 1 FROM blind_index n"
    " WHERE n.case_id = c.id AND n.kind = b.kind AND n.entry_id = c.subject_entry_id)))"
)
# Selected beside `cases c`: its rounds, as JSON.
STAGES = "(SELECT jsonb_agg(to_jsonb(st) ORDER BY st.stage, st.round) FROM stage st WHERE st.case_id = c.id) AS stages"


def seen_by(caller: Caller) -> dict[str, Any]:
    """The parameters of VISIBLE."""
    scope = case_scope(caller)
    return {"sees_all": scope.all, "acted": scope.acted, "employer": scope.employer}


@dataclass(frozen=True, slots=True)
class SeenCases:
    """The same rule for lists, as the condition that the caller's scope needs.
    PostgreSQL plans each by itself.
    `joined`: stands behind `cases c`. `condition`: on `c` and what is joined. `values`: its parameters.
    `ids`: the query for the ids of these cases alone; None: the caller sees all.
    """

    joined: str
    condition: str
    values: dict[str, Any] = field(compare=False)
    ids: str | None

    def look(self, column: str) -> str:
        """Whether the case in `column` is one of these.
        OFFSET 0: it is looked up for each row; a join would read all of them first.
        """
        key = "v.case_id" if self.joined else "c.id"
        return f"EXISTS ({self.ids} AND {key} = {column} OFFSET 0)"

    def clauses(self, column: str, *, open_only: bool) -> tuple[str, ...]:
        """The same for rows that name a case in `column`, where `cases` is not joined.
        A party that acted in many cases meets them wherever a list begins; those of an employer are few: it begins with them.
        """
        if self.ids is None:
            return ()
        if "acted" in self.values:
            return (self.look(column),)
        return (f"{column} IN ({self.ids}{' AND c.closed_at IS NULL' if open_only else ''})",)


OF_EMPLOYER = "c.reached_ppk AND c.agency_code = :employer"


def cases_seen_by(caller: Caller) -> SeenCases:
    scope = case_scope(caller)
    if scope.all:
        return SeenCases("", "true", {}, None)
    if scope.employer is not None:
        return SeenCases("", OF_EMPLOYER, {"employer": scope.employer}, f"SELECT c.id FROM cases c WHERE {OF_EMPLOYER}")
    if scope.acted is not None:
        acted = "v.party = CAST(:acted AS text)"
        ids = f"SELECT v.case_id AS id FROM case_party v WHERE {acted}"
        return SeenCases("JOIN case_party v ON v.case_id = c.id", acted, {"acted": scope.acted}, ids)
    return SeenCases("", "false", {}, "SELECT c.id FROM cases c WHERE false")
