"""What several tasks cannot have as a student, and that what is suggested instead can be read."""

import pytest

from rldistill.errors import SettingError
from rldistill.students.multitask import parse_multi_text


@pytest.mark.parametrize("text", ["tree:64", "linear-tree:8", "rules:5", "soft-tree:4"])
def test_trees_of_several_tasks_are_refused_with_what_to_do(text):
    """They would share nothing: a run per task does the same; what is suggested can be read."""
    with pytest.raises(SettingError, match=f"distill .* --student {text}") as caught:
        parse_multi_text(text)
    for spec in ("multi:mlp:64,64", "multi:nature:100%,fc128"):
        assert spec in str(caught.value)
        assert str(parse_multi_text(spec)) == spec


def test_a_suggestion_can_be_read():
    for text in ("mlp:32,32", "nature:7%", "nonsense:3"):
        with pytest.raises(SettingError, match="such as ") as caught:
            parse_multi_text(text)
        parse_multi_text(str(caught.value).rsplit(" ", 1)[1])
