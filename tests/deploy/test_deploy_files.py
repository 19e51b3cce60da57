"""What holds for every file of examples/deploy."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
from deploy_files import CHART, DEPLOY, FILES, ROOT, loaded, tool, variables

from gateway.settings import NO_SETTINGS, Settings

KNOWN = {f"AVAL_{name.upper()}" for name in Settings.model_fields}


def test_every_setting_that_a_file_names_is_one() -> None:
    named = {str(file.relative_to(ROOT)): variables(file.read_text()) - KNOWN - NO_SETTINGS for file in FILES}
    assert {file: found for file, found in named.items() if found} == {}
    assert variables((DEPLOY / "compose.yaml").read_text()) & KNOWN, "the test itself finds what it looks for"


def test_the_settings_of_the_service_are_settings() -> None:
    given = {f"AVAL_{name.upper()}" for name in tomllib.loads((DEPLOY / "aval.toml").read_text())}
    assert given - KNOWN == set()


def test_what_is_run_by_hand_reads_the_settings_of_the_service() -> None:
    """With one in a unit alone, `aval log verify` would look at another mark, and find a database whole that was put
    back."""
    given = tomllib.loads((DEPLOY / "aval.toml").read_text())
    for unit in ("aval.service", "aval-migrate.service"):
        lines = (DEPLOY / unit).read_text().splitlines()
        assert [line for line in lines if "AVAL_" in line and not line.startswith("#")] == [
            "Environment=AVAL_CONFIG=/etc/aval/aval.toml"
        ]
    [folders] = re.findall(r"^StateDirectory=(.*)$", (DEPLOY / "aval.service").read_text(), re.MULTILINE)
    made = [f"/var/lib/{name}" for name in folders.split()]
    assert [given["data_dir"], os.path.dirname(given["mark_file"])] == made


def test_every_yaml_file_can_be_read() -> None:
    read = [file for file in FILES if file.suffix == ".yaml" and "templates" not in file.parts]
    assert len(read) >= 3
    for file in read:
        assert loaded(file.read_text()), file


def test_no_file_names_the_host_of_a_registry_or_a_folder_of_its_writer() -> None:
    host = re.compile(
        r"\b(?:FROM|image|repository):?\s+[\w.-]+\.[a-z]{2,}(?::\d+)?/|index[-_]url|/(?:home/\w|tmp/\w+/)|/roo[t]\b"
    )
    assert [f"{file.name}: {found[0]}" for file in FILES if (found := host.search(file.read_text()))] == []


def test_nothing_from_the_network_is_run() -> None:
    piped = re.compile(r"\b(?:curl|wget)\b[^\n]*\|")
    assert [file.name for file in FILES if piped.search(file.read_text())] == []


def test_nothing_asks_the_image_for_a_program_that_is_not_in_it() -> None:
    """There is no shell and no `sleep`: the chart runs `aval` (its arguments alone) or Python."""
    found = {
        (file.name, first)
        for file in (CHART / "templates").glob("*.yaml")
        for first in re.findall(r"\bcommand:\s*(?:\[\s*|-\s*)?([^\s,\]]*)", file.read_text())
    }
    assert found == {("deployment.yaml", "python3")}


def test_scripts_are_of_their_language() -> None:
    for file in FILES:
        if file.suffix == ".py":
            compile(file.read_text(), str(file), "exec")
    assert subprocess.run(["sh", "-n", str(DEPLOY / "secrets.sh")], capture_output=True).returncode == 0


@pytest.mark.skipif(tool("openssl") is None, reason="openssl is not here")
def test_secrets_are_made_once_and_nobody_else_can_read_them(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The keys are those that the gateway takes, and the database's certificate is for its name."""
    (tmp_path / "secrets.sh").write_text((DEPLOY / "secrets.sh").read_text())
    # Where it runs as root it gives the files away; here they stay with whoever runs the test.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "bin" / "id").chmod(0o755)
    environment = {
        **os.environ, "AVAL_PYTHON": sys.executable, "PYTHONPATH": str(ROOT),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    make = ["sh", str(tmp_path / "secrets.sh"), "consent.example.org"]
    done = subprocess.run(make, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "secrets"
    assert sorted(path.name for path in (made / "keys").iterdir()) == [
        "kek.hex",
        "log.pem",
        "root.hex",
    ]
    public = {"ca.pem", "database.pem", "tls.pem"}
    opened = [path.name for path in made.rglob("*") if path.name not in public and path.stat().st_mode & 0o077]
    assert opened == []
    for name, host in (("database", "database"), ("tls", "consent.example.org")):
        verify = ["openssl", "verify", "-CAfile", "ca.pem", "-verify_hostname", host, f"{name}.pem"]
        assert subprocess.run(verify, cwd=made, capture_output=True).returncode == 0, name
    assert not (made / "ca.key").exists()
    from gateway.cli.doctor import open_key_files
    from gateway.ground.keys import KeyRing

    assert KeyRing(made / "keys").checks and not list(open_key_files(made / "keys"))
    before = (made / "database-password").read_text()
    assert subprocess.run(make, env=environment, capture_output=True).returncode == 1
    assert (made / "database-password").read_text() == before


def test_the_table_of_growth_is_what_comes_out() -> None:
    """Entries at 0.7 kB; operators buy disks by it."""
    text = (ROOT / "gateway" / "docs" / "operating.md").read_text()
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d.]+) (m|b)illion \| ([\d.]+) (GB|TB) \| ([\d.]+) (TB|PB) \|$", text, re.MULTILINE
    )
    assert len(rows) == 4
    size = {"m": 1e6, "b": 1e9, "GB": 1e9, "TB": 1e12, "PB": 1e15}
    for rate, entries, e, month, m, decade, d in rows:
        calls = int(rate.replace(",", ""))
        for told, is_so in (
            (float(entries) * size[e], calls * 2.63e6),
            (float(month) * size[m], calls * 2.63e6 * 700),
            (float(decade) * size[d], calls * 3.156e8 * 700),
        ):
            assert abs(told - is_so) < 0.04 * is_so, (rate, told, is_so)
