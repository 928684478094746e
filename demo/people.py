"""Synthetic people: valid NIPs with sequence numbers 9xx, names that nobody bears. No real person."""

import random
from dataclasses import dataclass
from datetime import date

from app.procedure.code_lists import valid_on
from app.procedure.loading import rulebook

FIRST = ("Arga", "Bima", "Citra", "Dewi", "Eka", "Fajar", "Gita", "Hadi", "Intan", "Joko", "Kirana", "Laras", "Made", "Nira", "Putra", "Ratna", "Surya", "Tirta", "Wulan", "Yoga")  # fmt: skip
LAST = ("Prasetya", "Wijaya", "Santika", "Mahardika", "Lestari", "Kusuma", "Nugraha", "Permata", "Saputra", "Utami")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist, and where they would work."""

    nip: str
    name: str
    agency_code: str
    province: str
    job_level: str


def person(chance: random.Random, day: date) -> Person:
    """`day`: of the incident; the province was there on it."""
    born = chance.randint(1965, 1995)
    birth = f"{born}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
    start = f"{chance.randint(born + 20, min(born + 35, 2021))}{chance.randint(1, 12):02}"
    nip = f"{birth}{start}{chance.randint(1, 2)}{chance.randint(900, 999)}"
    provinces = rulebook().catalogue.codes("provinces").values()
    place = chance.choice([p for p in provinces if p["bkn_kode_cepat"] and valid_on(p, day)])
    name = f"{chance.choice(FIRST)} Contoh {chance.choice(LAST)}"
    level = chance.choice(list(rulebook().catalogue.codes("job_levels")))
    return Person(nip, name, str(place["bkn_kode_cepat"]), str(place["kemendagri"]), level)
