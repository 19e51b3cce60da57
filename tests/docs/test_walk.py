"""An app's developer walks from README alone: every step goes as the documents say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import demo_setup
from tests.worlds.demo import started

WALK = Path(__file__).with_name("walk.py")


@pytest.mark.timeout(360)  # it waits for limits of a minute, and starts a demo first
def test_the_walk_of_a_newcomer(tmp_path_factory: pytest.TempPathFactory) -> None:
    demo = started(tmp_path_factory.mktemp("town"))
    try:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**demo.environment(), "PATH": path}
        done = subprocess.run([sys.executable, str(WALK)], capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        assert "NOT" not in done.stdout and done.stdout.count("ok ") > 50
    finally:
        demo_setup.stop(demo)
