"""Every table of the house, for migrations and their tests: importing the rooms' models fills the metadata."""

from app.access import models as access
from app.access import moves
from app.cases import models as cases
from app.database.sessions import Base
from app.http import models as http
from app.ledger import models as ledger
from app.reference import models as reference
from app.vault import models as vault

ROOMS = (access, moves, cases, http, ledger, reference, vault)
METADATA = Base.metadata
