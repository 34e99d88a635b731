"""Kill every command that writes at random moments, and let two write to one output at once: nothing may break.

    python tools/break_writers.py WORK --sbmoe target/release/sbmoe [--only TEXT] [--scale 1] [--seed 1]

A kill is SIGKILL at a random moment of a command.  What it replaces must then be the old one or the whole new one, an index
that has its manifest must pass `sbmoe index check`, and the command, repeated (with `--resume` where that is asked for), must
end with the bytes of a run that nobody disturbed and leave no partial file and no lock.
A race is two processes with different settings and one output, started within a tenth of a second.  The output must be that
of one of them, whole; the other must have done its work before or after, or end with exit code 2 and name the process that
was there (or say that the output is there already, where it came too late).

Files whose content is a clock's are left out: env.json, TensorBoard's, the seconds of train.jsonl.
The encoder and the collections are made up, so that nothing but the standard library is needed; systems with SIGKILL only.
WORK/failed keeps the folders of trials that went wrong, and the exit code is then 1.  `--scale` multiplies the numbers of
kills and races (some 440 and 270), which take ten to twenty minutes.  Parts: `writers/`.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from writers.commands import commands, prepare
from writers.trials import Trials
from writers.world import World

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("work", type=Path)
parser.add_argument("--sbmoe", type=Path, required=True)
parser.add_argument("--only", default="", help="commands whose name holds this text")
parser.add_argument("--scale", type=float, default=1)
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()
work, sbmoe = arguments.work.absolute(), str(arguments.sbmoe.absolute())
# Nothing is asked of the network.
os.environ["HF_HUB_OFFLINE"] = "1"


def run(folder, args):
    result = subprocess.run([sbmoe, *args], cwd=folder, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"`{' '.join(args)}` ends with {result.returncode}:\n{result.stderr}")


def stop(folder, args):
    """Interrupts a training once it has a checkpoint."""
    process = subprocess.Popen([sbmoe, *args], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (folder / "stopped/train.jsonl").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    if process.wait() != 130:
        sys.exit("the training was over before it could be stopped")


world = World(work / "world")
prepared = work / "prepared"
shutil.rmtree(prepared, ignore_errors=True)
prepared.mkdir()
prepare(prepared, world, run, stop)
failures, n_kills, n_races = [], 0, 0
for command in commands(world, prepared):
    if arguments.only not in command.name:
        continue
    trials = Trials(sbmoe, command, work / "trial", random.Random(f"{arguments.seed} {command.name}"))

    def judge(kind, number, wrong, name=command.name):
        if wrong:
            failures.append(f"{name}, {kind} {number}: " + "; ".join(wrong))
            print(f"  {failures[-1]}", flush=True)
            kept = work / "failed" / f"{name.replace(' ', '-').replace(',', '')}-{kind}-{number}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(work / "trial", kept, symlinks=True)

    kills = races = 0
    while kills < round(arguments.scale * command.kills):
        landed, wrong = trials.kill()
        kills += landed
        judge("kill", kills, wrong)
    while races < round(arguments.scale * command.races):
        races += 1
        judge("race", races, trials.race())
    fates = ", ".join(f"{count} {fate}" for fate, count in sorted(trials.counts.items()))
    print(f"{command.name}: {trials.seconds:.2f} s, {kills} kills, {races} races ({fates})", flush=True)
    n_kills, n_races = n_kills + kills, n_races + races
print(f"{n_kills} kills, {n_races} races, {len(failures)} failures")
sys.exit(bool(failures))
