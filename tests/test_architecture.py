"""The house: rooms in layers, no circles, each table named by its own room, each library behind one door."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gateway import compiled

ROOT = Path(__file__).parents[1]
GATEWAY = ROOT / "gateway"
MIGRATIONS = GATEWAY / "ground" / "store" / "migrations"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

# What must be true together when data is given stands in one room; it alone names tables of others, and these ones.
LEDGER = {
    "gateway.ledger.live": {"consent", "terms", "person"},
    "gateway.ledger.transaction": {"consent", "use"},
    # the hot statements, once per engine
    "gateway.ledger.sqlite": {"consent", "tokenfamily", "directory", "link", "person", "use"},
    "gateway.ledger.postgres_once": {"consent", "tokenfamily", "directory", "link", "person"},
    "gateway.ledger.postgres_reading": {"consent", "tokenfamily", "directory", "link", "person"},
    "gateway.ledger.postgres": {"consent", "tokenfamily", "directory", "link", "person", "use", "logchain"},
    "gateway.ledger.postgres_parts": {"consent", "use", "logentry", "logchain", "logtally"},
    "gateway.ledger.postgres_commits": {"logentry"},
}

# Third-party library → the rooms (or files) that may import it.
DOORS = {
    "authlib": {"gateway.authorization", "gateway.organisations"},
    "joserfc": {"gateway.authorization", "gateway.ground.keys"},
    "jwt": {"gateway.ground.keys", "gateway.authorization"},
    "cedarpy": {"gateway.policy"},
    "lxml": {"gateway.formats"},
    "uvicorn": {"gateway.cli", "gateway.ground.http.listener", "gateway.ground.http.server"},
    "alembic": {"gateway.ground.store"},
    "webauthn": {"gateway.people"},
    "argon2": {"gateway.people"},
    "pyotp": {"gateway.people"},
    "segno": {"gateway.people"},
    # evidence renders one template by itself, and a trial one without a gateway
    "jinja2": {"gateway.ground.web", "gateway.screen.rendering", "gateway.cli.try_page"},
    "typer": {"gateway.cli"},
    "pysqlite3": {"gateway.ground.store"},
    "structlog": {"gateway.ground.ops"},
    "prometheus_client": {"gateway.ground.ops"},
    "psycopg": {"gateway.ground.store", "gateway.settings"},  # the latter only reads an address
    "asyncpg": {
        *("gateway.ground.store.postgres", "gateway.ledger.postgres"),
        *("gateway.ledger.postgres_reading", "gateway.ledger.postgres_commits"),
    },
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, ast.Module]:
    files = [path for path in sorted(GATEWAY.rglob("*.py")) if MIGRATIONS not in path.parents]
    files = [path for path in files if not {"__compiled__", "__pycache__"} & set(path.parts)]
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def room(module: str) -> str:
    """gateway.log.tree → gateway.log; what stands in ground/ is a room of its own."""
    parts = module.split(".")
    return ".".join(parts[:3] if parts[1:2] == ["ground"] else parts[:2])


def without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from without_type_checking(node)


@cache
def imports() -> dict[str, set[str]]:
    """Module → the modules of gateway it imports, also inside functions."""
    found: dict[str, set[str]] = {}
    for module, tree in modules().items():
        names: set[str] = set()
        for node in without_type_checking(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.module:
                below = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= {name for name in below if name in modules()}
                if not below <= set(modules()):
                    names.add(node.module)
        found[module] = {name for name in names if name in modules() and name != module}
    return found


def test_no_import_runs_in_a_circle() -> None:
    state: dict[str, int] = {}
    circles: list[str] = []

    def visit(module: str, way: list[str]) -> None:
        state[module] = 1
        for other in sorted(imports()[module]):
            if state.get(other) == 1:
                circles.append(" → ".join([*way[way.index(other) :], other]))
            elif other not in state:
                visit(other, [*way, other])
        state[module] = 2

    for module in imports():
        if module not in state:
            visit(module, [module])
    assert not circles


def layers() -> list[set[str]]:
    contract = next(each for each in CONTRACTS if each["type"] == "layers")
    return [{name.strip() for name in re.split(r"[|:]", layer)} for layer in contract["layers"]]


def test_every_room_stands_in_a_layer() -> None:
    known = set().union(*layers())
    standing = {room(module) for module in modules() if module != "gateway"}
    assert standing - known - {"gateway.ground", "gateway.__main__", "gateway.compiled"} == set()
    assert known <= standing, "a layer names a room that is not there"


def test_no_import_is_ignored_by_a_wildcard() -> None:
    for contract in CONTRACTS:
        assert not [line for line in contract.get("ignore_imports", []) if "*" in line], contract["name"]


def test_no_two_classes_bear_one_name() -> None:
    named = defaultdict(list)
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                named[node.name].append(module)
    assert {name: where for name, where in named.items() if len(where) > 1} == {}


def parts_of_the_house(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str] | None:
    """What it uses of its argument `house`. None: it has none, or hands on the whole."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    if not any(one.annotation and ast.unparse(one.annotation).strip("'") == "House" for one in arguments):
        return None
    named = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == "house"]
    parts = [
        node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "house"
    ]
    return set(parts) if len(parts) == len(named) else None


