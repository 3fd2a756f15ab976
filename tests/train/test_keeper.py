"""The run folder while a run lasts, and the way back: what a resumed run takes over."""

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import FOLLOW, QUICK, follower, quick_job

from rldistill.core import Acting
from rldistill.envs.spec import TaskSpec
from rldistill.errors import RunFolderError
from rldistill.evaluation.prove import Prover
from rldistill.evaluation.scores import Arena
from rldistill.runs import RunFolder, read_json
from rldistill.students.store import load_student
from rldistill.train import keeper as keeper_module
from rldistill.train import prepare as prepare_module
from rldistill.train.checkpoint import load_checkpoint
from rldistill.train.distill import distilling
from rldistill.train.job import Job

LONG = 1_000_000


def run(job: Job) -> list[Any]:
    return list(distilling(job))


def stop_after(job: Job, rounds: int) -> None:
    """Leave the loop as Ctrl-C between two rounds does."""
    progress = distilling(job)
    for record in progress:
        if record.phase == "learning" and record.round_index == rounds:
            break
    progress.close()


def taken_over(job: Job) -> Job:
    """The job once it has read what there is to resume."""
    with job.keeper:
        job.keeper.start(job)
    return job


def whole_state(job: Job) -> dict[str, Any]:
    assert job.prover is not None
    state = job.state.to_json()
    state.pop("before_seconds")
    return {
        "learner": job.learner.state_dict(),
        "memory": job.memory.state_dict(),
        "control": job.randomness.control.get_state(),
        "batches": job.randomness.batches.get_state(),
        "uniform": job.randomness.uniform.bit_generator.state,
        "counters": state,
        "proof": job.prover.state_dict(),
        "alignment": job.learner.alignment,
    }


