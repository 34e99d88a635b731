"""Time exact search beside FAISS's flat index: the same sizes, alternating, medians.

    python tools/compare_search.py [--n 200000 --dim 384 --queries 1000 --k 100 --rounds 3]

Both draw clustered Gaussian vectors of their own, and answer the queries in one batch and ten of them one at a time.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, default in {"n": 200_000, "dim": 384, "queries": 1000, "k": 100, "rounds": 3}.items():
    parser.add_argument(f"--{name}", type=int, default=default)
parser.add_argument("--faiss", action="store_true", help="time FAISS in this process and print one line of JSON")
arguments = parser.parse_args()


def faiss_times():
    import faiss
    import numpy

    draws = numpy.random.default_rng(42)
    n, dim = arguments.n, arguments.dim
    centres = draws.standard_normal((1000, dim), numpy.float32)
    vectors = centres[draws.integers(1000, size=n)] + 0.7 * draws.standard_normal((n, dim), numpy.float32)
    noise = 0.1 * draws.standard_normal((arguments.queries, dim), numpy.float32)
    queries = vectors[draws.choice(n, arguments.queries, replace=False)] + noise
    index = faiss.IndexFlatIP(dim)
    index.add(vectors)

    def seconds(batch):
        start = time.perf_counter()
        index.search(batch, arguments.k)
        return time.perf_counter() - start

    batch = statistics.median(seconds(queries) for _ in range(3))
    single = statistics.median(seconds(queries[i : i + 1]) for i in range(30))
    print(json.dumps({"queries_per_s": arguments.queries / batch, "single_ms": 1e3 * single}))


def ours(storage):
    sizes = [f for name in ["n", "dim", "queries", "k"] for f in (f"--{name}", str(getattr(arguments, name)))]
    bench = ["cargo", "bench", "-q", "-p", "sbmoe-index", "--bench", "search", "--", *sizes]
    return run([*bench, "--repeat", "3", "--storage", storage])


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


if arguments.faiss:
    faiss_times()
    sys.exit()
contests = {"faiss": lambda: run([sys.executable, *sys.argv, "--faiss"])}
contests |= {storage: lambda storage=storage: ours(storage) for storage in ["f32", "int8", "bf16"]}
rounds = [{name: contest() for name, contest in contests.items()} for _ in range(arguments.rounds)]
for name in contests:
    batch, single = (statistics.median(r[name][key] for r in rounds) for key in ("queries_per_s", "single_ms"))
    faster = statistics.median(r[name]["queries_per_s"] / r["faiss"]["queries_per_s"] for r in rounds)
    latency = statistics.median(r[name]["single_ms"] / r["faiss"]["single_ms"] for r in rounds)
    print(f"{name:6} {batch:7.0f} queries/s ({faster:.2f} × FAISS)   one query {single:6.1f} ms ({latency:.2f} × FAISS)")
