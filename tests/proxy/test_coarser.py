"""Fields coarser than the data, and answers instead of data: the exact value and the rows leave nowhere."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import DeclarationError
from gateway.organisations import declare
from tests.proxy.blurred import ALL, EXACT, FILE, LINE, Blurred, call, nothing_exact
from tests.proxy.proxy_world import World

# ---- values


def test_an_app_gets_each_value_as_coarse_as_was_agreed(blurred: Blurred) -> None:
    blurred.says(call(), call("2026-10-31T23:30:00Z", note=None, price=2.75, tax="-0.1", length=6000000))
    given = blurred.reads()
    assert given.status == 200, given.body
    first, second = given.json["items"]
    code = first.pop("partner")
    assert first == {
        "at": "2026-10", "line": blurred.ref, "length": "600000..6000000", "price": 0.0, "tax": "0.5", "note": True,
        "place": {"latitude": 48.85, "longitude": 2.34, "postcode": "75"},
    }  # fmt: skip
    assert b'"price":0.0,' in given.body and b'"price":3.0,' in given.body and b'"latitude":48.85,' in given.body
    assert (second["at"], second["note"], second["tax"], second["length"]) == ("2026-11", False, "0.0", "6000000..")
    assert second["partner"] == code and len(code) == 24
    assert nothing_exact(given)


@pytest.mark.parametrize(
    ("fields", "found"),
    [(["call.region"], {"latitude": 48.8, "longitude": 2.3}),
     (["call.region", "call.area"], {"latitude": 48.85, "longitude": 2.34}),
     (["call.place", "call.region", "call.county"],
      {"latitude": 48.85341, "longitude": 2.3488, "postcode": "75011"}),
     (["call.county"], {"postcode": "75"})],
)  # fmt: skip
def test_the_finest_that_was_agreed_is_given_and_the_exact_value_before_all(
    blurred: Blurred, fields: list[str], found: dict[str, Any]
) -> None:
    blurred.says(call())
    [record] = blurred.agrees("blurred.calls", ["call.line", "call.month", *fields]).reads().json["items"]
    assert record == {"at": "2026-10", "line": blurred.ref, "place": found}


def test_the_same_value_stays_out_beside_the_records(blurred: Blurred) -> None:
    blurred.says(call(), dearest={"latitude": 48.85341, "longitude": 2.3488, "postcode": "75011"})
    given = blurred.reads()
    assert given.json["dearest"] == {} and nothing_exact(given)
    given = blurred.agrees("blurred.calls", ["call.line", "call.month", "call.place"]).reads()
    assert given.json["dearest"]["postcode"] == "75011"


def test_what_nothing_can_be_made_of_is_withheld_and_counted(blurred: Blurred) -> None:
    blurred.says(call(tax="canary, twelve", place={"latitude": None, "longitude": 2.3488, "postcode": LINE}))
    given = blurred.reads()
    [record] = given.json["items"]
    assert "tax" not in record and record["place"]["latitude"] is None
    assert record["place"]["postcode"] == "+" + blurred.ref[0] and nothing_exact(given)
    assert blurred.world.entries(blurred.person)[-1]["values_withheld"] == 1


def test_a_made_value_never_leaves_exactly_in_narrowed_refused_or_head_calls(blurred: Blurred) -> None:
    blurred.says(call())
    since = "?since=2026-10-01T00:00:00Z"
    for query in ("", since, f"{since}&limit=1"):
        given, head = blurred.reads(query=query), blurred.reads(query=query, method="HEAD")
        assert given.status == head.status == 200 and head.body == b""
        assert nothing_exact(given) and nothing_exact(head)
    for wrong in ("?since=soon", "?place=48.8534", "?limit=101"):
        refused = blurred.reads(query=wrong)
        assert refused.status == 403 and not any(each in refused.body for each in EXACT[2:])
    blurred.says(call(), call(price="0.1234"))
    refused = blurred.reads()
    assert refused.status == 502 and nothing_exact(refused)


def test_no_shorter_period_finds_out_an_exact_time(blurred: Blurred) -> None:
    blurred.says(call())
    blurred.reads(query="?since=2026-10-03T10:11:00Z&until=2026-10-03T10:12:00Z")
    [asked] = blurred.organisation.seen
    assert "since=2026-09-30T22:00:00Z" in asked.target and "until=2026-10-31T23:00:00Z" in asked.target
    blurred.agrees("blurred.calls", ["call.line", "call.month", "call.when"])
    blurred.reads(query="?since=2026-10-03T10:11:00Z&until=2026-10-03T10:12:00Z")
    assert "since=2026-10-03T10:11:00Z" in blurred.organisation.seen[-1].target  # whoever has the time may ask for it


def test_a_month_that_the_agreed_period_cuts_is_left_out(blurred: Blurred) -> None:
    agreed = {"history": None, "from": "2026-09-15T00:00:00+00:00", "to": "2026-11-02T00:00:00+00:00", "future": False}
    blurred.agrees("blurred.calls", ["call.line", "call.month"], period=agreed)
    blurred.says(*(call(f"2026-{day}T10:00:00Z") for day in ("09-20", "10-01", "10-31", "11-01")))
    assert [each["at"] for each in blurred.reads().json["items"]] == ["2026-10", "2026-10"]
    agreed["from"], agreed["to"] = "2026-10-02T00:00:00+00:00", "2026-10-30T00:00:00+00:00"
    refused = blurred.agrees("blurred.calls", ["call.line", "call.month"], period=agreed).reads()
    assert (refused.status, refused.reason) == (403, "period")


def test_a_code_is_one_apps_own(blurred: Blurred) -> None:
    blurred.says(call())
    mine = blurred.reads().json["items"][0]["partner"]
    blurred.world.app("other-blurred")
    ref = blurred.world.ref("other-blurred", blurred.person, blurred.id, LINE)
    item = blurred.world.item(blurred.id, "blurred.calls", ["call.line", "call.month", "call.code"], [ref])
    consent = blurred.world.consent(blurred.person, "other-blurred", [item])
    blurred.token, blurred.ref = blurred.world.token(consent, [blurred.id], "other-blurred"), ref
    assert blurred.reads().json["items"][0]["partner"] != mine


@pytest.mark.parametrize(
    ("agreed", "given"),
    [({"call.area": "cut 2"}, True), ({"call.area": "cut 3"}, True), ({"call.area": "cut 1"}, False),
     ({"call.area": "round 0.1"}, False)],
)  # fmt: skip
def test_what_has_become_finer_since_the_agreement_is_not_given(
    blurred: Blurred, agreed: dict[str, str], given: bool
) -> None:
    blurred.says(call())
    blurred.agrees("blurred.calls", ["call.line", "call.month", "call.area"], made=agreed)
    answer = blurred.reads()
    assert ("place" in answer.json["items"][0]) is given and nothing_exact(answer)
    delivered = blurred.world.entries(blurred.person)[-1]["fields_delivered"]
    assert ("call.area" in delivered) is given


def test_what_is_exact_now_and_was_agreed_coarser_is_not_given(blurred: Blurred) -> None:
    blurred.says(call())
    blurred.agrees("blurred.calls", ["call.line", "call.month", "call.price"], made={"call.price": "round 0.5"})
    assert "price" not in blurred.reads().json["items"][0]
    blurred.agrees("blurred.calls", ["call.line", "call.month", "call.price"])
    assert blurred.reads().json["items"][0]["price"] == 0.1234


# ---- answers


def test_a_total_is_given_and_no_row(blurred: Blurred) -> None:
    blurred.says(
        call("2026-10-03T10:11:12Z", price=0.1), call("2026-10-31T22:59:00Z", price=0.2),
        call("2026-09-30T21:59:59Z", price=7), call("2026-09-01T00:00:00Z", price=-7.25),
    )  # fmt: skip
    given = blurred.agrees("blurred.monthly", ALL).reads("monthly")
    assert given.status == 200, given.body
    assert given.json == [
        {
            "from": "2026-09-01T00:00:00+02:00",
            "to": "2026-10-01T00:00:00+02:00",
            "sum": "-0.25",
            "count": 2,
            "max": "7",
        },
        {
            "from": "2026-10-01T00:00:00+02:00",
            "to": "2026-11-01T00:00:00+01:00",
            "sum": "0.3",
            "count": 2,
            "max": "0.2",
        },
    ]
    assert not any(each in given.body for each in (b"12345678", b"canary", b"48.85", b"7.25", b"10:11", b"line"))
    [asked] = blurred.organisation.seen
    assert asked.target.startswith("/lines/%2B33600000001/calls?limit=100&since=2025-10-31T23:00:00Z")
    entry = blurred.world.entries(blurred.person)[-1]
    assert (entry["records"], entry["records_withheld"], entry["datasets"]) == (2, 0, ["blurred.monthly"])


def test_of_an_answer_only_what_was_agreed_is_given(blurred: Blurred) -> None:
    blurred.says(call(price=14.99), call(price=0.02))
    [total] = blurred.agrees("blurred.monthly", ["month.which", "month.about"]).reads("monthly").json
    assert total == {"from": "2026-10-01T00:00:00+02:00", "to": "2026-11-01T00:00:00+01:00", "sum": "20"}
    [total] = blurred.agrees("blurred.monthly", ["month.which"]).reads("monthly").json
    assert total.keys() == {"from", "to"}
    assert blurred.reads("calls").status == 403 and blurred.reads("much").status == 403


def test_withheld_records_never_influence_an_answer(blurred: Blurred) -> None:
    others = [
        call("2020-01-01T10:00:00Z", price=1e30), call(line="+33699999999", price=500), call("2026-11-02T10:00:00Z"),
        call(None, price=9),  # type: ignore[arg-type]  # without a time it is of no month
        call("2025-10-31T10:00:00Z", price=3),
    ]  # fmt: skip
    blurred.agrees("blurred.monthly", ALL)
    blurred.says(call(price=1.5))
    alone = blurred.reads("monthly")
    blurred.says(*others, call(price=1.5), *others)
    given = blurred.reads("monthly")
    assert given.json == alone.json and len(given.json) == 1
    entry = blurred.world.entries(blurred.person)[-1]
    assert (entry["records"], entry["records_withheld"]) == (1, 10)


def test_an_answer_is_of_months_that_are_over(blurred: Blurred) -> None:
    """Else each new record could be read off by asking again."""
    blurred.says(call("2026-11-03T10:00:00Z"))
    assert blurred.agrees("blurred.monthly", ALL).reads("monthly").json == []


def test_a_month_is_over_at_local_midnight(blurred: Blurred) -> None:
    blurred.says(call("2026-10-31T22:30:00Z"), call("2026-10-31T23:00:00Z"))
    for clock, counts in (("2026-10-31T22:59:59Z", []), ("2026-10-31T23:00:00Z", [1])):
        blurred.world.clock = lambda at=clock: datetime.fromisoformat(at)
        blurred.agrees("blurred.monthly", ALL)
        assert [each["count"] for each in blurred.reads("monthly").json] == counts


@pytest.mark.parametrize("query", ["?limit=1", "?cursor=x", "?price=1", "?page_token=" + "A" * 40])
def test_an_app_cannot_say_which_records_count(blurred: Blurred, query: str) -> None:
    refused = blurred.agrees("blurred.monthly", ALL).reads("monthly", query)
    assert (refused.status, refused.reason) == (403, "field") and not blurred.organisation.seen


def test_a_shorter_period_is_asked_for_in_whole_months(blurred: Blurred) -> None:
    blurred.agrees("blurred.monthly", ALL)
    blurred.says(
        call("2026-09-03T10:00:00Z", price=1),
        call("2026-10-03T10:00:00Z", price=2),
        call("2026-10-09T10:00:00Z", price=4),
    )
    given = blurred.reads("monthly", "?since=2026-10-03T10:00:00Z&until=2026-10-03T10:00:01Z")
    assert [each["sum"] for each in given.json] == ["6"]
    assert "since=2026-09-30T22:00:00Z&until=2026-10-31T23:00:00Z" in blurred.organisation.seen[-1].target


@pytest.mark.parametrize(
    "wrong",
    [{"price": None}, {"price": "0.12"}, {"price": True}, {"price": [1]}],
)
def test_an_answer_with_what_is_no_number_is_refused(blurred: Blurred, wrong: Any) -> None:
    blurred.agrees("blurred.monthly", ALL)
    blurred.says(call(), call(**wrong))
    refused = blurred.reads("monthly")
    assert (refused.status, refused.reason) == (502, "organisation_answer_invalid") and nothing_exact(refused)


def test_an_answer_about_somebody_elses_line_is_none(blurred: Blurred) -> None:
    blurred.agrees("blurred.monthly", ALL)
    blurred.says(call(), owner="+33699999999")
    assert blurred.reads("monthly").status == 502


def test_the_head_of_an_answer_has_no_body(blurred: Blurred) -> None:
    blurred.agrees("blurred.monthly", ALL)
    blurred.says(call())
    head = blurred.reads("monthly", method="HEAD")
    assert head.status == 200 and head.body == b"" and nothing_exact(head)


# ---- yes or no


def test_yes_or_no_is_all_that_is_told(blurred: Blurred) -> None:
    blurred.agrees("blurred.much", ["much.yes"])
    blurred.says(call(price=4.99), call(price=0.01))
    given = blurred.reads("much")
    assert given.status == 200 and given.body == b'{"yes":true}'
    blurred.says(call(price=4.99), call("2026-11-15T10:00:00Z", price=4.99))  # today is not over
    assert blurred.reads("much").body == b'{"yes":false}'


def test_yes_or_no_is_counted_limited_and_logged(blurred: Blurred) -> None:
    blurred.agrees("blurred.much", ["much.yes"])
    blurred.says(call())
    assert [blurred.reads("much").status for _ in range(2)] == [200, 200]
    asked = len(blurred.organisation.seen)
    refused = blurred.reads("much")
    assert (refused.status, refused.reason) == (429, "frequency") and "retry-after" in refused.headers
    assert len(blurred.organisation.seen) == asked
    told = blurred.world.entries(blurred.person)
    assert any(entry.get("reason") == "frequency" for entry in told)


def test_a_limit_that_was_declared_tighter_than_what_she_agreed_to_holds(blurred: Blurred) -> None:
    wide = [{"times": 5, "per": "month", "zone": "Europe/Paris"}]
    blurred.agrees("blurred.much", ["much.yes"], frequency=wide)
    blurred.says(call())
    assert [blurred.reads("much").status for _ in range(3)] == [200, 200, 429]


def test_a_tighter_limit_of_the_agreement_stays(blurred: Blurred) -> None:
    tight = [{"times": 1, "per": "month", "zone": "Europe/Paris"}]
    blurred.agrees("blurred.much", ["much.yes"], frequency=tight)
    blurred.says(call())
    assert [blurred.reads("much").status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("query", ["?since=2026-10-03T00:00:00Z", "?until=2026-10-04T00:00:00Z"])
def test_yes_or_no_has_no_period_of_the_apps_own(blurred: Blurred, query: str) -> None:
    refused = blurred.agrees("blurred.much", ["much.yes"]).reads("much", query)
    assert (refused.status, refused.reason) == (403, "field") and not blurred.organisation.seen


# ---- the declaration


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('made = { cut = 1 }', 'made = { cutt = 1 }', "write one of round, cut, keep"),
        ('made = { cut = 1 }', 'made = { cut = -1 }', "write a whole number from 0 to 18"),
        ('made = { cut = 1 }', 'made = { round = "10" }', "made coarser by round in another field: take round"),
        ('find = ["Call/price", "Call/tax"]\nmade', 'find = ["Call/length"]\nmade = { cut = 1 } #',
         "written i, and cut is made of"),
        ('made = { round = "0.5" }', 'made = { round = "0" }', "a decimal number above 0"),
        ('made = { band = ["600000", "6000000"] }', 'made = { band = ["6", "6.0"] }', "from the lowest"),
        ('made = { date = "month" }', 'made = { keep = 7 }', "is the record's own time: take date"),
        ('find = ["Call/line"]', 'find = ["Call/line"]\nmade = { pseudonym = true }',
         "only a time can be made coarser"),
        ('made = { pseudonym = true }', 'made = { pseudonym = false }', "write true"),
        ('made = { yes = "present" }', "made = { yes = true }", 'write "present"'),
        ('find = ["Call/place", "Place/latitude", "Place/longitude"]\nmade',
         'find = ["Call/place", "Place/huge"]\nmade',
         "'Place/huge' is no member of the format"),
        ('find = ["Call/partner"]', 'find = ["&Call/partner"]', "leave out &"),
        ('per = "month" }\n\n[[datasets.field]]\nid = "much', 'per = "ever" }\n\n[[datasets.field]]\nid = "much',
         "frequency.per: is not right; one of hour, day, week, month, year"),
        ('frequency = { times = 2, per = "month" }', "", "yes or no, asked again and again, tells the value"),
        ('at_least = "5", ', "", "a threshold belongs to gives"),
        ('of = "price", gives = ["sum"', 'of = "note", gives = ["sum"', "must be one of n d s v i in shapes"),
        ('find = ["Total/sum"]\nmade', 'find = ["Call/price"]\nmade', "never leaves, since its calls give answers"),
        ('find = ["Total/sum"]\nmade = { round = "10" }', 'find = ["Total/sum"]\nmade = { pseudonym = true }',
         "is of an answer"),
        ('Total = "from:s to:s sum:d', 'Total = "from:s to:s sum:s', "sum of Total must be d or n"),
        ('asks = "/lines/{account}/calls?limit=100"\nquery = ["since", "until", "fields"]\nanswer = { as = "Total"',
         'query = ["limit"]\nanswer = { as = "Total"', "an answer is over all records"),
        ('dataset = "blurred.much"', 'dataset = "blurred.monthly"', "no call of the format gives it"),
        ('query = ["since", "until", "limit", "cursor", "fields"]\n',
         'query = ["since", "until", "limit", "cursor", "fields"]\ndays = 7\n', "a page of 7 days would tell"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_mean_what_it_says_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    monkeypatch.setenv("BLURRED_SECRET", "s")
    text = FILE.read_text()
    assert old in text
    (tmp_path / "wrong.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(DeclarationError) as wrong:
        declare.read(tmp_path / "wrong.toml", world.house.catalogue)
    assert told in str(wrong.value)
