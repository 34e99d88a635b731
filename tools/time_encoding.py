"""Encode a corpus with OpenVINO, or with PyTorch's compiler, and print real tokens per second.

    python tools/time_encoding.py --model MODEL --corpus CORPUS.jsonl[.gz] --engine openvino-int8 [--limit 500 --out VECTORS.npy]

Texts go in batches of similar length, padded to the longest; tokens are counted without padding.  After a pass that is not
counted, since it compiles, one pass is timed with each of `--batch-sizes`, and the fastest is printed as a line of JSON.
OpenVINO is told to aim for throughput: batches wait in its queue while the next ones are tokenized.  `openvino-int8` is
NNCF's quantisation for Transformers, activations too, calibrated on the first hundred documents, with what stays in
floating point in bf16, as in sbmoe.  PyTorch's compiler needs one of C++.
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


def openvino_passes(model, precision, tokens, texts, threads):
    """A function that takes `(places, tokens)` of batches and hands places, mask and last hidden states to another."""
    import openvino

    example = {name: tokens(["a first text", "a second"])[name] for name in INPUTS}
    graph = openvino.convert_model(model, example_input=example)
    if precision == "int8":
        import nncf

        samples = [{name: tokens([text])[name].numpy() for name in INPUTS} for text in texts[:CALIBRATION_TEXTS]]
        dataset = nncf.Dataset(samples)
        graph = nncf.quantize(graph, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples))
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_NUM_THREADS": threads}
    settings["INFERENCE_PRECISION_HINT"] = "f32" if precision == "f32" else "bf16"
    compiled = openvino.compile_model(graph, "CPU", settings)

    def run(batches, finish):
        queue = openvino.AsyncInferQueue(compiled)
        queue.set_callback(lambda request, own: finish(*own, torch.from_numpy(request.get_output_tensor(0).data)))
        for places, batch in batches:
            queue.start_async({name: batch[name].numpy() for name in INPUTS}, (places, batch["attention_mask"]))
        queue.wait_all()

    return run


def compiled_passes(model, precision):
    """The same by `torch.compile`, to which weights are constants."""
    import torch._inductor.config

    torch._inductor.config.freezing = True
    compiled = torch.compile(model, dynamic=True)

    def run(batches, finish):
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            for places, batch in batches:
                finish(places, batch["attention_mask"], compiled(**batch).last_hidden_state)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    engines = ["openvino-f32", "openvino-bf16", "openvino-int8", "compiled-f32", "compiled-bf16"]
    parser.add_argument("--engine", choices=engines, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32])
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
        run = openvino_passes(model, precision, tokens, texts, arguments.threads)
    else:
        run = compiled_passes(model, precision)
    order = np.argsort([-len(text) for text in texts], kind="stable")
    vectors = np.zeros((len(texts), model.config.hidden_size), np.float32)
    n_tokens = sum(len(ids) for ids in tokenizer(texts, truncation=True, max_length=arguments.max_length)["input_ids"])

    def finish(places, mask, hidden):
        mask = mask.unsqueeze(-1).float()
        vectors[places] = ((hidden.float() * mask).sum(1) / mask.sum(1)).numpy()

    def seconds(batch_size):
        start = time.perf_counter()
        parts = np.split(order, range(batch_size, len(order), batch_size))
        run(((places, tokens([texts[place] for place in places])) for places in parts), finish)
        return time.perf_counter() - start

    seconds(arguments.batch_sizes[0])
    fastest, batch_size = min((seconds(size), size) for size in arguments.batch_sizes)
    if arguments.out:
        np.save(arguments.out, vectors)
    rate = round(n_tokens / fastest)
    print(json.dumps({"engine": arguments.engine, "batch_size": batch_size, "tokens": n_tokens, "tokens_per_s": rate}))


if __name__ == "__main__":
    main()
