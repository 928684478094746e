"""The demo at a small scale: both elections over a real socket, every stage, and a table without a difference."""

import json
import random
import subprocess
import sys
from datetime import date
from pathlib import Path

from app.procedure.code_lists import valid_on
from app.procedure.loading import rulebook
from demo.past import PAST, lines
from demo.plan import PEMILU, PILKADA
from tests.e2e.service import ROOT


def test_the_demo_ends_with_zero_differences(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--scale", "0.01", "--seed", "7", "--data", str(tmp_path / "demo")],
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "68.6 %" in done.stdout and "1,237" in done.stdout
    assert "KASN brings in 20 cases" in done.stdout and "entries written" in done.stdout
    assert "cases -> kemenpanrb  (processed_by_kasn)" in done.stdout
    assert "cases -> bkn  (not processed_by_kasn)" in done.stdout


def test_the_demo_walks_every_stage_of_both_procedures() -> None:
    for procedure, groups in (("skb_2022", PEMILU), ("sbt_2024", PILKADA)):
        walked = {stage for _, path in groups for stage, _, _ in path}
        assert walked == set(rulebook().procedures[procedure].stages)


def test_the_plan_adds_up_to_the_published_numbers() -> None:
    from demo.plan import PUBLISHED, counts, groups_of

    for figure in PUBLISHED:
        groups = groups_of(figure.election)
        assert sum(n for n, path in groups if counts(figure, path)) == figure.count, figure
    assert sum(n for n, _ in PEMILU) == 481 and sum(n for n, _ in PILKADA) == 1237
    assert sum(n for n, _ in PAST) == 2034


def test_nobody_of_the_demo_lives_in_a_province_that_was_not_there_yet() -> None:
    provinces = rulebook().catalogue.codes("provinces")
    for line in map(json.loads, lines(0.1, random.Random(1))):
        happened = date.fromisoformat(line["incident"]["occurred_on"])
        assert valid_on(provinces[line["incident"]["province"]], happened), line
