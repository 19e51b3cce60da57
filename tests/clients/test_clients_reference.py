"""The judges are judged: the same scripts run at a server by other hands.

So a flow that stumbles at Aval does so for want of something in Aval, not in the script.
"""

from collections.abc import Callable
from typing import Any

import pytest
import stories
from play import played
from reference import Reference

Judged = Callable[..., dict[str, Any]]


@pytest.fixture
def judged(reference: Reference) -> Judged:
    def judge(script: str, name: str, **more: Any) -> dict[str, Any]:
        return played(script, reference.arguments(name, **more), reference.visits, reference.root.file)

    return judge


def test_dpop(judged: Judged) -> None:
    stories.check_dpop(judged("openid_client_dpop.mjs", "dpop"))


@pytest.mark.parametrize("name", ["mtls", "mtls-alone"])
def test_mutual_tls(judged: Judged, name: str) -> None:
    stories.check_mtls(judged("openid_client_mtls.mjs", name))


def test_signed_request(judged: Judged) -> None:
    stories.check_jar(judged("openid_client_jar.mjs", "jar"))


def test_signed_answer(judged: Judged) -> None:
    stories.check_jarm(judged("openid_client_jarm.mjs", "jarm"))


def test_openid_connect(judged: Judged, reference: Reference) -> None:
    stories.check_oidc(judged("openid_client_oidc.mjs", "oidc"), reference.issuer, "oidc")


def test_device(judged: Judged) -> None:
    stories.check_device(judged("openid_client_device.mjs", "device"))


def test_backchannel(judged: Judged) -> None:
    stories.check_ciba(judged("openid_client_ciba.mjs", "ciba"))


def test_machine(judged: Judged) -> None:
    stories.check_machine(judged("openid_client_credentials.mjs", "machine", scope=""))
