"""Checks the block's module of sentence-transformers, `sbmoe.py`, against the block's functions in plain PyTorch.

Tiny model folders with random weights are made as sbmoe writes them, one for each kind of block, chain and side. Each is
loaded, encodes a few texts with `encode`, `encode_query` and `encode_document`, is saved again by sentence-transformers
and read back. Exit code: 0 all the same, 1 something differs.

    python tools/check_module.py
"""

import argparse
import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import sentence_transformers
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel, dynamic_module_utils
from transformers.utils import logging

from sbmoe_block import COMBINATIONS, Parameters, block_shapes, linear_shapes, use

PROGRAM = Path(__file__).resolve().parent.parent / "crates/model/src/folder/sbmoe.py"
HIDDEN, EXPERTS, WIDTH, RANK = 8, 3, 4, 2
WORDS = ["dense", "retrieval", "of", "short", "texts", "with", "a", "small", "block"]
TEXTS = ["dense retrieval", "a small block", "texts", "retrieval of short texts with a small dense block"]
TOLERANCE = 2e-6
SIDES = ("query", "document")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    print(f"sentence-transformers {sentence_transformers.__version__}")
    logging.disable_progress_bar()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Where programs of model folders are copied to be run; the user's own place would keep these.
        dynamic_module_utils.HF_MODULES_CACHE = str(folder / "programs")
        encoder = write_encoder(folder / "encoder")
        pooled = torch.from_numpy(load(encoder).encode(TEXTS, show_progress_bar=False)).double()
        for number, (config, cosine) in enumerate(cases()):
            model = folder / f"model-{number}"
            parameters = write_model(model, encoder, config, cosine, seed=number)
            problems = check(model, config, cosine, parameters, pooled)
            verdict = "differ" if problems else "same"
            print(f"{verdict}: {'cosine' if cosine else 'dot'}, {describe(config)}", *problems, sep="\n    ")
            failures += bool(problems)
        for changes, word in refusals():
            config = experts_config() | changes
            model = folder / f"refused-{word}"
            write_model(model, encoder, config, cosine=False, seed=0)
            message = error_of(lambda model=model: load(model))
            print(f"{'same' if word in message else 'differ'}: {changes} is refused: {message}")
            failures += word not in message
    print(f"{failures} differ" if failures else "all the same")
    return 1 if failures else 0


def experts_config(gate: str = "top1", combination: str = "normalize-mixture") -> dict:
    """What `config.json` holds for the paper's block, without the optional keys."""
    return {
        "hidden": HIDDEN,
        "experts": EXPERTS,
        "expert_width": WIDTH,
        "gate": gate,
        "train_gate": "soft",
        "combine": combination,
        "gate_noise": 0.0,
        "seed": 7,
    }


def linear_config(rank: int | None) -> dict:
    config = experts_config("uniform", "sum") | {"experts": 1, "expert_width": rank or HIDDEN, "train_gate": "uniform"}
    return {"kind": "linear"} | config | ({} if rank is None else {"rank": rank})


def cases() -> list[tuple[dict, bool]]:
    """Every gate with every combination as before; then kinds, scales and sides in both chains."""
    plain = [(experts_config(*modes), False) for modes in itertools.product(("top1", "all", "uniform"), COMBINATIONS)]
    bases = (experts_config("all"), experts_config("top1", "sum"), linear_config(None), linear_config(RANK))
    scales = ({}, {"input_scale": 4.0}, {"input_scale": 4.0, "residual": 0.5})
    sides = ({}, {"sides": "query"}, {"sides": "document"})
    others = itertools.product(bases, scales, sides, (False, True))
    return plain + [(base | scale | side, cosine) for base, scale, side, cosine in others]


def refusals() -> list[tuple[dict, str]]:
    """What a block may not say, and what the error must name."""
    wrong = {"kind": "cubic", "sides": "left", "gate": "random", "combine": "mean"}
    return [({key: value}, value) for key, value in wrong.items()]


def describe(config: dict) -> str:
    optional = ("rank", "sides", "input_scale", "residual")
    named = [f"{key} {config[key]}" for key in optional if key in config]
    return ", ".join([config.get("kind", "experts"), config["gate"], config["combine"], *named])


def check(model: Path, config: dict, cosine: bool, parameters: Parameters, pooled: torch.Tensor) -> list[str]:
    """What is wrong with a model."""
    problems = []
    loaded = load(model)
    kinds = [type(module).__name__ for module in loaded]
    expected = ["Transformer", "Pooling"] + (["Normalize", "SBMoE", "Normalize"] if cosine else ["SBMoE"])
    if kinds != expected:
        problems.append(f"the chain is {kinds}")
    vectors = encode_both_ways(loaded)
    for side, found in vectors.items():
        difference = (found - represent(pooled, parameters, config, side, cosine)).abs().max().item()
        if not difference <= TOLERANCE:
            problems.append(f"{side}: differs by {difference:.1e}")
    one_sided = config.get("sides", "both") != "both"
    if one_sided and torch.equal(vectors["query"], vectors["document"]):
        problems.append("both sides have the same vectors")
    problems += check_without_task(loaded, one_sided, vectors)
    for safe in (True, False):
        again = model.with_name(f"{model.name}-{'safetensors' if safe else 'bin'}")
        loaded.save(str(again), safe_serialization=safe, create_model_card=False)
        problems += check_copy(again, config, cosine, vectors)
    return problems


