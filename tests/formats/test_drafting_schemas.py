"""JSON Schema becomes the words of the table; what the table cannot say is told with its place."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from drafted_declarations import Shapes, admits, drafted, faults, shapes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.formats.drafting.nodes import Unreadable
from tests.torture import many

Schema = dict[str, Any]


def schema_file(folder: Path, schema: Any, name: str = "schema.json") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(schema), encoding="utf-8")
    return path


def read(folder: Path, of: Schema, **more: Any) -> tuple[Shapes, str]:
    """The table of a record with one member of this schema, and the whole text."""
    schema = {
        "type": "array",
        "items": {"type": "object", "properties": {"it": of, "other": {"type": "integer"}}},
        **more,
    }
    text = drafted("schema", schema_file(folder, schema))
    assert not faults(text)
    return shapes(tomllib.loads(text)), text


OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}}
OTHER = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}}}


@pytest.mark.parametrize(
    "schema, word",
    [
        ({"type": "string"}, "s"),
        ({"type": "boolean"}, "b"),
        ({"type": "integer"}, "i"),
        ({"type": "number"}, "n"),
        ({"type": "null"}, "-"),
        ({"type": ["string", "null"]}, "s"),
        ({"type": "string", "nullable": True}, "s"),
        ({"type": ["string", "integer"]}, "v"),
        ({"type": ["integer", "number"]}, "n"),
        ({"enum": ["a", "b", None]}, "s"),
        ({"enum": ["a", 1]}, "v"),
        ({"const": 3}, "i"),
        ({"type": "string", "format": "date-time"}, "s"),
        ({"type": "string", "pattern": r"^-?\d{1,9}(\.\d{1,5})?$"}, "d"),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "s"),
        ({"type": "string", "pattern": "(unclosed"}, "s"),
        ({"type": "array", "items": {"type": "number"}}, "n*"),
        ({"type": "array", "items": {"type": "array", "items": OBJECT}}, "It**"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}, "v*"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "i{}"),
        ({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}, "s*{}"),
        ({"type": "object", "patternProperties": {"^x": OBJECT}}, "It{}"),
        ({"type": "object", "additionalProperties": False}, "-"),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, "s"),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, "v"),
        ({"oneOf": [OBJECT, OBJECT]}, "It"),
        (OBJECT, "It"),
        ({"properties": {"a": {"type": "integer"}}}, "It"),
    ],
    ids=str,
)
def test_a_schema_becomes_a_word_and_nothing_is_lost(tmp_path: Path, schema: Schema, word: str) -> None:
    table, text = read(tmp_path, schema)
    assert table["Record"]["it"] == word
    assert "`j` is written" not in text


@pytest.mark.parametrize(
    "schema, place, what",
    [
        ({}, "#/items/properties/it", "any value"),
        ({"type": "object"}, "#/items/properties/it", "does not name"),
        ({"type": "array"}, "#/items/properties/it", "does not say what is in it"),
        ({"oneOf": [OBJECT, {"type": "string"}]}, "#/items/properties/it/oneOf", "several kinds"),
        ({"type": ["object", "string"], **{"properties": {}}}, "#/items/properties/it", "does not name"),
        ({"$ref": "https://schemas.example/a.json"}, "#/items/properties/it/$ref", "another address, which is never"),
        ({"$ref": "//schemas.example/a.json"}, "#/items/properties/it/$ref", "another address, which is never"),
        ({"$ref": "../outside.json"}, "#/items/properties/it/$ref", "names no file in this folder or below"),
        ({"$ref": "missing.json"}, "#/items/properties/it/$ref", "names no file in this folder or below"),
        ({"$ref": "#/$defs/Nowhere"}, "#/items/properties/it/$ref", "names a place that is not there"),
        ({"$ref": "#nowhere"}, "#/items/properties/it/$ref", "names an anchor that is nowhere"),
        ({"$dynamicRef": "#node"}, "#/items/properties/it/$dynamicRef", "depends on who reads it"),
        ({"type": "money"}, "#/items/properties/it/type", "a type that JSON Schema does not have"),
    ],
    ids=str,
)
def test_what_no_word_says_is_given_whole_and_named_with_its_place(
    tmp_path: Path, schema: Schema, place: str, what: str
) -> None:
    folder = tmp_path / "in"
    schema_file(tmp_path, OBJECT, "outside.json")
    schema_file(folder, OBJECT, "unused.json")
    table, text = read(folder, schema)
    assert table["Record"]["it"] == "j"
    (told,) = [line for line in text.splitlines() if what in line]
    assert place in told and "or `-` for never" in told


def test_shapes_of_which_one_is_meant_are_one_type_and_named(tmp_path: Path) -> None:
    for more, what in (
        ({}, "of which one is meant"),
        ({"discriminator": {"propertyName": "a"}}, "told apart by one member"),
    ):
        table, text = read(tmp_path, {"oneOf": [OBJECT, OTHER], **more})
        assert table["Record"]["it"] == "It" and table["It"] == {"a": "v", "b": "b"}
        (told,) = [line for line in text.splitlines() if what in line]
        assert "#/items/properties/it/oneOf: 2 shapes" in told and "declare two calls" in told


def test_all_of_is_merged_with_what_stands_beside_it(tmp_path: Path) -> None:
    defs = {"Base": OBJECT, "Named": {"type": "object", "properties": {"name": {"type": "string"}}}}
    both = [{"$ref": "#/$defs/Base"}, {"$ref": "#/$defs/Named"}, {"required": ["a"]}]
    own = {"type": "object", "properties": {"own": {"type": "boolean"}}}
    table, _ = read(tmp_path, {"allOf": both, **own}, **{"$defs": defs})
    assert table["It"] == {"a": "i", "name": "s", "own": "b"}
    table, _ = read(tmp_path, {"$ref": "#/$defs/Base", **own}, **{"$defs": defs})
    assert table["It"] == {"a": "i", "own": "b"}


def test_a_type_that_contains_itself_is_cut_where_it_does(tmp_path: Path) -> None:
    node = {"type": "object", "properties": {"name": {"type": "string"}, "child": {"$ref": "#/$defs/Node"}}}
    table, text = read(tmp_path, {"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}})
    assert table["Node"] == {"name": "s", "child": "-"}
    assert "#/$defs/Node/properties/child/$ref: a type that contains itself" in text


def test_files_in_the_folder_are_followed_and_others_are_not(tmp_path: Path) -> None:
    part = {"$defs": {"Money": {"type": "object", "properties": {"amount": {"$ref": "deep/amount.json#"}}}}}
    schema_file(tmp_path, part, "common.json")
    schema_file(tmp_path, {"type": "number"}, "deep/amount.json")
    table, _ = read(tmp_path, {"$ref": "./common.json#/$defs/Money"})
    assert table["Record"]["it"] == "Money" and table["Money"] == {"amount": "n"}


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    secret = schema_file(tmp_path, OBJECT, "secret.json")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "beside.json").symlink_to(secret)
    table, text = read(tmp_path / "in", {"$ref": "beside.json"})
    assert table["Record"]["it"] == "j" and "names no file in this folder" in text


def test_references_by_the_own_address_and_by_anchor_are_found(tmp_path: Path) -> None:
    defs = {"One": {"$anchor": "one", **OBJECT}}
    more = {"$id": "https://schemas.example/own.json", "$defs": defs}
    for reference in ("#one", "https://schemas.example/own.json#/$defs/One"):
        table, _ = read(tmp_path, {"$ref": reference}, **more)
        assert table["Record"]["it"] in ("One", "It") and {"a": "i"} in table.values()


def test_what_is_not_enforced_is_named_once_for_each_keyword(tmp_path: Path) -> None:
    _, text = read(tmp_path, {"type": "string", "enum": ["a"], "maxLength": 3}, minItems=1)
    (told,) = [line for line in text.splitlines() if "not enforced" in line]
    for each in ("enum (1×, as at #/items/properties/it)", "maxLength (1×", "minItems (1×, as at #)"):
        assert each in told


def test_the_words_of_the_schema_help_whoever_writes_the_texts(tmp_path: Path) -> None:
    _, text = read(tmp_path, {"type": "string", "description": 'How it\nended.  \x1b[31m"""'})
    assert '# the schema says: How it ended. [31m"""' in text


