"""Compares stored vectors with those that sentence-transformers makes of the same model folder and documents.

The folder may carry a block in its own `sbmoe.py`. Vectors are compared without normalisation: a Normalize module at
the folder's end is taken away first. Exit code: 0 the same, 1 they differ, 2 the inputs do not fit each other.

    python tools/check_sentence_transformers.py RUN/model INDEX/pooled.npy ../shared/data/scifact/corpus.jsonl.gz --lower
"""

import argparse
import sys
from itertools import islice
from pathlib import Path

import numpy
from sentence_transformers import SentenceTransformer

from beir_folder import read_documents

CHUNK = 256


def main() -> int:
    arguments = parse_arguments()
    vectors = numpy.load(arguments.vectors, mmap_mode="r")
    ids, texts = read_documents(arguments.corpus, arguments.lower)
    if len(vectors) < len(texts) and arguments.limit is None or len(vectors) > len(texts):
        print(f"error: {len(vectors)} vectors, {len(texts)} documents", file=sys.stderr)
        return 2
    count = min(len(texts), len(vectors), arguments.limit or len(texts))
    if count == 0:
        print("error: nothing to compare", file=sys.stderr)
        return 2
    model = load_model(arguments.model)
    if arguments.max_length is not None:
        model.max_seq_length = arguments.max_length

    worst, worst_id, squares = 0.0, ids[0], 0.0
    positions = iter(range(count))
    while rows := list(islice(positions, CHUNK)):
        expected = encode(model, [texts[row] for row in rows])
        stored = numpy.asarray(vectors[rows[0] : rows[-1] + 1], dtype=numpy.float64)
        if stored.shape != expected.shape:
            print(f"error: vectors of {stored.shape[1]} values, the model gives {expected.shape[1]}", file=sys.stderr)
            return 2
        # A NaN compares as neither larger nor smaller, so it is refused by name.
        if not (numpy.isfinite(stored).all() and numpy.isfinite(expected).all()):
            print(f"differ: a value is not finite in documents {ids[rows[0]]} to {ids[rows[-1]]}")
            return 1
        differences = numpy.abs(stored - expected).max(axis=1)
        squares += float((expected**2).sum())
        if differences.max() > worst:
            worst, worst_id = float(differences.max()), ids[rows[int(differences.argmax())]]
        print(f"\r{rows[-1] + 1}/{count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    verdict = "same" if worst <= arguments.tolerance else "differ"
    size = (squares / (count * vectors.shape[1])) ** 0.5
    print(f"{verdict}: {count} documents, largest absolute difference {worst:.3e} (document {worst_id}), ", end="")
    print(f"tolerance {arguments.tolerance:.1e}, root mean square of a value {size:.3f}")
    return 0 if verdict == "same" else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the saved model")
    parser.add_argument("vectors", type=Path, help=".npy, one row a document, in the order of the corpus")
    parser.add_argument("corpus", type=Path, help="corpus.jsonl or corpus.jsonl.gz")
    parser.add_argument("--limit", type=int, help="compare only the first N documents")
    parser.add_argument("--lower", action="store_true", help="lower-case the text before it is tokenised")
    parser.add_argument("--max-length", type=int, help="tokens kept of a text (default: the folder's)")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="default 2e-5")
    return parser.parse_args()


def load_model(folder: Path) -> SentenceTransformer:
    # An absolute path, so that a folder is never taken for a name on the hub.
    model = SentenceTransformer(str(folder.resolve()), device="cpu", trust_remote_code=True, local_files_only=True)
    modules = list(model.named_children())
    print("modules:", ", ".join(type(module).__name__ for _, module in modules))
    if type(modules[-1][1]).__name__ == "Normalize":
        del model[-1]
        print("left out: Normalize")
    return model


def encode(model: SentenceTransformer, texts: list[str]) -> numpy.ndarray:
    """Vectors of documents, with the folder's document prompt, in f64 of what f32 gave."""
    vectors = model.encode_document(texts, batch_size=32, normalize_embeddings=False, convert_to_numpy=True, show_progress_bar=False)
    return vectors.astype(numpy.float64)


if __name__ == "__main__":
    sys.exit(main())
