"""The one visibility predicate: list, get, search, history, worklist and statistics all use it."""

from typing import Any

from app.access.caller import Caller
from app.access.policy import case_scope

# `c` is the row of cases. access.policy.case_scope decides; this is the same rule in SQL.
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
