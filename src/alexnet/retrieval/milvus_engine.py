"""Rows on a Milvus server, for more images than one machine holds; needs the extra `milvus` (pymilvus).

Two collections an index, NAME_features and NAME_codes, each with an id and a row, both compared exactly: index FLAT
with L2, and BIN_FLAT with HAMMING. Every search waits for all that was written before it (consistency "Strong").
What the server has acknowledged is in its log; it is not asked to flush, which would make a segment of every
small addition.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from alexnet.errors import InputError
from alexnet.retrieval.engines import Kind, nothing_found

MESSAGE = 32 * 2**20
"""Bytes of rows in one message; the server takes 64 MB."""

IDS = 4096
"""Ids in one expression."""

MOST = 16_384
"""Rows that the server gives for one query at most."""

SECONDS = 10  # to wait for a connection


class MilvusEngine:
    """Rows on a server; see `alexnet.retrieval.engines.Engine` for the five methods."""

    def __init__(self, store: str, kind: Kind, columns: int, new: bool = False):
        """Open a collection, or make a new one.

        Args:
            store: http://HOST:PORT/NAME.
            kind: "features" or "codes".
            columns: numbers, or bytes, of a row.
            new: make the collection; one of that name is then an error, and a missing one otherwise.

        Raises:
            InputError: pymilvus is missing, the server does not answer, or the collection is not as it should be.
        """
        try:
            import pymilvus
        except ImportError:
            raise InputError(f"{store} needs pymilvus: pip install 'alexnet[milvus]'") from None
        self.store, self.kind, self.columns = store, kind, columns
        address = urlsplit(store)
        self.collection = f"{address.path.strip('/')}_{kind}"
        try:
            self._client = pymilvus.MilvusClient(f"{address.scheme}://{address.netloc}", timeout=SECONDS)
            there = self._client.has_collection(self.collection)
        except pymilvus.MilvusException as error:
            why = str(error.message).splitlines()[0]
            raise InputError(f"no Milvus server answers at {store}: start it, or mend the address ({why})") from None
        if new and there:
            raise InputError(f"{store} has an index of this name: give another, --store {store}_2, or drop that one")
        if not new and not there:
            raise InputError(f"{store} has no collection {self.collection}: make the index again")
        if new:
            self._create(pymilvus)
        self._client.load_collection(self.collection)

    def add(self, ids: np.ndarray, rows: np.ndarray, origin: Path | None = None) -> None:
        """Send rows to the server; `origin` is of no use to it."""
        if rows.shape != (len(ids), self.columns):
            raise InputError(f"rows {list(rows.shape)} for {len(ids)} ids; give [{len(ids)}, {self.columns}]")
        step = max(1, MESSAGE // (self.columns * (1 if self.kind == "codes" else 4)))
        for start in range(0, len(ids), step):
            some = self._as_sent(rows[start : start + step])
            numbered = zip(ids[start : start + step].tolist(), some)
            self._client.insert(self.collection, [{"id": id, "row": row} for id, row in numbered])

    def delete(self, ids: np.ndarray) -> None:
        """Take rows off the server."""
        for start in range(0, len(ids), IDS):
            self._client.delete(self.collection, ids=np.asarray(ids[start : start + IDS]).tolist())

    def search(self, queries: np.ndarray, k: int, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of each query, exactly; at most MOST.

        Raises:
            InputError: k or `among` is beyond what the server gives.
        """
        if queries.ndim != 2 or queries.shape[1] != self.columns:
            raise InputError(f"queries {list(queries.shape)}; give [n, {self.columns}], as the rows are")
        if k > MOST or (among is not None and among.shape[1] > MOST):
            raise InputError(f"{self.store} gives at most {MOST:,} images for one query: ask for fewer")
        ids, distances = nothing_found(len(queries), k)
        sent = self._as_sent(queries)
        if among is None:
            found = self._found(sent, k) if sent else []
        else:
            found = [self._found([row], k, some[some >= 0])[0] for row, some in zip(sent, among)]
        for i, hits in enumerate(found):
            near = sorted((hit["distance"], hit["id"]) for hit in hits)
            ids[i, : len(near)] = [id for _, id in near]
            distances[i, : len(near)] = [distance for distance, _ in near]
        if self.kind == "features":
            np.sqrt(np.maximum(distances, 0), out=distances)  # the server gives squares
        return ids, distances

    def count(self) -> int:
        """How many rows the server has."""
        found = self._client.query(self.collection, "", output_fields=["count(*)"], consistency_level="Strong")
        return int(found[0]["count(*)"])

    def close(self) -> None:
        """Close the connection; the collection stays."""
        self._client.close()

    def _found(self, sent: list[Any], k: int, among: np.ndarray | None = None) -> list[Any]:
        if among is not None and not len(among):
            return [[] for _ in sent]
        return self._client.search(
            self.collection,
            sent,
            filter="" if among is None else f"id in {among.tolist()}",
            limit=k,
            anns_field="row",
            consistency_level="Strong",
        )

    def _as_sent(self, rows: np.ndarray) -> list[Any]:
        """Rows as the server takes them: bytes of a code, lists of numbers of features."""
        if self.kind == "codes":
            return [row.tobytes() for row in np.asarray(rows, np.uint8)]
        return list(np.asarray(rows, np.float32))

    def _create(self, pymilvus: Any) -> None:
        binary = self.kind == "codes"
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", pymilvus.DataType.INT64, is_primary=True)
        vector = pymilvus.DataType.BINARY_VECTOR if binary else pymilvus.DataType.FLOAT_VECTOR
        schema.add_field("row", vector, dim=8 * self.columns if binary else self.columns)
        indexed = self._client.prepare_index_params()
        kind, metric = ("BIN_FLAT", "HAMMING") if binary else ("FLAT", "L2")
        indexed.add_index("row", index_type=kind, metric_type=metric)
        self._client.create_collection(self.collection, schema=schema, index_params=indexed, consistency_level="Strong")
