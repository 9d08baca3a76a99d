"""The command line with a net of a few thousand weights added to its list: what the tests that kill run."""

import sys
from dataclasses import replace
from functools import partial

from alexnet.cli import main
from alexnet.models import MODELS, VARIANTS, Model, build_variant

variant = replace(VARIANTS["alexnet"], name="tiny", widths=(8, 16, 16, 16, 16), hidden=(32, 32), size=67)
MODELS["tiny"] = Model("tiny", "none", 2026, "for tests", 67, partial(build_variant, variant))
sys.exit(main())
