"""Trains the block alone on pooled vectors of a frozen encoder, in plain PyTorch f32: what the frozen-encoder training
of this project is compared with. Prints nDCG@10 on the test split.

Recipe: every training query, one positive with grade > 0 drawn per query and epoch, known positives not masked,
batches of 64 with the last partial one, 30 epochs, the last epoch kept, AdamW 1e-4 (betas .9/.999, eps 1e-8, weight
decay .01), temperature 1, dot product of y = x + m / max(‖m‖, 1e-6), layers started as PyTorch's.

    python tools/reference_frozen.py ../shared/data/scifact --documents pooled.npy --queries queries.npy --seeds 1 2
    python tools/reference_frozen.py DATA --documents d.npy --queries q.npy --encode MODEL --lower   (makes the vectors)
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy
import torch
from torch.nn.functional import cross_entropy

from beir_folder import read_documents, read_qrels, read_queries
from sbmoe_block import block_shapes, combine, expert_outputs, gate_probabilities, inference_weights, training_weights

# name: training mode, noise scale, experts, experts' width as a multiple of ⌊h/2⌋, gates in use
VARIANTS = {
    "random": ("random", 0.0, 6, 1, ("random",)),
    "noisy-top1": ("noisy-top1", 1.0, 6, 1, ("top1", "all")),
    "single": ("soft", 0.0, 1, 1, ("all",)),
    "straight-through": ("straight-through", 0.0, 6, 1, ("top1",)),
    "soft": ("soft", 0.0, 6, 1, ("all",)),
    "soft-12": ("soft", 0.0, 12, 1, ("all",)),
    "uniform": ("uniform", 0.0, 12, 1, ("uniform",)),
    "wide": ("soft", 0.0, 1, 12, ("all",)),
}
EPOCHS = 30
BATCH_SIZE = 64
LEARNING_RATE = 1e-4
COMBINATION = "normalize-mixture"
CUTOFF = 10


class Collection:
    """A BEIR folder's ids and judgments with the pooled vectors of its documents and of all its queries."""

    def __init__(self, arguments: argparse.Namespace):
        self.document_ids, document_texts = read_documents(arguments.data / "corpus.jsonl", arguments.lower)
        self.query_ids, query_texts = read_queries(arguments.data / "queries.jsonl", arguments.lower)
        self.train = read_qrels(arguments.data / "qrels" / "train.tsv")
        self.test = read_qrels(arguments.data / "qrels" / f"{arguments.split}.tsv")
        self.documents = pooled(arguments.documents, document_texts, arguments)
        self.queries = pooled(arguments.queries, query_texts, arguments)
        self.document_row = {document: row for row, document in enumerate(self.document_ids)}
        self.query_row = {query: row for row, query in enumerate(self.query_ids)}


def pooled(path: Path, texts: list[str], arguments: argparse.Namespace) -> torch.Tensor:
    """The vectors at `path`, made first when `--encode` is given and the file is not there."""
    if not path.exists() and arguments.encode:
        from check_sentence_transformers import load_model

        model = load_model(arguments.encode)
        model.max_seq_length = arguments.max_length
        vectors = model.encode(texts, batch_size=32, normalize_embeddings=False, convert_to_numpy=True, show_progress_bar=True)
        with open(path, "wb") as file:
            numpy.save(file, vectors.astype(numpy.float32))
    vectors = torch.from_numpy(numpy.load(path).astype(numpy.float32))
    if len(vectors) != len(texts):
        raise SystemExit(f"`{path}` has {len(vectors)} rows, expected {len(texts)}")
    return vectors


def start_block(hidden: int, experts: int, width: int) -> dict[str, torch.Tensor]:
    """Weight and bias of each layer uniform in ±1/√fan_in, as PyTorch starts a linear layer."""
    parameters, bound = {}, 0.0
    for name, shape in block_shapes(hidden, experts, width).items():
        if name.endswith("weight"):
            bound = 1.0 / math.sqrt(shape[1])
        parameters[name] = torch.empty(shape).uniform_(-bound, bound).requires_grad_()
    return parameters


