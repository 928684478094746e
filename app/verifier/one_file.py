"""Builds verify.py: the verifier as one file that needs only Python and `cryptography`.

It joins the pure files, word for word.
"""

import ast
import importlib.metadata
from functools import cache
from pathlib import Path

import rfc8785

APP = Path(__file__).parents[1]
PURE = (
    "ledger/canonical", "ledger/merkle", "ledger/parts", "ledger/tiles", "ledger/terminal", "verifier/forms", "ledger/note", "verifier/report",
    "ledger/tlog_proof", "verifier/leaves", "verifier/tree", "verifier/verify", "verifier/archive", "verifier/bundle", "verifier/main",
)  # fmt: skip
HEAD = '''#!/usr/bin/env python3
"""Checks a case's bundle of an SBT ledger, offline: python3 verify.py BUNDLE.zip --vkey KEY [--json]

Needs Python >= 3.11 and the package `cryptography`. Made from the service's own verifier, whose files follow one after the other;
the package rfc8785 comes first, under its licence. Exit code 0: sound; 1: findings; 2: could not be checked.
"""

'''


@cache
def verifier() -> str:
    """The text of verify.py.
    RuntimeError where two files use one name for two things: the joined program would be another one.
    """
    texts = [("rfc8785", Path(rfc8785.__file__).with_name("_impl.py").read_text())]
    texts += [(f"{name}.py", (APP / f"{name}.py").read_text()) for name in PURE]
    imports: set[str] = set()
    seen: dict[str, str] = {}
    bodies = []
    for name, text in texts:
        body, needed = _without_imports(text)
        imports |= needed
        _require_unique(name, text, seen)
        bodies.append(f"# {'-' * 20} {name}\n{_licence() if name == 'rfc8785' else ''}\n{body.strip()}\n")
        if name == "rfc8785":
            bodies.append(
                "class rfc8785:\n    dumps = staticmethod(dumps)\n    CanonicalizationError = CanonicalizationError\n"
            )
    return (
        HEAD
        + "\n".join(sorted(imports))
        + "\n\n"
        + "\n\n".join(bodies)
        + '\n\nif __name__ == "__main__":\n    main()\n'
    )


def _licence() -> str:
    files = importlib.metadata.files("rfc8785") or []
    text = next(file for file in files if file.name == "LICENSE").read_text()
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def _without_imports(text: str) -> tuple[str, set[str]]:
    """The text without its import lines, and the imports that are still needed.
    These are of the standard library and of `cryptography`.
    """
    lines, needed = text.splitlines(), set[str]()
    for node in ast.parse(text).body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        assert node.end_lineno is not None, "ast.parse says where each statement ends"
        for number in range(node.lineno - 1, node.end_lineno):
            lines[number] = ""
        module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        if not module.startswith(("app.", "__future__")) and module != "rfc8785":
            needed.add(ast.unparse(node))
    return "\n".join(lines), needed


def _require_unique(name: str, text: str, seen: dict[str, str]) -> None:
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        else:
            continue
        for defined in names:
            if defined in seen:
                raise RuntimeError(f"{defined} is in {seen[defined]} and in {name}")
            seen[defined] = name
