"""An app with a certificate, played by openid-client, at a gateway behind nginx with the file of examples/deploy."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stories
from app_keys import own_certificate
from clients_world import NONCES, Robot, World
from play import need_node, played

from tests.ports import free_port
from tests.worlds.nginx import Front, needs_nginx, started

BOUND = {"tls_client_certificate_bound_access_tokens": True}
APPS: dict[str, dict[str, Any]] = {
    "by-authority": {
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_subject_dn": "CN=by-authority",
        **BOUND,
    },
    "by-itself": {"token_endpoint_auth_method": "self_signed_tls_client_auth", **BOUND},
}


class BehindNginx(World):
    """The gateway speaks plain http, to nginx alone; certificates reach it in the two fields of compose.yaml."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, tls=False)
        place = folder / "nginx"
        place.mkdir()
        self.nginx = Front(place, free_port(), free_port(), free_port())
        self.town.tls_port, self.mtls = self.nginx.tls, f"https://localhost:{self.nginx.mutual}"
        self.town.settings = {
            **NONCES,
            "AVAL_TRUSTED_PROXIES": '["127.0.0.1/32"]',
            "AVAL_MTLS_PUBLIC_URL": self.mtls,
            "AVAL_CLIENT_CERTIFICATE_HEADER": "x-ssl-client-cert",
            "AVAL_CLIENT_CERTIFICATE_VERIFY_HEADER": "x-ssl-client-verify",
        }

    def _front(self) -> contextlib.AbstractContextManager[None]:
        for name, file in zip(("tls-certificate", "tls-key"), self.root.gives("gateway"), strict=True):
            shutil.copy(file, self.nginx.folder / name)
        return started(self.nginx, self.town.ports["gateway"], self.root.file, "localhost")


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BehindNginx]:
    with BehindNginx(tmp_path_factory.mktemp("behind")).serving() as made:
        assert isinstance(made, BehindNginx)
        made.register(APPS)
        time.sleep(3)  # a certificate that an app has just registered is believed within a second or two
        yield made


@pytest.fixture(scope="module")
def person(behind: BehindNginx) -> Iterator[Robot]:
    robot = behind.person()
    yield robot
    robot.visitor._client.close()


@needs_nginx
@pytest.mark.parametrize("name", sorted(APPS))
def test_tokens_bound_to_a_certificate_are_used_through_nginx(behind: BehindNginx, person: Robot, name: str) -> None:
    need_node()
    other = own_certificate("other")
    arguments = behind.arguments(behind.apps[name], data=behind.mtls_data, other=other)
    seen = played("openid_client_mtls.mjs", arguments, person.visits, behind.root.file)
    stories.check_granted(behind, seen["tokens"])
    stories.check_mtls(seen)