def test_free_text_and_identifiers_are_told_by_their_names(tmp_path: Path) -> None:
    names = {"transactionId": "p", "remittanceInformation": "x", "comment": "x", "status": "s", "comment_type": "s"}
    schema = {"type": "array", "items": {"type": "object", "properties": {name: {"type": "string"} for name in names}}}
    assert shapes(tomllib.loads(drafted("schema", schema_file(tmp_path, schema)))) == {"Record": names}


def test_where_an_answer_begins_is_said_by_root(tmp_path: Path) -> None:
    path = schema_file(tmp_path, {"$defs": {"One": OBJECT, "Two": OTHER}})
    with pytest.raises(
        Unreadable, match=r"says nothing at its root; choose the one of an answer: --root '#/\$defs/One'"
    ):
        drafted("schema", path)
    assert shapes(tomllib.loads(drafted("schema", path, root="#/$defs/Two"))) == {"Two": {"a": "s", "b": "b"}}
    with pytest.raises(Unreadable, match="names a place that is not there"):
        drafted("schema", path, root="#/$defs/Three")


@pytest.mark.parametrize(
    "value, why",
    [
        ([1], "is no JSON Schema"),
        ({"type": "array", "items": {"type": "string"}}, "a record is an object"),
        ({"type": "string"}, "a record is an object"),
        ({"openapi": "3.1.0"}, "is an OpenAPI description; write --openapi"),
        ({"title": "x"}, "says nothing at its root"),
    ],
    ids=str,
)
def test_what_is_no_schema_of_records_is_refused(tmp_path: Path, value: Any, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        drafted("schema", schema_file(tmp_path, value))


def test_a_schema_that_doubles_at_every_step_ends(tmp_path: Path) -> None:
    """Thirty types, each with two members of the next: shared, so thirty types and not a thousand million."""
    defs: Schema = {"T30": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    for number in range(30):
        following = {"$ref": f"#/$defs/T{number + 1}"}
        defs[f"T{number}"] = {"type": "object", "properties": {"a": following, "b": following}}
    both = {"allOf": [{"$ref": "#/$defs/T0"}, {"$ref": "#/$defs/T0"}], "properties": {"c": {"type": "integer"}}}
    table, _ = read(tmp_path, both, **{"$defs": defs})
    assert len(table) < 400
    table, _ = read(tmp_path, {"oneOf": [{"$ref": "#/$defs/T0"}, {"$ref": "#/$defs/T1"}]}, **{"$defs": defs})
    assert len(table) < 2000


LEAVES: st.SearchStrategy[Schema] = st.sampled_from(
    [{"type": "string"}, {"type": ["integer", "null"]}, {"type": "number"}, {"type": "boolean"}, {"enum": ["a", 1]}]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda of: {"type": "array", "items": of}, inner),
        st.builds(lambda of: {"type": "object", "additionalProperties": of}, inner),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda members: {"type": "object", "properties": members, "additionalProperties": False},
            st.dictionaries(st.sampled_from(["a", "b", "note", "id", "date"]), inner, min_size=1),
        ),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(0, 1), st.sampled_from(["a", "text"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["a", "b", "note", "id", "date"]), inner, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=many(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SCHEMAS, st.lists(VALUES, max_size=8))
def test_whatever_a_schema_admits_its_shapes_admit(tmp_path: Path, schema: Schema, values: list[Any]) -> None:
    """The table may admit more, never less. 1.0 is an integer to JSON Schema, and nobody writes it."""
    table, _ = read(tmp_path, schema)
    check = jsonschema.Draft202012Validator(schema)
    assert all(
        admits(table, table["Record"]["it"], value) for value in values if check.is_valid(value) and _plain(value)
    )


def _plain(value: Any) -> bool:
    if isinstance(value, float):
        return not value.is_integer()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(_plain, parts))