def train_block(collection: Collection, variant: str, seed: int) -> dict[str, torch.Tensor]:
    mode, noise_scale, experts, width, _ = VARIANTS[variant]
    hidden = collection.documents.shape[1]
    torch.manual_seed(seed)
    chance = random.Random(seed)
    parameters = start_block(hidden, experts, width * (hidden // 2))
    # As published, the noise head is in no group.
    learned = [values for name, values in parameters.items() if not name.startswith("noise.")]
    optimizer = torch.optim.AdamW(learned, lr=LEARNING_RATE, weight_decay=0.01)
    positives = {
        collection.query_row[query]: [collection.document_row[document] for document, grade in sorted(grades.items()) if grade > 0]
        for query, grades in collection.train.items()
        if query in collection.query_row
    }
    queries = [query for query, documents in positives.items() if documents]

    def represent(x: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(len(x), experts) if noise_scale else None
        draws = torch.rand(len(x), experts)
        probabilities = gate_probabilities(x, parameters, noise_scale, noise)
        return combine(x, training_weights(mode, probabilities, draws), expert_outputs(x, parameters), COMBINATION)

    for _ in range(EPOCHS):
        chance.shuffle(queries)
        for start in range(0, len(queries), BATCH_SIZE):
            rows = queries[start : start + BATCH_SIZE]
            q = represent(collection.queries[rows])
            d = represent(collection.documents[[chance.choice(positives[row]) for row in rows]])
            loss = cross_entropy(q @ d.T, torch.arange(len(rows)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {name: values.detach() for name, values in parameters.items()}


@torch.no_grad()
def apply_block(x: torch.Tensor, parameters: dict[str, torch.Tensor], gate: str) -> torch.Tensor:
    probabilities = gate_probabilities(x, parameters, 0.0, None)
    weights = inference_weights(gate, probabilities, torch.rand_like(probabilities))
    return combine(x, weights, expert_outputs(x, parameters), COMBINATION)


def ndcg(collection: Collection, queries: torch.Tensor, documents: torch.Tensor) -> float:
    """Mean nDCG@10 over the judged queries: gain the grade, discount log2(rank + 1), ties by id from high to low."""
    judged = [query for query in collection.test if query in collection.query_row]
    scores = queries[[collection.query_row[query] for query in judged]] @ documents.T
    total = 0.0
    for query, row in zip(judged, scores):
        # More than the cut-off, so that ties across it are seen.
        best = row.topk(min(10 * CUTOFF, len(row)))
        hits = sorted(zip(best.values.tolist(), (collection.document_ids[i] for i in best.indices.tolist())), reverse=True)
        grades = collection.test[query]
        ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
        found = [max(grades.get(document, 0), 0) for _, document in hits[:CUTOFF]]
        if ideal:
            total += discounted(found) / discounted(ideal[:CUTOFF])
    return total / len(judged)


def discounted(gains: list[int]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="BEIR folder")
    parser.add_argument("--documents", type=Path, required=True, help=".npy, rows as in corpus.jsonl")
    parser.add_argument("--queries", type=Path, required=True, help=".npy, rows as in queries.jsonl, all splits")
    parser.add_argument("--split", default="test", help="judgments to score with (default test)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="VARIANT", help=", ".join(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--encode", type=Path, metavar="MODEL", help="make missing vectors with sentence-transformers")
    parser.add_argument("--max-length", type=int, default=256, help="tokens kept of a text with --encode (default 256)")
    parser.add_argument("--lower", action="store_true", help="lower-case the text with --encode")
    arguments = parser.parse_args()

    collection = Collection(arguments)
    dot = ndcg(collection, collection.queries, collection.documents)
    unit = torch.nn.functional.normalize
    cosine = ndcg(collection, unit(collection.queries), unit(collection.documents))
    print(f"encoder alone: dot {dot:.4f}, cosine {cosine:.4f}", flush=True)
    for variant in arguments.variants:
        scores: dict[str, list[float]] = {}
        started = time.monotonic()
        for seed in arguments.seeds:
            parameters = train_block(collection, variant, seed)
            for gate in VARIANTS[variant][4]:
                y = [apply_block(x, parameters, gate) for x in (collection.queries, collection.documents)]
                scores.setdefault(gate, []).append(ndcg(collection, *y))
        seconds = (time.monotonic() - started) / len(arguments.seeds)
        for gate, values in scores.items():
            each = " ".join(f"{value:.4f}" for value in values)
            print(f"{variant:<17} n = {VARIANTS[variant][2]:<3} used {gate:<8} mean {sum(values) / len(values):.4f}   {each}   {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
