"""One answer with several types of data in it: each is counted, and each is in the log."""

from city import BATCH, DATASETS, settle
from fortress import Fort, detail


def test_the_log_names_every_type_of_data_that_a_batch_gave(fort: Fort) -> None:
    alice = settle(fort)
    body = fort.agreed(fort.browser(alice), "meter", [detail("city-energy", DATASETS, "energy-advice")])
    answer = fort.read(body["access_token"], f"/data/city-energy{BATCH}")
    assert answer.status_code == 200
    assert all(word in answer.text for word in ("<value>450", "505050", "street"))
    entry = fort.log(alice)[-1]
    assert entry["event"] == "access"
    assert entry["datasets"] == DATASETS
    assert {"point.location", "summary.amounts"} <= set(entry["fields_delivered"])


def test_a_batch_is_counted_for_every_type_of_data_it_gives(fort: Fort) -> None:
    alice = settle(fort)
    asked = [
        detail("city-energy", DATASETS[:1], "energy-advice", frequency={"times": 9, "per": "hour"}),
        detail("city-energy", DATASETS[1:], "energy-advice", frequency={"times": 1, "per": "hour"}),
    ]
    body = fort.agreed(fort.browser(alice), "meter", asked)
    answers = [fort.read(body["access_token"], f"/data/city-energy{BATCH}") for _ in range(2)]
    assert "505050" in answers[0].text
    assert answers[1].status_code == 429 or "505050" not in answers[1].text
