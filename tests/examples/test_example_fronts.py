"""Whoever opens an example organisation's address learns who it is and where its pages are."""

import pytest

ORGANISATIONS = {
    "city_energy": ("City Energy", "Énergie de la Ville", "CE-1001", "/espi/1_1/resource"),
    "harbour_bank": ("Harbour Bank", "Banque du Port", "HB-2001", "/open-banking/v4.0/aisp"),
    "meadow_health": ("Meadow Health", "Santé des Prés", "MH-3001", "/v2/fhir"),
}
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "accept-language": "en"}


@pytest.fixture(scope="module", params=ORGANISATIONS)
def organisation(request, start):
    return request.param, start(request.param)


def test_the_front_page_says_who_it_is_and_where_its_pages_are(organisation, gateway):
    name, running = organisation
    english, french, number, path = ORGANISATIONS[name]
    answer = running.http.get("/", headers=BROWSER)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert english in answer.text and number in answer.text and f'href="{gateway.url}/organisations"' in answer.text
    assert f"{gateway.url}/data/{name.replace('_', '-')}{path}" in answer.text
    page = running.http.get("/", headers={**BROWSER, "accept-language": "fr"})
    assert french in page.text and '<html lang="fr">' in page.text and "Clients" in page.text
    if name != "city_energy":
        assert f'href="/inbox/{number}"' in answer.text
        assert running.http.get(f"/inbox/{number}", headers=BROWSER).status_code == 200


@pytest.mark.parametrize("path, status", [("/nowhere", 404), ("/inbox", 404), ("/aval/link/start", 405)])
def test_where_there_is_no_page_a_browser_gets_the_front_page_with_the_true_status(organisation, path, status):
    name, running = organisation
    if name == "city_energy":
        path = path.replace("/aval/link/start", "/oauth/sign-in")  # what a reload by hand asks for
    answer = running.http.get(path, headers=BROWSER)
    assert answer.status_code == status and ORGANISATIONS[name][2] in answer.text
    plain = running.http.get(path, headers={"accept": "application/json"})
    assert plain.status_code == status and "<html" not in plain.text
    if status == 405:
        assert answer.headers["allow"] == plain.headers["allow"] == "POST"
