"""An object of authorization_details means each of its places with each of its types of data, and nothing else (RFC
9396 §2.2): on the screen, in the answer and at the data."""

from pathlib import Path

from security_world import BASE, ORGANISATIONS, Bank, Page, World, detail

from gateway.organisations import declare

BANKS, ASKED = ["north-bank", "south-bank"], ["bank.accounts", "bank.balances"]


def banks_of_alice(world: World, folder: Path) -> str:
    alice, bank = world.person("Alice"), Bank(world.clock)
    source = (ORGANISATIONS / "harbour-bank.toml").read_text()
    for name in BANKS:
        path = folder / f"{name}.toml"
        path.write_text(source.replace("harbour-bank", name))
        with world.house.store.write() as session:
            declare.add(session, world.house, declare.read(path, world.house.catalogue), world.clock.now)
        world.organisations.responders[name] = bank
        bank.customer(world.link(alice, name, ["native-1"]), ["native-1"], "a-word")
    known = world.house.catalogue.datasets
    wanted = [(name, data) for name in BANKS for data in [*ASKED, "bank.transactions"]]
    fields = {data: list(known[data].fields) for _, data in wanted}
    world.app("budget", [{"organisation": name, "dataset": data, "fields": fields[data]} for name, data in wanted])
    return alice


def test_two_places_and_two_types_of_data_are_four_things(world: World, tmp_path: Path) -> None:
    alice = banks_of_alice(world, tmp_path)
    one = detail(BANKS[0], ASKED)
    one["locations"] = [place.replace(BANKS[0], name) for name in BANKS for place in one["locations"]]
    browser = world.browser(alice)
    screen = Page(browser.get(world.request("budget", [one])).text)
    labels = [world.house.catalogue.datasets[name].label["en"] for name in ASKED]
    text = " ".join(screen.document.text_content().split())
    assert [text.count(label) >= len(BANKS) for label in labels] == [True, True]
    assert world.house.catalogue.datasets["bank.transactions"].label["en"] not in text
    body = world.agreed(browser, "budget", [one])
    pairs = [(told["locations"][0].rpartition("/")[2], told["datatypes"][0]) for told in body["authorization_details"]]
    assert sorted(pairs) == sorted((name, data) for name in BANKS for data in ASKED)
    for name in BANKS:
        assert world.read(body["access_token"], f"/data/{name}{BASE}/balances").status_code == 200
        assert world.read(body["access_token"], f"/data/{name}{BASE}/transactions").status_code == 403
