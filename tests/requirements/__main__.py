"""`python -m tests.requirements`: the page of the requirements, for gateway/docs/requirements.md."""

import sys

from tests.requirements import areas, faults, page

found = areas()
if told := faults(found):
    sys.exit("\n".join(told))
sys.stdout.write(page(found))
