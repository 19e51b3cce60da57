"""An account without a name of its own is called by the end of its identifier: its label is shown in every language."""

import pytest
from energy_documents import ESPI, ROOT, espi_entry, espi_feed
from format_documents import FORMATS, TYPES, account, bank, bundle, patient, source

from gateway.formats import registry
from gateway.formats.model import Upstream

POINT = f'<UsagePoint xmlns="{ESPI}"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>'
BARE = {
    "bank": bank("Account", [{"AccountId": "native-4711", "AccountCategory": account()["AccountCategory"]}]),
    "energy": espi_feed(espi_entry(f"{ROOT}/native-4711", POINT, title="")),
    "health": bundle([{name: value for name, value in patient("native-4711").items() if name != "name"}]),
}


@pytest.mark.parametrize("sector", FORMATS)
def test_an_account_without_a_name_is_called_by_no_word_of_any_language(sector: str) -> None:
    def fetch(sent: Upstream) -> tuple[str, bytes]:
        return TYPES[sector], BARE[sector]

    [found] = registry.accounts(source(sector), fetch)
    assert (found.native, found.label) == ("native-4711", "•••• 4711")
