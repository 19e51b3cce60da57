"""Agree, narrow, pause, resume, stop, agree again, run out, read, refresh: in any order, against the terms as oracle.

No read succeeds that the terms do not allow, every read they allow succeeds, and nothing withheld is ever in an answer.
The quick profile runs with all tests; TORTURE=1 makes it 2,000 runs of 50 steps.
"""

import os
from pathlib import Path

import pytest
from bank import APP, settle
from fortress import Fort
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import Town

from gateway.ground.keys import KeyRing

RUNS, STEPS = (2000, 50) if os.environ.get("TORTURE") else (60, 30)


@pytest.mark.timeout(6 * 3600 if os.environ.get("TORTURE") else 120)
def test_what_is_read_is_what_the_terms_allow(tmp_path: Path, _ring: KeyRing) -> None:
    with Fort(tmp_path, _ring).serving() as fort:
        bank = settle(fort)
        fort.app("other", APP)
        machine = type("Here", (Town,), {"fort": fort, "bank": bank})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize=not os.environ.get("TORTURE"),
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