def assert_equal(one: Any, other: Any, where: str = "state") -> None:
    """Bit-equal, whatever is nested in what; lists and tuples are one."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{where}.{index}")
    else:
        assert one == other, where


@pytest.mark.parametrize(
    "method", [QUICK, replace(QUICK, control=replace(QUICK.control, epsilon=0.3))]
)
def test_resuming_restores_everything_bit_equally(tmp_path: Path, method: Any) -> None:
    """Weights, average, optimiser, memory, random states, counters and the state of the proof."""
    job = quick_job(tmp_path / "run", steps=LONG, method=method)
    stop_after(job, 3)
    again = taken_over(quick_job(tmp_path / "run", resume=True, steps=LONG, method=method))
    before = whole_state(job)
    assert before["counters"]["round_index"] == 3
    assert before["learner"]["updates"] > 0
    assert_equal(before, whole_state(again))


def test_a_q_network_keeps_the_temperature_of_its_first_states(tmp_path: Path) -> None:
    """The action gap is measured once; a resumed run must not measure it anew."""
    from rldistill.core import NetworkPolicy, QValueHead

    policy = follower()
    teacher = NetworkPolicy(policy.module, replace(policy.info, head=QValueHead(2)))
    job = quick_job(tmp_path / "run", steps=LONG, teacher=teacher)
    stop_after(job, 2)
    assert job.state.action_gap is not None
    again = taken_over(quick_job(tmp_path / "run", resume=True, steps=LONG, teacher=teacher))
    assert again.learner.alignment == job.learner.alignment
    assert again.learner.alignment.teacher_temperature != 1.0


def test_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    job = quick_job(tmp_path / "run", steps=3000)
    stop_after(job, 2)
    again = quick_job(tmp_path / "run", resume=True, steps=3000)
    records = run(again)
    assert records[0].env_steps == job.state.env_steps
    assert again.state.env_steps >= 3000
    assert again.state.train_seconds > job.state.train_seconds
    assert again.keeper.summary is not None
    assert again.keeper.summary["total_seconds"] > again.keeper.seconds() - 0.1
    assert again.state.before_seconds > job.state.train_seconds


def test_environments_start_new_episodes_on_other_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Playing the first episodes again would count the same states twice."""
    from rldistill.train import sources

    seeds: list[int] = []
    make = sources.make

    def watched(task: Any, num_envs: int, seed: int) -> Any:
        seeds.append(seed)
        return make(task, num_envs, seed)

    monkeypatch.setattr(sources, "make", watched)
    stop_after(quick_job(tmp_path / "run", steps=LONG), 2)
    stop_after(quick_job(tmp_path / "run", steps=LONG, resume=True), 3)
    assert len(set(seeds)) == 2


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of all rounds that are played."""
    seeds: list[int] = []
    next_seed = Arena.next_seed

    def watched(self: Arena) -> int:
        seeds.append(next_seed(self))
        return seeds[-1]

    monkeypatch.setattr(Arena, "next_seed", watched)
    return seeds


def test_evaluation_seeds_are_never_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, played: list[int]
) -> None:
    """Stopped at every kind of look, with and without the way out being taken."""
    monkeypatch.setattr(prepare_module, "FIRST_LOOK", 1)
    for number in range(6):
        job = quick_job(tmp_path / "run", resume=number > 0, steps=LONG, until=1.0)
        progress = distilling(job)
        looks = 0
        for record in progress:
            looks += bool(record.decision)
            if looks == 1 + number % 3:
                break
        if number % 2:
            # As by kill -9: nothing is saved on the way out.
            monkeypatch.setattr(keeper_module.Keeper, "save_unless_finished", lambda *_: None)
        progress.close()
    assert len(played) > 10
    assert len(set(played)) == len(played)


def test_an_interrupted_candidate_is_spent(tmp_path: Path) -> None:
    """Between two looks at it the run was stopped: its error rate is used up."""
    job = quick_job(tmp_path / "run", steps=512, until=1.0)
    progress = distilling(job)
    for record in progress:
        if record.phase == "confirming":
            break
    progress.close()
    again = taken_over(quick_job(tmp_path / "run", resume=True, steps=512, until=1.0))
    assert again.prover is not None
    assert again.prover.trial.candidate == 2
    assert again.prover.trial.episodes == 0
    assert again.prover.trial.level == 0.05 / 4


def test_a_student_that_was_shown_to_hold_stays_so(tmp_path: Path) -> None:
    """Stopped between the test and the measurement: only the measurement is left to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare_module, "FIRST_LOOK", 1)
        patch.setattr(Prover, "measure", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(quick_job(tmp_path / "held", steps=LONG, until=0.9))
    again = quick_job(tmp_path / "held", resume=True, steps=LONG, until=0.9)
    weights = load_student(tmp_path / "held").module.state_dict()
    records = run(again)
    assert [record.phase for record in records] == ["learning", "learning", "done"]
    assert again.keeper.summary is not None
    assert again.keeper.summary["verdict"] == "holds"
    assert_equal(weights, load_student(tmp_path / "held").module.state_dict())


def interrupt(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ["learn", "collect", "sample"])
def test_ctrl_c_in_the_middle_of_a_round_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """KeyboardInterrupt comes wherever Python is."""
    from rldistill.data.replay import Replay
    from rldistill.rollout.collect import Collector
    from rldistill.train.learners import PerStateLearner

    owner: Any = {"learn": PerStateLearner, "collect": Collector, "sample": Replay}[moment]
    original = getattr(owner, moment)
    calls = [0]

    def interrupted(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == (20 if moment == "sample" else 3):
            raise KeyboardInterrupt
        return original(*arguments)

    job = quick_job(tmp_path / "run", steps=LONG)
    with monkeypatch.context() as patch:
        patch.setattr(owner, moment, interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(job)
    if job.state.round_index:
        assert load_student(tmp_path / "run").info.name == "mlp:8"
    again = quick_job(tmp_path / "run", resume=True, steps=job.state.env_steps + 512)
    run(again)
    assert again.state.env_steps > job.state.env_steps


def test_a_large_memory_is_collected_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not written to disk, and the resumed run begins with an empty one."""
    monkeypatch.setattr(keeper_module, "LARGEST_MEMORY", 1000)
    job = quick_job(tmp_path / "run", steps=4000)
    stop_after(job, 3)
    assert job.memory.nbytes > 1000
    tensors, _ = load_checkpoint(tmp_path / "run" / "checkpoint")
    assert not [name for name in tensors if name.startswith("memory")]
    again = quick_job(tmp_path / "run", resume=True, steps=4000)
    run(again)
    assert 0 < len(again.memory) < again.state.env_steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"teacher": follower(name="another")},
            "teacher: the run has sha of by hand, you asked for sha of another",
        ),
        ({"student": "mlp:9"}, "student: the run has mlp:8, you asked for mlp:9"),
        ({"method": replace(QUICK, name="mine")}, "method: the run has dagger, you asked for mine"),
        ({"seed": 5}, "seed: the run has 0, you asked for 5"),
        ({"until": 0.8}, r"until: the run has 0\.95, you asked for 0\.8"),
        ({"student_act": Acting(False)}, "student_act: the run has mode, you asked for sample"),
        ({"teacher_act": Acting(False)}, "teacher_act: the run has mode, you asked for sample"),
        (
            {"task": TaskSpec(id="Follow-v0", env_kwargs={"scale": 2.0})},
            "task: the run has Follow-v0 on gymnasium, "
            r"you asked for Follow-v0 on gymnasium with scale=2\.0",
        ),
        (
            {"task": TaskSpec(id="Follow-v0", wrapper="small_runs:halve")},
            "task: .*you asked for Follow-v0 on gymnasium in small_runs:halve",
        ),
        (
            {"evaluation_envs": 32},
            "evaluation_envs: the run has 64, you asked for 32",
        ),
    ],
)
def test_another_run_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Whatever the verdict is about must be the same; one line names both sides, and no other."""
    stop_after(quick_job(tmp_path / "run", steps=2048), 1)
    before = (tmp_path / "run" / "checkpoint" / "checkpoint.safetensors").read_bytes()
    with pytest.raises(RunFolderError, match=f"another run:\n  {message}"):
        run(quick_job(tmp_path / "run", resume=True, **({"steps": 2048} | changes)))
    assert (tmp_path / "run" / "checkpoint" / "checkpoint.safetensors").read_bytes() == before


def test_each_difference_has_a_line_of_its_own(tmp_path: Path) -> None:
    stop_after(quick_job(tmp_path / "run", steps=2048), 1)
    with pytest.raises(RunFolderError) as caught:
        run(quick_job(tmp_path / "run", resume=True, steps=2048, seed=1, student="mlp:9"))
    assert str(caught.value).splitlines() == [
        "cannot resume, this is another run:",
        "  student: the run has mlp:8, you asked for mlp:9",
        "  seed: the run has 0, you asked for 1",
    ]


def test_a_run_that_has_ended_needs_more_steps(tmp_path: Path) -> None:
    run(quick_job(tmp_path / "run", steps=512))
    verdict = (tmp_path / "run" / "verdict.json").read_bytes()
    with pytest.raises(RunFolderError, match=r"has ended.*more steps than its 512 \(--steps\)"):
        run(quick_job(tmp_path / "run", resume=True, steps=512))
    assert (tmp_path / "run" / "verdict.json").read_bytes() == verdict


def test_fewer_steps_than_were_done_are_refused(tmp_path: Path) -> None:
    """Before anything is written; what was done, what was asked. As many as were done are not."""
    job = quick_job(tmp_path / "run", steps=LONG)
    stop_after(job, 3)
    done = job.state.env_steps
    files = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    message = f"has done {done:,} steps of 1,000,000, you asked for {done - 1:,}: leave --steps out"
    with pytest.raises(RunFolderError, match=message):
        run(quick_job(tmp_path / "run", resume=True, steps=done - 1))
    assert files == {path: path.read_bytes() for path in files}
    assert len(files) == len([path for path in (tmp_path / "run").rglob("*") if path.is_file()])
    again = quick_job(tmp_path / "run", resume=True, steps=done)
    run(again)
    assert again.state.env_steps == done


def test_a_run_that_did_a_few_steps_more_than_asked_can_be_judged_again(tmp_path: Path) -> None:
    """16 environments stepped together cannot stop at 500: this is no request for fewer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prover, "measure", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(quick_job(tmp_path / "run", steps=500))
    again = quick_job(tmp_path / "run", resume=True, steps=500)
    run(again)
    assert again.keeper.summary is not None
    assert again.state.env_steps > 500


def test_a_run_that_has_ended_goes_on_with_more_steps(tmp_path: Path) -> None:
    """As another candidate, at half the level; the old verdict stays until the old student goes."""
    job = quick_job(tmp_path / "run", steps=512)
    run(job)
    assert job.prover is not None
    again = quick_job(tmp_path / "run", resume=True, steps=2048)
    progress = distilling(again)
    next(progress)
    assert read_json(tmp_path / "run" / "verdict.json")["env_steps"] < 2048
    again.keeper.save(again)
    assert not (tmp_path / "run" / "verdict.json").exists()
    list(progress)
    assert again.prover is not None
    assert again.prover.trial.candidate == job.prover.trial.candidate + 1
    assert read_json(tmp_path / "run" / "verdict.json")["env_steps"] >= 2048
    assert "steps = 2048" in (tmp_path / "run" / "recipe.toml").read_text()


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        quick_job(tmp_path / "holiday", resume=True)
    with pytest.raises(RunFolderError, match=r"no run folder at .*Did you mean holiday"):
        quick_job(tmp_path / "holidya", resume=True)


def test_a_run_killed_before_its_first_save_starts_from_the_beginning(tmp_path: Path) -> None:
    """There is a folder and a recipe and nothing else: nothing is lost by starting."""
    progress = distilling(quick_job(tmp_path / "run", steps=512))
    next(progress)
    progress.close()
    assert not (tmp_path / "run" / "checkpoint").exists()
    again = quick_job(tmp_path / "run", resume=True, steps=512)
    records = run(again)
    assert "nothing was saved yet: starting from the beginning" in records[0].message
    assert again.keeper.summary is not None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, damage: str) -> None:
    stop_after(quick_job(tmp_path / "run", steps=LONG), 1)
    path = tmp_path / "run" / "checkpoint" / "checkpoint.safetensors"
    content = path.read_bytes()
    changed = {
        "cut": content[: len(content) // 2],
        "flipped": content[:100] + b"\xff\xff" + content[102:],
        "empty": b"",
        "other": (tmp_path / "run" / "student.safetensors").read_bytes(),
    }
    path.write_bytes(changed[damage])
    with pytest.raises(RunFolderError, match="is damaged"):
        run(quick_job(tmp_path / "run", resume=True, steps=LONG))


def test_two_processes_cannot_write_one_folder(tmp_path: Path) -> None:
    """The second is told by whom it is held, and touches nothing."""
    job = quick_job(tmp_path / "run", steps=LONG)
    progress = distilling(job)
    for record in progress:
        if record.round_index == 1:
            break
    recipe = (tmp_path / "run" / "recipe.toml").read_bytes()
    with pytest.raises(RunFolderError, match=f"in use by process {os.getpid()}"):
        run(quick_job(tmp_path / "run", resume=True, steps=512))
    with pytest.raises(RunFolderError, match="in use by process"):
        quick_job(tmp_path / "run", force=True)
    assert (tmp_path / "run" / "recipe.toml").read_bytes() == recipe
    next(progress)
    progress.close()


def test_the_checkpoint_is_read_under_the_lock(tmp_path: Path) -> None:
    """A run prepared while another was going on takes over what that one saved last."""
    stop_after(quick_job(tmp_path / "run", steps=LONG), 1)
    late = quick_job(tmp_path / "run", resume=True, steps=LONG)
    stop_after(quick_job(tmp_path / "run", resume=True, steps=LONG), 4)
    assert taken_over(late).state.round_index == 4


def test_saving_takes_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a save takes long, the next one waits until it was at most 5 % of the time."""
    job = quick_job(tmp_path / "run", save_seconds=0.0, steps=512)
    save = keeper_module.save_checkpoint

    def slow(*arguments: Any) -> None:
        save(*arguments)
        time.sleep(0.05)

    monkeypatch.setattr(keeper_module, "save_checkpoint", slow)
    with job.keeper:
        job.keeper.start(job)
        job.keeper.save(job)
        before = load_checkpoint(tmp_path / "run" / "checkpoint")[1]
        job.state.round_index = 7
        job.keeper.save_if_due(job)
    assert load_checkpoint(tmp_path / "run" / "checkpoint")[1] == before


def test_the_first_round_is_saved_at_once(tmp_path: Path) -> None:
    """Not when save_seconds are over: a short run would have nothing by then."""
    job = quick_job(tmp_path / "run", steps=LONG)
    progress = distilling(job)
    for record in progress:
        if record.round_index == 2:
            break
    tensors, saved = load_checkpoint(tmp_path / "run" / "checkpoint")
    assert saved["state"]["round_index"] == 1
    assert [name for name in tensors if name.startswith("memory")]
    for record in progress:
        if record.round_index == 4:
            break
    assert load_checkpoint(tmp_path / "run" / "checkpoint")[1]["state"]["round_index"] == 1
    progress.close()


def test_a_resumed_run_is_not_saved_at_once(tmp_path: Path) -> None:
    """What it took over lies there, with all its memory."""
    stop_after(quick_job(tmp_path / "run", steps=LONG), 2)
    progress = distilling(quick_job(tmp_path / "run", resume=True, steps=LONG))
    for record in progress:
        if record.round_index == 4:
            break
    assert load_checkpoint(tmp_path / "run" / "checkpoint")[1]["state"]["round_index"] == 2
    progress.close()


def test_the_first_save_leaves_out_a_memory_that_is_not_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold up the run; the later saves have it."""
    monkeypatch.setattr(keeper_module, "SMALL_MEMORY", 1000)
    progress = distilling(quick_job(tmp_path / "run", steps=LONG))
    for record in progress:
        if record.round_index == 2:
            break
    assert load_checkpoint(tmp_path / "run" / "checkpoint")[1]["memory"] is None
    progress.close()
    assert load_checkpoint(tmp_path / "run" / "checkpoint")[1]["memory"] is not None


def test_what_was_learnt_is_saved_before_it_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the first episodes of the last test, a run has all its training."""
    monkeypatch.setattr(keeper_module.Keeper, "save_unless_finished", lambda *_: None)
    monkeypatch.setattr(Prover, "confirm", interrupt)
    job = quick_job(tmp_path / "run", steps=2048)
    with pytest.raises(KeyboardInterrupt):
        run(job)
    saved = load_checkpoint(tmp_path / "run" / "checkpoint")[1]
    assert saved["state"]["env_steps"] == job.state.env_steps >= 2048


def test_the_card_says_where_the_student_is_from(tmp_path: Path) -> None:
    run(quick_job(tmp_path / "run", steps=512, seed=9, command="rldistill distill x"))
    card = json.loads((tmp_path / "run" / "student.json").read_text())
    assert card["architecture"] == "mlp:8"
    assert card["task"]["id"] == "Follow-v0"
    assert card["teacher"]["sha256"] == "sha of by hand"
    assert card["command"] == "rldistill distill x"
    assert card["seed"] == 9
    assert card["versions"]["torch"] == torch.__version__
    assert card["observation_shape"] == [2]


def test_metrics_are_one_object_per_record(tmp_path: Path) -> None:
    records = run(quick_job(tmp_path / "run", steps=1024))
    assert RunFolder.open(tmp_path / "run").read_metrics() == [r.to_json() for r in records]


# --- processes that die ---------------------------------------------------------------------------


def in_child(target: Callable[[], None]) -> multiprocessing.Process:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    child: Any = multiprocessing.get_context("fork").Process(target=target, daemon=True)
    child.start()
    return child


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.005)


def test_kill_9_at_any_moment_leaves_a_folder_to_load_and_resume(tmp_path: Path) -> None:
    """Killed again and again at random moments, while it saves after every round."""
    folder = tmp_path / "run"
    generator = random.Random(0)

    def train(resume: bool) -> None:
        run(quick_job(folder, resume=resume, steps=LONG, save_seconds=0.0, until=1.0))

    seen = 0
    rounds_played = 0
    for number in range(6):
        child = in_child(lambda resume=number > 0: train(resume))
        count = folder / "metrics.jsonl"
        size = count.stat().st_size if count.exists() else 0
        wait_for(lambda count=count, size=size: count.exists() and count.stat().st_size > size)
        if number >= 3:
            # The first are killed before anything was saved, these not, however slow the machine.
            wait_for((folder / "student.json").exists)
        time.sleep(generator.uniform(0.0, 0.3))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        job = taken_over(quick_job(folder, resume=True, steps=LONG, until=1.0))
        assert job.prover is not None
        assert job.prover.arena.rounds_played >= rounds_played
        rounds_played = job.prover.arena.rounds_played
        assert job.state.env_steps >= seen
        seen = job.state.env_steps
        RunFolder.open(folder).read_metrics()
        if (folder / "student.json").exists():
            load_student(folder)
    assert seen > 0
    assert (folder / "student.json").exists()


def test_tasks_are_told_apart_by_what_they_are(tmp_path: Path) -> None:
    """The id alone does not make a task."""
    job = quick_job(tmp_path / "run", task=FOLLOW)
    assert job.identity()["task"] == {
        "id": "Follow-v0", "backend": "gymnasium", "env_kwargs": {}, "wrapper": None,
    }  # fmt: skip
