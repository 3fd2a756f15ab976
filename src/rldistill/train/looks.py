"""Looks at a student while it learns, and the last one."""

from collections.abc import Iterator

from rldistill.envs.naming import task_names
from rldistill.evaluation.evidence import take_evidence
from rldistill.evaluation.evidence_file import save_evidence
from rldistill.evaluation.prove import Measured
from rldistill.train.fit import GrowingLearner
from rldistill.train.job import Job
from rldistill.train.progress import Progress

# A student is looked at again when its steps have grown by this factor: often while it is young,
# rarely later, so that testing never dominates a long run.
LOOK_GROWTH = 1.4


def look(job: Job) -> Iterator[Progress]:
    """Screen the student; if it is nominated, confirm it as it is now.

    Each look is saved before it is shown: what was seen is never played again.
    """
    state, prover = job.state, job.prover
    state.next_look = int(state.env_steps * LOOK_GROWTH)
    if prover is None:
        return
    screening = prover.screen(job.learner.tested)
    job.keeper.save(job)
    yield job.keeper.record(state.progress(look=screening))
    if screening.decision == "nominate":
        yield from confirm(job)
        if not job.holds:
            prover.next_candidate()


def confirm(job: Job) -> Iterator[Progress]:
    """Test the student on fresh seeds, round by round."""
    if job.prover is not None:
        for confirming in job.prover.confirm(job.learner.tested):
            job.keeper.save(job)
            yield job.keeper.record(job.state.progress(look=confirming))


def choose(job: Job) -> Iterator[Progress]:
    """Let the trees that a learner kept play against each other, and go on with the best.

    The episodes choose and judge nobody: the one that is chosen is confirmed on fresh seeds.
    """
    if job.prover is None or not isinstance(job.learner, GrowingLearner):
        return
    candidates = job.learner.candidates()
    if len(candidates) > 1:
        halving = job.prover.halve(candidates)
        job.learner.choose(candidates[halving.best])
        job.keeper.save(job)
        message = (
            f"chosen   the best of {len(candidates)} students by successive halving: mean return "
            f"{halving.mean:.4g} over {halving.episodes} episodes"
        )
        yield job.keeper.record(job.state.progress(message=message))


def conclude(job: Job) -> Iterator[Progress]:
    """Confirm the last student unless one was, measure it on fresh episodes, and save."""
    verdict = alike = measured = None
    if job.prover is not None:
        if not job.holds:
            yield from choose(job)
            # The tests take a while, in a short run longer than the training.
            job.keeper.save(job)
        yield from confirm(job)
        measured = job.prover.measure(job.learner.tested)
        verdict, alike = measured.verdict, measured.alike
    job.keeper.finish(job, verdict, alike)
    if measured is not None:
        yield from keep_evidence(job, measured)
    yield job.keeper.record(job.state.progress(verdict=verdict, done=True))


def keep_evidence(job: Job, measured: Measured) -> Iterator[Progress]:
    """Write what the run's page is made from. The run is safe already: no failure here ends it."""
    assert job.task is not None, "what was measured was played"
    assert job.task_info is not None, "and is known since"
    assert job.prover is not None, "by the prover"
    try:
        names = task_names(job.task, job.task_info)
        # As saved: what a tree has grown to is counted there.
        teacher, student = job.prover.contestants.teacher, job.saved_student()
        evidence = take_evidence(measured, job.task_info, names, teacher, student)
        save_evidence(job.keeper.folder.evidence, evidence)
    except Exception as error:
        why = f"warning  no evidence is kept for the report: {type(error).__name__}: {error}"
        yield job.keeper.record(job.state.progress(message=why))
