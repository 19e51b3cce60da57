"""The operator's log says why an app was refused, in fixed words; nothing that the app sent stands there."""

import pytest
from authorization_world import World, usage
from structlog.testing import capture_logs


def refusals(world: World, path: str, form: dict[str, str], app: str | None = "meter") -> list[dict[str, object]]:
    with capture_logs() as lines:
        assert world.post(path, form, app).status_code in (400, 401)
    return [dict(line) for line in lines if line["event"] == "refused"]


def test_a_pushed_request_above_a_cap_names_the_term(world: World) -> None:
    form = world.request(details=[{**usage(), "retention": "P99Y"}])
    [line] = refusals(world, "/par", form)
    assert line["path"] == "/par" and line["error"] == "invalid_authorization_details"
    assert (line["why"], line["term"]) == ("above the purpose's cap.", "retention")
    assert "P99Y" not in str(line)


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        ("/par", {"redirect_uri": "https://evil.example/alice@example.org"}, "invalid_request"),
        ("/token", {"grant_type": "authorization_code", "code": "alice@example.org"}, "invalid_grant"),
        ("/token", {"grant_type": "refresh_token", "refresh_token": "alice@example.org"}, "invalid_grant"),
        ("/token", {"grant_type": "alice@example.org"}, "unsupported_grant_type"),
        ("/token", {}, "invalid_request"),
    ],
)
def test_so_does_every_other_refusal_of_an_app(world: World, path: str, form: dict[str, str], error: str) -> None:
    more = world.request(**form) if path == "/par" else form
    [line] = refusals(world, path, more)
    assert (line["path"], line["error"]) == (path, error) and line["why"]
    assert "alice" not in str(line)


def test_an_unknown_app_is_told_too(world: World) -> None:
    [line] = refusals(world, "/token", {"client_id": "nobody-of-ours", "grant_type": "refresh_token"}, None)
    assert line["error"] == "invalid_client" and "nobody-of-ours" not in str(line)


def test_a_request_in_the_address_itself_is_told_too(world: World) -> None:
    with capture_logs() as lines:
        query = world.request("meter")
        world.browser().get("/authorize", params={"client_id": "meter", **query})
    [line] = [line for line in lines if line["event"] == "refused"]
    assert (line["path"], line["error"]) == ("/authorize", "invalid_request")
    assert "pushes its requests" in str(line["why"])


def test_what_is_taken_is_no_refusal(world: World) -> None:
    with capture_logs() as lines:
        world.tokens()
    assert not [line for line in lines if line["event"] == "refused"]
