"""`make demo` as a new user meets it, with the keyword classifier in place of the model."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from listener import demo

COMMAND = [sys.executable, "-m", "listener.demo", "--dir"]


def prepared(folder: Path) -> Path:
    """A demo folder whose settings differ in the classifier and the port alone."""
    settings = demo._SETTINGS.replace("port = 8080", "port = 0") + '\n[classifier]\nname = "rule"\n'
    (folder / "listener.toml").write_text(settings, "utf8")
    return folder


def told(folder: Path) -> str:
    """What the demo prints without serving."""
    return subprocess.run([*COMMAND, str(folder), "--no-serve"], capture_output=True, text=True, check=True).stdout


def test_the_demo_tells_what_it_found_and_stores_nothing_twice(tmp_path: Path) -> None:
    first = told(prepared(tmp_path))
    assert "994 stored and analysed" in first
    for part in (
        "What the store holds",
        "Worst steps of Lunaveste",
        "Alerts",
        "Three searches to try",
        "docs/model-card.md",
    ):
        assert part in first
    assert "rated 1 of 5" in first.split("Alerts")[1]  # the start of the incident
    second = told(tmp_path)
    assert "0 stored and analysed" in second
    assert "994 mentions" in second


def test_while_it_serves_the_live_part_arrives_and_the_influencer_alerts(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    settings = folder / "listener.toml"
    settings.write_text(
        settings.read_text("utf8").replace('connector = "sample"', 'connector = "sample"\nspeed = 30.0'), "utf8"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with open(tmp_path / "out", "w+", encoding="utf8") as out:
        process = subprocess.Popen([*COMMAND, str(folder)], stdout=out, stderr=subprocess.STDOUT, env=environment)
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end and "1,460,000 followers" not in (tmp_path / "out").read_text("utf8"):
                assert process.poll() is None, (tmp_path / "out").read_text("utf8")
                time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    shown = (tmp_path / "out").read_text("utf8")
    assert "influencer mention" in shown.split("Serving")[1]
    assert "Stopped; nothing is lost" in shown
