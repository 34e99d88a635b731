"""Writes a tiny checkpoint as the paper's code saves it, and what `sbmoe import` must make of it.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0, safetensors 0.8.0:

    python tools/make_authors_checkpoint.py crates/sbmoe/tests/samples/authors

    base/                  the encoder that training began from; its weights differ from the trained ones
    zip.pt, legacy.pt      one state dictionary in both formats of torch.save, keys as in the authors' files
    expected.safetensors   its tensors by our names, without the pooler, which a retriever does not need
    expected.json          texts, and for each its vector under the gates TOP-1 and ALL, computed by PyTorch in f32

The weights depend on the seed alone. The older format names its storages by their addresses, so that a second run changes
the bytes of `legacy.pt` but no test.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizer

from golden_file import readable_json, require_margin, top_two_gap
from sbmoe_block import combine, expert_outputs, gate_probabilities, inference_weights

HIDDEN, EXPERTS = 8, 3

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] a lamp tide ##s rose with the moon low . ?".split()

# Capitals, an unknown word, a continued word, and more tokens than the model has positions.
TEXTS = ["The tide rose.", "a LAMP with tides ?", "moon", "Zeppelins low", "the moon rose . " * 5]

# A weight's spread: large enough that texts, experts and layers all show in the vectors.
SPREAD = 0.8


class Expert(torch.nn.Module):
    """Two layers; between them the authors' module has a relu and a dropout, which hold no tensors."""

    def __init__(self):
        super().__init__()
        self.query_embedding_changer_1 = torch.nn.Linear(HIDDEN, HIDDEN // 2)
        self.query_embedding_changer_4 = torch.nn.Linear(HIDDEN // 2, HIDDEN)


class AuthorsModel(torch.nn.Module):
    """The parts whose names make the keys of the authors' files."""

    def __init__(self, config):
        super().__init__()
        self.doc_model = BertModel(config)
        self.cls_1 = torch.nn.Linear(HIDDEN, HIDDEN // 2)
        self.cls_3 = torch.nn.Linear(HIDDEN // 2, EXPERTS)
        self.noise_linear = torch.nn.Linear(HIDDEN, EXPERTS)
        self.specializer = torch.nn.ModuleList(Expert() for _ in range(EXPERTS))


def randomized(module, seed):
    """Every parameter normal; layer-norm scales around 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            middle = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            parameter.copy_(middle + SPREAD * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def our_names(model):
    """The tensors that a saved model of ours holds, by the names of `sbmoe_block`."""
    tensors = {name: t for name, t in model.doc_model.state_dict().items() if not name.startswith("pooler.")}
    layers = {"gate.hidden": model.cls_1, "gate.output": model.cls_3, "noise": model.noise_linear}
    for i, expert in enumerate(model.specializer):
        layers[f"experts.{i}.down"] = expert.query_embedding_changer_1
        layers[f"experts.{i}.up"] = expert.query_embedding_changer_4
    for name, layer in layers.items():
        tensors[f"{name}.weight"] = layer.weight.detach()
        tensors[f"{name}.bias"] = layer.bias.detach()
    return {name: t.contiguous().clone() for name, t in tensors.items()}


def vectors(model, tensors, tokenizer, limit):
    """For each text its token ids and its vectors, one text at a time, so that nothing is padded."""
    records = []
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        x = model.doc_model(**ids).last_hidden_state.mean(1)
        p = gate_probabilities(x, tensors, 0.0, None)
        require_margin(text, top_two_gap(p))
        outputs = expert_outputs(x, tensors)
        record = {"text": text, "ids": ids["input_ids"][0].tolist(), "expert": p.argmax(-1).item()}
        for gate in ("top1", "all"):
            record[gate] = combine(x, inference_weights(gate, p), outputs, "normalize-mixture")[0].tolist()
        records.append(record)
    return records


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=16,
    )
    base = out / "base"
    randomized(BertModel(config), seed=1).save_pretrained(base)
    (base / "vocab.txt").write_text("\n".join(PIECES) + "\n")

    model = randomized(AuthorsModel(config), seed=2)
    torch.save(model.state_dict(), out / "zip.pt")
    torch.save(model.state_dict(), out / "legacy.pt", _use_new_zipfile_serialization=False)
    tensors = our_names(model)
    save_file(tensors, out / "expected.safetensors")
    with torch.no_grad():
        records = vectors(model, tensors, BertTokenizer.from_pretrained(base), config.max_position_embeddings)
    facts = {"experts": EXPERTS, "width": HIDDEN // 2, "hidden": HIDDEN, "texts": records}
    (out / "expected.json").write_text(readable_json(facts))
    print(json.dumps([(record["expert"], len(record["ids"])) for record in records]))


if __name__ == "__main__":
    main()
