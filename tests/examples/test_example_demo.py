"""Several demos on one machine: each folder belongs to one of them at a time."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gateway.cli import demo_setup
from gateway.cli.demo import own_folder

ROOT = Path(__file__).parents[2]


def test_two_demos_never_share_a_folder(tmp_path: Path) -> None:
    first = demo_setup.prepare(tmp_path / "demo", 0)
    with pytest.raises(typer.BadParameter, match=r"a demo runs in .*--dir"):
        demo_setup.prepare(tmp_path / "demo", 0)
    other = demo_setup.prepare(tmp_path / "other", 0)
    demo_setup.stop(first)
    again = demo_setup.prepare(tmp_path / "demo", 0)
    assert again.secrets == first.secrets, "the data of the first start is found again"
    for each in (other, again):
        demo_setup.stop(each)


def test_the_story_and_every_other_port_have_a_folder_of_their_own() -> None:
    folders = {own_folder(story, port) for story, port in ((False, 8400), (True, 8400), (False, 9400), (False, 0))}
    assert len(folders) == 4
    assert all(folder.parts[0] == ".demo" for folder in folders), "make clean removes them all"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "terminal closed"])
def test_however_the_demo_ends_none_of_its_processes_stays(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--dir", str(tmp_path / "demo")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        told = ""
        while "Ctrl-C stops everything" not in told and (line := running.stdout.readline()):
            told += line
        addresses = set(re.findall(r"http://localhost:(\d+)", told))
        running.send_signal(number)
        assert "The data is kept" in running.stdout.read()
        assert running.wait(20) == 0
    assert len(addresses) == 6
    assert f"export AVAL_DATA_DIR={tmp_path}/demo/gateway" in told, "what commands beside it need"
    for port in addresses:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0, port
