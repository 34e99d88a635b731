"""Writes what sentence-transformers makes of a few sentences with all-MiniLM-L6-v2: too little to stand for the model,
enough to notice when the real encoder's vectors move.

    python tools/golden_minilm.py MODEL crates/model/tests/golden/minilm.json

MODEL is a folder with all-MiniLM-L6-v2. Its Normalize module is taken away, so that the numbers are the pooled vectors.
Arithmetic is in f32; each sentence is encoded alone, so that nothing is padded.
"""

import argparse
import hashlib
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from golden_file import readable_json

# Two words; digits and hyphens; accents and a ligature; other scripts; more than the model's 256 tokens.
SENTENCES = [
    "Cold harbour",
    "The 07:45 ferry carries twenty-two cyclists, three dogs and a crate of lemons across the strait.",
    "A naïve façade in the old café hid the ﬁnest crème brûlée of Zürich.",
    "Tide tables (潮汐表, приливы) list high water for every day of the year!",
    "Each evening the lighthouse keeper counts the passing lanterns and writes the number down. " * 20,
]

LEADING = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    model = SentenceTransformer(str(arguments.model), device="cpu")
    modules = [module for module in model if type(module).__name__ != "Normalize"]
    model = SentenceTransformer(modules=modules, device="cpu")
    records = []
    for sentence in SENTENCES:
        vector = model.encode([sentence], convert_to_tensor=True, normalize_embeddings=False)[0]
        if vector.dtype != torch.float32:
            raise SystemExit(f"the vector was computed in {vector.dtype}, expected float32")
        norm = vector.double().norm().item()
        records.append({"sentence": sentence, "leading": vector[:LEADING].tolist(), "norm": norm})
    weights = hashlib.sha256((arguments.model / "model.safetensors").read_bytes()).hexdigest()
    arguments.out.write_text(readable_json({"model_safetensors_sha256": weights, "sentences": records}))


if __name__ == "__main__":
    main()
