"""Runs the peer's program as it is and adds what it does not print: the scores of each query, and the time of encoding.

    python tools/quality/peer.py PEER.py OUT.json --model DIR --data BEIR_DIR [the peer's own switches]

The peer encodes, before training and after each epoch, the documents, the dev queries and the test queries, in this
order; this keeps those vectors and computes nDCG@10 of each test query in the epoch that the peer chose.
"""

import json
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import sentence_transformers

ENCODED: list[tuple[float, np.ndarray]] = []


def keep_encoded() -> None:
    encode = sentence_transformers.SentenceTransformer.encode

    def timed(self, texts, *arguments, **switches):
        start = time.perf_counter()
        vectors = encode(self, texts, *arguments, **switches)
        ENCODED.append((time.perf_counter() - start, np.asarray(vectors)))
        return vectors

    sentence_transformers.SentenceTransformer.encode = timed


def ndcg(documents: np.ndarray, queries: np.ndarray, grades: list[dict[int, int]]) -> list[float]:
    """nDCG@10 of each query; `grades` by the document's number. Gain is the grade, the discount log2(rank + 1)."""
    discounts = 1 / np.log2(np.arange(2, 12))
    found = []
    for scores, judged in zip(queries @ documents.T, grades):
        top = np.argsort(-scores, kind="stable")[:10]
        gains = np.array([judged.get(int(document), 0) for document in top], dtype=float)
        ideal = np.array(sorted(judged.values(), reverse=True)[:10], dtype=float)
        found.append(float(gains @ discounts[: len(gains)] / (ideal @ discounts[: len(ideal)])))
    return found


def main() -> None:
    program, out, *switches = sys.argv[1:]
    keep_encoded()
    sys.argv = [program, *switches]
    after = runpy.run_path(program)
    if len(ENCODED) != 3 * len(after["history"]):
        sys.exit(f"{program}: {len(ENCODED)} encodings in {len(after['history'])} epochs, expected three in each")
    rounds = [ENCODED[i : i + 3] for i in range(0, len(ENCODED), 3)]
    (_, documents), _, (_, queries) = rounds[after["best"]]
    test = after["splits"]["test"]
    scores = ndcg(documents, queries, list(test.values()))
    report = {
        "test": float(after["history"][after["best"]]["test"]),
        "alone": float(after["history"][0]["test"]),
        "epoch": after["best"],
        "train": len(after["train"]),
        "seconds": after["seconds"],
        "encoding": min(one[0][0] for one in rounds),
        "scores": {str(after["queries"][query]["_id"]): score for query, score in zip(test, scores)},
    }
    if abs(np.mean(scores) - report["test"]) > 1e-4:
        sys.exit(f"{program}: prints nDCG@10 {report['test']:.5f}, its vectors give {np.mean(scores):.5f}")
    Path(out).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
