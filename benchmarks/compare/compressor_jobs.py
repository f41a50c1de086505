"""What compressors.py times, one job per process: compressor_jobs.py JSON. See child.py.

ecseq and FAISS are never in one process: each brings an OpenMP and a FAISS of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from child import Meter, answer
from mixture import mixture, regular_graph
from numpy.typing import NDArray

WARM_ROWS = 4000  # a small problem first: threads started, code paged in


def rows_of(job: dict[str, Any]) -> NDArray[np.float32]:
    return np.load(job["x"])


def data(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Writes the rows of a mixture and their labels."""
    with meter:
        x, y = mixture(job["n"], job["h"], job["seed"])
    np.save(job["x"], x)
    np.save(job["y"], y)
    return {}


def regular(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Writes a random regular graph, and random rows, which its nodes need."""
    with meter:
        graph = regular_graph(job["n"], job["degree"], job["seed"])
    scipy.sparse.save_npz(job["graph"], graph, compressed=False)
    rng = np.random.default_rng(job["seed"])
    np.save(job["x"], rng.standard_normal((job["n"], job["h"]), dtype=np.float32))
    return {"edges": graph.nnz // 2}


def kmeans_ours(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    from ecseq import compress

    x, start = rows_of(job), np.load(job["start"])
    warm = x[: max(WARM_ROWS, 2 * len(start))]
    compress.KMeans(len(start), init=start, iterations=1, num_threads=job["threads"]).fit(warm)
    compressor = compress.KMeans(
        len(start), init=start, iterations=job["iterations"], num_threads=job["threads"]
    )
    with meter:
        compressor.fit(x)
    np.save(job["centroids"], compressor.representatives_.vectors)
    report = compressor.report_
    return {"iterations": report["iterations"], "points_used": report["points_used"]}


def kmeans_faiss(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    import faiss

    faiss.omp_set_num_threads(job["threads"])
    x, start = rows_of(job), np.load(job["start"])

    def kmeans(rows: NDArray[np.float32], iterations: int) -> Any:
        found = faiss.Kmeans(
            x.shape[1],
            len(start),
            niter=iterations,
            nredo=1,
            max_points_per_centroid=len(rows),  # all of them: no sample
            min_points_per_centroid=1,
        )
        found.train(rows, init_centroids=start)
        return found

    kmeans(x[: max(WARM_ROWS, 2 * len(start))], 1)
    with meter:
        found = kmeans(x, job["iterations"])
    np.save(job["centroids"], found.centroids)
    return {"iterations": len(found.iteration_stats), "version": faiss.__version__}


def knn_ours(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    from ecseq import graph

    x, k = rows_of(job), job["k"]
    graph.knn_graph(x[:WARM_ROWS], k, num_threads=job["threads"])
    with meter:
        found = graph.knn_graph(x, k, approximate=job["approximate"], num_threads=job["threads"])
    if "graph" in job:
        scipy.sparse.save_npz(job["graph"], found, compressed=False)
    return {"edges": found.nnz // 2, "recall": edge_recall(found, x, k)}


def knn_faiss(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    import faiss

    faiss.omp_set_num_threads(job["threads"])
    x, k = rows_of(job), job["k"]
    index = faiss.IndexFlatL2(x.shape[1])
    index.add(x[:WARM_ROWS])
    index.search(x[:WARM_ROWS], k + 1)
    with meter:
        index = faiss.IndexFlatL2(x.shape[1])
        index.add(x)
        index.search(x, k + 1)  # a row is its own nearest
    return {"version": faiss.__version__}


def edge_recall(
    graph: scipy.sparse.csr_matrix, x: NDArray[np.float32], k: int, sample: int = 500
) -> float:
    """Of the edges from `sample` random rows to their k nearest rows, the share that is there."""
    chosen = np.random.default_rng(0).choice(len(x), min(sample, len(x)), replace=False)
    squares = np.einsum("ij,ij->i", x, x)
    found = 0
    for rows in np.array_split(chosen, max(1, len(chosen) // 25)):
        distance = squares - 2 * (x[rows] @ x.T)
        distance[np.arange(len(rows)), rows] = np.inf
        nearest = np.argpartition(distance, k, axis=1)[:, :k]
        for row, truth in zip(rows, nearest, strict=True):
            there = graph.indices[graph.indptr[row] : graph.indptr[row + 1]]
            found += len(np.intersect1d(truth, there))
    return found / (k * len(chosen))


def compress(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Any compressor on rows, with the graph where one is given."""
    import catalogue

    import ecseq

    ecseq.set_num_threads(job["threads"])
    x = rows_of(job)
    y = np.load(job["y"]) if "y" in job else None
    graph = scipy.sparse.load_npz(job["graph"]) if "graph" in job else None
    parameters = dict(job.get("parameters", {}))
    if "allocation" in parameters:  # JSON knows no keys but text
        parameters["allocation"] = {int(c): k for c, k in parameters["allocation"].items()}
    compressor = catalogue.make(job["name"], job["k"], **parameters)
    with meter:
        catalogue.fitted(compressor, x, y, graph=graph)
    return {
        "representatives": len(compressor.representatives_),
        "library_seconds": compressor.report_["seconds"],
        "iterations": compressor.report_["iterations"],
        "note": compressor.report_["note"],
    }


if __name__ == "__main__":
    answer(
        {
            "data": data,
            "regular": regular,
            "kmeans_ours": kmeans_ours,
            "kmeans_faiss": kmeans_faiss,
            "knn_ours": knn_ours,
            "knn_faiss": knn_faiss,
            "compress": compress,
        }
    )
