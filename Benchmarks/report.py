# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: medians beside those of the peer, and goals that were met or missed."""

import statistics


class Report:
    """The figures, and the table of their medians."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.rows = []
        self.goals = []

    def compare(self, what, unit, ours, theirs, measure):
        """Takes turns. `measure(server)` returns `rate`, of which more is better, `count`, and perhaps `p99_ms`."""
        mine, others = [], []
        for number in range(self.rounds):
            order = [(ours, mine), (theirs, others)]
            for server, results in order if number % 2 == 0 else reversed(order):
                before = server.cpu_seconds()
                result = measure(server)
                result["cpu_us"] = (server.cpu_seconds() - before) / result["count"] * 1e6
                results.append(result)
        return self.add(what, unit, mine, others)

    def add(self, what, unit, mine, others, less_is_better=False):
        row = {"what": what, "unit": unit, "less_is_better": less_is_better}
        for name, results in [("ours", mine), ("theirs", others)]:
            row[name] = statistics.median(result["rate"] for result in results)
            row[name + "_rounds"] = [result["rate"] for result in results]
            for key in ("p50_ms", "p99_ms", "cpu_us"):
                if key in results[0]:
                    row[f"{name}_{key}"] = statistics.median(result[key] for result in results)
        row["ratio"] = row["theirs"] / row["ours"] if less_is_better else row["ours"] / row["theirs"]
        if "ours_cpu_us" in row:
            row["cpu_ratio"] = row["theirs_cpu_us"] / row["ours_cpu_us"]
        self.rows.append(row)
        print(self.line(row), flush=True)
        return row

    def goal(self, what, value, least=None, most=None):
        """What is to be reached: at least, or at most, so much."""
        met = value >= least if most is None else value <= most
        self.goals.append({"what": what, "measured": value, "least": least, "most": most, "met": met})

    def goal_table(self):
        """Every goal, with what was measured."""
        lines = []
        for goal in self.goals:
            limit = f"at least {goal['least']:g}" if goal["most"] is None else f"at most {goal['most']:g}"
            verdict = "met" if goal["met"] else "MISSED"
            lines.append(f"{goal['what']:64}{goal['measured']:>10.2f}   {limit:14} {verdict}\n")
        return "\ngoals\n" + "".join(lines) if lines else ""

    @staticmethod
    def number(value):
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"

    @classmethod
    def header(cls):
        columns = f"{'':46}{'hallmark':>10}{'peer':>10} {'':6}{'ratio':>7}"
        columns += f"{'CPU us each':>20}{'ratio':>7}{'p99 ms':>18}"
        return columns + "\n" + "-" * len(columns)

    @classmethod
    def line(cls, row):
        def pair(key):
            if "ours_" + key not in row:
                return ""
            return f"{cls.number(row['ours_' + key])} / {cls.number(row['theirs_' + key])}"

        text = f"{row['what']:46}{cls.number(row['ours']):>10}{cls.number(row['theirs']):>10} {row['unit']:6}"
        text += f"{row['ratio']:>7.2f}"
        if "cpu_ratio" in row:
            text += f"{pair('cpu_us'):>20}{row['cpu_ratio']:>7.2f}{pair('p99_ms'):>18}"
        return text.rstrip()


def memory(report, peer, ours, theirs):
    """Peaks of what was measured until now."""
    report.add(
        f"peak memory, vs {peer}", "MiB", [{"rate": ours.memory("VmHWM")}], [{"rate": theirs.memory("VmHWM")}], True
    )
    report.add(
        f"memory of its own then, vs {peer}",
        "MiB",
        [{"rate": ours.memory("RssAnon")}],
        [{"rate": theirs.memory("RssAnon")}],
        True,
    )
