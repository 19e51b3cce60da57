"""The sealing key behind a hardware module (PKCS #11), for which SoftHSM stands in."""

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import Aval

from gateway.ground.keys import hardware
from gateway.ground.keys.hardware import NoKey

Run = Callable[..., Aval]
PIN = "87654321"
LIBRARIES = [
    Path(f"/usr/lib/{place}softhsm/libsofthsm2.so") for place in ("", "x86_64-linux-gnu/", "aarch64-linux-gnu/")
]
LIBRARY = next((path for path in LIBRARIES if path.exists()), None)
GOOD = "pkcs11:token=aval;object=kek?module-path=/m.so&pin-source=file:/pin"


def missing() -> str:
    """Why there is no module here; empty: there is one."""
    if LIBRARY is None or not shutil.which("softhsm2-util") or not shutil.which("pkcs11-tool"):
        return "SoftHSM is missing. As root: apt-get install softhsm2 opensc"
    return ""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a key that never leaves a token of this test alone."""
    if why := missing():
        pytest.skip(why)
    tokens, settings, pin = tmp_path / "tokens", tmp_path / "softhsm2.conf", tmp_path / "pin"
    tokens.mkdir()
    settings.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    pin.write_text(PIN)
    pin.chmod(0o600)
    token = ["softhsm2-util", "--init-token", "--free", "--label", "aval", "--so-pin", "12345678", "--pin", PIN]
    pair = ["pkcs11-tool", "--module", str(LIBRARY), "--token-label", "aval", "--login", "--pin", PIN, "--keypairgen",
            "--key-type", "rsa:2048", "--label", "kek", "--usage-decrypt"]  # fmt: skip
    for command in (token, pair):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return f"pkcs11:token=aval;object=kek?module-path={LIBRARY}&pin-source=file:{pin}"


@pytest.fixture
def kept(aval: Run, begun: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The keys of a gateway whose sealing key only the module unwraps."""
    done = aval("keys", "wrap", module)
    assert done.code == 0, done.err
    monkeypatch.setenv("AVAL_SEALING_KEY_PKCS11", module)
    (begun / "keys" / "kek.hex").unlink()
    return begun / "keys"


def test_a_gateway_starts_with_the_key_that_the_module_unwraps(aval: Run, kept: Path) -> None:
    assert aval("people", "list").code == 0 and aval("keys", "rotate").code == 0
    assert "sealing_key_pkcs11" in aval("keys", "list").out
    assert "the sealing key from sealing_key_pkcs11" in aval("doctor").out
    assert sorted(path.name for path in kept.iterdir()) == ["kek.wrapped", "log.pem", "root.hex"]


def test_what_lies_among_the_keys_tells_nothing_of_it(aval: Run, begun: Path, module: str) -> None:
    kek = (begun / "keys" / "kek.hex").read_text().strip()
    texts = set()
    for _ in range(2):
        done = aval("keys", "wrap", module)
        assert done.code == 0 and kek not in done.out + done.err
        file = begun / "keys" / "kek.wrapped"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and kek not in file.read_text()
        texts.add(file.read_text())
    assert len(texts) == 2, "OAEP: never the same twice"


def refused(aval: Run, capfd: pytest.CaptureFixture[str], why: str) -> None:
    for words in (("people", "list"), ("serve", "--port", "0")):
        capfd.readouterr()
        done = aval(*words)
        assert done.code == 2 and "sealing_key_pkcs11: ended with 1" in done.err
        told = capfd.readouterr().err
        assert why in told and PIN not in told


