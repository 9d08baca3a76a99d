"""The commands of image search: embed, index, search, evaluate-search."""

from pathlib import Path

from alexnet.errors import InputError
from alexnet.options import Parser, json_option, parallel_options, print_json, source_argument


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
    parallel_options(parser)
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


def index(arguments: list[str]) -> int:
    """Make an index of vectors, and change it."""
    parser = Parser("index", "Make the index INDEX of the folder VECTORS that `alexnet embed` wrote, or change it.")
    parser.add_argument("vectors", nargs="?", type=Path, metavar="VECTORS", help="to make an index, or with --add")
    parser.add_argument("index", type=Path, metavar="INDEX", help="the index's folder")
    parser.add_argument("--codes", type=int, metavar="BITS", help="also binary codes of so many bits, such as 128")
    parser.add_argument("--method", default="autoencoder", help="of codes: autoencoder (default), hyperplanes, itq")
    parser.add_argument("--metric", choices=("l2", "cosine"), default="l2", help="of features (default l2)")
    parser.add_argument("--store", metavar="URL", help="a Milvus server that keeps the rows: http://HOST:19530[/NAME]")
    parser.add_argument("--seed", type=int, default=0, help="of the codes (default 0)")
    parser.add_argument("--add", action="store_true", help="take the images of VECTORS into INDEX")
    parser.add_argument("--delete", nargs="+", metavar="IMAGE", help="take images out, by id or by path")
    parser.add_argument("--compact", action="store_true", help="free the room of deleted images")
    parser.add_argument("--move", metavar="URL", help="bring the rows of INDEX to a Milvus server")
    parser.add_argument("--check", action="store_true", help="compare every byte of rows with its checksum")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    changes = [name for name in ("delete", "compact", "move", "check") if getattr(asked, name)]
    if (asked.vectors is None) != bool(changes) or len(changes) + asked.add > 1:
        raise InputError("give VECTORS INDEX, also with --add, or INDEX with --delete, --compact, --move or --check")
    from alexnet.retrieval.build import add_vectors, create
    from alexnet.retrieval.index import Index
    from alexnet.retrieval.vectors import open_vectors

    if asked.vectors is not None and not asked.add:
        found = create(asked.vectors, asked.index, asked.codes, asked.method, asked.metric, asked.store, asked.seed)
    else:
        found = Index(asked.index)
    with found:
        done: dict[str, object] = {}
        if asked.vectors is not None and asked.add:
            done = dict(zip(("added", "already_there"), add_vectors(found, open_vectors(asked.vectors))))
        elif asked.delete:
            done = {"deleted": found.delete(found.ids_of(asked.delete))}
        elif asked.compact:
            found.compact()
        elif asked.move:
            found.move(asked.move)
        elif asked.check:
            done = {"wrong": found.check()}
        about = {"index": str(found.path), "images": len(found)} | done | found.described()
    if asked.json:
        print_json(about)
    else:
        codes = f", codes of {about['bits']} bits ({about['method']})" if about["bits"] else ""
        print(f"{asked.index}: {about['images']:,} images by {about['features']:,} features{codes}, {about['store']}")
        for name, value in done.items():
            print(f"{name.replace('_', ' ')}: {'; '.join(value) or 'nothing' if isinstance(value, list) else value}")
    return 1 if done.get("wrong") else 0


def search(arguments: list[str]) -> int:
    """Find the indexed images that are most like one."""
    parser = Parser("search", "Find the images of INDEX that are most like IMAGE, as RUN's net sees them.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file: the one that embedded the images")
    parser.add_argument("index", type=Path, help="the folder that `alexnet index` wrote")
    parser.add_argument("image", help="an image file")
    parser.add_argument("--top", type=int, default=10, help="how many images (default 10)")
    parser.add_argument("--by", choices=("features", "codes", "both"), help="default both where there are codes")
    parser.add_argument("--shortlist", type=int, default=200, help="images that codes pick for both (default 200)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the images found")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.images import ImageProblem, read_image
    from alexnet.retrieval.index import Index

    with Index(asked.index, asked.run, asked.device) as found:
        try:
            hits = found.search(asked.image, asked.top, asked.by, asked.shortlist)
        except ImageProblem as problem:
            raise InputError(f"{asked.image}: {problem.detail}: give an image that opens") from None
        about = f"{len(found):,} images in {asked.index}, {found.distance_of(asked.by)}"
    if asked.html:
        from alexnet.pictures.similar import write_page

        write_page(asked.html, Path(asked.image).name, read_image(asked.image), hits, about)
    if asked.json:
        return print_json([{name: getattr(hit, name) for name in ("path", "label", "distance", "id")} for hit in hits])
    for hit in hits:
        print(f"{hit.distance:10.4g}  {hit.path}" + (f"  {hit.label}" if hit.label is not None else ""))
    return 0


def evaluate_search(arguments: list[str]) -> int:
    """Measure the neighbours that features and codes find."""
    parser = Parser(
        "evaluate-search",
        "Search VECTORS for each of QUERIES, exactly and by codes; measure the neighbours by their labels.",
    )
    parser.add_argument("vectors", help="what is searched: a folder that embed wrote")
    parser.add_argument("queries", nargs="?", help="what is asked, by the same net (default: VECTORS, each in turn)")
    parser.add_argument("--codes", default="32,64,128,256", help="bits, with commas between (default 32,64,128,256)")
    parser.add_argument(
        "--method", default="", help="autoencoder, hyperplanes, itq, with commas between (default: all)"
    )
    parser.add_argument("--top", type=int, default=10, help="results that precision and recall count (default 10)")
    parser.add_argument("--shortlist", type=int, default=200, help="nearest by code that are re-ranked (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the codes (default 0)")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.retrieval.codes import METHODS
    from alexnet.retrieval.compare import as_text, compare_folders

    unlike = [word for word in words(asked.codes) if not word.isdecimal()]
    if unlike:
        raise InputError(f"--codes {asked.codes}: {unlike[0]} is no number of bits; give such as 32,64,128")
    bits = [int(word) for word in words(asked.codes)]
    methods = words(asked.method) or METHODS
    result = compare_folders(asked.vectors, asked.queries, bits, methods, asked.top, asked.shortlist, asked.seed)
    if asked.json:
        return print_json(result)
    print(as_text(result))
    return 0


def words(text: str) -> list[str]:
    """What stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]
