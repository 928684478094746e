"""A name is found as people write it: with or without apostrophes, spaces, titles and degrees."""

from typing import Any
from uuid import uuid4

import pytest

from app.vault.persons import WHOLE_NAME, forms
from tests.support.house import House

LETTERS = str.maketrans("0123456789abcdef", "bcdfgjklmnprtvwz")


def fresh_word() -> str:
    """A name that nobody else in this house has."""
    return uuid4().hex[:10].translate(LETTERS).capitalize()


def found(api: House, name: str) -> list[str]:
    answer = api.send("bkn", "/v1/cases/search", {"name": name}, X_Purpose="penanganan")
    assert answer.status_code == 200, answer.text
    return [case["id"] for case in answer.json()["data"]]


@pytest.mark.parametrize(
    ("written", "sought"),
    [
        ("Nur'aini {0}", ["Nuraini {0}", "nur aini {0}", "NUR’AINI {0}", "Nur-Aini{0}"]),
        (
            "Dr. H. Ahmad {0}, S.Pd., M.Si.",
            ["dr h ahmad {0} spd msi", "Ahmad {0}", "Ahmad {0}, S.Pd.", "Drs. Ahmad {0} SPd. M Si"],
        ),
        ("Hj. Siti {0}, S.Tr.Keb", ["Siti {0}", "siti {0} s tr keb"]),
        ("K.H. Ahmad {0}", ["Ahmad {0}", "KH Ahmad {0}", "kyai haji ahmad {0}"]),
        ("Dr. (H.C.) Ahmad {0}", ["Ahmad {0}", "dr ahmad {0}"]),
        ("Brigjen TNI (Purn) Ahmad {0}", ["Ahmad {0}"]),
        ("Ahmad {0}", ["Prof. Dr. Ahmad {0}, S.H., M.H., Ph.D"]),
    ],
)
def test_a_name_is_found_however_it_is_written(api: House, written: str, sought: list[str]) -> None:
    word = fresh_word()
    case = api.open(subject__name=written.format(word))
    for name in sought:
        assert found(api, name.format(word)) == [case.id], name


@pytest.mark.parametrize(
    "other", ["{0}", "Ahmad {0} Sastra", "Ahmad {0} Hasan", "Ahmad B {0}", "{0} Ahmad", "Ahmadi {0}"]
)
def test_another_name_is_another(api: House, other: str) -> None:
    """Otherwise it is exact: who bears two words of the name is somebody else."""
    word = fresh_word()
    api.open(subject__name=f"Ahmad {word}")
    assert found(api, other.format(word)) == []


def test_a_case_of_before_is_found_as_before_until_the_keys_are_rotated(api: House) -> None:
    """Its row of the index came with this release: until the keys are rotated it is found by its words alone."""
    word = fresh_word()
    case = api.open(subject__name=f"Dr. Nur'aini {word}")
    columns = "case_id, kind, digest, epoch, entry_id"
    (row,) = api.superuser(
        f"DELETE FROM blind_index WHERE kind = '{WHOLE_NAME}' AND case_id = '{case.id}' RETURNING {columns}"
    )
    try:
        assert found(api, f"dr nur aini {word}") == [case.id] and found(api, f"Nuraini {word}") == []
    finally:
        api.superuser(f"INSERT INTO blind_index ({columns}) VALUES (%s, %s, %s, %s, %s)", *row)


def test_a_title_alone_stays_a_name() -> None:
    """A search for nothing would find everybody who has no name."""
    for name in ("Drs", "S.Pd", "H."):
        assert dict(forms({"name": name}))[WHOLE_NAME]
    whole: Any = dict(forms({"name": None}))
    assert WHOLE_NAME not in whole
