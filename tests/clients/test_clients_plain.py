"""A gateway on plain http, as `make demo` starts it: clients of Node have to be told that this is meant."""

from collections.abc import Iterator
from typing import Any

import pytest
from clients_world import World
from play import Stumble, need_node, played
from stories import check_whole


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_node()
    with World(tmp_path_factory.mktemp("plain"), tls=False).serving() as started:
        yield started


def test_openid_client_on_plain_http(plain: World) -> None:
    alice = plain.person()

    def play(**more: Any) -> dict[str, Any]:
        arguments = plain.arguments(plain.app("public"), introspects=False, **more)
        return played("openid_client_code.mjs", arguments, alice.visits, plain.root.file)

    with pytest.raises(Stumble) as stumble:
        play()
    assert stumble.value.error["code"] == "OAUTH_HTTP_REQUEST_FORBIDDEN" and stumble.value.steps == []
    check_whole(plain, play(plain=True), public=True)
    alice.visitor._client.close()
