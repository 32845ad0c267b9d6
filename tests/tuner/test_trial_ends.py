"""How trials end: tasks that fail, hang, die or misbehave, run by a real worker."""

import math
from collections.abc import Callable
from typing import Any

from optuna.trial import FrozenTrial

from alphagrad.tuner.database import Database
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.settings import TunerSettings
from tests.marks import both_engines, each_engine_once, on_sqlite

RunScript = Callable[..., Any]


ENDS = """
@task("end")
def end(trial: Trial) -> float:
    match trial.params["how"]:
        case "number":
            return trial.params["result"]
        case "nan" | "inf" | "-inf" as text:
            return float(text)
        case "none":
            return None
        case "bool":
            return True
        case "text":
            return "0.5"
        case "raise":
            raise RuntimeError("out of luck")
        case "hopeless":
            raise NonRetryableError("no such data")
        case "slow":
            time.sleep(60)
        case "exit":
            sys.exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "second time":
            if trial.attempt == 1:
                raise RuntimeError("not yet")
            return 7.0
        case "prune":
            trial.report(0.25, step=1)
            trial.report(0.5, step=2)
            raise TrialPruned
        case "prune nan" | "prune inf":
            trial.report(0.25, step=1)
            trial.report(float(trial.params["how"][-3:]), step=2)
            raise TrialPruned
        case "prune late":  # the first attempt has come further
            for step in range(1, 4 if trial.attempt == 1 else 2):
                trial.report(step / 8, step=step)
            if trial.attempt == 1:
                raise RuntimeError("once more")
            raise TrialPruned
        case "prints":
            print("from python")
            os.system("echo from a child")
            trial.log("from the trial")
            assert (trial.study, trial.number, trial.attempt) == ("prints", 0, 1)
            assert os.environ["OMP_NUM_THREADS"] == "1"
            return 1.0
        case "talks":
            for step in range(2**31):
                trial.report(0.5, step=step)
        case "complex":
            import torch
            return torch.tensor(1j)
        case "checkpoint":
            state = trial.load_checkpoint()
            if state is None:
                trial.save_checkpoint({"seed": trial.seed, "x": trial.params["x"]})
                os.kill(os.getpid(), signal.SIGKILL)
            assert state == {"seed": trial.seed, "x": trial.params["x"]}
            return state["x"]

def main():
    def study(how, **more):
        return {"task": "end", "params": {"how": how} | more.pop("params", {})} | more

    return run_studies({
        "number": study("number", params={"result": 0.5}),
        "zero": study("number", params={"result": 0}),
        "nan": study("nan", retries=2),
        "inf": study("inf"),
        "minus-inf": study("-inf"),
        "none": study("none"),
        "bool": study("bool"),
        "text": study("text"),
        "raise": study("raise", retries=2),
        "hopeless": study("hopeless", retries=2),
        "slow": study("slow", trial_timeout=0.5, retries=1),
        "talks": study("talks", trial_timeout=0.5),
        "complex": study("complex"),
        "exit": study("exit"),
        "kill": study("kill"),
        "second": study("second time", retries=1),
        "prune": study("prune"),
        "prune-nan": study("prune nan"),
        "prune-inf": study("prune inf"),
        "prune-late": study("prune late", retries=1),
        "prints": study("prints"),
        "checkpoint": study(
            "checkpoint", params={"x": {"type": "float", "low": 0, "high": 1}}, retries=1
        ),
    })
"""


@each_engine_once
def test_each_end_is_recorded_as_what_it_is(
    run_script: RunScript,
    settings: TunerSettings,
    optuna_trials: Callable[[Database, str], list[FrozenTrial]],
) -> None:
    ended = run_script(ENDS, seconds=240)
    [[state, value, error, attempt]] = ended.pop("checkpoint")
    assert (state, error, attempt) == ("COMPLETE", None, 2)
    assert 0.0 <= value <= 1.0
    needed = "a finite number is needed"
    died = "the trial's process"
    assert ended == {
        "number": [["COMPLETE", 0.5, None, 1]],
        "zero": [["COMPLETE", 0.0, None, 1]],
        "nan": [["FAIL", None, f"the task returned nan; {needed}", 1]],
        "inf": [["FAIL", None, f"the task returned inf; {needed}", 1]],
        "minus-inf": [["FAIL", None, f"the task returned -inf; {needed}", 1]],
        "none": [["FAIL", None, f"the task returned None; {needed}", 1]],
        "bool": [["FAIL", None, f"the task returned True; {needed}", 1]],
        "text": [["FAIL", None, f"the task returned '0.5'; {needed}", 1]],
        "raise": [["FAIL", None, "RuntimeError: out of luck", 3]],
        "hopeless": [["FAIL", None, "NonRetryableError: no such data", 1]],
        "slow": [["FAIL", None, "ran longer than trial_timeout=0.5", 2]],
        "talks": [["FAIL", None, "ran longer than trial_timeout=0.5", 1]],
        "complex": [["FAIL", None, f"the task returned tensor(0.+1.j); {needed}", 1]],
        "exit": [["FAIL", None, f"{died} ended with exit code 3 without a result", 1]],
        "kill": [["FAIL", None, f"{died} was killed by signal 9 without a result", 1]],
        "second": [["COMPLETE", 7.0, None, 2]],
        "prune": [["PRUNED", 0.5, None, 1]],
        "prune-nan": [["PRUNED", None, None, 1]],
        "prune-inf": [["PRUNED", math.inf, None, 1]],
        "prune-late": [["PRUNED", 0.125, None, 2]],
        "prints": [["COMPLETE", 1.0, None, 1]],
    }
    database = Database(settings.url)
    for name in ended:
        [ours] = list_trials(database, name)
        [theirs] = optuna_trials(database, name)
        assert (theirs.state.name, theirs.value, theirs.number) == (ours.state, ours.value, 0)
        assert ours.told
    [pruned] = optuna_trials(database, "prune")
    assert pruned.intermediate_values == {1: 0.25, 2: 0.5}
    [pruned] = optuna_trials(database, "prune-late")
    assert pruned.intermediate_values == {1: 0.125}
    database.dispose()
    log = settings.log_path("raise", 0).read_text()
    assert log.count("RuntimeError: out of luck") >= 3
    assert "Traceback" in log
    log = settings.log_path("prints", 0).read_text()
    for line in ("from python\n", "from a child\n", "from the trial\n"):
        assert line in log