def test_who_needs_one_part_of_the_house_is_handed_that_part() -> None:
    found = {
        f"{module}: {node.name} needs {' '.join(parts) or 'nothing'}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (parts := parts_of_the_house(node)) is not None and len(parts) <= 1
    }
    assert found == set()


@cache
def tables() -> dict[str, str]:
    """Table → the room that owns it."""
    return {
        node.name.lower(): room(module)
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(word.arg == "table" for word in node.keywords)
    }


_NAMED = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+\"?([a-z]+)\"?", re.IGNORECASE)
_STATEMENT = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|JOIN)\b")


def statements() -> Iterator[tuple[str, int, set[str]]]:
    """(module, line, tables named) of every SQL text in gateway/, also of pieces that are put together."""
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.search(node.value):
                named = {name.lower() for name in _NAMED.findall(node.value)} & set(tables())
                if named:
                    yield module, node.lineno, named


def test_a_room_names_only_its_own_tables_in_sql() -> None:
    assert len(tables()) >= 20 and len(list(statements())) >= 40, "the test itself finds what it looks for"
    foreign = [
        f"{module}:{line} {name} belongs to {tables()[name]}"
        for module, line, named in statements()
        for name in sorted(named - LEDGER.get(module, set()))
        if tables()[name] != room(module)
    ]
    assert not foreign


def test_what_the_ledger_may_name_it_does_name() -> None:
    used = defaultdict(set)
    for module, _, named in statements():
        used[module] |= {name for name in named if tables()[name] != room(module)}
    assert LEDGER == {module: used[module] for module in LEDGER}


# Who may know which engine there is: the store itself, the ledger's statements for each, and commands about the engine.
ENGINES = ("gateway.ground.store", "gateway.ledger.opening", "gateway.ledger.sqlite", "gateway.ledger.postgres")
COMMANDS = "gateway.cli"  # what they check and copy is of one engine
_TELLS = ("SqliteStore", "PostgresStore", "dialect", "sqlite3", "psycopg", "asyncpg", "database_url", "Bare")


def test_no_room_asks_which_engine_it_is_on() -> None:
    found = []
    for module, tree in modules().items():
        if module.startswith((*ENGINES, COMMANDS, "gateway.settings", "gateway.app")):
            continue
        for node in ast.walk(tree):
            named = {getattr(node, "id", ""), getattr(node, "attr", "")}
            if isinstance(node, ast.ImportFrom | ast.Import):
                named |= {part for alias in node.names for part in alias.name.split(".")}
                named |= set((getattr(node, "module", None) or "").split("."))
                named |= {"Bare"} if {"sqlite", "postgres"} & named else set()
            found += [f"{module}:{node.lineno} {name}" for name in sorted(named & set(_TELLS))]
    assert found == []


@pytest.mark.parametrize("library", sorted(DOORS))
def test_each_library_has_one_door(library: str) -> None:
    for module, tree in modules().items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.split(".")[0] == library:
                    assert any(module == door or module.startswith(f"{door}.") for door in DOORS[library]), module


def test_no_compiled_coroutine_holds_a_function_within():
    """mypyc keeps what such a function takes from around it in the coroutine, and under load that was found empty."""
    found = [
        f"{source}:{inner.lineno}"
        for source in compiled.sources()
        for outer in ast.walk(ast.parse(source.read_text()))
        if isinstance(outer, ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
        if inner is not outer and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    assert len(compiled.sources()) > 40 and not found, "use a class or partial instead"


def test_no_compiled_module_makes_statements_of_the_orm():
    """Where such a statement names a column by its class, mypyc expects the value that a row has there."""
    found = [
        f"{source}:{node.lineno}"
        for source in compiled.sources()
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        if node.module.split(".")[-1] == "tables" or {name.name for name in node.names} & {"col", "select", "update"}
    ]
    assert not found
