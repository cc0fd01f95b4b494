# SPDX-License-Identifier: Apache-2.0
"""TUF metadata of up to a million entries, read and written by Hallmark's library and by python-tuf."""

import json
import pathlib
import subprocess
import sys

from servers import pinned

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0"]


class Metadata:
    """Runs one of the two programs, which do the same and say how long it took, on the clients' core."""

    def __init__(self, name, command, settings):
        self.name = name
        self.command = command
        self.settings = settings

    def run(self, *arguments):
        result = subprocess.run(
            [*self.command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=pinned(self.settings.client_cpu, self.settings.nice),
        )
        if result.returncode != 0:
            raise SystemExit(f"{self.name}: {' '.join(map(str, arguments))}: {result.stderr.strip()}")
        return json.loads(result.stdout) if result.stdout else None


def python_tuf(directory, settings):
    """python-tuf of PyPI, in an environment of its own."""
    environment = pathlib.Path(directory) / "python-tuf"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin/pip", "--quiet", "install", *REQUIREMENTS], check=True, stdout=sys.stderr)
    return Metadata("python-tuf", [environment / "bin/python", HERE / "tuf_peer.py"], settings)


def bench_tuf(report, loads, settings, directory):
    ours = Metadata("hallmark", [settings.metadata], settings)
    theirs = python_tuf(directory, settings)
    programs = (ours, theirs)

    def check(program, result, count):
        if result["count"] != count:
            raise SystemExit(f"{program.name} found {result['count']} entries of {count}")

    def measure(rounds, verb, root, file, *arguments, count, output=None):
        """Both in turn; what they measured themselves."""
        results = {}
        for program in programs:
            last = [output(program)] if output else []
            results[program] = program.run(verb, root, file, rounds, *arguments, *last)
            check(program, results[program], count)
        return results

    def add(what, unit, results, figure, scale=1):
        mine, others = ([{"rate": value * scale} for value in figure(results[program])] for program in programs)
        report.add(what, unit, mine, others, less_is_better=True)

    for count in map(int, settings.targets.split(",")):
        repository = pathlib.Path(directory) / f"targets-{count}"
        repository.mkdir()
        theirs.run("generate", count, repository)
        root, targets = repository / "root.json", repository / "targets.json"
        rounds = settings.rounds if count < 1_000_000 else min(3, settings.rounds)
        name = f"{count:,} targets"
        results = measure(rounds, "load", root, targets, "targets", count=count)
        add(f"{name}: load and verify", "ms", results, lambda result: result["load"], 1000)
        add(f"{name}: load and verify, peak memory", "MiB", results, lambda result: [result["peakKiB"] / 1024])
        add(f"{name}: memory of its own then", "MiB", results, lambda result: [result["ownKiB"] / 1024])
        # Spread over the whole file.
        paths = [f"packages/{number % 256:02x}/package-{number:07d}.tar.gz" for number in range(0, count, count // 16)]
        results = measure(1, "lookup", root, targets, *paths, count=count)
        add(
            f"{name}: load, verify and look up {len(paths)}",
            "ms",
            results,
            lambda result: [result["load"][0] + sum(result["lookup"])],
            1000,
        )
        seed = theirs.run("seed")["seed"]

        def output(program):
            return repository / f"by-{program.name}.json"

        results = measure(rounds, "add", root, targets, "packages/new", seed, count=count + 1, output=output)
        add(f"{name}: add one, sign and write", "ms", results, lambda result: result["add"], 1000)
        add(f"{name}: add one, peak memory", "MiB", results, lambda result: [result["peakKiB"] / 1024])
        # What one has written, the other verifies.
        for writer, reader in [(ours, theirs), (theirs, ours)]:
            check(reader, reader.run("load", root, output(writer), 1, "targets"), count + 1)
        for path in repository.iterdir():
            path.unlink()

    repository = pathlib.Path(directory) / "snapshot"
    repository.mkdir()
    theirs.run("generate", 1 << 14, repository)
    files = repository / "root.json", repository / "snapshot.json"
    results = measure(settings.rounds, "load", *files, "snapshot", count=(1 << 14) + 1)
    add("snapshot of 16,384 bins: load and verify", "ms", results, lambda result: result["load"], 1000)
    add("snapshot of 16,384 bins: peak memory", "MiB", results, lambda result: [result["peakKiB"] / 1024])

    hostile = ours.run("hostile", settings.rounds, 100_000)
    name, ratio = max(hostile["ratios"].items(), key=lambda item: item[1])
    valid = hostile["validMilliseconds"]
    report.add(f"100 KB that cost most ({name}), vs good", "ms", [{"rate": ratio * valid}], [{"rate": valid}], True)
