"""Names a job by the shortest form that is its alone, and finds the one that a form names; pure.

A job's id tells when it was asked for (`new_job_id`), so the time of day here names it: `0912`. Where
that is not its alone, `091203`, `1129-0912` or `1129-091203` does; at last its id. Any beginning of the id
names it too, and a word of its command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone, tzinfo

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError

FORMS = ("%H%M", "%H%M%S", "%m%d-%H%M", "%m%d-%H%M%S")
TITLE_LIMIT = 60  # characters of a command where it is one of a list
LISTED = 10  # jobs that an error names


@dataclass(frozen=True, kw_only=True)
class Named:
    """A job as far as it can be named: its id, its title, and whether it still runs."""

    job_id: str
    title: str = ""
    running: bool = False


def asked_at(job_id: str) -> datetime | None:
    """When a job was asked for, as its id tells (`new_job_id`); None for an id of another form."""
    try:
        moment = datetime.strptime(job_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=timezone.utc)
        milliseconds = int(job_id[16:19], 16)
    except ValueError:
        return None
    try:
        return moment + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def title_of(command: str | None) -> str:
    """What runs, in one line: a shell, what a comment in a script's first line calls it, or the command."""
    if command is None:
        return "(shell)"
    first = command.split("\n", 1)[0]
    heading = first.lstrip("# \t") if first.startswith("#") else ""
    return " ".join((heading or command).split())


def short_title(title: str, limit: int = TITLE_LIMIT) -> str:
    """A title cut to so many characters."""
    return title if len(title) <= limit else f"{title[: limit - 1]}…"


def forms(job_id: str, zone: tzinfo | None = None) -> list[str]:
    """What may name a job, the shortest first; times are of the day here, or in this zone."""
    moment = asked_at(job_id)
    try:
        return [f"{moment.astimezone(zone):{form}}" for form in FORMS if moment] + [job_id]
    except (OverflowError, ValueError):
        return [job_id]  # a year that a zone leads out of


def fitting(jobs: Sequence[Named], text: str, zone: tzinfo | None = None) -> list[Named]:
    """The jobs that a text names: by a time, else by a beginning of the id, else by a word of the title.

    Of several, the one that still runs, if that is one.
    """
    found = next((some for some in _ways(jobs, text, zone) if some), [])
    running = [job for job in found if job.running]
    return running if len(running) == 1 else found


def _ways(jobs: Sequence[Named], text: str, zone: tzinfo | None) -> Iterator[list[Named]]:
    time = text.replace(":", "")
    yield [job for job in jobs if time in forms(job.job_id, zone)]
    yield [job for job in jobs if job.job_id.startswith(text)]
    yield [job for job in jobs if text in job.title.strip("()").split()]


def short_forms(jobs: Sequence[Named], zone: tzinfo | None = None) -> dict[str, str]:
    """The shortest form that names each of these jobs alone, by id."""
    owners: dict[str, list[Named]] = {}
    for job in jobs:
        for form in forms(job.job_id, zone):
            owners.setdefault(form, []).append(job)

    def is_own(job: Named, form: str) -> bool:
        several = owners[form]
        running = [other for other in several if other.running]
        return several == [job] or running == [job]

    return {
        job.job_id: next((form for form in forms(job.job_id, zone) if is_own(job, form)), job.job_id)
        for job in jobs
    }


def pick(jobs: Sequence[Named], text: str, *, what: str = "job", task: str = "jobs") -> Named:
    """The one job that a text names. Raises UsageError, naming what there is, for none or several."""
    found = fitting(jobs, text)
    if len(found) == 1:
        return found[0]
    lists = f"`ec2tasks {task}` lists them"
    if not found:
        raise UsageError(f"no {what} `{text}`", hint=f"{lists}, each with the form to type")
    raise UsageError(
        f"`{text}` names {len(found)} {what}s", lines=lines(found, among=jobs), hint="give one of these forms"
    )


def words(job: Named, now: datetime | None = None) -> str:
    """The job as a text names it: what runs, and since when here; the day too where that is another."""
    moment, title = asked_at(job.job_id), f"`{short_title(job.title)}`"
    if moment is None:
        return title
    asked, today = moment.astimezone(), (now or datetime.now(timezone.utc)).astimezone().date()
    return f"{title} of {asked:%H:%M}" if asked.date() == today else f"{title} of {asked:%Y-%m-%d %H:%M}"


def lines(some: Iterable[Named], *, among: Sequence[Named]) -> list[str]:
    """A line for each of these jobs, with the form that names it among those."""
    known, each = short_forms(among), list(some)
    width = max((len(known[job.job_id]) for job in each[:LISTED]), default=0)
    told = [f"{known[job.job_id]:{width}}  {short_title(job.title)}" for job in each[:LISTED]]
    return [*told, *([f"and {len(each) - LISTED} more"] if len(each) > LISTED else [])]
