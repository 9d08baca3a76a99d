"""The commands of image search: embed."""

from pathlib import Path

from alexnet.options import Parser, json_option, print_json, source_argument


def embed(arguments: list[str]) -> int:
    """Write the features of images, a vector for each."""
    parser = Parser("embed", "Write the features that RUN's net has of the images of SOURCE into the new folder OUT.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file")
    source_argument(parser)
    parser.add_argument("out", type=Path, help="a folder that does not exist yet; interrupted, the command goes on")
    parser.add_argument("--stage", help="whose output is taken (default: what feeds the classifier, fc7 in AlexNet)")
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="all", help="default all images")
    parser.add_argument("--float16", action="store_true", help="numbers of 16 bits, in half the room")
    parser.add_argument("--normalise", action="store_true", help="divide each vector by its length (L2)")
    parser.add_argument("--batch", type=int, default=128, help="images at once (default 128)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.retrieval.embed import embed

    vectors = embed(
        asked.run,
        asked.source,
        asked.out,
        asked.stage,
        asked.split,
        asked.float16,
        asked.normalise,
        asked.batch,
        asked.root,
        asked.device,
    )
    about = {
        name: vectors.manifest[name] for name in ("images", "features", "stage", "dtype", "normalised", "labelled")
    }
    if asked.json:
        return print_json({"vectors": str(vectors.path)} | about)
    n, d = vectors.array.shape
    print(f"{vectors.path}: {n:,} vectors of {d:,} numbers, {about['stage']}, {about['dtype']}")
    return 0
