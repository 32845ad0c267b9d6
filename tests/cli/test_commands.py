"""run, submit, ls, show, stop, metrics and worker on a home of their own, without a server."""

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, delete, func, select

from alphagrad.tuner import task_names
from alphagrad.tuner.database import Database, parse_url
from alphagrad.tuner.models import MetricRow, TrialRow

Command = Callable[..., "subprocess.CompletedProcess[str]"]


WARNING = "alphagrad: warning: tpe draws its first n_startup_trials=10 at random: here all 2\n"


def one_line(done: "subprocess.CompletedProcess[str]", *, code: int = 1) -> str:
    """The one line with which a command failed, after what it may have warned of."""
    assert done.returncode == code, (done.stdout, done.stderr)
    line = done.stderr.removeprefix(WARNING)
    assert line.startswith("alphagrad: ")
    assert line.count("\n") == 1, done.stderr
    return line


def test_run_ends_with_a_table_of_its_trials(ran: Path) -> None:
    said = (ran / "run.txt").read_text()
    assert "tiny: 2/2 trials" in said
    assert said.rstrip().endswith("tiny COMPLETED")
    rows = re.findall(r"^│ (\d) +│ (\w+) +│ ([\d.]+) +│ ([\d.]+) +│", said, re.MULTILINE)
    assert [(number, state) for number, state, _, _ in rows] == [
        ("0", "COMPLETE"),
        ("1", "COMPLETE"),
    ]
    assert (ran / "warnings.txt").read_text().startswith(WARNING)
    assert all(0 < float(value) <= 1 and 1 <= float(alpha) <= 100 for _, _, value, alpha in rows)


def test_a_second_run_of_the_name_is_refused(ran: Path, tiny: Path, alphagrad: Command) -> None:
    line = one_line(alphagrad("run", str(tiny), "--home", str(ran)))
    assert "'tiny'" in line
    assert "choose another name" in line


def test_ls_and_show_see_what_was_run(ran: Path, alphagrad: Command) -> None:
    listed = alphagrad("ls", "--home", str(ran))
    assert listed.returncode == 0
    assert re.search(r"tiny +│ digits +│ COMPLETED +│ 2/2 +│ 0\.\d+ \(trial [01]\)", listed.stdout)
    shown = alphagrad("show", "tiny", "--home", str(ran))
    assert shown.returncode == 0
    assert "alpha" in shown.stdout
    assert shown.stdout.count("COMPLETE ") == 2


def test_a_study_that_has_ended_cannot_be_stopped(
    ran: Path, alphagrad: Command, tmp_path: Path
) -> None:
    home = shutil.copytree(ran, tmp_path / "home")  # an attempt is written down, too
    assert "COMPLETED" in one_line(alphagrad("stop", "tiny", "--home", str(home)))


def test_a_worker_runs_what_was_submitted_but_not_what_was_stopped(
    tiny: Path, tmp_path: Path, alphagrad: Command
) -> None:
    home = ("--home", str(tmp_path))
    submitted = alphagrad("submit", str(tiny), *home)
    assert submitted.stdout == "tiny QUEUED\n"
    assert submitted.stderr == WARNING
    assert alphagrad("submit", str(tiny), "--name", "other", *home).stdout == "other QUEUED\n"
    assert alphagrad("stop", "other", *home).stdout == "other STOPPING\n"
    with subprocess.Popen(
        [sys.executable, "-m", "alphagrad", "worker", "--slots", "2", *home],
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stderr is not None
        limit = threading.Timer(180, worker.kill)
        limit.start()
        waiting = {"tiny", "other"}
        for line in worker.stderr:
            waiting -= set(re.findall(r"study (\w+) COMPLETED", line))
            if not waiting:
                break
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0  # it was not killed
        limit.cancel()
    listed = alphagrad("ls", *home).stdout
    assert re.search(r"tiny .*COMPLETED +│ 2/2", listed)
    assert re.search(r"other .*COMPLETED +│ 0/2", listed)


def test_a_study_that_is_not_there_is_named(ran: Path, alphagrad: Command) -> None:
    assert "'nobody'" in one_line(alphagrad("show", "nobody", "--home", str(ran)))


@pytest.fixture
def recorded(ran: Path, tmp_path: Path) -> Path:
    """A copy of the tiny study's home, whose trial 0 recorded two metrics."""
    home = shutil.copytree(ran, tmp_path / "recorded")
    database = Database(f"sqlite:///{home / 'alphagrad.db'}")
    with database.write() as session:
        trial = session.scalars(select(TrialRow).where(TrialRow.number == 0)).one()
        session.execute(delete(MetricRow))  # what the task itself recorded
        trial.metrics = ["losses/td", "a,b"]
        values = [(0, 1, 0.5), (1, 1, None), (0, 20, 1e-9), (0, 30, float("inf"))]
        for position, (name, step, value) in enumerate(values):
            session.add(
                MetricRow(
                    trial_id=trial.id, name=name, fence=1, position=position, step=step, value=value
                )
            )
    database.dispose()
    return home


def test_tasks_are_listed_and_so_are_their_parameters(alphagrad: Command) -> None:
    listed = alphagrad("tasks")
    assert listed.returncode == 0, listed.stderr
    for name in task_names():
        assert f"│ {name} " in listed.stdout
    told = alphagrad("tasks", "ppo", COLUMNS="200").stdout
    assert "│ gae_lambda " in told
    assert "number ≥ 0 ≤ 1" in told
    assert "0.95" in told
    assert "decay of generalised advantage estimation" in told
    assert "unknown task 'nothing'" in one_line(alphagrad("tasks", "nothing"))


def test_metrics_are_printed_as_csv(recorded: Path, alphagrad: Command) -> None:
    printed = alphagrad("metrics", "tiny", "0", "--home", str(recorded))
    assert printed.returncode == 0, printed.stderr
    losses = "1,losses/td,0.5\n20,losses/td,1e-09\n30,losses/td,\n"
    assert printed.stdout == f'step,name,value\n{losses}1,"a,b",\n'
    chosen = ("--name", "losses/td", "--home", str(recorded))
    assert alphagrad("metrics", "tiny", "0", *chosen).stdout == f"step,name,value\n{losses}"


def test_metrics_that_are_not_there_are_named(recorded: Path, alphagrad: Command) -> None:
    home = ("--home", str(recorded))
    absent = alphagrad("metrics", "tiny", "0", "--name", "a,b", "--name", "typo", *home)
    assert (absent.returncode, absent.stdout) == (2, "")
    said = " ".join(re.sub("[│╭╮╰╯─]", "", absent.stderr).split())
    assert "trial 0 of tiny has no typo; it recorded losses/td, a,b" in said
    assert "'tiny' has no trial 2" in one_line(alphagrad("metrics", "tiny", "2", *home))
    assert "'nobody'" in one_line(alphagrad("metrics", "nobody", "0", *home))
    assert alphagrad("metrics", "tiny", "-1", *home).returncode == 2


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        ("run", b"name = ", "TOML"),
        ("submit", b"\xff\xfe", "TOML"),
        ("submit", b'name = "x"\ntask = "nope"\nn_trials = 1', "nope"),
        ("run", b'name = "x"\ntask = "digits"\nn_trials = 0', "n_trials"),
    ],
    ids=["no-toml", "no-text", "task", "n_trials"],
)
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path, alphagrad: Command, command: str, text: bytes, said: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text)
    assert said in one_line(alphagrad(command, str(path), "--home", str(tmp_path / "home")))


