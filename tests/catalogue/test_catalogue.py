"""The catalogue is read whole before anybody sees a page: what a file leaves out is a fault then, and all are told."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.catalogue import Catalogue, CatalogueError
from gateway.settings import LANGUAGES, shipped_policies

ROOT = Path(__file__).parents[2]
TITLE = (
    'special = { fr = "Données particulièrement protégées : votre santé",'
    ' en = "Specially protected data: your health" }\n'
)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A copy of the shipped policies, to be changed."""
    return shutil.copytree(shipped_policies(), tmp_path / "policies")


@pytest.fixture
def change(policies: Path) -> Callable[[str, str, str], None]:
    def one(name: str, old: str, new: str) -> None:
        text = (policies / name).read_text()
        assert old in text
        (policies / name).write_text(text.replace(old, new, 1))

    return one


def faults(policies: Path) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as refused:
        Catalogue(policies)
    return refused.value.faults


def test_every_kind_of_sensitive_data_has_its_heading_in_every_language() -> None:
    catalogue = Catalogue(shipped_policies())
    for dataset in catalogue.datasets.values():
        for sensitivity in dataset.sensitivities - {"none"}:
            assert all(catalogue.title(sensitivity, dataset.category)[language] for language in LANGUAGES)


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("datasets/bank.toml", 'category = "finance"', 'category = "telecom"', "telecom is no [[category]]"),
        (
            "datasets/bank.toml",
            'category = "finance"',
            'category = "telecom"',
            "datasets/bank.toml: bank.accounts: cat",
        ),
        (
            "datasets/bank.toml",
            "structural = true",
            "structral = true",
            "structral: there is no such key; did you mean s",
        ),
        (
            "datasets/bank.toml",
            'sector = "bank"',
            'sector = "bank"\nxyz = 1',
            "datasets/bank.toml: xyz: there is no such",
        ),
        ("datasets/health.toml", TITLE, "", "category health has no words for special data"),
        ("datasets/bank.toml", 'en = "Sensitive data: your money"', 'de = "Sensibel"', "sensitive: write { fr"),
        ("datasets/bank.toml", 'sensitivity = "sensitive"', 'sensitivity = "much"', "one of none, sensitive, special"),
        ("datasets/bank.toml", 'sector = "bank"', "", "datasets/bank.toml: sector"),
        ("datasets/bank.toml", 'id = "account.name"', 'id = "account.kind"', "account.kind stands twice"),
        ("datasets/bank.toml", '"Account/Nickname"', '"Nickname"', "account.name: find: selector 'Nickname'"),
        ("datasets/bank.toml", "structural = true", 'structural = "yes"', "structural: write true or false"),
        ("datasets/energy.toml", 'id = "energy.point"', 'id = "bank.accounts"', "stands in another file"),
        ("datasets/bank.toml", "[[dataset]]", "[[dataset", "datasets/bank.toml: "),
        ("purposes/household-budget.toml", "bank.accounts", "bank.nothing", "bank.nothing is in no file"),
        ("purposes/household-budget.toml", "[caps]", "[bounds]", "caps: write a table"),
    ],
)
def test_what_a_file_leaves_out_or_misspells_is_a_fault_at_load(
    policies: Path, change: Callable[[str, str, str], None], name: str, old: str, new: str, told: str
) -> None:
    change(name, old, new)
    assert any(told in fault for fault in faults(policies)), faults(policies)


def test_all_faults_of_all_files_are_told_at_once(policies: Path, change: Callable[[str, str, str], None]) -> None:
    change("datasets/bank.toml", 'sensitivity = "sensitive"', 'sensitivity = "much"')
    change("datasets/health.toml", TITLE, "")
    change("purposes/energy-advice.toml", "version = ", "# version = ")
    told = " | ".join(faults(policies))
    assert "bank.toml" in told and "health" in told and "energy-advice.toml: version" in told


def test_two_files_may_share_a_category_and_never_differ_about_it(policies: Path) -> None:
    bank = (policies / "datasets/bank.toml").read_text()
    heading = bank[bank.index("[[category]]") : bank.index("[[dataset]]")]
    other = bank[bank.index("[[dataset]]") : bank.index("[[dataset]]", bank.index("[[dataset]]") + 1)]
    other = 'sector = "bank"\nformat = "uk-open-banking-4"\n' + heading + other.replace("bank.accounts", "bank.more")
    (policies / "datasets/more.toml").write_text(other)
    assert "bank.more" in Catalogue(policies).datasets
    (policies / "datasets/more.toml").write_text(other.replace("your money", "your wallet"))
    assert any("finance: has other words" in fault for fault in faults(policies))


def test_the_hash_is_of_everything_that_was_read(policies: Path, change: Callable[[str, str, str], None]) -> None:
    before = Catalogue(policies).sha256
    assert before == Catalogue(shipped_policies()).sha256
    change("purposes/energy-advice.toml", "version = ", "\nversion = ")
    assert Catalogue(policies).sha256 != before


def test_the_languages_stand_in_one_place() -> None:
    pair = re.compile(r"""[\[({]\s*["'](?:fr|en)["'],\s*["'](?:fr|en)["']\s*[\])}]""")
    found = [str(path) for path in (ROOT / "gateway").rglob("*.py") if pair.search(path.read_text(encoding="utf-8"))]
    assert [Path(path).name for path in found] == ["settings.py"]


def test_a_key_of_a_purpose_that_is_none_is_told_with_its_file(policies: Path) -> None:
    path = sorted((policies / "purposes").glob("*.toml"))[0]
    whole = path.read_text()
    path.write_text(f"verison = 2\n{whole}")
    assert faults(policies) == (f"purposes/{path.name}: verison: there is no such key; did you mean version?",)
    path.write_text(f"{whole}\n[caps.frequncy]\n")
    assert [each for each in faults(policies) if "frequncy: there is no such key; did you mean frequency?" in each]
    path.write_text(whole.replace("datasets = [", 'datasets = ["bank.nothing", ', 1))
    assert faults(policies) == (f"purposes/{path.name}: datasets: bank.nothing is in no file of datasets/",)
    path.write_text(whole)
    Catalogue(policies)


@pytest.mark.parametrize(
    "text",
    ['[[sector]]\nid = "water"\n', f'[[category]]\nid = "water"\n{TITLE}'],
    ids=["sector", "category"],
)
def test_a_file_of_ones_own_adds_sectors_or_categories_alone(policies: Path, text: str) -> None:
    (policies / "sectors" / "water.toml").write_text(text, encoding="utf-8")
    catalogue = Catalogue(policies)
    assert "bank" in catalogue.sectors and "home" in catalogue.categories
    assert ("water" in catalogue.sectors) != ("water" in catalogue.categories)


@pytest.mark.parametrize("text", ["", "sector = []\n", 'category = "water"\n'])
def test_a_file_that_adds_neither_sector_nor_category_is_refused(policies: Path, text: str) -> None:
    (policies / "sectors" / "water.toml").write_text(text, encoding="utf-8")
    (told,) = faults(policies)
    assert told.startswith("sectors/water.toml: ") and "list at least one" in told
