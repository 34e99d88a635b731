"""A pair of files with the numbers that the Rust tests expect: tensors (`.safetensors`) and facts (`.json`).

Starting values (parameters, inputs, noise) are kept as F32 and are exactly representable there, so that programs in
f32 and in f64 begin from the same numbers. Expected values are kept as F64 and come from f64 arithmetic alone.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

# Two results of different processors may differ in the last bits; anything above is another program.
CHECK_TOLERANCE = 1e-9

# A choice (arg max, max pooling, relu's kink) closer than this could fall otherwise in f32, and would say nothing.
MARGIN = 1e-4


class Draw:
    """Random numbers from a seed, rounded to what f32 holds and returned in f64."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, scale: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        values = torch.randn(*shape, generator=self.generator, dtype=torch.float64)
        return representable(mean + scale * values)

    def uniform(self, *shape: int) -> torch.Tensor:
        return representable(torch.rand(*shape, generator=self.generator, dtype=torch.float64))

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """`count` integers in `low..high`, `high` excluded."""
        return torch.randint(low, high, (count,), generator=self.generator).tolist()


def representable(values: torch.Tensor) -> torch.Tensor:
    return values.float().double()


class Golden:
    """What one pair of files holds."""

    def __init__(self, facts: dict):
        self.facts = facts
        self.tensors: dict[str, torch.Tensor] = {}

    def given(self, name: str, values: torch.Tensor) -> None:
        """Stores a starting value as F32; refuses one that F32 would change."""
        values = values.detach()
        if not torch.equal(representable(values), values.double()):
            raise ValueError(f"`{name}` is not representable in f32")
        self._add(name, values.float())

    def expected(self, name: str, values: torch.Tensor) -> None:
        """Stores an expected value as F64."""
        values = values.detach()
        if values.dtype != torch.float64:
            raise ValueError(f"`{name}` was computed in {values.dtype}, expected float64")
        if not torch.isfinite(values).all():
            raise ValueError(f"`{name}` is not finite")
        self._add(name, values)

    def _add(self, name: str, values: torch.Tensor) -> None:
        if name in self.tensors:
            raise ValueError(f"`{name}` is stored twice")
        self.tensors[name] = values.contiguous().clone()

    def save(self, stem: Path) -> int:
        """Writes `stem.json` and, when there are tensors, `stem.safetensors`; returns the bytes written."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        facts = stem.with_suffix(".json")
        facts.write_text(readable_json(self.facts))
        size = facts.stat().st_size
        if self.tensors:
            tensors = stem.with_suffix(".safetensors")
            save_file(self.tensors, tensors)
            size += tensors.stat().st_size
        return size

    def check(self, stem: Path) -> float:
        """Compares with the files already there; returns the largest absolute difference, or raises."""
        if json.loads(stem.with_suffix(".json").read_text()) != json.loads(readable_json(self.facts)):
            raise SystemExit(f"`{stem}.json` differs from what the program makes now")
        if not self.tensors:
            return 0.0
        stored = load_file(stem.with_suffix(".safetensors"))
        if stored.keys() != self.tensors.keys():
            raise SystemExit(f"`{stem}.safetensors` names other tensors: {sorted(stored.keys() ^ self.tensors.keys())}")
        worst = 0.0
        for name, values in self.tensors.items():
            if stored[name].dtype != values.dtype or stored[name].shape != values.shape:
                raise SystemExit(f"`{name}` in `{stem}.safetensors` has another type or shape")
            difference = (stored[name] - values).abs().max().item()
            if difference > CHECK_TOLERANCE:
                raise SystemExit(f"`{name}` in `{stem}.safetensors` differs by {difference:.3e}")
            worst = max(worst, difference)
        return worst


def readable_json(facts: dict) -> str:
    return layout(facts, "") + "\n"


def layout(value: object, indent: str, width: int = 120) -> str:
    """JSON with what fits on one line there, the rest indented by two."""
    compact = json.dumps(value)
    if not isinstance(value, (dict, list)) or len(indent) + len(compact) <= width:
        return compact
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {layout(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + layout(item, inner) for item in value) + f"\n{indent}]"


def require_margin(what: str, gaps: torch.Tensor, margin: float = MARGIN) -> None:
    """Refuses a fixture in which rounding could decide: every gap must exceed the margin."""
    smallest = gaps.abs().min().item()
    if smallest < margin:
        raise SystemExit(f"{what}: a choice is decided by {smallest:.2e}; take another seed")


def top_two_gap(values: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """How far the largest value stands above the second along `dim`; one value stands infinitely far."""
    if values.shape[dim] < 2:
        return torch.full((1,), torch.inf, dtype=values.dtype)
    top = values.topk(2, dim=dim).values
    return top.select(dim, 0) - top.select(dim, 1)
