# SPDX-License-Identifier: Apache-2.0
"""Refreshes from repositories of up to a million targets, by Hallmark's updater and by python-tuf's."""

import pathlib
import shutil
import socket
import subprocess
import sys
import time

from metadata import Metadata, python_tuf
from servers import pinned

BINS = 1 << 14


class WebServer:
    """A static web server on the servers' core."""

    def __init__(self, directory, settings):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", directory, str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pinned(settings.server_cpu, settings.nice),
        )
        for _ in range(100):
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the web server does not come up")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def bench_updater(report, loads, settings, directory):
    ours = Metadata("hallmark", [settings.updater], settings)
    theirs = python_tuf(directory, settings)
    programs = (ours, theirs)

    def add(what, unit, results, figure, scale=1):
        mine, others = ([{"rate": value * scale} for value in figure(results[program])] for program in programs)
        report.add(what, unit, mine, others, less_is_better=True)

    def milliseconds(what, results, name):
        add(what, "ms", results, lambda result: result[name], 1000)

    def peak(what, results):
        add(what, "MiB", results, lambda result: [result["peakKiB"] / 1024])

    def measure(name, count, bins, path=None):
        repository = pathlib.Path(directory) / f"repository-{count}-{bins}"
        theirs.run("repository", count, bins, repository)
        root = repository / "metadata/1.root.json"
        caches = {program: pathlib.Path(directory) / f"cache-{program.name}" for program in programs}
        server = WebServer(repository, settings)
        big = count >= 1_000_000

        def refresh(rounds, *path, fresh=False):
            results = {}
            for program in programs:
                if fresh:
                    shutil.rmtree(caches[program], ignore_errors=True)
                results[program] = program.run("refresh", root, caches[program], server.url, rounds, *path)
            return results

        try:
            # Each in a process of its own, with nothing on disk.
            runs = [refresh(1, fresh=True) for _ in range(1 if big else settings.rounds)]
            names = ("refresh", "refreshCPU", "processCPU")
            fresh = {program: {name: [run[program][name][0] for run in runs] for name in names} for program in programs}
            milliseconds(f"{name}: first refresh", fresh, "refresh")
            milliseconds(f"{name}: first refresh, CPU", fresh, "refreshCPU")
            milliseconds(f"{name}: first refresh, CPU of the process", fresh, "processCPU")
            # What the first has left is there for the next.
            again = refresh(3 if big else settings.rounds)
            milliseconds(f"{name}: nothing new", again, "refresh")
            peak(f"{name}: nothing new, peak memory", again)
            if path:
                found = refresh(1 if big else settings.rounds, path)
                both = {
                    program: {"both": [sum(pair) for pair in zip(result["refresh"], result["lookup"])]}
                    for program, result in found.items()
                }
                milliseconds(f"{name}: nothing new, look one up", both, "both")
                peak(f"{name}: look one up, peak memory", found)
        finally:
            server.stop()
            for left in [repository, *caches.values()]:
                shutil.rmtree(left, ignore_errors=True)

    for count in [100, *map(int, settings.targets.split(","))]:
        number = count // 2
        measure(f"{count:,} targets", count, 0, f"packages/{number % 256:02x}/package-{number:07d}.tar.gz")
    measure("16,384 bins", 100, BINS)
