"""Where a key stands in a TOML file, whatever way it is written."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.ground.declarations.lines import KeyPlace, Lines

ROOT = Path(__file__).parents[2]
FILES = [*ROOT.glob("policies/*/*.toml"), *ROOT.glob("examples/*/*.toml"), ROOT / "pyproject.toml"]
WRITTEN = """\
# a comment with = and [brackets]
id = "a"
"quoted.key" = 'literal'  # behind
a.b . c = 1

[table]
inline = { fr = "x", en = "}", more = [1, { deep = true }] }
list = [
  "one", # = comment ]
  '''two
  three''',
]
long = \"\"\"
first:s "second one":x
third:d \\
fourth:b ""quotes"" \"\"\"\"
after = 2026-01-31T10:00:00Z

[[rows]]
id = "first.row"
[[rows.field]]
id = "f.one"
[[rows.field]]
id = "f.two"
find = ["x"]

[[rows]]
name = "second"
[rows.inside."odd name"]
key = 1
"""


def same(value: Any, place: KeyPlace, text: str) -> None:
    """Whether each key of a document has a place, and each text stands where its place says."""
    if isinstance(value, dict):
        assert value.keys() == place.names.keys()
        for name, inside in value.items():
            same(inside, place.names[name], text)
    elif isinstance(value, list):
        assert len(value) == len(place.rows)
        for inside, there in zip(value, place.rows, strict=True):
            same(inside, there, text)
    elif isinstance(value, str):
        assert tomllib.loads(f"key = {text[slice(*place.span)]}")["key"] == value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_key_of_a_file_has_its_place(path: Path) -> None:
    text = path.read_text()
    document = tomllib.loads(text)
    same(document, Lines(text, document).place(""), text)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("", 1),
        ("id", 2),
        ("quoted.key", 3),
        ("a.b.c", 4),
        ("table", 6),
        ("table.inline.en", 7),
        ("table.inline.more[1].deep", 7),
        ("table.list", 8),
        ("table.list[1]", 10),
        ("table.after", 17),
        ("table.missing", 6),
        ("nothing", 1),
        ("rows[0].id", 20),
        ("rows.first.row.id", 20),
        ("rows[0].f.two.find", 25),
        ("rows[0].f.two: find", 25),
        ("rows[0].field 2.find", 25),
        ("rows[0].field[1].label", 23),
        ("rows[7].id", 19),
        ("rows.second.inside.odd name.key", 30),
    ],
)
def test_a_key_is_found_as_faults_name_it_or_else_the_table_around_it(key: str, line: int) -> None:
    document = tomllib.loads(WRITTEN)
    same(document, Lines(WRITTEN, document).place(""), WRITTEN)
    assert Lines(WRITTEN, document).line(key) == line


def test_a_member_of_a_long_text_has_a_line_of_its_own() -> None:
    lines = Lines(WRITTEN, tomllib.loads(WRITTEN))
    found = [lines.inside("table.long", name) for name in ("first", "second one", "third", "fourth", "fifth")]
    assert found == [14, 14, 15, 16, 13]
