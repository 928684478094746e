"""How the house is built: first lines, sizes, one door to the log, one place for transactions."""

import ast
import re
from collections import Counter
from pathlib import Path

from app.procedure.loading import rulebook
from app.settings import Settings
from tests.architecture import measure

APP = Path(__file__).parents[2] / "app"
FILES = sorted(p for p in APP.rglob("*.py") if p.name != "__init__.py")


def test_every_file_says_in_its_first_line_what_it_is_for() -> None:
    assert len(FILES) > 50
    for file in FILES:
        assert ast.get_docstring(ast.parse(file.read_text())), file


def test_no_file_and_no_function_grows_past_reading() -> None:
    for file in FILES:
        text = file.read_text()
        assert text.count("\n") <= 320, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{file}: {node.name}"


def test_only_append_inserts_entries_and_only_database_ends_transactions() -> None:
    for file in FILES:
        text = file.read_text()
        if file.relative_to(APP).as_posix() != "ledger/append.py":
            assert "insert(Entry)" not in text and "INSERT INTO entry" not in text, file
        if file.relative_to(APP).as_posix() not in {"database/sessions.py", "database/roles.py"}:
            assert not re.search(r"\b(COMMIT|ROLLBACK)\b\"|\.commit\(\)|\.rollback\(\)", text), file


def test_rooms_and_files_are_without_knots_and_no_chain_grows_long() -> None:
    graph = measure.imports(measure.modules(APP.parent))
    assert measure.knots(graph) == [] and measure.knots(measure.rooms(graph)) == []
    assert measure.longest_chain(graph) <= 15 and measure.longest_chain(measure.rooms(graph)) <= 8


def test_no_class_stands_twice() -> None:
    trees = measure.modules(APP.parent)
    names = [node.name for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_no_central_name_stands_twice() -> None:
    """A name that other files use is one thing. What only its own file uses may be named as its subject asks."""
    assert measure.central_twice(measure.modules(APP.parent)) == []


# members of the API's answers, and of the rows they are made of; a statement is given the values of its parameters
PUBLIC_NAMES = {
    "app.cases.schemas says",
    "app.imports.progress known",
    "app.imports.schemas known",
    "app.database.statements given",
}


def test_a_value_is_named_after_what_it_is() -> None:
    vague = measure.vague_names(measure.modules(APP.parent))
    assert {re.sub(r":\d+", "", name) for name in vague} == PUBLIC_NAMES, vague


def test_the_first_line_of_every_docstring_is_read_at_a_glance() -> None:
    assert measure.long_first_lines(measure.modules(APP.parent)) == []


# Names by which values of ours go: what the database returns, and what is made of it.
OURS = "case|round|row|rows|stage|stages|caller|change|job|line|lines|entry|entries|head|placed|status"


def test_a_case_a_caller_and_a_row_are_typed_wherever_they_go() -> None:
    untyped = re.compile(rf"\b({OURS}): (Any|(list|Sequence|Iterable|Iterator)\[Any\])[,)\n =]|SimpleNamespace")
    for file in FILES:
        assert not untyped.search(file.read_text()), file


def test_no_utils_no_helpers_no_managers() -> None:
    assert not [p for p in APP.rglob("*") if re.search(r"util|helper|common|manager|^base$", p.stem)]


def test_only_the_clock_asks_the_time() -> None:
    for file in FILES:
        if file.name != "clock.py":
            assert not re.search(r"datetime\.now|date\.today|time\.time\(", file.read_text()), file


def test_no_code_names_an_agency_a_stage_or_a_procedure() -> None:
    """They are data. The body models (bodies.py) are the closed set that data choose from."""
    rules = rulebook()
    agencies = {c for c, row in rules.catalogue.codes("parties").items() if row["kind"] == "agency"}
    stages = {code for p in rules.procedures.values() for code in p.stages}
    named = re.compile(rf"\b({'|'.join(sorted(agencies | stages | set(rules.procedures)))})\b")
    found = [
        (file.relative_to(APP).as_posix(), text)
        for file in FILES
        if file.name != "bodies.py"
        for text in _texts(ast.parse(file.read_text()))
        if named.search(text)
    ]
    assert found == [("procedure/loading.py", "kemendagri")]  # a column of provinces.yaml: the ministry's region code


def _texts(tree: ast.AST) -> list[str]:
    """Every text in the code that is no docstring."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [n.body[0] for n in ast.walk(tree) if isinstance(n, holders) and n.body]
    docs = {id(one.value) for one in first if isinstance(one, ast.Expr)}
    constants = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs)
    return [n.value for n in constants if isinstance(n.value, str)]


def test_the_settings_page_names_every_setting_and_no_other() -> None:
    page = (APP.parent / "docs" / "settings.md").read_text()
    named = set(re.findall(r"`(SBT_[A-Z_]+)`", "\n".join(re.findall(r"^\| (.*?) \|", page, re.MULTILINE))))
    assert named == {f"SBT_{name.upper()}" for name in Settings.model_fields}


def test_the_readme_is_read_in_one_go_and_its_links_lead_somewhere() -> None:
    readme = (APP.parent / "README.md").read_text()
    assert readme.count("\n") <= 90
    pages = [APP.parent / "README.md", *(APP.parent / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
