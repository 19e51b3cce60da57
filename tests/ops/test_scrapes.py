"""The address of metrics stays open for who scrapes, whatever others do there."""

import socket
import threading
import time
import urllib.request

import pytest

from gateway.ground.ops import scrapes


def scraped(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        found: bytes = answer.read()
        return found


def test_whoever_sends_a_byte_now_and_then_keeps_no_place_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrapes, "SECONDS", 0.5)
    with scrapes.listening("127.0.0.1:0", lambda: b"aval_up 1\n") as port:
        assert scraped(port) == b"aval_up 1\n"
        over = threading.Event()
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(scrapes.AT_ONCE)]

        def drips() -> None:
            while not over.wait(0.1):
                for each in slow:
                    try:
                        each.send(b"G")
                    except OSError:
                        over.set()  # cut off

        thread = threading.Thread(target=drips)
        thread.start()
        try:
            for _ in range(50):
                try:
                    assert scraped(port) == b"aval_up 1\n"
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                raise AssertionError("nobody can scrape any more")
        finally:
            over.set()
            thread.join()
            for each in slow:
                each.close()
