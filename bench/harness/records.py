"""Output of figures: a table on the screen, and a file."""

import datetime
import os
import platform
import re
import textwrap
from pathlib import Path

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


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


def write_tables(page, record, path):
    """Puts the tables between the two marks of the page."""
    before, rest = page.read_text().split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    machine, versions = record["machine"], record["versions"]
    named = ", ".join(f"{record['titles'][name]} {text}".strip() for name, text in versions.items())
    about = (
        f"{record['date']}. Machine: {machine['cores']} cores, {machine['memory_gib']} GiB,"
        f" {machine['architecture']}, Linux {machine['kernel']}. Versions: {named}. The record:"
        f" [{path.name}](bench/results/{path.name}), with charts beside it."
    )
    lines = [
        wrapped(about) + "\n",
        *(table(name, record["scenarios"][name], record["titles"]) for name in record["scenarios"]),
    ]
    page.write_text(before + BEGIN + "\n\n" + "\n".join(lines) + "\n" + END + after)


def table(scenario, found, titles):
    """One scenario as lines of Markdown."""
    doc, measures, rows = found["what"], found["measures"], found["rows"]
    how = f"The middle of {found['rounds']} rounds" if found["rounds"] > 1 else "One round"
    head = ["", *(f"{title}{', ' + unit if unit else ''}" for _, title, unit, _ in measures)]
    lines = [head, ["---"] + ["--:"] * len(measures)]
    for name, row in rows.items():
        cells = [figure(row.get(key)) for key, *_ in measures]
        mark = f" ({row['faults']:,} faults)" if row.get("faults") else ""
        lines.append([titles.get(name, name) + mark, *cells])
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"### {scenario}\n\n{wrapped(f'{doc} {how}.')}\n\n{text}\n"


def wrapped(text):
    """As wide as Markdown may be here."""
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


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
