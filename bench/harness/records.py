"""What becomes of figures: a table on the screen, and a file."""

import datetime
import os
import platform
import re
from pathlib import Path


def machine():
    kilobytes = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(kilobytes / 2**20),
        "architecture": platform.machine(),
        "kernel": ".".join(platform.release().split(".")[:2]),
    }


def machine_class(machine):
    return f"{machine['cores']}-core-{machine['memory_gib']}-gib"


def today():
    return datetime.date.today().isoformat()


def table(scenario, doc, measures, rows, titles):
    """One scenario as lines of Markdown."""
    head = ["", *(f"{title}{', ' + unit if unit else ''}" for _, title, unit, _ in measures)]
    lines = [head, ["---"] + ["--:"] * len(measures)]
    for name, row in rows.items():
        cells = [figure(row.get(key)) for key, *_ in measures]
        mark = f" ({row['faults']:,} faults)" if row.get("faults") else ""
        lines.append([titles.get(name, name) + mark, *cells])
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"### {scenario}\n\n{doc}\n\n{text}\n"


def figure(value):
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
