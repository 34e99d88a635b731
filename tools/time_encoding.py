"""Encode a corpus with OpenVINO, or with PyTorch's compiler, and print real tokens per second.

    python tools/time_encoding.py --model MODEL --corpus CORPUS.jsonl[.gz] --engine openvino-int8 [--limit 500 --out VECTORS.npy]

The second of two passes is timed: the first one compiles.  Texts go in batches of similar length, padded to the longest;
tokens are counted without padding.  `openvino-int8` is NNCF's quantisation for Transformers, activations too, calibrated on
the first hundred documents.  Prints one line of JSON.
"""

import argparse
import gzip
import json
import os
import time

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
CALIBRATION_TEXTS = 100


def read_texts(path: str, limit: int) -> list[str]:
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for _, line in zip(range(limit), lines)]
    return [f"{d.get('title', '')} {d['text']}".lower() for d in documents]


def openvino_model(model, precision, tokens, texts, threads):
    """A function of a batch of tokens that gives the last hidden states."""
    import openvino

    example = {name: tokens(["a first text", "a second"])[name] for name in INPUTS}
    graph = openvino.convert_model(model, example_input=example)
    if precision == "int8":
        import nncf

        samples = [{name: tokens([text])[name].numpy() for name in INPUTS} for text in texts[:CALIBRATION_TEXTS]]
        dataset = nncf.Dataset(samples)
        graph = nncf.quantize(graph, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples))
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    settings["INFERENCE_PRECISION_HINT"] = "bf16" if precision == "bf16" else "f32"
    compiled = openvino.compile_model(graph, "CPU", settings)
    return lambda batch: torch.from_numpy(compiled({name: batch[name].numpy() for name in INPUTS})[0])


def compiled_model(model, precision):
    """The same, by `torch.compile`, whose weights are constants."""
    import torch._inductor.config

    torch._inductor.config.freezing = True
    compiled = torch.compile(model, dynamic=True)

    def run(batch):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            return compiled(**batch).last_hidden_state

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    engines = ["openvino-f32", "openvino-bf16", "openvino-int8", "compiled-f32", "compiled-bf16"]
    parser.add_argument("--engine", choices=engines, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", help="write the vectors here as .npy")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    texts = read_texts(arguments.corpus, arguments.limit)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModel.from_pretrained(arguments.model, attn_implementation="sdpa").eval()

    def tokens(texts):
        return tokenizer(texts, padding=True, truncation=True, max_length=arguments.max_length, return_tensors="pt")

    library, precision = arguments.engine.split("-")
    if library == "openvino":
        encode = openvino_model(model, precision, tokens, texts, arguments.threads)
    else:
        encode = compiled_model(model, precision)

    def run():
        order = np.argsort([-len(text) for text in texts], kind="stable")
        vectors, n_tokens = np.zeros((len(texts), model.config.hidden_size), np.float32), 0
        for places in np.split(order, range(arguments.batch_size, len(order), arguments.batch_size)):
            batch = tokens([texts[place] for place in places])
            mask = batch["attention_mask"].unsqueeze(-1).float()
            vectors[places] = ((encode(batch).float() * mask).sum(1) / mask.sum(1)).numpy()
            n_tokens += int(mask.sum())
        return vectors, n_tokens

    run()
    start = time.perf_counter()
    vectors, n_tokens = run()
    seconds = time.perf_counter() - start
    if arguments.out:
        np.save(arguments.out, vectors)
    print(json.dumps({"engine": arguments.engine, "tokens": n_tokens, "tokens_per_s": round(n_tokens / seconds)}))


if __name__ == "__main__":
    main()
