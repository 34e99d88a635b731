"""A random encoder and a made-up collection: what the commands read, large enough that a kill lands in their midst."""
import array
import json
import random
import string
from pathlib import Path

HIDDEN, INNER, LAYERS, HEADS, POSITIONS = 32, 64, 2, 2, 128
WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("l", "n", "r", "s", "st")]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = string.ascii_lowercase + string.digits


def write_encoder(folder, seed):
    """A Hugging Face folder: a BERT whose numbers are drawn."""
    vocabulary = SPECIAL + list(LETTERS) + [f"##{letter}" for letter in LETTERS] + WORDS
    folder.mkdir(parents=True)
    config = {
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    _write_safetensors(folder / "model.safetensors", _shapes(len(vocabulary)), random.Random(seed))


def _shapes(words):
    """Every parameter's name and shape."""
    embeddings = {"word": words, "position": POSITIONS, "token_type": 2}
    shapes = {f"embeddings.{name}_embeddings.weight": [rows, HIDDEN] for name, rows in embeddings.items()}
    norms = ["embeddings.LayerNorm"]
    linear = {}
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linear[f"{at}attention.{name}"] = [HIDDEN, HIDDEN]
        linear |= {f"{at}intermediate.dense": [INNER, HIDDEN], f"{at}output.dense": [HIDDEN, INNER]}
        norms += [f"{at}attention.output.LayerNorm", f"{at}output.LayerNorm"]
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": [HIDDEN], f"{name}.bias": [HIDDEN]}
    return shapes


def _write_safetensors(path, shapes, draw):
    """The format by hand: the header's length, the header, the numbers (of a machine whose bytes are in little-endian order)."""
    header, data = {}, bytearray()
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        if "LayerNorm" in name:
            values = [float(name.endswith("weight"))] * count
        else:
            values = [draw.gauss(0, 0.3) for _ in range(count)]
        begin = len(data)
        data += array.array("f", values).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_collection(folder, documents, queries, dev, words=(10, 60)):
    """A BEIR folder: each query is a few words of the document that answers it; without `dev`, training judgments alone."""
    draw = random.Random(documents)
    texts = [[draw.choice(WORDS) for _ in range(draw.randint(*words))] for _ in range(documents)]
    (folder / "qrels").mkdir(parents=True)
    rows = ({"_id": f"d{n}", "title": " ".join(text[:3]), "text": " ".join(text)} for n, text in enumerate(texts))
    _write_lines(folder / "corpus.jsonl", rows)
    asked = ({"_id": f"q{n}", "text": " ".join(draw.sample(texts[n], 6))} for n in range(queries))
    _write_lines(folder / "queries.jsonl", asked)
    ends = {"train": queries * 3 // 4, "dev": queries * 7 // 8, "test": queries} if dev else {"train": queries}
    begin = 0
    for split, end in ends.items():
        judged = "".join(f"q{n}\td{n}\t1\n" for n in range(begin, end))
        (folder / f"qrels/{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
        begin = end


def write_pairs(path, rows, seed):
    """Training triplets, a line each."""
    draw = random.Random(seed)

    def text(words):
        return " ".join(draw.choice(WORDS) for _ in range(words))

    _write_lines(path, ({"anchor": text(6), "positive": text(20), "negative": text(20)} for _ in range(rows)))


def _write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


class World:
    """Where everything lies that the commands read."""

    def __init__(self, folder: Path):
        self.encoder, self.other_encoder = folder / "encoder", folder / "other-encoder"
        self.data, self.undivided, self.small = folder / "data", folder / "undivided", folder / "small"
        self.many = folder / "many"
        self.pairs, self.other_pairs = folder / "pairs.jsonl", folder / "other-pairs.jsonl"
        self.few_pairs, self.more_pairs = folder / "few-pairs.jsonl", folder / "more-pairs.jsonl"
        # The sample that the project's own tests import.
        self.authors = Path(__file__).parents[2] / "crates/sbmoe/tests/samples/authors"
        if folder.exists():
            return
        write_encoder(self.encoder, 1)
        write_encoder(self.other_encoder, 2)
        write_collection(self.data, 6000, 400, dev=True)
        write_collection(self.undivided, 2000, 300, dev=False)
        write_collection(self.small, 400, 240, dev=True)
        write_collection(self.many, 30_000, 400, dev=True, words=(6, 8))
        write_pairs(self.pairs, 90_000, 1)
        write_pairs(self.other_pairs, 80_000, 2)
        write_pairs(self.few_pairs, 600, 3)
        write_pairs(self.more_pairs, 700, 4)
