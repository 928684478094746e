"""Imports the models of all tables, so that METADATA is complete; for migrations and their tests."""

from app.access import models as access
from app.access import moves
from app.cases import models as cases
from app.database.statements import Base
from app.http import models as http
from app.ledger import models as ledger
from app.reference import models as reference
from app.vault import models as vault

ROOMS = (access, moves, cases, http, ledger, reference, vault)
METADATA = Base.metadata
