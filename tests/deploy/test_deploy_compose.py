"""compose.yaml: what it promises of its containers."""

import json
import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from deploy_files import DEPLOY, loaded

from gateway.settings import BESIDES, Settings, unsafe

WHOLE: dict[str, Any] = loaded((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = WHOLE["services"]
GATEWAYS = [name for name in SERVICES if name.startswith("gateway-")]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_write_little_and_gain_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert not {"privileged", "cap_add", "pid", "network_mode"} & service.keys()
    assert service["healthcheck"].get("test") or service["healthcheck"] == {"disable": True}


def test_the_image_of_the_gateway_is_asked_for_what_is_in_it() -> None:
    """No shell: `test` is a list that begins with CMD (a text would be CMD-SHELL), the program is Python or `aval`."""
    ours = [service for service in SERVICES.values() if service["image"] == "aval"]
    assert len(ours) == 1 + len(GATEWAYS) and not any("entrypoint" in service for service in ours)
    for service in ours:
        assert service.get("command") in (None, ["migrate"])
        assert service["healthcheck"].get("test", ["CMD", "python3"])[:2] == ["CMD", "python3"]


def test_only_nginx_can_be_reached_and_the_database_reaches_nobody() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert SERVICES["database"]["networks"] == ["back"] and WHOLE["networks"]["back"]["internal"] is True
    assert set(SERVICES["nginx"]["networks"]) == {"front"}


def test_there_are_two_gateways_that_differ_in_their_disk_alone() -> None:
    assert len(GATEWAYS) == 2
    one, other = (SERVICES[name] for name in GATEWAYS)
    assert one["volumes"][0] != other["volumes"][0], "each machine has its own mark"
    assert {**one, "volumes": []} == {**other, "volumes": []}
    assert one["volumes"][1] == other["volumes"][1] and one["volumes"][1].endswith(":ro"), "the same keys, not to write"


def test_the_database_is_migrated_once_before_any_gateway_starts() -> None:
    for name in GATEWAYS:
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["command"] == ["migrate"] and SERVICES["migrate"]["restart"] == "no"


def test_a_gateway_has_time_to_end() -> None:
    assert all(int(SERVICES[name]["stop_grace_period"].rstrip("s")) >= 20 for name in GATEWAYS)


def test_no_secret_is_a_variable_and_each_that_is_named_is_declared_and_made() -> None:
    made = (DEPLOY / "secrets.sh").read_text()
    named = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert named == set(WHOLE["secrets"])
    for secret in WHOLE["secrets"].values():
        stem = secret["file"].removeprefix("secrets/").partition(".")[0]
        assert f"$made/{stem}" in made or f"certificate {stem} " in made, stem
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            secretive = re.search("PASSWORD|SECRET|KEY", name) and not name.endswith(("_FILE", "_DIR"))
            assert not secretive and not re.search(r"//[^/@]*:[^/@]*@", str(value)), name


def test_its_settings_are_safe_for_production_and_believe_nginx_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = SERVICES[GATEWAYS[0]]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AVAL_MARK_FILE", "/var/lib/aval/mark/high-water")
    given = Settings()
    assert given.mode == "production" and list(unsafe(given)) == []
    nginx = ip_address(SERVICES["nginx"]["networks"]["front"]["ipv4_address"])
    [trusted] = map(ip_network, json.loads(environment["AVAL_TRUSTED_PROXIES"]))
    assert trusted.num_addresses == 1 and nginx in trusted
    [pool] = WHOLE["networks"]["front"]["ipam"]["config"]
    assert nginx in ip_network(pool["subnet"]) and nginx not in ip_network(pool["ip_range"]), "no other may get it"


def test_the_database_takes_all_connections_that_the_gateways_may_want() -> None:
    environment = SERVICES[GATEWAYS[0]]["environment"]
    each = int(environment["AVAL_PROCESSES"]) * (int(environment["AVAL_DATABASE_CONNECTIONS"]) + BESIDES)
    [most] = [int(word.partition("=")[2]) for word in SERVICES["database"]["command"] if word.startswith("max_conn")]
    assert len(GATEWAYS) * each + 2 <= most - 3, "a job's and a hand's; three are the superuser's"
