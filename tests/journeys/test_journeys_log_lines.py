"""A gateway that cannot write its log lines still carries everything through, the stop above all."""

import os
import subprocess
import sys
from pathlib import Path

from gateway.cli import demo_setup
from tests.worlds.demo import newcomer, started


def test_a_person_agrees_is_read_and_stops_though_no_log_line_can_be_written(tmp_path: Path) -> None:
    demo = started(tmp_path)
    try:
        demo.processes["gateway"].terminate()
        demo.processes["gateway"].wait(20)
        read, write = os.pipe()
        os.close(read)
        demo.processes["gateway"] = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve"],
            stdout=write,
            stderr=write,
            text=True,
            env=demo.environment(),
            cwd=demo_setup.CHECKOUT,
        )
        os.close(write)
        demo_setup._await_ready(demo, "gateway")
        alice = newcomer(demo)
        alice.links("city-energy", "harbour-bank", "meadow-health")
        alice.story.agree_energy()
        alice.story.read_energy()
        alice.story.agree_budget()
        alice.story.stop_sharing()
        alice.story.call_after_stop()
        alice.story.verify_log()
    finally:
        demo_setup.stop(demo)
