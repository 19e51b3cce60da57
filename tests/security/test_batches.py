"""One answer with several types of data in it: each is counted, and each is in the log."""

from security_world import BATCH, ENERGY, World, detail, settle_energy


def test_the_log_names_every_type_of_data_that_a_batch_gave(world: World) -> None:
    alice = settle_energy(world)
    body = world.agreed(world.browser(alice), "meter", [detail("city-energy", ENERGY, "energy-advice")])
    answer = world.read(body["access_token"], f"/data/city-energy{BATCH}")
    assert answer.status_code == 200
    assert all(word in answer.text for word in ("<value>450", "505050", "street"))
    entry = world.log(alice)[-1]
    assert entry["event"] == "access"
    assert entry["datasets"] == ENERGY
    assert {"point.location", "summary.amounts"} <= set(entry["fields_delivered"])


def test_a_batch_is_counted_for_every_type_of_data_it_gives(world: World) -> None:
    alice = settle_energy(world)
    asked = [
        detail("city-energy", ENERGY[:1], "energy-advice", frequency={"times": 9, "per": "hour"}),
        detail("city-energy", ENERGY[1:], "energy-advice", frequency={"times": 1, "per": "hour"}),
    ]
    body = world.agreed(world.browser(alice), "meter", asked)
    answers = [world.read(body["access_token"], f"/data/city-energy{BATCH}") for _ in range(2)]
    assert "505050" in answers[0].text
    assert answers[1].status_code == 429 or "505050" not in answers[1].text
