"""Downloads at one organisation at once: nobody holds them all."""

import threading
from concurrent.futures import ThreadPoolExecutor

from organisations_world import Browser, Running, World

DOOR = "/organisations/harbour-bank/download"


def test_who_downloads_twice_at_once_takes_no_place_from_others(
    world: World, bank: Running, alice: Browser, mallory: Browser
) -> None:
    mallory.links_by_number(bank, "HB-2002")
    alice.links_by_number(bank, "HB-2001")
    reached, gate = threading.Event(), threading.Event()

    def first_waits(path: str) -> None:
        if not reached.is_set():
            reached.set()
            gate.wait(20)

    world.connector.before = first_waits
    with ThreadPoolExecutor(1) as crowd:
        held = crowd.submit(mallory.post, DOOR)
        assert reached.wait(20)
        second = mallory.post(DOOR)
        others = alice.post(DOOR)
        gate.set()
        assert held.result().status_code == 200
    assert second.status_code == 503
    assert others.status_code == 200
