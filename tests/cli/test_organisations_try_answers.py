"""`aval organisations try` on a call that gives an answer over its records: what the app gets, and what counts."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cli_run import Aval
from telecom import DECLARATION, NO_PAGES, as_csv, as_xml, call, declared

Run = Callable[..., Aval]
MONTHLY = (
    ('path = "/calls"\n', 'path = "/monthly"\nasks = "/calls"\nanswer = { as = "Total", per = "month", of = "length",'
     ' gives = ["sum", "count"] }\n'),
    ('find = ["PhoneCall/timestamp", "PhoneCall/msisdn", "PhoneCall/_id"]', 'find = ["Total/from", "Total/to"]'),
    ('find = ["PhoneCall/length", "PhoneCall/type"]', 'find = ["Total/sum"]'),
    ('find = ["PhoneCall/partner"]', 'find = ["Total/count"]'),
    (DECLARATION[DECLARATION.index('[[datasets.field]]\nid = "call.note"') : DECLARATION.index("[format]")], ""),
    ('[format.required]\n"PhoneCall/type" = { instead = "withheld" }\n', ""),
    ('query = ["since", "until", "limit"]', 'query = ["since", "until"]'),
    ("_id:p timestamp:s msisdn:s partner:s length:i type:s\nnote:x cell:-",
     "_id:- timestamp:s msisdn:s partner:- length:i type:-\nnote:- cell:-"),
    ("[format.shapes]\n", '[format.shapes]\nTotal = "from:s to:s sum:n count:i"\n'),
)  # fmt: skip
ALONE = (*MONTHLY, NO_PAGES)
CALLS = [call(3), call(4), call(28, timestamp="2026-02-03T10:00:00Z")]


def written(folder: Path, name: str, *calls: dict[str, Any], following: str | None = None) -> Path:
    path = folder / name
    path.write_text(json.dumps({"items": list(calls), "paging": {"next": following}}), encoding="utf-8")
    return path


def tried(aval: Run, path: Path, *options: str | Path) -> list[dict[str, Any]]:
    done = aval("organisations", "try", path, "--json", *options)
    found = json.loads(done.out)["answers"]
    assert done.code == (1 if any(each["refusal"] for each in found) else 0)
    return found  # type: ignore[no-any-return]


def one(aval: Run, path: Path, sample: Path, *options: str) -> dict[str, Any]:
    (found,) = tried(aval, path, "--answer", sample, *options)
    return found


def warned(found: dict[str, Any]) -> list[str]:
    """But for what a link of this file would know."""
    return [each for each in found["warnings"] if not each.startswith("a live call would give nothing")]


def whys(found: dict[str, Any]) -> list[str]:
    return [each["reason"]["kind"] for each in found["records"]]


def test_what_an_app_gets_is_told_and_that_no_record_leaves(aval: Run, tmp_path: Path) -> None:
    path, sample = declared(tmp_path, *ALONE), written(tmp_path, "calls.json", *CALLS)
    done = aval("organisations", "try", path, "--answer", sample)
    lines = " ".join(done.out.split())
    assert done.code == 0 and not done.err, done.err
    for text in (
        "answer 1 of 2 + from: \"2026-01-01T00:00:00+01:00\"",
        "+ sum: 127 (sum of length) + count: 2 (how many records count)",
        "sum A total, without the data.",
        "record 1: it counts, and does not leave itself",
        "2 answers given, over 3 of 3 records; no record leaves.",
    ):  # fmt: skip
        assert text in lines, (text, done.out)
    assert "account's number" not in lines and "None" not in lines


def test_each_record_counts_or_says_why_not(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, *ALONE)
    others = (
        call(5, msisdn="33622222222"),
        call(6, timestamp="2099-01-01T10:00:00Z"),
        call(7, timestamp="2025-12-03T10:00:00Z"),
    )
    sample = written(tmp_path, "calls.json", *CALLS, *others)
    found = one(aval, path, sample, "--accounts", "33611111111", "--from", "2026-01-01")
    assert whys(found) == ["counted", "counted", "counted", "account", "not-over", "period"]
    assert [each["counts"] for each in found["records"]] == [True] * 3 + [False] * 3
    assert not any(each["given"] for each in found["records"])
    assert found["over_records"]["records_counted"] == 3 and found["over_records"]["records_not_counted"] == 3
    assert [each["count"] for each in json.loads(found["app_gets"])] == [2, 1]
    cut = one(aval, path, sample, "--from", "2026-01-04", "--accounts", "33611111111")
    assert whys(cut)[:3] == ["period", "cut-unit", "counted"], "January is not whole in it"


def test_the_first_moment_of_the_present_month_is_not_over(aval: Run, tmp_path: Path) -> None:
    first = datetime.now(ZoneInfo("Europe/Paris")).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    sample = written(tmp_path, "calls.json", call(3, timestamp=first.isoformat()))
    found = one(aval, declared(tmp_path, *ALONE), sample)
    assert found["records"][0]["reason"]["text"] == f"its month is not over yet (its time: {first.isoformat()})"
    assert found["app_gets"] == "[]"


def test_the_members_that_the_answer_is_made_of_are_named(aval: Run, tmp_path: Path) -> None:
    found = one(aval, declared(tmp_path, *ALONE), written(tmp_path, "calls.json", call(3)))
    kinds = {row["member"]: row["reason"]["kind"] for row in found["records"][0]["members"]}
    assert kinds == {
        "_id": "unread", "timestamp": "read", "msisdn": "read", "partner": "unread", "length": "read",
        "type": "unread", "note": "unread",
    }  # fmt: skip


def test_a_total_that_was_not_chosen_is_not_given(aval: Run, tmp_path: Path) -> None:
    path, sample = declared(tmp_path, *ALONE), written(tmp_path, "calls.json", *CALLS)
    found = one(aval, path, sample, "--without", "call.length")
    row = next(each for each in found["over_records"]["answers"][0] if each["member"] == "sum")
    assert row["fate"] == "withheld" and row["reason"]["text"] == "field not chosen: call.length would give it"
    assert "sum" not in found["app_gets"] and "sum" not in found["over_records"]["reveals"]
    assert "sum" in one(aval, path, sample)["app_gets"]


def test_a_coarser_total_says_how_it_is_made(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, *ALONE, ('find = ["Total/sum"]', 'find = ["Total/sum"]\nmade = { round = "100" }'))
    found = one(aval, path, written(tmp_path, "calls.json", *CALLS))
    row = next(each for each in found["over_records"]["answers"][0] if each["member"] == "sum")
    assert row["app"] == "100" and row["reason"]["text"] == "sum of length, made coarser: round 100"


def test_a_total_over_one_record_is_a_warning(aval: Run, tmp_path: Path) -> None:
    path, sample = declared(tmp_path, *ALONE), written(tmp_path, "calls.json", *CALLS)
    assert warned(one(aval, path, sample)) == ["one record counts in 2026-02: sum is its value"]
    assert warned(one(aval, path, sample, "--to", "2026-01-31")) == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"length": None}, "record 2: length is not there, and the answer is made of it"),
        ({"length": "long"}, "items[2].length is declared as a whole number (i), and is a text"),
    ],
)
def test_a_record_of_which_no_answer_can_be_made_is_named(
    aval: Run, tmp_path: Path, bad: dict[str, Any], why: str
) -> None:
    path = declared(tmp_path, *ALONE)
    records = [call(3), call(4, **bad)] if bad["length"] is None else [call(3), call(5), call(4, **bad)]
    found = one(aval, path, written(tmp_path, "calls.json", *records))
    assert found["refusal"] == why and found["app_gets"] == "" and set(whys(found)) == {"refused"}


# ---- pages and parts


def test_samples_are_pages_as_far_as_they_lead_on(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, *MONTHLY)
    first = written(tmp_path, "1.json", call(3), following="/calls?page=2")
    second, third = written(tmp_path, "2.json", call(4)), written(tmp_path, "3.json", call(5))
    whole, other = tried(aval, path, *(part for each in (first, second, third) for part in ("--answer", each)))
    assert whole["answer"] == f"{first}, {second}" and json.loads(whole["app_gets"])[0]["sum"] == 127
    assert whole["over_records"]["samples"] == 2 and whole["over_records"]["complete"] and not warned(whole)
    assert other["answer"] == str(third) and json.loads(other["app_gets"])[0]["sum"] == 65


def test_a_page_that_is_not_there_is_a_warning_and_no_refusal(aval: Run, tmp_path: Path) -> None:
    first = written(tmp_path, "1.json", call(3), call(4), following="/calls?page=2")
    found = one(aval, declared(tmp_path, *MONTHLY), first)
    assert not found["refusal"] and json.loads(found["app_gets"])[0]["sum"] == 127
    assert warned(found)[0].startswith("there is a further page, and one sample is given: an app gets the answer over")


def test_parts_of_a_period_are_told_and_the_answer_is_over_the_sample(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, *ALONE, ('path = "/monthly"\n', 'path = "/monthly"\ndays = 31\n'))
    in_may = (call(3, timestamp=f"2026-05-0{day}T10:00:00Z") for day in (3, 4))
    found = one(aval, path, written(tmp_path, "may.json", *in_may), "--from", "2026-01-01", "--to", "2026-09-30")
    assert not found["refusal"] and json.loads(found["app_gets"])[0]["count"] == 2
    assert found["over_records"]["parts"] == 9
    assert warned(found)[0].startswith(
        "the organisation is asked in 9 parts of 31 days at most, and one sample is given"
    )


def test_a_sample_for_each_part_is_the_whole_answer(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, *ALONE, ('path = "/monthly"\n', 'path = "/monthly"\ndays = 31\n'))
    first = call(5, timestamp="2026-02-01T10:00:00Z")
    parts = [
        written(tmp_path, "1.json", call(3), call(4), first),
        written(tmp_path, "2.json", first, call(6, timestamp="2026-02-02T10:00:00Z")),
    ]
    options = [part for each in parts for part in ("--answer", each)]
    (found,) = tried(aval, path, *options, "--from", "2026-01-01", "--to", "2026-02-28")
    assert found["over_records"]["complete"] and not warned(found)
    assert [each["count"] for each in json.loads(found["app_gets"])] == [2, 2], "what is in both parts counts once"
    assert whys(found) == ["counted", "counted", "other-part", "counted", "counted"]


# ---- other drivers, and beside it


@pytest.mark.parametrize("made", [as_csv, as_xml])
def test_it_is_the_same_in_csv_and_xml(aval: Run, tmp_path: Path, made: Callable[[Path], tuple[Path, str]]) -> None:
    path, text = made(tmp_path)
    declaration = path.read_text(encoding="utf-8").replace("/@_id", "/_id").replace("@_id:p", "_id:p")
    for old, new in MONTHLY:
        declaration = declaration.replace(old, new, 1)
    declaration = declaration.replace("_id:-", "@_id:-" if made is as_xml else "_id:-")
    path.write_text(declaration, encoding="utf-8")
    sample = tmp_path / "calls"
    sample.write_text(text, encoding="utf-8", newline="")
    found = one(aval, path, sample, "--accounts", "33611111111")
    assert whys(found) == ["counted", "account", "counted", "counted"]
    assert [each["count"] for each in json.loads(found["app_gets"])] == [2, 1]


def test_the_page_has_the_answer_and_what_it_reveals(aval: Run, tmp_path: Path) -> None:
    html = tmp_path / "out.html"
    sample = written(tmp_path, "calls.json", *CALLS)
    assert aval("organisations", "try", declared(tmp_path, *ALONE), "--answer", sample, "--html", html).code == 0
    text = html.read_text(encoding="utf-8")
    assert (
        "Answer 1 of 2" in text and "A total, without the data." in text and "counts, and does not leave itself" in text
    )


def test_lint_knows_that_an_answer_has_its_type(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, *ALONE)
    assert "unused-type" not in aval("organisations", "lint", path).out
    text = path.read_text(encoding="utf-8").replace("[format.shapes]\n", '[format.shapes]\nNobodys = "a:s"\n')
    path.write_text(text, encoding="utf-8")
    assert "format.shapes.Nobodys: no answer and no record has it" in aval("organisations", "lint", path).out
