"""What Python imports first where this folder is in PYTHONPATH: a net of a few thousand weights joins the nets.

So that also the processes that `alexnet --devices 2` or torchrun start know it.
"""

from dataclasses import replace
from functools import partial

from alexnet.models import MODELS, VARIANTS, Model, build_variant

variant = replace(VARIANTS["alexnet"], name="tiny", widths=(8, 16, 16, 16, 16), hidden=(32, 32), size=67)
MODELS["tiny"] = Model("tiny", "none", 2026, "for tests", 67, partial(build_variant, variant))
