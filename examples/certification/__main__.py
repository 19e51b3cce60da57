"""Write what a run of the conformance suite needs into a folder (gateway/docs/certification.md)."""

import argparse
from pathlib import Path

from examples.certification.files import Where, write
from examples.certification.plans import PLANS


def main() -> None:
    asks = argparse.ArgumentParser(prog="python -m examples.certification", description=__doc__)
    asks.add_argument("folder", type=Path)
    asks.add_argument("--gateway", default="https://localhost:8400", help="its public address")
    asks.add_argument("--mtls", default="https://localhost:8444", help="its address for certificates")
    asks.add_argument("--suite", default="https://localhost.emobix.co.uk:8443", help="where the suite is")
    asks.add_argument("--suite-ca", type=Path, help="PEM of who signed the suite's certificate, if that is not public")
    given = asks.parse_args()
    write(given.folder, Where(*(one.rstrip("/") for one in (given.gateway, given.mtls, given.suite))), given.suite_ca)
    for name, plan in PLANS.items():
        print(f"{name:20} {plan.expression}")


if __name__ == "__main__":
    main()
