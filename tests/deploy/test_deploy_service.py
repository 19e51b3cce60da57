"""The units of systemd: it takes them, and finds them closed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from deploy_files import DEPLOY

from gateway.cli.doctor import OTHER_FILES
from gateway.settings import Settings

ANALYZE = shutil.which("systemd-analyze")
UNITS = ("aval.service", "aval-migrate.service")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here")


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """With a program that is on this machine."""
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        assert text.count("/opt/aval/bin/aval ") == 1
        (tmp_path / name).write_text(text.replace("/opt/aval/bin/aval ", f"{shutil.which('true')} "))
    return [tmp_path / name for name in UNITS]


@needs_systemd
def test_systemd_takes_them_without_a_word(units: list[Path]) -> None:
    assert ANALYZE
    done = subprocess.run([ANALYZE, "verify", *map(str, units)], capture_output=True, text=True)
    assert done.returncode == 0 and not [line for line in done.stderr.splitlines() if "aval" in line], done.stderr


@needs_systemd
def test_they_are_closed(units: list[Path]) -> None:
    assert ANALYZE
    for unit in units:
        command = [ANALYZE, "security", "--offline=true", "--no-pager", str(unit)]
        told = subprocess.run(command, capture_output=True, text=True)
        if "unrecognized option" in told.stderr:
            pytest.skip("this systemd cannot look at a unit that is not loaded")
        [level] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", told.stdout)
        assert float(level) < 2.0, told.stdout


def test_a_machine_of_the_version_before_can_restart_after_the_migration() -> None:
    """Its own `aval migrate` would refuse the newer schema, so none stands in the way of its start."""
    serving = (DEPLOY / "aval.service").read_text()
    directives = [line for line in serving.splitlines() if "aval-migrate" in line and not line.startswith("#")]
    assert [line.split("=")[0] for line in directives] == ["After"]


def test_there_are_files_for_all_connections_and_time_to_end() -> None:
    unit = dict(
        re.findall(r"^(LimitNOFILE|TimeoutStopSec)=(\d+)$", (DEPLOY / "aval.service").read_text(), re.MULTILINE)
    )
    assert int(unit["LimitNOFILE"]) >= Settings().connections + OTHER_FILES
    assert int(unit["TimeoutStopSec"]) >= 20
