"""`aval organisations try` on fields that are coarser than the data: how each is made, and the sentence people read."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval
from telecom import answer, as_csv, as_xml, call, declared

Run = Callable[..., Aval]
LENGTH = 'find = ["PhoneCall/length", "PhoneCall/type"]'
PARTNER = 'find = ["PhoneCall/partner"]'


def made(word: str, of: str = PARTNER) -> tuple[str, str]:
    return of, f"{of}\nmade = {{ {word} }}"


def tried(aval: Run, path: Path, sample: str, *options: str) -> dict[str, Any]:
    done = aval("organisations", "try", path, "--answer", "-", "--json", *options, stdin=sample)
    (found,) = json.loads(done.out)["answers"]
    return found  # type: ignore[no-any-return]


def row(found: dict[str, Any], member: str) -> dict[str, Any]:
    return next(each for each in found["records"][0]["members"] if each["member"] == member)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("word", "value", "told", "gets"),
    [
        ('round = "10"', "48.8", "made coarser: round 10", '"50"'),
        ("cut = 2", "48.85341", "made coarser: cut 2", '"48.85"'),
        ('band = ["0", "1000"]', "63", "made coarser: band 0 1000", '"0..1000"'),
        ("keep = 2", "33699", "made coarser: keep 2", '"33"'),
        ('date = "month"', "2026-01-03", "made coarser: date month", '"2026-01"'),
        ('yes = "present"', "x", "made coarser: only whether it is there", "true"),
    ],
)
def test_each_way_is_the_reason_of_what_it_made(
    aval: Run, tmp_path: Path, word: str, value: str, told: str, gets: str
) -> None:
    found = row(tried(aval, declared(tmp_path, made(word)), answer(call(3, partner=value))), "partner")
    assert found["fate"] == "changed" and found["app"] == gets and found["reason"]["text"] == told


def test_a_code_in_its_place_is_made_coarser_too(aval: Run, tmp_path: Path) -> None:
    found = row(tried(aval, declared(tmp_path, made("pseudonym = true")), answer(call(3))), "partner")
    assert found["reason"]["text"] == "made coarser: pseudonym" and "33699999999" not in found["app"]


def test_what_nothing_can_be_made_of_says_so_and_no_field_is_missing(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, made('round = "10"'))
    found = row(tried(aval, path, answer(call(3, partner="OK"))), "partner")
    assert found["fate"] == "withheld" and found["reason"]["text"] == "nothing can be made of it by round 10"
    left = row(tried(aval, path, answer(call(3)), "--without", "call.partner"), "partner")
    assert left["reason"]["text"] == "field not chosen: call.partner would give it"


def test_a_presence_that_is_added_is_told(aval: Run, tmp_path: Path) -> None:
    absent = {name: value for name, value in call(3).items() if name != "partner"}
    found = row(tried(aval, declared(tmp_path, made('yes = "present"')), answer(absent)), "partner")
    assert found["fate"] == "added" and found["app"] == "false"
    assert found["reason"]["text"] == "made coarser: only whether it is there"


@pytest.mark.parametrize("driver", [as_csv, as_xml])
def test_it_is_the_same_in_csv_and_xml(aval: Run, tmp_path: Path, driver: Callable[[Path], tuple[Path, str]]) -> None:
    path, text = driver(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace(*made("keep = 3")), encoding="utf-8")
    assert row(tried(aval, path, text), "partner")["reason"]["text"] == "made coarser: keep 3"


def test_a_required_member_that_is_coarser_is_not_said_to_be_neutral(aval: Run, tmp_path: Path) -> None:
    found = row(tried(aval, declared(tmp_path, made("keep = 2", LENGTH)), answer(call(3))), "type")
    assert found["app"] == '"vo"' and found["reason"]["text"].startswith(
        "made coarser: keep 2; where nothing can be made"
    )


def test_what_is_coarser_in_records_stays_out_beside_them(aval: Run, tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        made("keep = 2"),
        ('find = ["PhoneCall/partner"]', 'find = ["PhoneCall/partner", "Meta/server"]'),
    )
    found = tried(aval, path, answer(call(3)))
    told = next(each for each in found["around"] if each["member"] == "meta.server")
    assert told["reason"]["text"] == "made coarser in records alone (keep 2), so beside them it is not given"


def test_people_read_what_is_still_revealed(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, made('round = "10"'))
    done = aval("organisations", "try", path, "--answer", "-", stdin=answer(call(3)))
    lines = " ".join(done.out.split())
    assert "Rounded to the nearest 10: how large it is can still be seen." in lines
    assert "Arrondi à 10 près" in lines
    assert "When the call began. An identifier of the line." in lines.replace("Quand", "When"), "what goes along, too"
    plain = aval("organisations", "try", declared(tmp_path), "--answer", "-", stdin=answer(call(3)))
    assert "Rounded" not in plain.out


def test_how_often_an_app_may_ask_at_most_is_told(aval: Run, tmp_path: Path) -> None:
    often = ('id = "telecom.calls"\n', 'id = "telecom.calls"\nfrequency = { times = 4, per = "month" }\n')
    done = aval("organisations", "try", declared(tmp_path, often), "--answer", "-", stdin=answer(call(3)))
    assert "4 times a month, however often an app asked for" in " ".join(done.out.split())


def test_the_text_of_an_element_that_nothing_can_be_made_of_is_withheld(aval: Run, tmp_path: Path) -> None:
    path, text = as_xml(tmp_path)
    declaration = path.read_text(encoding="utf-8").replace("partner:s", "partner:Side")
    declaration = declaration.replace("[format.shapes]\n", '[format.shapes]\nSide = "@kind:s .:s"\n')
    declaration = declaration.replace(PARTNER, 'find = ["PhoneCall/partner", "Side/@kind", "Side/."]\nmade = MADE')
    for element in ("<partner>", "<partner kind='a'>"):
        sample = re.sub("<partner>[^<]*", f"{element}84,20", text)
        path.write_text(declaration.replace("made = MADE", 'made = { round = "10" }'), encoding="utf-8")
        told = row(tried(aval, path, sample), "partner..")
        assert told["fate"] == "withheld" and told["reason"]["text"] == "nothing can be made of it by round 10"
