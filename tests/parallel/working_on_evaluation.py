"""What the processes of test_evaluation.py do."""

from pathlib import Path
from typing import Any

import numpy as np

from alexnet import processes
from alexnet.checkpoint import load_weights, read_run
from alexnet.data import open_packed
from alexnet.errors import InputError
from alexnet.evaluation import classify, evaluate, predict, sharing
from alexnet.evaluation.probe import stage_features
from alexnet.retrieval import embed

BATCH = 32
STOPPED_AFTER = 2  # batches of each process


class Stopped(Exception):
    pass


def asked(run: str, images: list[str], rows: np.ndarray, out: str) -> dict[str, Any]:
    """Everything that two processes are asked, in one launch; an embedding is left unfinished."""
    answer: dict[str, Any] = counted(run, rows)
    answer["one image"] = counted(run, rows[:1])
    answer["same"] = raised(sharing.same_everywhere, processes.rank())
    answer["written"] = written = []
    for module, name in ((evaluate, "write_json"), (evaluate, "write_answers")):
        setattr(module, name, noted(getattr(module, name), written))
    answer["evaluated"] = evaluate.evaluate(run)
    predict.AT_ONCE = 2
    answer["predicted"] = predict.answers(run, images)
    answer["features"] = features(run, rows)
    answer["stopped"] = stopped(run, out)
    return answer


def resumed(run: str, rows: np.ndarray, out: str) -> dict[str, Any]:
    """What three processes are asked; they go on with the embedding of two."""
    answer: dict[str, Any] = counted(run, rows)
    answer["two images"] = counted(run, rows[:2])
    answer["computed"] = computed = []
    embed.FeatureReader.of_stored = noted(embed.FeatureReader.of_stored, computed)
    answer["vectors"] = np.array(embed.embed(run, packed(run), out, batch=BATCH).array)
    answer["exists"] = raised(embed.embed, run, packed(run), out)
    return answer


def packed(run: str) -> str:
    """Where the run's images lie."""
    return read_run(Path(run))["packed"]


def counted(run: str, rows: np.ndarray) -> dict[str, Any]:
    """Probabilities of rows, and the batches that this process put through the net for them."""
    sizes: list[int] = []
    ask = classify.batch_probabilities

    def ask_and_count(net, images, *rest):
        sizes.append(len(images))
        return ask(net, images, *rest)

    net, card = load_weights(Path(run) / "best.safetensors")
    classify.batch_probabilities = ask_and_count
    p = classify.probabilities(net, open_packed(packed(run)), rows, card.side, card.size, batch=BATCH)
    classify.batch_probabilities = ask
    return {"p": p, "sizes": sizes}


def features(run: str, rows: np.ndarray) -> np.ndarray:
    """Of the stage before the classifier, for a linear probe."""
    net, card = load_weights(Path(run) / "best.safetensors")
    return stage_features(net.eval(), card, open_packed(packed(run)), rows, ["f6"], "test")["f6"]


def stopped(run: str, out: str) -> str:
    """Embed, and stop in the middle as if killed."""
    whole = embed.FeatureReader.of_stored
    batches = 0

    def stop(reader, images):
        nonlocal batches
        batches += len(images) > 1  # not the blank one that tells the number of features
        if batches > STOPPED_AFTER:
            raise Stopped
        return whole(reader, images)

    embed.FeatureReader.of_stored, embed.BLOCK = stop, BATCH
    return raised(embed.embed, run, packed(run), out, batch=BATCH)


def noted(function, calls: list[str]):
    """The function, which then leaves its name in `calls`."""

    def called(*arguments):
        calls.append(function.__name__)
        return function(*arguments)

    return called


def raised(function, *arguments, **options) -> str:
    """What the function says when it fails."""
    try:
        function(*arguments, **options)
    except (InputError, Stopped) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"
