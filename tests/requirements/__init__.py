"""What standards and attackers ask of the authorization server, and the tests that prove it.

One TOML file for each area. A row has `tests`, or a reason: `not_yet` for what is not built or not tested, `not_here`
for what does not apply to this product. `tests` beside `not_yet`: proved in part, and `not_yet` says what is missing.
Nothing here imports a test: names of tests are read from the sources.
"""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PAGE = ROOT / "gateway" / "docs" / "requirements.md"

AREAS = (  # in the order of the page; the file of each has its name
    "common", "metadata", "fapi2", "dpop", "message-signing", "oidc", "step-up", "registration", "logout", "ciba",
    "shared-signals", "grants", "rar", "negative-a", "negative-b", "negative-c", "negative-f", "negative-h",
)  # fmt: skip
STATES = ("proved", "in part", "not yet", "not here")
TEXT_LENGTH = 240  # characters: one line, in plain words


@dataclass(frozen=True, slots=True)
class Requirement:
    id: str  # its area and the number there; `negative A1.1` for what is refused
    text: str
    source: str = ""
    tests: tuple[str, ...] = ()  # tests/…/test_x.py::test_name, without parameters
    not_yet: str = ""
    not_here: str = ""

    @property
    def state(self) -> str:
        if self.not_here:
            return "not here"
        if self.not_yet:
            return "in part" if self.tests else "not yet"
        return "proved"

    @property
    def reason(self) -> str:
        return self.not_yet or self.not_here


@dataclass(frozen=True, slots=True)
class Area:
    name: str
    title: str
    about: str
    rows: tuple[Requirement, ...]


KEYS = {field.name for field in fields(Requirement)}


# ---- reading


def areas(folder: Path = FOLDER) -> list[Area]:
    return [area(name, (folder / f"{name}.toml").read_text(encoding="utf-8")) for name in AREAS]


def area(name: str, text: str) -> Area:
    """Raises ValueError for a key that no row has."""
    document = tomllib.loads(text)
    for row in document["row"]:
        if unknown := row.keys() - KEYS:
            raise ValueError(f"{name}: {row.get('id')}: no row has {', '.join(sorted(unknown))}")
    rows = tuple(Requirement(**{**row, "tests": tuple(row.get("tests", ()))}) for row in document["row"])
    return Area(name, document["title"], document["about"], rows)


@cache
def functions(file: Path) -> frozenset[str]:
    """Names of the tests of a file; nothing of it is run."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


# ---- faults


def faults(found: Sequence[Area], root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the rows, each in one sentence."""
    told = [f"{row.id}: {fault}" for each in found for row in each.rows for fault in _faults(each.name, row, root)]
    counted = Counter(row.id for each in found for row in each.rows)
    return [*told, *(f"{name}: stands {times} times" for name, times in counted.items() if times > 1)]


def _faults(area: str, row: Requirement, root: Path) -> Iterator[str]:
    if not (row.tests or row.reason):
        yield "has neither tests nor a reason (not_yet, not_here)"
    if row.not_here and (row.tests or row.not_yet):
        yield "does not apply, and yet has tests or waits for some"
    if not row.id.startswith(f"{area.partition('-')[0] if area.startswith('negative') else area} "):
        yield f"is not an id of {area}"
    if not 0 < len(row.text) <= TEXT_LENGTH or re.search(r"[\n`]", row.text + row.reason + row.source):
        yield f"is not one line of at most {TEXT_LENGTH} characters without code marks"
    for test in row.tests:
        file, _, name = test.partition("::")
        if not re.fullmatch(r"tests/[\w/]+/test_\w+\.py::test_\w+", test):
            yield f"names a test as tests/…/test_x.py::test_name, not as {test}"
        elif not (root / file).is_file() or name not in functions(root / file):
            yield f"{test} is not there"


# ---- the page


def page(found: Sequence[Area]) -> str:
    """gateway/docs/requirements.md."""
    return "\n".join([*_summary(found), *(line for each in found for line in _section(each))]) + "\n"


def _summary(found: Sequence[Area]) -> Iterator[str]:
    yield from (
        "# Requirements and their tests",
        "",
        "What standards ask of the authorization server, what it must refuse, and the tests that prove it. Each row",
        "has one of four states:",
        "",
        "- **proved**: the tests named fail when it does not hold.",
        "- **in part**: the tests named prove some of it; what is missing is said.",
        "- **not yet**: it is not built, or no test proves it; which of the two is said.",
        "- **not here**: it does not apply to this product, and why.",
        "",
        "Written from the files in `tests/requirements/` by `make docs`; a test fails when a test named here is gone.",
        "",
    )
    yield from _table(("Area", "Rows", *(state.capitalize() for state in STATES)), _counts(found))


def _counts(found: Sequence[Area]) -> Iterator[tuple[str, ...]]:
    sums: Counter[str] = Counter()
    for each in found:
        counted = Counter(row.state for row in each.rows)
        sums += counted
        yield each.title, str(len(each.rows)), *(str(counted[state]) for state in STATES)
    yield "All", str(sums.total()), *(str(sums[state]) for state in STATES)


def _section(each: Area) -> Iterator[str]:
    yield from ("", f"## {each.title}", "", each.about, "")
    yield from _table(("Id", "Requirement", "Proved by", "State"), (_row(row) for row in each.rows))


def _row(row: Requirement) -> tuple[str, ...]:
    asked = f"{row.text} ({row.source})" if row.source else row.text
    proved = " ".join(f"`{test}`" for test in row.tests)
    return row.id, asked, proved, f"{row.state}: {row.reason}" if row.reason else row.state


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
