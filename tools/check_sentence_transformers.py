"""Compares stored vectors with those that sentence-transformers makes of the same model folder and texts.

The folder may carry a block in its own `sbmoe.py`. What normalises is the folder's Normalize modules alone: with
`--normalize off` one at the folder's end is taken away first, with `--normalize auto` the chain stays as it is. One
between the encoder and a block is part of the model and always stays. Exit code: 0 the same, 1 they differ, 2 the
inputs do not fit each other.

    python tools/check_sentence_transformers.py RUN/model INDEX/pooled.npy ../shared/data/scifact/corpus.jsonl.gz --lower
    python tools/check_sentence_transformers.py RUN/model Q.npy queries.jsonl --task query --normalize auto --save-again DIR
"""

import argparse
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy
from sentence_transformers import SentenceTransformer

from beir_folder import read_documents, read_queries

CHUNK = 256


def main() -> int:
    arguments = parse_arguments()
    vectors = numpy.load(arguments.vectors, mmap_mode="r")
    read = read_queries if arguments.task == "query" else read_documents
    ids, texts = read(arguments.texts, arguments.lower)
    if len(vectors) < len(texts) and arguments.limit is None or len(vectors) > len(texts):
        print(f"error: {len(vectors)} vectors, {len(texts)} texts", file=sys.stderr)
        return 2
    count = min(len(texts), len(vectors), arguments.limit or len(texts))
    if count == 0:
        print("error: nothing to compare", file=sys.stderr)
        return 2
    if arguments.save_again is not None and arguments.save_again.exists():
        print(f"error: `{arguments.save_again}` is there already; name a new folder", file=sys.stderr)
        return 2
    model = load_model(arguments.model, arguments)
    encode = encoder_of(model, arguments.task)
    if arguments.save_again is not None:
        copy = save_again(arguments)
        compared = texts[: min(count, CHUNK)]
        difference = numpy.abs(encoder_of(copy, arguments.task)(compared) - encode(compared)).max()
        # The copy holds the same numbers, and the same program runs over them; a NaN is a difference.
        if not difference == 0.0:
            print(f"differ: saved again and read back, the model differs by {difference:.3e} in {len(compared)} texts")
            return 1
        print(f"saved again and read back: the same vectors of {len(compared)} texts")

    worst, worst_id, squares = 0.0, ids[0], 0.0
    positions = iter(range(count))
    while rows := list(islice(positions, CHUNK)):
        expected = encode([texts[row] for row in rows])
        stored = numpy.asarray(vectors[rows[0] : rows[-1] + 1], dtype=numpy.float64)
        if stored.shape != expected.shape:
            print(f"error: vectors of {stored.shape[1]} values, the model gives {expected.shape[1]}", file=sys.stderr)
            return 2
        # A NaN compares as neither larger nor smaller, so it is refused by name.
        if not (numpy.isfinite(stored).all() and numpy.isfinite(expected).all()):
            print(f"differ: a value is not finite in texts {ids[rows[0]]} to {ids[rows[-1]]}")
            return 1
        differences = numpy.abs(stored - expected).max(axis=1)
        squares += float((expected**2).sum())
        if differences.max() > worst:
            worst, worst_id = float(differences.max()), ids[rows[int(differences.argmax())]]
        print(f"\r{rows[-1] + 1}/{count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    verdict = "same" if worst <= arguments.tolerance else "differ"
    size = (squares / (count * vectors.shape[1])) ** 0.5
    kind = "queries" if arguments.task == "query" else "documents"
    print(f"{verdict}: {count} {kind}, largest absolute difference {worst:.3e} ({arguments.task} {worst_id}), ", end="")
    print(f"tolerance {arguments.tolerance:.1e}, root mean square of a value {size:.3f}")
    return 0 if verdict == "same" else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the saved model")
    parser.add_argument("vectors", type=Path, help=".npy, one row a text, in the order of the file of texts")
    parser.add_argument("texts", type=Path, help="corpus.jsonl, or queries.jsonl with `--task query`, or either with .gz")
    parser.add_argument("--task", choices=("document", "query"), default="document", help="what the texts are (default: document)")
    normalize_help = "`auto` keeps the folder's last Normalize (default: off)"
    parser.add_argument("--normalize", choices=("off", "auto"), default="off", help=normalize_help)
    parser.add_argument("--save-again", type=Path, metavar="DIR", help="also save the loaded model there, read it back and compare")
    parser.add_argument("--limit", type=int, help="compare only the first N texts")
    parser.add_argument("--lower", action="store_true", help="lower-case the text before it is tokenised")
    parser.add_argument("--max-length", type=int, help="tokens kept of a text (default: the folder's)")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="default 2e-5")
    return parser.parse_args()


def load_model(folder: Path, arguments: argparse.Namespace) -> SentenceTransformer:
    model = load_whole(folder)
    print("modules:", ", ".join(type(module).__name__ for module in model))
    if arguments.normalize == "off" and type(model[-1]).__name__ == "Normalize":
        del model[-1]
        print("left out: Normalize")
    if arguments.max_length is not None:
        model.max_seq_length = arguments.max_length
    return model


def load_whole(folder: Path) -> SentenceTransformer:
    # An absolute path, so that a folder is never taken for a name on the hub.
    return SentenceTransformer(str(folder.resolve()), device="cpu", trust_remote_code=True, local_files_only=True)


def save_again(arguments: argparse.Namespace) -> SentenceTransformer:
    """The model saved whole by sentence-transformers, and read back from there."""
    load_whole(arguments.model).save(str(arguments.save_again.resolve()), create_model_card=False)
    return load_model(arguments.save_again, arguments)


def encoder_of(model: SentenceTransformer, task: str) -> Callable[[list[str]], numpy.ndarray]:
    """From texts to vectors, with the folder's prompt of the task, in f64 of what f32 gave."""
    encode = model.encode_query if task == "query" else model.encode_document
    options = {"batch_size": 32, "normalize_embeddings": False, "convert_to_numpy": True, "show_progress_bar": False}
    return lambda texts: encode(texts, **options).astype(numpy.float64)


if __name__ == "__main__":
    sys.exit(main())
