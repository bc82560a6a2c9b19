"""Ratios with their spread, and how figures are written; used by run.py and report.py."""

from statistics import median


def ratios(record):
    """Return the ratios ours/theirs of a record, one for each round in which both sides have a figure."""
    return [
        ours["value"] / theirs["value"]
        for ours, theirs in zip(record["ours"], record["theirs"])
        if ours and theirs and theirs["value"]
    ]


def middle(samples):
    """Return the median value of a record's samples, or None where there is none."""
    values = [sample["value"] for sample in samples if sample]
    return median(values) if values else None


# A ratio this near to one tells nothing: --self, upstream beside itself, shows medians that far off.
EVEN = 0.03


def verdict(record):
    """Say whether the goal is reached: "ok" or "short", with "?" where it lies within the spread.

    A goal of 1 means "not slower", and "even" says that neither is measurably faster. "" for a record without a goal,
    "FAILED" for one with errors or without a ratio.
    """
    found = ratios(record)
    if not found or record.get("errors"):
        return "FAILED"
    goal = record["goal"]
    if goal is None:
        return ""
    central = median(found)
    if goal == 1 and abs(central - 1) <= EVEN:
        return "even"
    if record["more_is_better"]:
        reached = [ratio >= goal for ratio in [central, *found]]
    else:
        reached = [ratio <= goal for ratio in [central, *found]]
    return ("ok" if reached[0] else "short") + ("" if len(set(reached)) == 1 else "?")


def goal_text(record):
    """Write the goal of a record."""
    if record["goal"] is None:
        return ""
    return f"{'>=' if record['more_is_better'] else '<='} {record['goal']:g}"


def amount_text(value, unit, is_rate):
    """Write a figure with its unit in at most four digits."""
    if value is None:
        return "-"
    if unit == "bytes":
        for prefix in ("B", "KiB", "MiB"):
            if abs(value) < 10_000 or prefix == "MiB":
                return f"{value:.4g} {prefix}"
            value /= 1024
    if not is_rate:
        return f"{value:.3g} {unit}"
    for prefix in ("", "k"):
        if value < 1000:
            return f"{value:.3g}{prefix}/s"
        value /= 1000
    return f"{value:.3g}M/s"


def ratio_text(found):
    """Write ratios as median and (smallest..largest)."""
    if not found:
        return "-", ""
    return f"{median(found):.2f}", f"{min(found):.2f}..{max(found):.2f}"


COLUMNS = ("benchmark", "unit", "ours", "theirs", "ratio", "(min..max)", "goal", "")


def row(record):
    """Return the cells of a record under COLUMNS."""
    is_rate = record["more_is_better"]
    return (
        record["name"] if record["against"] == "upstream" else f"{record['name']} / {record['against']}",
        record["unit"],
        amount_text(middle(record["ours"]), record["unit"], is_rate),
        amount_text(middle(record["theirs"]), record["unit"], is_rate),
        *ratio_text(ratios(record)),
        goal_text(record),
        verdict(record),
    )
