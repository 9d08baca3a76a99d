"""The commands on images: check, pack, cache."""

from pathlib import Path

from alexnet.options import Parser, json_option, print_json, source_argument


def check(arguments: list[str]) -> int:
    """Look through a source before anything is trained on it."""
    parser = Parser("check", "Read every image of SOURCE and say what is wrong, before any training.")
    source_argument(parser)
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.data import check as check_source
    from alexnet.data import open_source

    found = check_source(open_source(asked.source, asked.root))
    if asked.json:
        print_json(found.to_dict())
        return 0 if found.usable else 2
    for name, count in found.classes.items():
        print(f"{count:8,}  {name}")
    print(f"{found.images:8,}  images of {len(found.classes)} classes")
    if found.parts:
        print(f"{'':8}  " + ", ".join(f"{count:,} {part.replace('_', ' ')}" for part, count in found.parts.items()))
    for note in found.notes:
        print(note)
    for problem in found.problems:
        print(f"{problem.kind}: {problem.path}: {problem.detail}")
    print("ready to train" if found.usable else "not ready to train: see above")
    return 0 if found.usable else 2


def pack(arguments: list[str]) -> int:
    """Pack a source into plain .npy files that train in no time."""
    parser = Parser("pack", "Decode SOURCE once and store it as plain .npy files with a manifest.")
    source_argument(parser)
    parser.add_argument("out", type=Path, help="the new folder")
    parser.add_argument("--size", type=int, default=224, help="side of the net's input in pixels (default 224)")
    parser.add_argument("--stored", type=int, help="shorter side as stored (default: size * 256 / 224)")
    parser.add_argument("--crop", choices=("centre", "none"), default="centre", help="centre squares or whole images")
    parser.add_argument("--format", choices=("auto", "raw", "jpeg"), default="auto", help="raw under 4 GB, else JPEG")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.data import open_source
    from alexnet.data import pack as pack_source

    packed = pack_source(
        open_source(asked.source, asked.root), asked.out, asked.stored, asked.crop, asked.format, asked.size
    )
    if asked.json:
        skipped = [vars(problem) for problem in packed.skipped]
        return print_json(
            {"path": str(packed.path), "images": len(packed), "classes": packed.classes, "skipped": skipped}
        )
    print(f"{len(packed)} images of {len(packed.classes)} classes in {packed.path}, {len(packed.skipped)} skipped")
    return 0


def cache(arguments: list[str]) -> int:
    """Show, or drop, the packed data that training keeps."""
    parser = Parser("cache", "Show where packed data lies and how large it is.")
    parser.add_argument("--clear", action="store_true", help="delete it")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.data import cache_entries, cache_folder, clear_cache
    from alexnet.files import readable_bytes

    entries = cache_entries()
    total = sum(entry.bytes for entry in entries)
    if asked.clear:
        entries = clear_cache()  # all but those that another process is writing
        total = sum(entry.bytes for entry in entries)
    if asked.json:
        rows = [{"path": str(entry.path), "bytes": entry.bytes} for entry in entries]
        return print_json({"folder": str(cache_folder()), "bytes": total, "cleared": asked.clear, "packs": rows})
    for entry in entries:
        print(f"{readable_bytes(entry.bytes):>10}  {entry.path}")
    print(f"{readable_bytes(total):>10}  {'deleted from' if asked.clear else 'in all, in'} {cache_folder()}")
    return 0