def test_a_missing_file_is_named(tmp_path: Path, alphagrad: Command) -> None:
    done = alphagrad("run", "no-such-file.toml", "--home", str(tmp_path))
    assert done.returncode == 2  # wrong usage
    assert "no-such-file.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_needs_a_key(alphagrad: Command) -> None:
    line = one_line(alphagrad("ls", "--url", "http://127.0.0.1:1"))
    assert "ALPHAGRAD_API_KEY" in line


def test_a_server_that_does_not_answer_is_named(alphagrad: Command) -> None:
    done = alphagrad("ls", "--url", "http://127.0.0.1:1", ALPHAGRAD_API_KEY="x" * 16)
    assert "http://127.0.0.1:1" in one_line(done, code=4)


def test_a_key_that_no_header_can_hold_is_refused_in_one_line(alphagrad: Command) -> None:
    one_line(alphagrad("ls", "--url", "http://127.0.0.1:1", ALPHAGRAD_API_KEY="ключ" * 4))


@pytest.mark.parametrize("command", ["ls", "worker"])
def test_a_database_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path, alphagrad: Command, command: str
) -> None:
    url = "postgresql://somebody:hunter2@127.0.0.1:1/x"
    done = alphagrad(command, "--home", str(tmp_path), ALPHAGRAD_DATABASE_URL=url)
    assert "hunter2" not in done.stderr
    assert "127.0.0.1" in one_line(done, code=4)


def test_another_kind_of_database_is_refused(tmp_path: Path, alphagrad: Command) -> None:
    url = "mysql://somebody:hunter2@127.0.0.1/x"
    line = one_line(
        alphagrad("serve", "--port", "0", "--home", str(tmp_path), "--database-url", url)
    )
    assert "mysql" in line
    assert "hunter2" not in line


# What other tests' commands on the same home leave.
APART = ("alphagrad_audit", "alphagrad_idempotency")


def contents(url: str) -> dict[str, tuple[int, set[str]]]:
    """For each table, how many rows it has and which columns hold something in any of them."""
    engine = create_engine(parse_url(url))
    metadata = MetaData()
    metadata.reflect(engine)
    found = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if table.name in APART:
                continue
            columns = [func.count(column).label(column.name) for column in table.columns]
            row = connection.execute(select(func.count(), *columns).select_from(table)).one()
            filled = {str(name) for name, n in list(row._mapping.items())[1:] if n}
            found[table.name] = (row[0], filled)
    engine.dispose()
    return found


def test_run_leaves_the_same_rows_on_postgresql(
    ran: Path, tiny: Path, tmp_path: Path, new_postgres: Callable[[], str], alphagrad: Command
) -> None:
    url = new_postgres()
    done = alphagrad("run", str(tiny), "--home", str(tmp_path), ALPHAGRAD_DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "alphagrad.db").exists()
    there = contents(url)
    here = contents(f"sqlite:///{ran / 'alphagrad.db'}")
    # How many signs of progress there are depends on the time that the trials took.
    assert there.pop("alphagrad_events")[1] == here.pop("alphagrad_events")[1]
    assert there == here
    for table in ("alphagrad_studies", "alphagrad_trials", "alphagrad_traces", "trials"):
        assert there[table][0] > 0, table
    assert there["alphagrad_trials"][0] == there["trials"][0] == 2
    # The seed alone decides, not the database.
    numbers = re.compile(r"^│ \d .*?│ (COMPLETE +│ [\d.]+ +│ [\d.]+)", re.MULTILINE)
    assert numbers.findall(done.stdout) == numbers.findall((ran / "run.txt").read_text()) != []
