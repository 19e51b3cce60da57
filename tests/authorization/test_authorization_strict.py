"""JSON and JWS, read with one meaning or none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.authorization import details, responses
from gateway.consent.request import InvalidDetails
from gateway.ground.keys import jose, strict

ISS = "&iss=http%3A%2F%2Flocalhost%3A8400"


def app(world, client_id):
    with world.session() as session:
        return registration(session.get_one(App, client_id))


def test_public_json_vectors(shared):
    folder = shared / "vectors" / "json-parsing"
    if not folder.is_dir():
        pytest.skip("the JSON parsing vectors are not here")
    wrong = []
    for path in sorted(folder.rglob("*.json")):
        twice = path.name.startswith("y_object_duplicated_key")  # refused on purpose
        try:
            strict.loads(path.read_bytes().decode(), depth=20)
            taken = True
        except (strict.Malformed, UnicodeDecodeError):
            taken = False
        if (path.name.startswith("n_") and taken) or (path.name.startswith("y_") and taken is twice):
            wrong.append(path.name)
    assert wrong == []


@pytest.mark.parametrize("text", ['"' + '\\"' * 30_000, "[" * 60_000, '{"a":' * 10_000, '"\\' * 30_000, "9" * 60_000])
def test_hostile_text_costs_no_time(text):
    started = time.monotonic()
    with pytest.raises(strict.Malformed):
        strict.loads(text, depth=20)
    assert time.monotonic() - started < 10  # what grows with the square takes minutes


def test_depth_counts_brackets_outside_strings():
    assert strict.loads('["[[[[[[", "\\"[["]', depth=1) == ["[[[[[[", '"[[']
    with pytest.raises(strict.Malformed):
        strict.loads("[[]]", depth=1)


def test_details_above_their_limits_name_the_rule_and_not_the_content():
    for text in ('["' + "secret" * 20_000 + '"]', "[" + "{}," * 60 + "{}]", '[{"secret":1,"secret":2}]'):
        with pytest.raises(InvalidDetails) as raised:
            details.parse(text)
        assert "secret" not in str(raised.value.why)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader_of_tokens(text):
    with pytest.raises(jose.Malformed):
        jose.read(text, 1000, jose.TokenKind(types=("jwt",), algorithms=("ES256",)))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://a.example/cb", "https://a.example/cb?state=a%20b%26c"),
        ("https://a.example/cb?x=%20y", "https://a.example/cb?x=%20y&state=a%20b%26c"),
        ("com.example:/cb", "com.example:/cb?state=a%20b%26c"),
    ],
)
def test_the_answer_is_appended_to_the_registered_address(world, uri, expected):
    said = {"state": "a b&c", "code": None}
    meter = app(world, "meter")
    assert responses.address(world.house, meter, uri, "query", said, world.clock.now) == expected + ISS
