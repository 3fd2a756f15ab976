"""What is said at the start of a run: what was found, what was assumed, what is odd."""

from rldistill.core import PolicyInfo
from rldistill.envs.spec import TaskInfo, describe
from rldistill.train.request import choose_threads


def make_notes(teacher: PolicyInfo, student: PolicyInfo, info: TaskInfo | None) -> tuple[str, ...]:
    """Lines that are shown at the start: what was found, what was assumed, what is odd."""
    notes = [f"teacher  {note}" for note in teacher.notes or (teacher.name,)]
    share = ""
    if teacher.acting_parameters:
        size = 100 * student.acting_parameters / teacher.acting_parameters
        share = f", {size:.3g} % of the teacher's {teacher.acting_parameters:,}"
    notes.append(f"student  {student.name}: {student.acting_parameters:,} parameters{share}")
    notes += [f"         {note}" for note in student.notes]
    if info is not None:
        notes.append(f"task     {describe(info)}")
        notes += [f"         {note}" for note in info.notes]
    if choose_threads(teacher, student) == 1:
        notes.append("torch    one thread: networks this small are slower on more")
    if 0 < teacher.acting_parameters < student.acting_parameters:
        notes.append("warning  the student is larger than its teacher")
    return tuple(notes)
