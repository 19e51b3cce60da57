"""Records whose time is said in one of several members, or by a word for none, or not in any readable way."""

from datetime import UTC, datetime

import pytest

from gateway.formats.model import UnknownShape
from tests.formats.flat_calls import DRIVERS, MINE, Record, cut, declaration, document, one, planned, records_of

ALL = ("line", "month", "area", "code")
WHEN = 'instant = "at"\n'


def declared(driver: str, time: str = WHEN, *, answers: bool = False) -> str:
    """A declaration with records of such a time. `answers`: with a call that gives totals of them, too."""
    text = declaration(driver).replace(WHEN, time).replace("made = { pseudonym = true }", "structural = true")
    for begin, end in () if answers else (('[[datasets]]\nid = "blurred.monthly"', "\n[format]\n"), MONTHLY, TOTAL):
        text = text[: text.index(begin)] + text[text.index(end, text.index(begin)) :]
    return text


def places(driver: str, text: str, *records: Record) -> list[str | None]:
    """What is left of the records, each told by its place."""
    its = planned(text, "blurred.calls", ALL)
    given = records_of(driver, cut(its, driver, "calls", document(driver, list(records))).body)
    return [record["place"] for record in given]


def at(text: str | None, place: str, **more: str | None) -> Record:
    return one(at=text, place=place, **more)


MONTHLY = ('[[format.calls]]\nname = "monthly"', "\n[format.")
TOTAL = ("Total = ", "\n")
INSIDE, BEFORE = "2026-10-03T10:11:12Z", "2025-01-01T00:00:00Z"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("wrong", ["soon", "2026-13-45", "10000-01-01"])
def test_one_unreadable_record_refuses_the_answer_unless_it_is_declared_to_be_withheld(driver: str, wrong: str) -> None:
    records = [at(INSIDE, "aa"), at(wrong, "bb"), at(INSIDE, "cc")]
    with pytest.raises(UnknownShape, match=r"at"):
        places(driver, declared(driver), *records)
    lenient = declared(driver, f'{WHEN}unreadable = "withhold"\n')
    assert places(driver, lenient, *records) == ["aa", "cc"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_nor_does_a_record_without_an_owner_pass(driver: str) -> None:
    records = [at(INSIDE, "aa"), at(INSIDE, "bb", line=None), at(INSIDE, "cc", line="somebody-elses")]
    with pytest.raises(UnknownShape):
        places(driver, declared(driver), *records)
    assert places(driver, declared(driver, f'{WHEN}unreadable = "withhold"\n'), *records) == ["aa"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_withheld_records_are_counted(driver: str) -> None:
    its = planned(declared(driver, f'{WHEN}unreadable = "withhold"\n'), "blurred.calls", ALL)
    found = cut(its, driver, "calls", document(driver, [at(INSIDE, "aa"), at("soon", "bb")]))
    assert (found.counts.records, found.counts.records_withheld) == (1, 1)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_total_never_leaves_records_out(driver: str) -> None:
    text = declared(driver, f'{WHEN}unreadable = "withhold"\n', answers=True)
    with pytest.raises(AssertionError, match="must not leave records out"):
        planned(text, "blurred.monthly", ["which"])


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_word_for_no_time_is_none(driver: str) -> None:
    text = declared(driver, WHEN + 'empty = ["0000-00-00", "N/A"]\n')
    assert places(driver, text, at("0000-00-00", "aa"), at("N/A", "bb"), at(INSIDE, "cc")) == ["cc"]
    with pytest.raises(UnknownShape):
        places(driver, text, at("n/a", "aa"))


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_end_of_all_days_leaves_a_state_open(driver: str) -> None:
    """Many organisations write it in place of an end that is not known; as a day it would have no end."""
    state = declared(driver, 'state = ["at", "partner"]\nempty = ["9999-12-31"]\n')
    records = [
        at(BEFORE, "aa", partner="9999-12-31"),
        at(BEFORE, "bb", partner="2025-12-31"),
        at(INSIDE, "cc", partner=None),
    ]
    assert places(driver, state, *records) == ["aa", "cc"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_first_time_that_says_something_counts(driver: str) -> None:
    text = declared(driver, 'instant = ["at", "partner"]\nempty = ["-"]\n')
    records = [
        at(INSIDE, "aa", partner=BEFORE), at(BEFORE, "bb", partner=INSIDE), at("-", "cc", partner=INSIDE),
        at(None, "dd", partner=INSIDE), at("-", "ee", partner=BEFORE), at(None, "ff", partner="-"),
    ]  # fmt: skip
    assert places(driver, text, *records) == ["aa", "cc", "dd"]


@pytest.mark.parametrize("word", ["s", "v"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_an_empty_text_says_nothing_of_time(driver: str, word: str) -> None:
    def left(time: str, *records: Record) -> list[str | None]:
        return places(
            driver,
            declared(driver, time).replace("at:s", f"at:{word}").replace("partner:s", f"partner:{word}"),
            *records,
        )

    empty, inside = at("", "aa", partner=""), at(INSIDE, "bb", partner="")
    assert left(WHEN, empty, inside) == ["bb"]
    assert left('instant = ["at", "partner"]\n', empty, inside, at("", "cc", partner=INSIDE)) == ["bb", "cc"]
    assert left('state = ["at", "partner"]\n', empty, inside, at("", "cc", partner=BEFORE)) == ["aa", "bb"]
    assert left('span = ["at", "partner"]\n', empty, inside, at(INSIDE, "cc", partner=INSIDE)) == ["cc"]
    assert left(f'{WHEN}length = "partner"\n', inside, at(INSIDE, "cc", partner="PT1M")) == ["cc"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_of_them_must_be_given(driver: str) -> None:
    """Else an app could tell nothing of the time by which a record was judged."""
    text = declared(driver, 'instant = ["at", "note"]\n' if driver != "xml" else 'instant = ["at", "@note"]\n')
    with pytest.raises(AssertionError, match="note"):
        planned(text, "blurred.calls", ALL)


def test_what_is_counted_of_such_records_is_of_the_time_that_was_found() -> None:
    its = planned(declared("json", 'instant = ["at", "partner"]\n'), "blurred.calls", ALL)
    found = cut(its, "json", "calls", document("json", [at(None, "aa", partner=INSIDE)]))
    assert found.counts.start == datetime(2026, 10, 3, 10, 11, 12, tzinfo=UTC)
    assert MINE.native.encode() not in found.body
