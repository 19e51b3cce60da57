"""The table of requirements: every row is proved or says why not, every test it names is there, the page is fresh."""

from pathlib import Path

import pytest

from tests.requirements import AREAS, FOLDER, PAGE, STATES, Area, area, areas, faults, page

GOOD = 'id = "oidc 6.1"\ntext = "A thing holds."\n'
TEST = "tests/docs/test_requirements.py::test_a_good_row_has_no_fault"


@pytest.fixture(scope="module")
def found() -> list[Area]:
    return areas()


def rows(*texts: str, name: str = "oidc") -> list[Area]:
    return [area(name, 'title = "T"\nabout = "A."\n' + "".join(f"[[row]]\n{text}" for text in texts))]


def test_every_row_is_proved_or_says_why_not(found: list[Area]) -> None:
    assert faults(found) == []
    assert all(each.rows and each.title and each.about for each in found)


def test_every_file_of_the_folder_is_an_area() -> None:
    assert sorted(AREAS) == sorted(path.stem for path in FOLDER.glob("*.toml"))


def test_the_page_is_what_the_files_say(found: list[Area]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(found), "run: make docs"


def test_the_page_counts_every_row_once(found: list[Area]) -> None:
    [total] = [line for line in page(found).splitlines() if line.startswith("| All |")]
    _, all_rows, *by_state = total.strip("| ").split(" | ")
    assert int(all_rows) == sum(len(each.rows) for each in found) == sum(map(int, by_state))
    assert len(by_state) == len(STATES)


def test_the_page_names_nothing_of_the_machine_it_was_written_on(found: list[Area]) -> None:
    written = page(found)
    assert str(Path.home()) not in written and "/tmp" not in written and str(FOLDER.parents[1]) not in written


# ---- the check itself finds what it is there for


def test_a_good_row_has_no_fault() -> None:
    assert faults(rows(f'{GOOD}tests = ["{TEST}"]\n')) == []
    assert faults(rows(f'{GOOD}not_yet = "no test yet"\n')) == []
    [each] = rows(f'{GOOD}tests = ["{TEST}"]\nnot_yet = "the rest"\n')
    assert [row.state for row in each.rows] == ["in part"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", "neither tests nor a reason"),
        ("tests = []\n", "neither tests nor a reason"),
        ('not_yet = ""\n', "neither tests nor a reason"),
        (f'tests = ["{TEST}_any_more"]\n', "is not there"),
        ('tests = ["tests/docs/test_nothing.py::test_a"]\n', "is not there"),
        ('tests = ["tests/docs/test_requirements.py::rows"]\n', "names a test as"),
        (f'tests = ["{TEST}[1]"]\n', "names a test as"),
        ('tests = ["tests/docs/test_requirements.py"]\n', "names a test as"),
        (f'tests = ["{TEST}"]\nnot_here = "x"\n', "does not apply, and yet"),
        ('not_yet = "`x`"\n', "is not one line"),
    ],
)
def test_a_row_that_proves_nothing_is_told(more: str, told: str) -> None:
    [fault] = faults(rows(GOOD + more))
    assert fault.startswith("oidc 6.1: ") and told in fault


def test_an_id_stands_once_and_belongs_to_its_area() -> None:
    reason = 'not_yet = "no test yet"\n'
    assert faults(rows(GOOD + reason, GOOD + reason)) == ["oidc 6.1: stands 2 times"]
    assert faults(rows(GOOD + reason, name="dpop")) == ["oidc 6.1: is not an id of dpop"]
    negative = 'id = "negative B1"\ntext = "A thing is refused."\n' + reason
    assert faults(rows(negative, name="negative-b")) == []


def test_a_word_that_no_row_has_is_told() -> None:
    with pytest.raises(ValueError, match="oidc 6.1: no row has notyet"):
        rows(f'{GOOD}notyet = "x"\n')