def represent(pooled: torch.Tensor, parameters: Parameters, config: dict, side: str, cosine: bool) -> torch.Tensor:
    """The chain behind the pooling, in f64."""
    if not cosine:
        return use(pooled, parameters, config, side)
    return normalize(use(normalize(pooled, dim=-1), parameters, config, side), dim=-1)


def check_without_task(loaded: SentenceTransformer, one_sided: bool, vectors: Parameters) -> list[str]:
    """A block for one side must ask which side; one for both must not need to know."""
    encode: Callable = lambda **task: torch.from_numpy(loaded.encode(TEXTS, show_progress_bar=False, **task)).double()
    if not one_sided:
        return [] if torch.equal(encode(), vectors["query"]) else ["`encode` gives other vectors than `encode_query`"]
    problems = []
    for task in ({}, {"task": "clustering"}):
        message = error_of(lambda task=task: encode(**task))
        if not ("encode_query" in message and "encode_document" in message):
            problems.append(f"`encode` with {task or 'no task'} gives: {message or 'no error'}")
    return problems


def check_copy(again: Path, config: dict, cosine: bool, vectors: Parameters) -> list[str]:
    """What a folder that sentence-transformers has written does differently."""
    problems = []
    stored = json.loads((again / ("3_SBMoE" if cosine else "2_SBMoE") / "config.json").read_text())
    if stored != config:
        problems.append(f"{again.name}: the configuration is {stored}")
    for side, found in encode_both_ways(load(again)).items():
        if not torch.equal(found, vectors[side]):
            problems.append(f"{again.name}, {side}: differs by {(found - vectors[side]).abs().max().item():.1e}")
    return problems


def encode_both_ways(model: SentenceTransformer) -> Parameters:
    """The vectors of the texts as queries and as documents, in f64 of what f32 gave."""
    ways = {"query": model.encode_query, "document": model.encode_document}
    return {side: torch.from_numpy(ways[side](TEXTS, show_progress_bar=False)).double() for side in SIDES}


def error_of(call: Callable[[], object]) -> str:
    """The message of the ValueError that the call raises; empty if it raises none."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


def load(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", trust_remote_code=True, local_files_only=True)


def write_encoder(folder: Path) -> Path:
    """A BERT with random weights and a few words, and mean pooling."""
    torch.manual_seed(1)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=16, initializer_range=0.5, **sizes))
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 16}
    write_json(folder / "tokenizer_config.json", tokenizer)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    settings = {"prompts": {"query": "", "document": ""}, "default_prompt_name": None, "similarity_fn_name": "dot"}
    write_json(folder / "config_sentence_transformers.json", settings)
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": True})
    write_chain(folder, [])
    return folder


def write_model(folder: Path, encoder: Path, config: dict, cosine: bool, seed: int) -> Parameters:
    """The encoder with a block of random weights behind it, which are returned in f64."""
    shutil.copytree(encoder, folder)
    linear = config.get("kind", "experts") == "linear"
    shapes = linear_shapes(HIDDEN, config.get("rank")) if linear else block_shapes(HIDDEN, EXPERTS, WIDTH)
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: 0.5 * torch.randn(*shape, generator=generator) for name, shape in shapes.items()}
    block = folder / ("3_SBMoE" if cosine else "2_SBMoE")
    write_json(block / "config.json", config)
    save_file(tensors, block / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(PROGRAM, folder)
    write_chain(folder, ["2_Normalize", "3_SBMoE", "4_Normalize"] if cosine else ["2_SBMoE"])
    return {name: values.double() for name, values in tensors.items()}


def write_chain(folder: Path, behind: list[str]) -> None:
    """`modules.json`, in the names of the older generation, which sbmoe writes."""
    library = "sentence_transformers.models"
    modules = [("", f"{library}.Transformer"), ("1_Pooling", f"{library}.Pooling")]
    for path in behind:
        (folder / path).mkdir(exist_ok=True)
        modules.append((path, "sbmoe.SBMoE" if path.endswith("SBMoE") else f"{library}.Normalize"))
    entries = [{"idx": idx, "name": str(idx), "path": path, "type": kind} for idx, (path, kind) in enumerate(modules)]
    write_json(folder / "modules.json", entries)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
