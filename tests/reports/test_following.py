"""The figure of a run that followed a moving teacher."""

import pytest

from rldistill.errors import RunFolderError
from rldistill.reports.following import following_figure

LOOKS = [
    {"env_steps": 100 * i, "teacher_return": t, "student_return": s, "followed": f}
    for i, (t, s, f) in enumerate([(1, 0, True), (5, 1, True), (2, 4, False), (6, 5, True)])
]


def test_it_shows_every_version_those_followed_and_the_student() -> None:
    (axes,) = following_figure(LOOKS, "a task").axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["teacher, every version"] == [[0, 1], [100, 5], [200, 2], [300, 6]]
    assert lines["version that was followed"] == [[0, 1], [100, 5], [300, 6]]
    assert lines["student"] == [[0, 0], [100, 1], [200, 4], [300, 5]]


def test_its_title_has_the_variances() -> None:
    (axes,) = following_figure(LOOKS, "a task").axes
    assert "last 2 looks: teacher 4, student 0.25" in axes.get_title()


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(RunFolderError, match="no version"):
        following_figure([])
