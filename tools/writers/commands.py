"""Every command that writes: what stands before it, what it leaves, and how it goes on where it was killed.

A command runs in a folder of its own and names its output by a relative path, so that two undisturbed runs leave the same
bytes wherever they run.
"""
import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

# What differs from run to run in a training's journal: clocks.
CLOCKS = ("time", "seconds", "tokens_per_s")

# Of a training's folder: the machine and its clock, steps for TensorBoard with times, and the state to go on from.
LEFT_OUT = ("env.json", "tensorboard", "checkpoint", ".pooled")


@dataclass
class Command:
    name: str
    # The arguments of each setting; a kill uses the first, and a race the first two against each other.
    settings: list
    # What the command writes, relative to its folder.
    outputs: list
    # Commands, or a function of the folder, that make what stands before.
    before: list = field(default_factory=list)
    # Whether the command is repeated with `--resume` where its run has begun.
    resumes: bool = False
    # Outputs that are at every moment what stood before or the whole new one.
    whole: list = field(default_factory=list)
    # Indexes to check when they are there.
    indexes: list = field(default_factory=list)
    kills: int = 0
    races: int = 0
    # What the one that comes too late may be told besides the other's number.
    too_late: tuple = ()
    # Whether the first is always the first to start.
    in_order: bool = False


def commands(world, prepared):
    """The commands; `prepared` is a folder with what some need first (`prepare`)."""
    encoder, other = f"--model={world.encoder}", f"--model={world.other_encoder}"
    encode = ["encode", encoder, f"--corpus={world.data}", "--out=index"]
    frozen = ["train", "--freeze-encoder", "--experts=2", "--epochs=4", encoder, "--out=run"]
    whole = [*frozen, f"--data={world.data}", "--similarity=cos"]
    of_pairs = [*frozen, f"--pairs={world.few_pairs}"]
    full = ["train", encoder, f"--data={world.small}", "--out=run", "--experts=2", "--keep=last", "--epochs=2"]
    of_index = [f"--index={prepared}/index", encoder, f"--queries={world.data}"]
    search = ["search", *of_index, "--out=run.trec"]
    mine = ["mine", *of_index, "--split=train", f"--qrels={world.data}", "--relative=off", "--ranks=1-900",
            "--negatives=800", "--out=negatives.jsonl", "--overwrite"]
    round_ = ["index", "round", "index", "--storage=int8"]
    quickstart = ["quickstart", "--work=work"]
    a_run = ("holds a run", "holds a model")
    an_index = ("already holds an index",)
    run, index, model = ["run"], ["index"], ["run/model"]
    of_work = ["work/run/model", "work/run-encoder.trec", "work/run-sbmoe.trec"]

    def resumed(folder):
        shutil.copytree(f"{prepared}/stopped", folder / "run", symlinks=True)

    def copied(folder):
        shutil.copytree(f"{prepared}/many", folder / "index")

    def rounded(folder):
        shutil.copytree(f"{prepared}/rounded", folder / "index")

    def old_model(folder):
        shutil.copytree(f"{prepared}/model", folder / "model")

    def late(text):
        return lambda folder: (folder / text).write_text("what stood here before\n")

    seeds = [[*whole, "--seed=2"], [*whole, "--seed=3"]]
    return [
        Command("train, frozen", seeds, run, whole=model, resumes=True, kills=30, races=25, too_late=a_run),
        Command("train, frozen, over another", [[*s, "--overwrite"] for s in seeds], run, before=[[*whole, "--seed=1"]],
                whole=model, kills=25, races=15),
        Command("train, full", [[*full, "--seed=2"], [*full, "--seed=3"]], run, whole=model, resumes=True, kills=30, races=15,
                too_late=a_run),
        Command("train, folds", [[*frozen, f"--data={world.undivided}"]], run, whole=model, resumes=True, kills=25),
        Command("train, folds, retrained", [[*frozen, f"--data={world.undivided}", "--retrain"]], run, whole=model, resumes=True,
                kills=15),
        Command("train, pairs", [of_pairs, [*of_pairs, "--seed=3"]], run, whole=model, resumes=True, kills=25, races=10, too_late=a_run),
        Command("train, pairs, over another", [[*of_pairs, "--seed=2", "--overwrite"]], run,
                before=[[*frozen, f"--pairs={world.more_pairs}"]], whole=model, kills=20),
        Command("train --resume", [["train", "--resume", "--out=run"]] * 2, run, before=[resumed], whole=model, resumes=True, kills=30,
                races=10),
        Command("encode", [encode, [*encode, "--max-length=16"]], index, indexes=index, kills=30, races=30,
                too_late=an_index),
        Command("encode --keep-pooled", [[*encode, "--keep-pooled"], encode], index, indexes=index, kills=25, races=10,
                too_late=an_index),
        Command("encode --storage int8", [[*encode, "--storage=int8"], [*encode, "--storage=bf16"]], index, indexes=index,
                kills=25, races=10, too_late=an_index),
        Command("encode --from", [["encode", encoder, f"--from={prepared}/many", "--out=index", *more]
                                  for more in (["--keep-pooled"], ["--normalize=on"])],
                index, indexes=index, kills=20, races=10, too_late=an_index),
        Command("encode, then index round", [encode, round_], index, indexes=index, races=20, in_order=True,
                too_late=("holds no index",)),
        Command("index round", [round_, [*round_[:-1], "--storage=bf16"]], index, before=[copied], indexes=index, kills=25,
                races=30),
        Command("index round, of another copy", [round_, [*round_[:-1], "--storage=f32"]], index, before=[rounded],
                indexes=index, kills=20, races=10),
        Command("search --out", [search, [*search, "--tag=other"]], ["run.trec"], before=[late("run.trec")], whole=["run.trec"],
                kills=20, races=20),
        Command("mine --out", [mine, [*mine, "--sampling=random"]], ["negatives.jsonl"], before=[late("negatives.jsonl")],
                whole=["negatives.jsonl"], kills=20, races=15),
        Command("data pairs", [["data", "pairs", str(pairs), "made"] for pairs in (world.pairs, world.other_pairs)],
                ["made"], whole=["made"], kills=20, races=25, too_late=("holds", "not empty", "is there", "exists")),
        Command("import", [["import", f"--checkpoint={world.authors}/zip.pt", f"--model={world.authors}/base",
                            "--out=model", *more] for more in ([], ["--gate=all"])],
                ["model"], before=[old_model], whole=["model"], kills=15, races=15),
        Command("quickstart", [[*quickstart, encoder], [*quickstart, other]], ["work"], whole=of_work,
                indexes=["work/index-encoder", "work/index-sbmoe"], kills=12, races=8, too_late=("another encoder",)),
        Command("quickstart --overwrite", [[*quickstart, encoder, "--overwrite"], [*quickstart, other, "--overwrite"]], ["work"],
                before=[[*quickstart, other]], indexes=["work/index-encoder", "work/index-sbmoe"], kills=8, races=4),
    ]


