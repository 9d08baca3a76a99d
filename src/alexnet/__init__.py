"""AlexNet as its authors built it, and the nets around it.

>>> import alexnet
>>> net = alexnet.build("alexnet", classes=10)
>>> sum(p.numel() for p in net.parameters())
56909194

The public calls are imported when they are first used, so that `import alexnet` takes no time.
"""

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
    from alexnet.api import (
        Answer,
        Hit,
        Index,
        InputError,
        JobFailed,
        Prediction,
        Predictor,
        Vectors,
        build,
        embed,
        ensemble,
        evaluate,
        index,
        load,
        load_recipe,
        names,
        open_index,
        probe,
        report,
        resume,
        show,
        train,
    )


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
    from alexnet import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
