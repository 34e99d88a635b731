"""Times PyTorch training the block on vectors that are at hand: the work of `sbmoe train --freeze-encoder`, without its reading.

    python tools/time_frozen_block.py --experts 6 --hidden 384 --batch-size 64 --steps 300

Prints one line of JSON.  The vectors are random: the work does not depend on what they hold.
"""

import argparse
import json
import resource
import time

import torch
from torch.nn.functional import cross_entropy

from reference_frozen import COMBINATION, start_block
from sbmoe_block import combine, expert_outputs, gate_probabilities, training_weights

WARMUP = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experts", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    n, hidden, experts = arguments.batch_size, arguments.hidden, arguments.experts
    vectors = torch.randn(4096, hidden)
    parameters = start_block(hidden, experts, hidden // 2)
    optimizer = torch.optim.AdamW([p for name, p in parameters.items() if not name.startswith("noise.")], lr=1e-4)

    def represent(x: torch.Tensor) -> torch.Tensor:
        probabilities = gate_probabilities(x, parameters, 0.0, None)
        weights = training_weights("soft", probabilities, torch.rand(len(x), experts))
        return combine(x, weights, expert_outputs(x, parameters), COMBINATION)

    for step in range(WARMUP + arguments.steps):
        if step == WARMUP:
            start = time.perf_counter()
        queries, documents = (vectors[torch.randint(len(vectors), (n,))] for _ in range(2))
        loss = cross_entropy(represent(queries) @ represent(documents).T, torch.arange(n))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    pairs = arguments.steps * n / seconds
    print(json.dumps({"engine": "torch", "pairs_per_s": round(pairs), "steps": arguments.steps, "peak_rss_mb": memory}))


if __name__ == "__main__":
    main()