def prepare(folder, world, sbmoe, stop):
    """Makes what commands read that others of them write; `stop` interrupts a training in its midst."""
    encoder = f"--model={world.encoder}"
    many = ["encode", encoder, f"--corpus={world.many}", "--keep-pooled"]
    sbmoe(folder, ["encode", encoder, f"--corpus={world.data}", "--out=index"])
    sbmoe(folder, [*many, "--out=many"])
    shutil.copytree(folder / "many", folder / "rounded")
    sbmoe(folder, ["index", "round", "rounded", "--storage=bf16"])
    sbmoe(folder, ["import", f"--checkpoint={world.authors}/zip.pt", f"--model={world.authors}/base", "--out=model",
                   "--gate=uniform"])
    stop(folder, ["train", encoder, f"--data={world.small}", "--out=stopped", "--experts=2", "--similarity=cos"])


def content(folder, outputs):
    """Every file of the outputs by its path, with a hash of what does not depend on the clock."""
    found = {}
    for output in outputs:
        top = folder / output
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not set(name.parts) & set(LEFT_OUT):
                found[str(name)] = hashlib.sha256(_timeless(path)).hexdigest()
    return found


def _timeless(path: Path):
    data = path.read_bytes()
    if path.name not in ("train.jsonl", "validation.jsonl"):
        return data
    steps = map(json.loads, data.splitlines())
    return "".join(json.dumps({k: v for k, v in step.items() if k not in CLOCKS}) + "\n" for step in steps).encode()


def leftovers(folder):
    """Hidden names and partial files, which no finished command leaves; `.pooled/` is a store with a lock of its own."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    ours = [name for name in names if name.parts[0] != ".pooled" and ".pooled" not in name.parts]
    stored = [path.relative_to(folder) for path in folder.rglob(".pooled/**/*.partial")]
    return [str(name) for name in ours if name.suffix in (".partial", ".probe", ".lock") or name.name.startswith(".")] + [
        str(name) for name in stored]
