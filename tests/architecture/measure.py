"""How the code measures: `python -m tests.architecture.measure [FOLDER]`. Lines, functions, import chains, knots, names that stand twice."""

import ast
import re
import statistics
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

FIRST_LINE = 100
Graph = dict[str, set[str]]


def modules(root: Path) -> dict[str, ast.Module]:
    """Name to tree of every file under `root`/app."""
    found = {}
    for path in sorted((root / "app").rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text())
    return found


def imports(trees: dict[str, ast.Module]) -> Graph:
    graph: Graph = {name: set() for name in trees}
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "app":
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                graph[name] |= {one if one in trees else str(node.module) for one in whole} - {name}
    return graph


def knots(graph: Graph) -> list[set[str]]:
    """Files, or rooms, that import each other in a circle."""
    reach = {name: _reach(graph, name) for name in graph}
    found = {frozenset({other for other in reach[name] if name in reach[other]} | {name}) for name in graph}
    return [set(one) for one in found if len(one) > 1]


def _reach(graph: Graph, start: str) -> set[str]:
    seen, todo = set[str](), [start]
    while todo:
        for other in graph.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def longest_chain(graph: Graph) -> int:
    """How many follow one another at most; only of a graph without knots."""

    @cache
    def depth(name: str) -> int:
        return 1 + max((depth(other) for other in graph[name]), default=0)

    return max(map(depth, graph))


def rooms(graph: Graph) -> Graph:
    """The same between the folders of app/; the five files beside them are no rooms."""
    folders = {_room(name) for name in graph if name.count(".") > 1}
    found: Graph = {name: set() for name in folders}
    for name in graph:
        if _room(name) in folders:
            found[_room(name)] |= {_room(other) for other in graph[name]} & folders - {_room(name)}
    return found


def _room(name: str) -> str:
    return ".".join(name.split(".")[:2])


def twice(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Names of classes, functions and constants that stand in two modules or more."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[node.name].add(module)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        found[target.id].add(module)
    return {name: where for name, where in found.items() if len(where) > 1}


def used_outside(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """By module the names of it that other modules import, or reach through the module."""
    used: dict[str, set[str]] = defaultdict(set)
    for tree in trees.values():
        aliases = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    if whole in trees:
                        aliases[alias.asname or alias.name] = whole
                    else:
                        used[str(node.module)].add(alias.name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
                used[aliases[node.value.id]].add(node.attr)
    return used


def central_twice(trees: dict[str, ast.Module]) -> list[str]:
    """Names that stand in two modules or more, and are used outside of two; `router` is FastAPI's own word."""
    used = used_outside(trees)
    again = {name: where for name, where in twice(trees).items() if name != "router"}
    return sorted(name for name, where in again.items() if sum(name in used[module] for module in where) > 1)


def long_first_lines(trees: dict[str, ast.Module]) -> list[str]:
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = []
    for name, tree in trees.items():
        for node in ast.walk(tree):
            said = ast.get_docstring(node) if isinstance(node, holders) else None
            if said and len(said.splitlines()[0]) > FIRST_LINE:
                found.append(f"{name}: {getattr(node, 'name', 'the module')}")
    return found


VAGUE = {"found", "known", "says", "said", "told", "went", "place", "one", "more", "mine", "there", "given"}
# what a report of the verifier and an entry of a history say, in words: members of documents that others read
REPORTED = {"says", "place", "more"}


def vague_names(trees: dict[str, ast.Module]) -> list[str]:
    """Values that are named by a word that could be anything: a name says what the value is."""
    bad = []
    for name, tree in trees.items():
        allowed = REPORTED if name.startswith(("app.audit", "app.verifier")) else set[str]()
        for node in ast.walk(tree):
            if isinstance(node, ast.arg):
                bound = node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound = node.id
            else:
                continue
            if bound in VAGUE - allowed:
                bad.append(f"{name}:{node.lineno} {bound}")
    return bad


def measured(root: Path) -> dict[str, Any]:
    trees = modules(root)
    graph = imports(trees)
    texts = [path.read_text() for path in (root / "app").rglob("*.py")]
    functions = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lines = [line for text in texts for line in text.splitlines() if not line.startswith(("from ", "import "))]
    again = twice(trees)
    return {
        "lines": sum(text.count("\n") for text in texts),
        "files": sum(bool(text.strip()) for text in texts),
        "functions": len(functions),
        "lines of a function: median, p90, max": (
            statistics.median(functions), functions[int(len(functions) * 0.9)], functions[-1],
        ),
        "longest chain of files": longest_chain(graph) if not knots(graph) else "none: there are knots",
        "longest chain of rooms": longest_chain(rooms(graph)) if not knots(rooms(graph)) else "none: there are knots",
        "knots of files, of rooms": (len(knots(graph)), len(knots(rooms(graph)))),
        "lines with Any": sum(bool(re.search(r"\bAny\b", line)) for line in lines),
        "names in two modules or more, of them public": (len(again), sum(not n.startswith("_") for n in again)),
        "central names that stand twice": len(central_twice(trees)),
        "values named found, known, says, one, ...": len(vague_names(trees)),
        "type ignores": sum(text.count("type: ignore") for text in texts),
        "docstrings whose first line is longer than 100": len(long_first_lines(trees)),
    }  # fmt: skip


if __name__ == "__main__":
    for what, value in measured(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{what:55} {value}")  # noqa: T201 - a command prints
