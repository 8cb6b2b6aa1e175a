"""The page about one run: what it was, how it used its machine, what it cost, what it printed last."""

from __future__ import annotations

from collections.abc import Iterator

from ec2tasks.base.dataclass import dataclass
from ec2tasks.config.parsers import duration
from ec2tasks.records.drawing import Axis, curve_figure, phases_figure
from ec2tasks.records.html import NOTHING, Html, facts, lines, printed, tag
from ec2tasks.records.run import Run
from ec2tasks.usage.summary import Curve, GpuSummary, Summary

GIB = 1024**3
SHOWN_OUTPUT = 400  # lines
SHOWN_DIFF = 3000  # lines
AFTERWARDS = {"leave": "left running", "stop": "stopped", "terminate": "terminated"}


@dataclass(frozen=True, kw_only=True)
class Details:
    """What is kept of a run beside its line: the end of its output, what was not committed, its samples."""

    output: str = ""
    changes: str = ""
    use: Summary | None = None


def run_parts(run: Run, details: Details) -> list[Html]:
    """What stands on the page, from its top to its end."""
    axis = Axis(phases=run.phases, seconds=details.use.seconds if details.use else 0.0)
    return [
        tag("h1", f"$ {run.title}"),
        facts(_outcome(run)),
        *([tag("p", run.error, class_="bad")] if run.error else []),
        tag("h2", "Time and use"),
        phases_figure(axis) or tag("p", "How long its phases took is not known."),
        *(
            _curves(details.use, axis)
            if details.use
            else [tag("p", "There are no samples of this run here.")]
        ),
        tag("h2", "Machine"),
        facts(_machine(run)),
        tag("h2", "Code"),
        facts([("commit", run.commit or "not known"), ("all of it committed", _clean(run))]),
        _changes(details.changes),
        tag("h2", "Output"),
        _output(details.output, run),
    ]


def dollars(cost: float | None) -> str | None:
    """An amount in US dollars."""
    if cost is None:
        return None
    return "< $0.01" if 0 < cost < 0.005 else f"${cost:.2f}"


def _outcome(run: Run) -> list[tuple[str, str | None]]:
    code = None if run.code is None else tag("span", str(run.code), class_="bad" if run.code else "good")
    cost = dollars(run.cost)
    if cost and run.endpoint != "aws":
        cost = f"nothing: a rehearsal ({run.endpoint}); on AWS {cost}"
    return [
        ("ended with", code or run.state),
        ("state", run.state),
        ("command ran", None if run.seconds is None else duration(run.seconds)),
        ("cost", cost or "not known"),
        ("began", f"{run.began.astimezone():%Y-%m-%d %H:%M:%S %Z}"),
        ("ended", f"{run.ended.astimezone():%Y-%m-%d %H:%M:%S %Z}" if run.ended else None),
        ("job", run.job),
    ]


def _machine(run: Run) -> list[tuple[str, str | None]]:
    return [
        ("type", f"{run.type}, spot" if run.spot else run.type),
        ("zone", run.zone or run.region),
        ("instance", run.instance),
        ("image", run.image),
        ("environment", run.environment),
        ("afterwards", AFTERWARDS.get(run.released or "", run.released)),
    ]


def _clean(run: Run) -> str:
    return {True: "yes", False: "no", None: "not known"}[run.clean]


def _curves(use: Summary, axis: Axis) -> Iterator[Html]:
    yield _share("CPU", use.cpu, axis)
    for place, gpu in enumerate(use.gpus):
        yield from _gpu_curves(f"GPU {place}" if len(use.gpus) > 1 else "GPU", gpu, axis)
    yield _size("Memory", use.memory, use.memory_total, axis)
    yield _size("Disk", use.disk, use.disk_total, axis)
    yield _rate("Network in", use.received_rate, axis)
    yield _rate("Network out", use.sent_rate, axis)


def _gpu_curves(name: str, gpu: GpuSummary, axis: Axis) -> Iterator[Html]:
    if gpu.utilisation:
        yield _share(f"{name}, a kernel ran", gpu.utilisation, axis)
    if gpu.memory:
        yield _size(f"{name} memory", gpu.memory, gpu.memory_total or 0, axis)
    if gpu.power:
        most = f", limit {gpu.power_limit:.0f} W" if gpu.power_limit else ""
        title = f"{name} power: mean {gpu.power.mean:.0f} W{most}"
        top = max(gpu.power_limit or 0.0, gpu.power.peak)
        yield curve_figure(title, gpu.power.points, axis, top=top, words=lambda watt: f"{watt:.0f} W")


def _share(name: str, curve: Curve, axis: Axis) -> Html:
    title = f"{name}: mean {curve.mean:.0%}, peak {curve.peak:.0%}"
    return curve_figure(title, curve.points, axis, top=1.0, words=lambda share: f"{share:.0%}")


def _size(name: str, curve: Curve, total: int, axis: Axis) -> Html:
    title = f"{name}: peak {curve.peak / GIB:.1f} of {total / GIB:.1f} GiB"
    return curve_figure(
        title, curve.points, axis, top=float(total), words=lambda size: f"{size / GIB:.2f} GiB"
    )


def _rate(name: str, curve: Curve, axis: Axis) -> Html:
    title = f"{name}: mean {curve.mean / 1e6:.2f} MB/s, peak {curve.peak / 1e6:.2f}"
    return curve_figure(
        title, curve.points, axis, top=curve.peak, words=lambda rate: f"{rate / 1e6:.2f} MB/s"
    )


def _changes(changes: str) -> Html:
    if not changes:
        return NOTHING
    shown = [_diff_line(line) for line in changes.split("\n")[:SHOWN_DIFF]]
    return tag("details", tag("summary", "what was not committed"), tag("pre", *shown), open="open")


def _diff_line(line: str) -> Html:
    kinds = (("@@", "place"), ("diff ", "place"), ("+", "added"), ("? ", "added"), ("-", "gone"))
    kind = next((name for begin, name in kinds if line.startswith(begin)), None)
    return tag("span", Html(f"{lines(line)}\n"), class_=kind)


def _output(output: str, run: Run) -> Html:
    if not output:
        return tag(
            "p",
            "What it printed is not kept here: ",
            tag("code", f"ec2tasks logs {run.job}"),
            " asks the instance.",
        )
    last = printed(output).rstrip("\n").split("\n")[-SHOWN_OUTPUT:]
    return tag("pre", lines("\n".join(last)))