POISON = """
@task("poison")
def poison(trial: Trial) -> float:
    match trial.params["kind"]:
        case "nul":
            raise ValueError("a" + chr(0) + "b")
        case "surrogate":  # as in the name of a file that is not UTF-8
            raise FileNotFoundError("caf" + chr(0xDCE9) + ".txt")
        case "step":
            trial.report(1.0, step=2**31)
    return 1.0

def main():
    kinds = ["nul", "surrogate", "step", "none"]
    return run_studies({kind: {"task": "poison", "params": {"kind": kind}} for kind in kinds})
"""


def test_a_trial_that_cannot_be_written_down_is_no_end_of_the_worker(
    run_script: RunScript,
) -> None:
    ended = run_script(POISON)
    [[state, _, error, _]] = ended["nul"]
    assert (state, error[:13]) == ("FAIL", "ValueError: a")
    [[state, _, error, _]] = ended["surrogate"]
    assert (state, error[:22]) == ("FAIL", "FileNotFoundError: caf")
    assert ended["step"][0][0] in ("COMPLETE", "FAIL")  # as the database can hold it or not
    assert ended["none"] == [["COMPLETE", 1.0, None, 1]]


CHILDREN = """
@task("parent")
def parent(trial: Trial) -> float:
    child = subprocess.Popen(["sleep", "30"])
    # One that ignores what can be ignored, and one whose parent is gone, in sessions of their own.
    deaf = ["sh", "-c", "trap '' TERM INT HUP; sleep 31; sleep 32"]
    away = subprocess.Popen(deaf, start_new_session=True)
    orphan = ["sh", "-c", "sleep 33 >/dev/null & echo $!"]
    daemon = subprocess.run(orphan, stdout=subprocess.PIPE, start_new_session=True)
    if trial.study == "forks":
        # As gymnasium's AsyncVectorEnv does: this child has a copy of the trial's line.
        forked = os.fork()
        if forked == 0:
            time.sleep(120)
            os._exit(0)
    path = trial.params["home"] + "/" + trial.study
    with open(path + ".new", "w") as file:
        file.write(f"{os.getpid()} {child.pid} ")
        if trial.study == "waits":
            file.write(f"{away.pid} {daemon.stdout.decode()}")
        else:  # which end by themselves; then only their group is known
            away.kill()
            os.kill(int(daemon.stdout), signal.SIGKILL)
    os.rename(path + ".new", path)
    match trial.study:
        case "waits":
            while True:
                time.sleep(0.05)
        case "dies" | "forks":
            os.kill(os.getpid(), signal.SIGKILL)
    return 1.0

def main():
    path, cancelled_at, seconds = os.environ["ALPHAGRAD_HOME"] + "/waits", [], []

    def is_left(pid):
        try:
            return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def cancel(database):
        if not os.path.exists(path):
            return
        if not cancelled_at:
            cancel_study(database, "waits")
            cancelled_at.append(time.monotonic())
        elif not seconds and not any(map(is_left, open(path).read().split())):
            seconds.append(time.monotonic() - cancelled_at[0])

    names = ["waits", "returns", "dies", "forks"]
    params = {"home": os.environ["ALPHAGRAD_HOME"]}  # a Ray cluster has an environment of its own
    bodies = {name: {"task": "parent", "params": params} for name in names}
    rows = run_studies(bodies, cancel)
    while not seconds:  # the studies may have ended before the next look
        cancel(None)
        time.sleep(0.02)
    return [rows, seconds]
"""


@both_engines
@on_sqlite
def test_a_trials_children_end_with_it(
    run_script: RunScript,
    settings: TunerSettings,
    until: Callable[..., object],
    gone: Callable[[int], bool],
) -> None:
    # A dead trial whose forked child still holds its line ends all the same, not after 120 s.
    ended, [seconds] = run_script(CHILDREN, seconds=110)
    assert seconds < 20  # by themselves the children live for 30
    died = "the trial's process was killed by signal 9 without a result"
    assert ended == {
        "waits": [["FAIL", None, "the study was cancelled", 1]],
        "returns": [["COMPLETE", 1.0, None, 1]],
        "dies": [["FAIL", None, died, 1]],
        "forks": [["FAIL", None, died, 1]],
    }
    for name in ended:
        for pid in map(int, (settings.home / name).read_text().split()):
            until(lambda pid=pid: gone(pid), seconds=20)
