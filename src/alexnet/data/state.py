"""Whether a source is still what it was, told without reading its images."""

import hashlib

from alexnet.data.source import Source


def state_of(source: Source) -> str:
    """Digest of a source's listing: paths, labels, parts, and each file's size and time of change.

    For arrays, of their values. 64 hexadecimal digits. A file that cannot be looked at counts as such.
    """
    digest = hashlib.sha256(repr((source.kind, source.spec, source.classes, source.characters)).encode())
    digest.update(source.labels.tobytes())
    digest.update(source.given.tobytes())
    if source.arrays is not None:
        digest.update(repr(source.arrays.shape).encode())
        for image in source.arrays:
            digest.update(image.tobytes())
    else:
        for row, path in enumerate(source.paths):
            try:
                status = source.file(row).stat()
                facts = (path, status.st_size, status.st_mtime_ns)
            except OSError as error:
                facts = (path, error.errno)
            digest.update(repr(facts).encode())
    return digest.hexdigest()
