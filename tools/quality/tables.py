"""The tables of `compare_quality.py`, in Markdown, from the lines of cells.jsonl."""

from collections import Counter, defaultdict

import numpy as np

from .cells import OURS, SYSTEMS

DRAWS = 10_000
SEED = 1

Cells = dict[tuple[str, str], list[dict]]


def interval(draws: np.ndarray) -> str:
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"[{low:+.4f}, {high:+.4f}]"


def averaged(cells: list[dict], queries: list[str]) -> np.ndarray:
    """Each query's nDCG@10, averaged over the seeds."""
    return np.array([[cell["scores"].get(query, 0.0) for query in queries] for cell in cells]).mean(axis=0)


def against_encoder(cells: list[dict], encoder: list[dict]) -> str:
    """The mean difference, with the 95 % interval of a bootstrap over queries."""
    queries = sorted(encoder[0]["scores"])
    difference = averaged(cells, queries) - averaged(encoder, queries)
    draw = np.random.default_rng(SEED)
    means = [difference[draw.integers(len(queries), size=len(queries))].mean() for _ in range(DRAWS)]
    return f"{difference.mean():+.4f} {interval(np.array(means))}"


def average(cells: list[dict], name: str) -> float | None:
    values = [cell[name] for cell in cells if cell.get(name) is not None]
    return float(np.mean(values)) if values else None


def seconds(cells: list[dict], choose) -> float | None:
    """Of training: the longest of the seeds (`max`), which with a frozen encoder computes its vectors, or the shortest."""
    return choose((cell["seconds"] for cell in cells if cell.get("seconds")), default=None)


def shown(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else format(value, form)


def by_collection(cells: Cells, collections: list[str]) -> list[str]:
    lines = ["| collection | system | seeds | nDCG@10 | unseen | minus encoder, 95 % | kept | training s | least | encoding s |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for collection in collections:
        encoder = cells.get((collection, "encoder"))
        for system in SYSTEMS:
            if not (found := cells.get((collection, system))):
                continue
            difference = against_encoder(found, encoder) if encoder and system != "encoder" else "–"
            kept = ", ".join(f"{name} × {n}" for name, n in sorted(Counter(c.get("kept") or "?" for c in found).items()))
            numbers = [shown(average(found, "ndcg")), shown(average(found, "unseen")), difference]
            numbers += [kept, *(shown(seconds(found, choose), ".1f") for choose in (max, min))]
            numbers += [shown(average(found, "encoding"), ".1f")]
            lines.append(f"| {collection} | {system} | {len(found)} | {' | '.join(numbers)} |")
    return lines


def difference_of(cells: Cells, ours: str, other: str, collections: list[str]) -> tuple[float, np.ndarray]:
    """The mean difference over collections, and draws of it: collections anew, and in each the seeds of both sides."""
    sides = [[np.array([c["ndcg"] for c in cells[name, system]]) for system in (ours, other)] for name in collections]
    draw = np.random.default_rng(SEED)

    def again(values: np.ndarray) -> float:
        return values[draw.integers(len(values), size=len(values))].mean()

    draws = np.empty(DRAWS)
    for i in range(DRAWS):
        picked = draw.integers(len(sides), size=len(sides))
        draws[i] = np.mean([again(sides[j][0]) - again(sides[j][1]) for j in picked])
    return float(np.mean([a.mean() - b.mean() for a, b in sides])), draws


def ratio(cells: Cells, other: str, ours: str, collections: list[str], choose) -> float | None:
    """The geometric mean of the other's training seconds over ours."""
    sides = [[seconds(cells[name, system], choose) for name in collections] for system in (other, ours)]
    if any(value is None for side in sides for value in side):
        return None
    return float(np.exp(np.mean(np.log(sides[0]) - np.log(sides[1]))))


def over_collections(cells: Cells, collections: list[str]) -> list[str]:
    lines = ["| ours | minus | collections | mean difference, 95 % | wins | their training s / ours | least |"]
    lines.append("|---|---|---|---|---|---|---|")
    for ours in OURS:
        for other in ("encoder", "peer"):
            both = [name for name in collections if (name, ours) in cells and (name, other) in cells]
            if not both:
                continue
            difference, draws = difference_of(cells, ours, other, both)
            means = {system: [average(cells[name, system], "ndcg") for name in both] for system in (ours, other)}
            wins = sum(a > b for a, b in zip(means[ours], means[other]))
            ratios = [ratio(cells, other, ours, both, choose) if other == "peer" else None for choose in (max, min)]
            bounds = interval(draws) if len(both) > 1 else "(one collection)"
            numbers = [f"{difference:+.4f} {bounds}", str(wins), *(shown(one, ".1f") for one in ratios)]
            lines.append(f"| {ours} | {other} | {len(both)} | {' | '.join(numbers)} |")
    return lines


def tables(lines: list[dict], collections: list[str], negatives: bool) -> str:
    """Both tables; a system's seeds are averaged before anything else."""
    cells: Cells = defaultdict(list)
    for line in lines:
        if line["collection"] in collections:
            cells[line["collection"], line["system"]].append(line)
    text = ["## By collection", "", *by_collection(cells, collections), ""]
    text += ["Means over seeds, test judgments. Intervals: bootstrap over queries of the seed-averaged values.", ""]
    text += ["## Over collections", "", *over_collections(cells, collections), ""]
    text += ["Intervals: bootstrap over collections, and over seeds within each; seconds: geometric mean of the ratios."]
    text += ["Training seconds are those of the longest seed, and of the shortest under `least`."]
    text += ["The first run with a frozen encoder computes the vectors of the corpus too, and later ones find them; the"]
    text += ["peer's seconds leave out its validation."]
    if negatives:
        text += ["Ours trained with mined negatives; the peer's recipe has none and trained without."]
    return "\n".join(text)
