"""Time sbmoe beside the libraries that its users know: the same work, alternating, medians of the ratios.

    python tools/compare_speed.py --sbmoe target/release/sbmoe --peers PEERS --model MODEL --data DATA/scifact encode train

PEERS is the folder of the programs that do the work with PyTorch, sentence-transformers and ONNX Runtime; beside this one,
`time_encoding.py` does it with OpenVINO and PyTorch's compiler, and `time_compiled.py` trains with the latter.  Each prints
one line of JSON.
Encoding is timed with everything that the command does (loading the model and writing the index included), and the peers
without their loading; OpenVINO and compiled models after a pass that is not counted, in the better of two batch sizes, the
others in their first.  Training is timed over the steps after the first two (compiled, after four), training of the block on a frozen
encoder in pairs a second after the first twenty; its vectors are made by the first run and found by the others.
An encoding's GOP/s are the operations of its products and of attention at the mean length, for the share of the limit that
`cargo bench -p sbmoe-kernels` measures.
What the engines encode is compared too: the largest difference of a number from PyTorch's, and the smallest cosine.
"""
import argparse
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("work", nargs="+", choices=["encode", "bf16", "int8", "train", "train-bf16", "frozen"])
parser.add_argument("--sbmoe", type=Path, required=True)
parser.add_argument("--peers", type=Path, required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--documents", type=int, default=500)
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--work-folder", type=Path, help="where the block's runs lie and find the stored vectors of earlier ones")
arguments = parser.parse_args()


# The vectors of a frozen encoder are stored beside the runs: all rounds share this folder.
TEMPORARY = tempfile.TemporaryDirectory()
WORK = arguments.work_folder or Path(TEMPORARY.name)
WORK.mkdir(parents=True, exist_ok=True)
TOOLS = Path(__file__).parent


def measured(command):
    """Standard output, and the peak memory in MB, of a command."""
    timed = ["/usr/bin/time", "-f", "peak %M", *map(str, command)]
    result = subprocess.run(timed, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{result.stderr[-2000:]}")
    return result.stdout, int(result.stderr.rsplit("peak ", 1)[1]) // 1024


def peer(program, *switches):
    out, memory = measured([sys.executable, *program, "--model", arguments.model, *switches])
    return json.loads(out.splitlines()[-1])["tokens_per_s"], memory


def encode_peer(engine):
    switches = ["--limit", arguments.documents, "--engine", engine, "--out", WORK / f"{engine}.npy"]
    is_compiled = engine.startswith(("openvino-", "compiled-"))
    program = TOOLS / "time_encoding.py" if is_compiled else arguments.peers / "encode.py"
    return peer([program], "--corpus", arguments.data / "corpus.jsonl.gz", *switches)


def encode_ours(precision):
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        with gzip.open(arguments.data / "corpus.jsonl.gz", "rt") as lines, corpus.open("w") as out:
            out.writelines(line for _, line in zip(range(arguments.documents), lines))
        switches = ["--corpus", corpus, "--out", Path(folder) / "index", "--max-length", 256, "--normalize", "off"]
        command = [arguments.sbmoe, "encode", "--model", arguments.model, *switches, "--precision", precision, "--json"]
        out, memory = measured(command)
        report = json.loads(out)
        RATES[precision] = operations(report["tokens"] / arguments.documents) * report["tokens"] / report["seconds"] / 1e9
        shutil.copy(Path(folder) / "index" / "vectors.npy", WORK / "sbmoe.npy")
        return report["tokens"] / report["seconds"], memory


RATES = {}


def operations(length):
    """Of a token in a text of so many: the products' and attention's multiplications and additions."""
    shape = json.loads((Path(arguments.model) / "config.json").read_text())
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    return shape["num_hidden_layers"] * (8 * hidden * hidden + 4 * hidden * inner + 4 * hidden * length)


def agreement(engine):
    """How far the vectors of the last round are from PyTorch's in f32."""
    ours, theirs = np.load(WORK / f"{engine}.npy"), np.load(WORK / "torch.npy")
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.abs(ours - theirs).max(), ((ours * theirs).sum(axis=1) / lengths).min()


def train_ours(precision):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        switches = ["--preset", "paper", "--epochs", 1, "--max-length", 256, "--batch-size", 64, "--validation", 0]
        queries = ["--set", f"train_queries={64 * arguments.steps}"]
        command = [arguments.sbmoe, "train", "--data", arguments.data, "--model", arguments.model, "--out", run]
        _, memory = measured([*command, *switches, *queries, "--precision", precision])
        steps = [json.loads(line) for line in (run / "train.jsonl").read_text().splitlines()][2:]
        return sum(s["tokens"] for s in steps) / sum(s["tokens"] / s["tokens_per_s"] for s in steps), memory


def train_peer(*switches):
    return peer([arguments.peers / "train.py"], "--data", arguments.data, "--steps", arguments.steps, *switches)


def train_compiled(*switches):
    program = [TOOLS / "time_compiled.py", arguments.peers / "train.py"]
    return peer(program, "--data", arguments.data, "--steps", arguments.steps, "--warmup", 4, *switches)


def frozen_ours():
    with tempfile.TemporaryDirectory(dir=WORK) as run:
        switches = ["--freeze-encoder", "--epochs", 100, "--max-length", 128, "--validation", 0, "--set", "train_queries=256"]
        command = [arguments.sbmoe, "train", "--data", arguments.data, "--model", arguments.model, "--out", run]
        _, memory = measured([*command, *switches])
        seconds = [json.loads(line)["seconds"] for line in (Path(run) / "train.jsonl").read_text().splitlines()][20:]
        return 64 * len(seconds) / sum(seconds), memory


def frozen_peer():
    out, memory = measured([sys.executable, TOOLS / "time_frozen_block.py"])
    return json.loads(out.splitlines()[-1])["pairs_per_s"], memory


def encoding(precision, engines):
    return lambda: encode_ours(precision), {engine: lambda engine=engine: encode_peer(engine) for engine in engines}


CONTESTS = {
    "encode": encoding("f32", ["openvino-f32", "ort", "torch", "st", "compiled-f32"]),
    "bf16": encoding("bf16", ["openvino-bf16", "torch-bf16", "compiled-bf16"]),
    "int8": encoding("int8", ["openvino-int8", "ort-int8"]),
    "train": (lambda: train_ours("f32"), {"torch": train_peer, "compiled": train_compiled}),
    "train-bf16": (
        lambda: train_ours("bf16"),
        {"autocast": lambda: train_peer("--bf16"), "compiled": lambda: train_compiled("--bf16")},
    ),
    "frozen": (frozen_ours, {"torch": frozen_peer}),
}
for work in arguments.work:
    ours, peers = CONTESTS[work]
    rounds = [{"sbmoe": ours(), **{name: run() for name, run in peers.items()}} for _ in range(arguments.rounds)]
    for name in rounds[0]:
        speed, memory = (statistics.median(r[name][i] for r in rounds) for i in (0, 1))
        unit = "pairs" if work == "frozen" else "tokens"
        ratio = statistics.median(r["sbmoe"][0] / r[name][0] for r in rounds)
        print(f"{work:10} {name:13} {speed:8.0f} {unit}/s {memory:7.0f} MB   sbmoe/{name} {ratio:.2f}", flush=True)
    if work in ["encode", "bf16", "int8"]:
        print(f"{work:10} sbmoe         {RATES['f32' if work == 'encode' else work]:.0f} GOP/s", flush=True)
        if not (WORK / "torch.npy").exists():
            encode_peer("torch")
        for engine in ["sbmoe", *(name for name in peers if name != "torch")]:
            difference, cosine = agreement(engine)
            print(f"{work:10} {engine:13} differs from PyTorch in f32 by {difference:.1e}, cosine {cosine:.6f} or more", flush=True)
