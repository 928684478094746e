"""The command line of verify.py, the one-file verifier. Imports pure modules only."""

import argparse
import json
import sys
from pathlib import Path

from app.ledger.note import NoteError, read_vkey
from app.ledger.terminal import printable
from app.verifier.archive import NoBundleError
from app.verifier.bundle import check
from app.verifier.report import COULD_NOT, lines


def main() -> None:
    """Checks a bundle and prints the report; the exit code is the result."""
    words = argparse.ArgumentParser(description="Checks a case's bundle of an SBT ledger, offline.")
    words.add_argument("bundle", type=Path)
    words.add_argument(
        "--vkey",
        action="append",
        default=[],
        help="a verifier key you were told out of band, of the log or of a witness",
    )
    words.add_argument("--quorum", type=int, help="how many of the witnesses given must have cosigned (3 unless given)")
    words.add_argument("--json", action="store_true", help="the whole report as JSON")
    arguments = words.parse_args()
    try:
        report = check(arguments.bundle.read_bytes(), [read_vkey(text) for text in arguments.vkey], arguments.quorum)
    except (NoBundleError, NoteError, OSError) as error:
        print(f"could not check: {printable(str(error))}", file=sys.stderr)  # noqa: T201 - a command prints
        raise SystemExit(COULD_NOT) from None
    except Exception as error:  # noqa: BLE001 - a bundle that crashes the verifier was not checked, which is not a finding
        print(f"could not check: {type(error).__name__}", file=sys.stderr)  # noqa: T201 - a command prints
        raise SystemExit(COULD_NOT) from None
    print(json.dumps(report.told(), indent=1) if arguments.json else "\n".join(lines(report)))  # noqa: T201 - a command prints
    raise SystemExit(report.exit_code)
