"""AlexNet as its authors built it, and the nets around it.

>>> import alexnet
>>> net = alexnet.build("alexnet", classes=10)
>>> sum(p.numel() for p in net.parameters())
56909194

The public calls are imported when they are first used, so that `import alexnet` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from alexnet.version import __version__

__all__ = [
    "Answer",
    "Hit",
    "Index",
    "InputError",
    "JobFailed",
    "Prediction",
    "Predictor",
    "Vectors",
    "__version__",
    "build",
    "embed",
    "ensemble",
    "evaluate",
    "index",
    "joined",
    "load",
    "load_recipe",
    "names",
    "open_index",
    "probe",
    "report",
    "resume",
    "show",
    "train",
]

if TYPE_CHECKING:
    from alexnet.api.measuring import ensemble, evaluate, probe
    from alexnet.api.reporting import report
    from alexnet.api.runs import resume, train
    from alexnet.api.searching import embed, index, open_index
    from alexnet.errors import InputError, JobFailed
    from alexnet.evaluation.predict import Answer, Prediction, Predictor, load
    from alexnet.models import build, names
    from alexnet.parallel.launch import joined
    from alexnet.pictures.show import show
    from alexnet.recipes import load_recipe
    from alexnet.retrieval.index import Hit, Index
    from alexnet.retrieval.vectors import Vectors

# Public name -> where it lives.
_HOMES = {
    "show": "alexnet.pictures.show",
    "ensemble": "alexnet.api.measuring",
    "evaluate": "alexnet.api.measuring",
    "probe": "alexnet.api.measuring",
    "report": "alexnet.api.reporting",
    "resume": "alexnet.api.runs",
    "train": "alexnet.api.runs",
    "embed": "alexnet.api.searching",
    "index": "alexnet.api.searching",
    "open_index": "alexnet.api.searching",
    "InputError": "alexnet.errors",
    "JobFailed": "alexnet.errors",
    "Answer": "alexnet.evaluation.predict",
    "Prediction": "alexnet.evaluation.predict",
    "Predictor": "alexnet.evaluation.predict",
    "load": "alexnet.evaluation.predict",
    "build": "alexnet.models",
    "names": "alexnet.models",
    "joined": "alexnet.parallel.launch",
    "load_recipe": "alexnet.recipes",
    "Hit": "alexnet.retrieval.index",
    "Index": "alexnet.retrieval.index",
    "Vectors": "alexnet.retrieval.vectors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
