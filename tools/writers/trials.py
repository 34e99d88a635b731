"""One kill and one race: they begin in an empty folder, and say what is wrong in the end, if anything is."""
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .commands import content, leftovers

# Longer than any command takes, however busy the machine.
PATIENCE = 300


class Trials:
    """What all trials of a command share: the program, what stands before, and what undisturbed runs leave."""

    def __init__(self, sbmoe, command, place: Path, draw):
        self.sbmoe, self.command, self.folder, self.draw = sbmoe, command, place, draw
        self.ends, self.seconds, self.versions = [], 0.0, {name: [] for name in command.whole}
        self.counts = {}
        for setting in range(len(command.settings)):
            self._begin()
            self._keep_versions()
            order = range(setting + 1) if command.in_order else [setting]
            begin = time.monotonic()
            for step in order:
                self.succeed(command.settings[step])
            if setting == 0:
                self.seconds = time.monotonic() - begin
            self.ends.append(content(place, command.outputs))
            self._keep_versions()
            wrong = leftovers(place)
            if wrong:
                raise SystemExit(f"{command.name}, undisturbed, leaves {wrong}")

    def kill(self):
        """Kills a command at a random moment, perhaps again when it is repeated; returns the kills and what is wrong."""
        self._begin()
        args, wrong, kills = self.command.settings[0], [], 0
        for _ in range(self.draw.choice([1, 1, 2])):
            process = self._start(args)
            try:
                process.wait(self.draw.uniform(0, self.seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
            wrong += [f"after the kill: {text}" for text in self._broken()]
            if self.command.resumes and self.draw.random() < 0.5:
                args = [*self.command.settings[0], *([] if "--resume" in args else ["--resume"])]
        return kills, wrong + self._repeat(args) + self._end([self.ends[0]])

    def race(self):
        """Starts two commands with one output; returns how the second fared, and what is wrong."""
        self._begin()
        settings = list(self.command.settings[:2])
        if not self.command.in_order:
            self.draw.shuffle(settings)
        first = self._start(settings[0], "first")
        # Half of them start at once, since what is short is over soon; what waits for the other's output, any time within it.
        latest = self.seconds if self.command.in_order else 0.1
        time.sleep(self.draw.choice([0, self.draw.uniform(0, latest)]))
        second = self._start(settings[1], "second")
        codes = [process.wait(PATIENCE) for process in (first, second)]
        wrong, fate = [], "both did their work"
        if codes == [2, 2] or not set(codes) <= {0, 2}:
            wrong.append(f"exit codes {codes}")
        elif 2 in codes:
            lost = codes.index(2)
            said = (self.folder / f"{('first', 'second')[lost]}.txt").read_text()
            number = re.search(r"process (\d+)", said)
            if number and int(number[1]) == (first, second)[1 - lost].pid:
                fate = "refused by the other's number"
            elif any(text in said for text in self.command.too_late):
                fate = "came too late"
            else:
                wrong.append(f"the loser says: {said[-300:]}")
        self.counts[fate] = self.counts.get(fate, 0) + 1
        return wrong + self._end(self.ends)

    def succeed(self, args):
        """Runs a command that must end well."""
        code, said = self._finish(args)
        if code:
            raise SystemExit(f"`{' '.join(args)}` ends with {code}:\n{said}")

    def _repeat(self, args):
        """Repeats a command until it is done: at once, or with `--resume` where it asks for that."""
        code, said = self._finish(args)
        if code == 2 and self.command.resumes and "--resume" in said:
            code, said = self._finish([*self.command.settings[0], "--resume"])
        # It may have been killed when all was done.
        is_done = code == 2 and any(text in said for text in self.command.too_late)
        return [] if code == 0 or is_done else [f"repeated, exit code {code}: {said[-300:]}"]

    def _end(self, allowed):
        """What is wrong when all is over."""
        found, wrong = content(self.folder, self.command.outputs), []
        if found not in allowed:
            nearest = min(allowed, key=lambda end: len(_differing(end, found)))
            wrong.append(f"other bytes than undisturbed: {_differing(nearest, found)}")
        left = leftovers(self.folder)
        return wrong + self._broken() + ([f"left behind: {left}"] if left else [])

    def _broken(self):
        """Outputs that are neither what stood before nor the whole new one, and damaged indexes."""
        wrong = []
        for name, versions in self.versions.items():
            found = content(self.folder, [name])
            path = self.folder / name
            previous = path.with_name(f".{path.name}.previous")
            if not found and previous.exists():
                # Between the two moves that replace a folder; the next command moves it back.
                text = f"{previous.relative_to(self.folder)}"
                found = {file.replace(text, name, 1): hash for file, hash in content(self.folder, [text]).items()}
            if found not in versions:
                wrong.append(f"`{name}` is neither the old one nor the new: {sorted(found)}")
        for index in self.command.indexes:
            if (self.folder / index / "index.json").exists():
                code, said = self._finish(["index", "check", index])
                wrong += [f"index check: {said}"] if code else []
        return wrong

    def _begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for step in self.command.before:
            step(self.folder) if callable(step) else self.succeed(step)

    def _keep_versions(self):
        for name, versions in self.versions.items():
            versions.append(content(self.folder, [name]))

    def _start(self, args, name="said"):
        with open(self.folder / f"{name}.txt", "w") as said:
            return subprocess.Popen([self.sbmoe, *args], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=said)

    def _finish(self, args):
        process = self._start(args)
        code = process.wait(PATIENCE)
        return code, (self.folder / "said.txt").read_text()


def _differing(one, other):
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
