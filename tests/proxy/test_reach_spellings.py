"""Odd spellings of hosts and networks, and answers of a name server that are none: each is refused as what it is."""

import asyncio

import pytest
from pydantic import ValidationError

from gateway.ground.http.connector import ConnectorError
from gateway.ground.http.reach import addresses, origin
from gateway.organisations.addresses import base_url_faults, network_fault
from gateway.settings import Settings

NO_HOSTS = ["https://[v1.x]", "https://[fe80::1%25x]", "https://[2606:4700::1%25x]", "https://[::1%lo]",
            "https://[93.184.216.34]", "https://[bank.example]", "https://bank.example?", "https://bank.example#",
            "https://bank.example/v1?", "https://bank.example:0"]  # fmt: skip


@pytest.mark.parametrize("url", NO_HOSTS)
def test_an_odd_spelling_of_a_host_is_no_address_to_call(url: str) -> None:
    with pytest.raises(ConnectorError) as refused:
        origin(url)
    assert refused.value.reason == "organisation_unavailable"
    assert list(base_url_faults(url, ["127.0.0.0/8", "::1/128"], lambda host: ["127.0.0.1"]))


def test_usual_spellings_are_fine() -> None:
    assert origin("https://[2606:4700::1]:8443/v1").host_header == "[2606:4700::1]:8443"
    assert origin("https://bank.example:443").port == 443


@pytest.mark.parametrize("answer", ["nonsense", "", "127.0.0.1.5", "::zz"])
def test_a_name_server_that_answers_nonsense_has_no_address(answer: str) -> None:
    async def look_up(host: str, port: int) -> list[str]:
        return ["93.184.216.34", answer]

    with pytest.raises(ConnectorError) as refused:
        asyncio.run(addresses(origin("https://bank.example"), (), look_up))
    assert refused.value.detail == "name has no address"
    faults = list(base_url_faults("http://bank.example", ["127.0.0.0/8"], lambda host: [answer]))
    assert faults == ["bank.example has no address here; check the name"]


@pytest.mark.parametrize("network", ["10.0.0.0/0.255.255.255", "10.0.0.0/255.0.0.0", "fe80::%eth0/64", "10.0.0.0/", ""])
def test_a_network_is_written_with_its_prefix_and_nothing_else(network: str) -> None:
    fault = network_fault(network)
    assert fault is not None and "is not a network" in fault
    for setting in ("trusted_proxies", "outbound_networks"):
        with pytest.raises(ValidationError, match="is not a network"):
            Settings(**{setting: (network,)})


@pytest.mark.parametrize("network", ["10.1.0.0/16", "127.0.0.1", "::1/128", "FD00::/8"])
def test_networks_in_their_usual_form_are_fine(network: str) -> None:
    assert network_fault(network) is None
    assert Settings(trusted_proxies=(network,)).trusted_proxies == (network,)


@pytest.mark.parametrize("url", ["https://gateway.example?", "https://gateway.example#", "https://gateway.example/?"])
def test_the_public_address_has_no_empty_query_either(url: str) -> None:
    with pytest.raises(ValidationError, match="origin only"):
        Settings(public_url=url)
