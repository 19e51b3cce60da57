"""Who opens the database's files, read from the sources: SQLite, and few places that say why they may."""

import ast
from collections.abc import Iterator
from pathlib import Path

import gateway

HERE = Path(gateway.__file__).parent
OPENERS = {
    *("open", "fdopen", "read_bytes", "read_text", "write_bytes", "write_text", "touch", "unlink", "truncate"),
    *("copy", "copy2", "copyfile", "copytree", "move", "rename", "replace", "remove", "link_to", "hardlink_to"),
}
FILES = (".database", "store.path", "self.path", ".wal", "-shm", "-wal", "aval.sqlite3")
MAY = {
    "ground/store/sqlite/engine.py": {"commits", "claim"},  # -shm: kept open until the store is closed · the folder
    "cli/backup.py": {"backup"},  # the copy that it made
    "ledger/sqlite.py": {"__init__"},  # -wal: SQLite has no locks on it
}


def calls(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(function, call) of all that may open one of the files, also through a name that was given to its path."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        named = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and names_a_file(ast.unparse(node.value), set())
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and opener(node.func) and names_a_file(ast.unparse(node), named):
                yield function.name, ast.unparse(node)


def opener(called: ast.expr) -> bool:
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in OPENERS


def names_a_file(text: str, named: set[str]) -> bool:
    nodes = ast.walk(ast.parse(text, mode="eval"))
    return any(part in text for part in FILES) or any(isinstance(n, ast.Name) and n.id in named for n in nodes)


def test_only_sqlite_opens_the_files_of_the_database() -> None:
    found = {
        str(path.relative_to(HERE)): list(calls(ast.parse(path.read_text(encoding="utf-8"))))
        for path in sorted(HERE.rglob("*.py"))
        if "__compiled__" not in path.parts
    }
    others = [
        f"{name}, {function}: {call}"
        for name, those in found.items()
        for function, call in those
        if function not in MAY.get(name, ())
    ]
    assert others == []
    assert {name for name, those in found.items() if those} == MAY.keys(), "an exception that nobody needs any more"


def test_the_scan_sees_what_it_looks_for() -> None:
    direct = "def current(settings):\n    with settings.database.open('rb') as file:\n        file.read()"
    by_name = "def current(settings):\n    path = settings.database\n    return path.read_bytes()"
    by_shutil = "def copied(store, to):\n    shutil.copyfile(store.path, to)"
    asked = "def size(settings):\n    return settings.database.stat().st_size"
    assert [len(list(calls(ast.parse(text)))) for text in (direct, by_name, by_shutil, asked)] == [1, 1, 1, 0]
