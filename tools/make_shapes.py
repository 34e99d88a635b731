"""Write what the light encoders are timed on: their shapes with random weights, and a collection of short texts.

    python tools/make_shapes.py OUT --model MODEL --data DATA/scifact

OUT/tinybert, OUT/bert-small and OUT/bert-base are encoders that share MODEL's tokenizer; OUT/short is a collection whose
texts are 8 to 32 words cut from DATA's documents, one a document.  A seed gives the same files.
"""
import argparse
import gzip
import json
import random
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

# Layers, hidden size, inner size, heads: huawei-noah/TinyBERT_General_4L_312D, google/bert_uncased_L-4_H-512_A-8 and
# bert-base-uncased, by their `config.json`.
SHAPES = {"tinybert": (4, 312, 1200, 12), "bert-small": (4, 512, 2048, 8), "bert-base": (12, 768, 3072, 12)}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out", type=Path)
parser.add_argument("--model", required=True)
parser.add_argument("--data", type=Path, required=True)
arguments = parser.parse_args()

tokenizer = AutoTokenizer.from_pretrained(arguments.model)
for name, (layers, hidden, inner, heads) in SHAPES.items():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=layers,
        hidden_size=hidden,
        intermediate_size=inner,
        num_attention_heads=heads,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(arguments.out / name)
    tokenizer.save_pretrained(arguments.out / name)

draw = random.Random(0)
folder = arguments.out / "short"
folder.mkdir(parents=True, exist_ok=True)
with gzip.open(arguments.data / "corpus.jsonl.gz", "rt") as lines, gzip.open(folder / "corpus.jsonl.gz", "wt") as out:
    for document in map(json.loads, lines):
        words = document["text"].split()[: draw.randint(8, 32)]
        out.write(json.dumps({"_id": document["_id"], "title": "", "text": " ".join(words)}) + "\n")
