"""`listener import --dry-run`: how files would be read, before anything is stored."""

from collections.abc import Sequence
from dataclasses import asdict

from connectors.base import Context
from connectors.file import Guess, plan
from listener.cli import DONE
from listener.cli_import import Job
from listener.cli_output import local_time, printable, say, say_json, short, table
from listener.model import mention_to_json
from listener.settings import Settings


def dry_run(jobs: Sequence[Job], settings: Settings, as_json: bool) -> int:
    """Show what each file would be read as."""
    guesses = [(job, guess) for job in jobs for guess in plan([job.config.path], job.config, Context(job.source))]
    if as_json:
        plain = [
            {**asdict(guess), "file": job.shown, "mentions": [mention_to_json(m) for m in guess.mentions]}
            for job, guess in guesses
        ]
        say_json({"files": plain})
        return DONE
    for job, guess in guesses:
        _show_guess(job, guess, settings)
    say("nothing was stored")
    return DONE


def _show_guess(job: Job, guess: Guess, settings: Settings) -> None:
    how = [guess.form, guess.encoding, f"delimiter {guess.delimiter!r}" if guess.delimiter else None]
    say(f"{job.shown}: {', '.join(part for part in how if part)}; source {job.source}")
    table(("column", "field"), list(guess.columns.items()))
    if guess.left_out:
        say(f"left out: {', '.join(printable(name) for name in guess.left_out)}")
    if guess.scale:
        say(f"ratings from {guess.scale[0]:g} to {guess.scale[1]:g}")
    for problem in guess.problems:
        say(f"look at: {printable(problem)}")
    for mention in guess.mentions:
        rating = f"  {mention.rating:g} of 5" if mention.rating is not None else ""
        when = local_time(mention.published_at, settings.timezone)
        say(f"  {mention.native_id}  {when}  {mention.kind}  {mention.channel}{rating}  {short(mention.text, 60)}")
