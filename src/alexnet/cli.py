"""The command line: the commands by name, what they return, and what happens when they fail."""

import os
import sys
import time
from collections.abc import Callable

from alexnet.commands.bench import bench
from alexnet.commands.data import cache, check, pack
from alexnet.commands.exchange import export, import_weights
from alexnet.commands.nets import compare, models, summary
from alexnet.commands.pictures import report, show
from alexnet.commands.search import embed, evaluate_search, index, search
from alexnet.commands.testing import ensemble, evaluate, predict, probe
from alexnet.commands.training import train
from alexnet.commands.web import demo, serve
from alexnet.errors import InputError, JobFailed, PeerLost
from alexnet.options import did_you_mean
from alexnet.parallel.launch import has_outcome, leave_outcome, started_by_torchrun, together
from alexnet.version import __version__

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "demo": demo,
    "evaluate": evaluate,
    "predict": predict,
    "probe": probe,
    "ensemble": ensemble,
    "embed": embed,
    "index": index,
    "search": search,
    "evaluate-search": evaluate_search,
    "report": report,
    "show": show,
    "serve": serve,
    "check": check,
    "pack": pack,
    "cache": cache,
    "import": import_weights,
    "export": export,
    "models": models,
    "summary": summary,
    "compare": compare,
    "bench": bench,
}

SHARED = ("train", "evaluate", "predict", "probe", "ensemble", "embed")
"""Commands whose work several processes can share."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; give the exit code: 0 done, 1 the job failed, 2 wrong usage or input, 130 stopped."""
    given = sys.argv[1:] if arguments is None else arguments
    code = _run(given)
    if started_by_torchrun() and (code or has_outcome()):
        sys.stdout.flush()
        os._exit(code)  # what torch still holds of processes that are gone could keep this one for ever
    return code


def _run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if given[0] in ("-V", "--version"):
        print(f"alexnet {__version__}")
        return 0
    try:
        if given[0] not in COMMANDS:
            raise InputError(
                f"there is no command {given[0]!r}{did_you_mean(given[:1], list(COMMANDS))}: see alexnet --help"
            )
        if given[0] in SHARED:
            code = together(COMMANDS[given[0]], given)
        else:
            code = COMMANDS[given[0]](given[1:])
        return 0 if code and leave_outcome(code, "") else code
    except PeerLost as error:
        if has_outcome():  # it has said why it ended
            return 0
        print(f"alexnet: {error}", file=sys.stderr)
        time.sleep(0.5)  # so that whoever started the processes sees first which one died
        return 1
    except InputError as error:
        return _failed(2, str(error))
    except JobFailed as error:
        return _failed(1, str(error))
    except KeyboardInterrupt:
        return _failed(130, "stopped")
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as done:  # a parser that printed its help
        return int(done.code or 0)


def _failed(code: int, message: str) -> int:
    """Say why, here or by the process that launched this one; give the exit code."""
    if leave_outcome(code, message):
        return 0
    print(f"alexnet: {message}", file=sys.stderr)
    return code


def _overview() -> str:
    lines = [f"  {name:15} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"alexnet {__version__}: AlexNet as its authors built it, from a folder of images to a tested classifier.",
            "",
            "  alexnet train                 train on the bundled digits, test, write a report (a minute on a laptop)",
            "  alexnet demo                  then play with the net in the browser",
            "  alexnet train FOLDER          the same on your own images, one folder for each class",
            "",
            "Commands (each has --help):",
            *lines,
        ]
    )