def test_without_the_right_pin_nothing_starts(
    aval: Run, kept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pin = tmp_path / "pin"
    pin.write_text("00000000")
    refused(aval, capfd, "PinIncorrect")
    pin.write_text(PIN)
    pin.chmod(0o640)
    refused(aval, capfd, "others can read it")
    pin.unlink()
    refused(aval, capfd, f"{pin}: No such file or directory")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("token=other", "NoSuchToken"),
        ("token=aval;object=other", "NoSuchKey"),
        ("token=aval;id=%01", "NoSuchKey"),
        ("token=aval", "write pkcs11:"),
    ],
)
def test_another_token_or_key_is_none(
    aval: Run, kept: Path, module: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    change: str, why: str,
) -> None:  # fmt: skip
    change = change if why != "NoSuchToken" else f"{change};object=kek"
    monkeypatch.setenv("AVAL_SEALING_KEY_PKCS11", f"pkcs11:{change}?{module.partition('?')[2]}")
    refused(aval, capfd, why)


def test_a_library_that_is_none_is_told(
    aval: Run,
    kept: Path,
    module: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other.so"
    other.write_text("no library")
    for path in (other, tmp_path / "nowhere.so"):
        monkeypatch.setenv("AVAL_SEALING_KEY_PKCS11", module.replace(str(LIBRARY), str(path)))
        refused(aval, capfd, f"{path}: cannot be used as a module")


def test_a_file_that_mallory_changed_gives_no_key(
    aval: Run, kept: Path, module: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = kept / "kek.wrapped"
    text = file.read_text().strip()
    file.write_text(text[:-2] + f"{int(text[-2:], 16) ^ 1:02x}")
    refused(aval, capfd, "token aval: ")
    file.write_text("no hex")
    refused(aval, capfd, "is not what `aval keys wrap` makes")
    file.unlink()
    refused(aval, capfd, "`aval keys wrap` makes it")


def test_another_key_that_the_module_unwraps_is_refused(
    aval: Run, begun: Path, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public key is no secret: Mallory can wrap a key of her own with it."""
    monkeypatch.setenv("AVAL_SEALING_KEY_FILE", str(tmp_path / "hers"))
    (tmp_path / "hers").write_text("00" * 32)
    assert aval("keys", "wrap", module).code == 0
    monkeypatch.delenv("AVAL_SEALING_KEY_FILE")
    monkeypatch.setenv("AVAL_SEALING_KEY_PKCS11", module)
    done = aval("people", "list")
    assert done.code == 2 and "sealing_key_pkcs11: holds another key than this database was used with" in done.err


def test_no_code_is_taken_from_the_folder_where_it_starts(
    aval: Run, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pkcs11.py").write_text("raise SystemExit('of Mallory')")
    monkeypatch.chdir(tmp_path)
    assert aval("people", "list").code == 0


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://module.example",
        GOOD.replace("pkcs11:", "pkcs12:"),
        GOOD.replace("token=aval;", ""),
        GOOD.replace("object=kek", ""),
        GOOD.replace("module-path=/m.so&", ""),
        GOOD.partition("&")[0],
        GOOD.replace("object=kek", "object="),
        GOOD + "&pin-value=87654321",
        GOOD + "&pin-source=file:/other",
        GOOD.replace("token=aval", "token=aval;slot-id=1"),
    ],
)
def test_a_uri_that_does_not_say_all_or_says_too_much_is_refused(uri: str) -> None:
    with pytest.raises(NoKey) as told:
        hardware.place(uri)
    assert "87654321" not in str(told.value)


def test_what_a_uri_says_is_decoded() -> None:
    found = hardware.place("pkcs11:token=of%20ours;id=%01%ff;serial=12?module-path=/a%20b.so&pin-source=/run/pin")
    assert (found.token, found.id, found.serial, found.object) == ("of ours", b"\x01\xff", b"12", None)
    assert (str(found.module), str(found.pin_file)) == ("/a b.so", "/run/pin")
    assert hardware.place(GOOD).pin_file == Path("/pin")


def test_two_places_are_one_too_many(aval: Run, begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_SEALING_KEY_PKCS11", GOOD)
    monkeypatch.setenv("AVAL_SEALING_KEY_COMMAND", "true")
    done = aval("people", "list")
    assert done.code == 2 and "sealing_key_command is set as well" in done.err
