"""What is closed as long as the log is frozen: what gives data or a right to it, and nothing else."""

from gateway.app import Application, doors
from gateway.log import mark
from gateway.log.mark import Mark
from tests.callers import TestClient

GRANTS = ("/grants/{grant_id}", "/account-access-consents/{grant_id}")
APPS = {
    *(("POST", path) for path in ("/par", "/token", "/introspect", "/device_authorization", "/bc-authorize")),
    ("POST", "/userinfo"),
    *(("GET", path) for path in ("/userinfo", *GRANTS)),
}
ORGANISATION = "/organisations/{id}"
PEOPLES = {
    ("POST", "/authorize/continue"),
    ("GET", f"{ORGANISATION}/linked"),
    *(("POST", f"{ORGANISATION}/{what}") for what in ("link", "link/code", "refresh", "download")),
}


def test_the_doors_that_give_are_these(application: Application) -> None:
    found = {(method, door.path) for door in doors(application.house) for method in door.methods if door.gives}
    assert found == APPS | PEOPLES


def test_they_are_closed_before_the_first_request_and_ending_goes_on(application: Application) -> None:
    settings = application.house.settings
    mark.write(settings.mark, Mark(7, bytes(32), "localhost/log"))
    with TestClient(application, base_url=settings.public_url) as visitor:
        for method, path in sorted(APPS):
            refused = visitor.request(method, path.format(grant_id="any"))
            assert refused.status_code == 503 and "temporarily_unavailable" in refused.text, (path, refused.text)
            assert int(refused.headers["retry-after"]) > 60
        assert visitor.get("/sign-in").status_code == visitor.get("/healthz").status_code == 200
        assert visitor.post("/revoke", data={"token": "any"}).status_code == 401


def test_a_mark_that_cannot_be_read_closes_them_until_it_can(application: Application) -> None:
    settings = application.house.settings
    settings.mark.mkdir()
    with TestClient(application, base_url=settings.public_url) as visitor:
        assert visitor.post("/token", data={"grant_type": "refresh_token"}).status_code == 503
        assert visitor.get("/sign-in").status_code == 200
        settings.mark.rmdir()
        application.sequencer._beat()
        assert visitor.post("/token", data={"grant_type": "refresh_token"}).status_code == 401


def test_every_page_says_it_once_and_in_the_persons_language(application: Application) -> None:
    settings, said = application.house.settings, "Nos registres sont en cours de vérification"
    with TestClient(application, base_url=settings.public_url, headers={"accept-language": "fr"}) as visitor:
        assert said not in visitor.get("/sign-in").text
        application.house.log.frozen = "a tree of 9 was signed; the database only knows one of 3"
        for path in ("/", "/sign-in", "/register"):
            assert visitor.get(path).text.count(said) == 1, path
