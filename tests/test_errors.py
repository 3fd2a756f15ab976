import inspect
import sys
import types

import pytest

from rldistill import errors
from rldistill.errors import MissingExtraError, RldistillError, did_you_mean, require


def test_every_error_is_an_rldistill_error_and_says_when_it_is_raised():
    """One except clause catches all of them."""
    kinds = [x for x in vars(errors).values() if inspect.isclass(x) and issubclass(x, Exception)]
    assert len(kinds) == 14
    for kind in kinds:
        assert issubclass(kind, RldistillError)
        assert kind.__doc__


def test_an_error_is_also_the_builtin_one_that_fits():
    assert issubclass(errors.ShapeError, ValueError)
    assert issubclass(errors.SettingError, ValueError)
    assert issubclass(errors.NotFiniteError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)
    assert issubclass(errors.UnsafeFileError, errors.TeacherFileError)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lunarlander-v3", " Did you mean LunarLander-v3?"),
        ("Cart-Pole", " Did you mean CartPole-v1?"),
        ("xyzzy", ""),
        ("", ""),
    ],
)
def test_near_names_are_found_whatever_their_case(name, expected):
    assert did_you_mean(name, ["LunarLander-v3", "CartPole-v1"]) == expected


def test_at_most_three_near_names_are_given():
    assert did_you_mean("abc", ["abc1", "abc2", "abc3", "abc4"]).count("abc") == 3


def test_a_missing_extra_gives_the_line_that_installs_it():
    with pytest.raises(MissingExtraError, match=r'run: pip install "rldistill\[ray\]"'):
        require("no_such_package_at_all", extra="ray")


def test_the_line_for_a_checkout_is_given_too():
    with pytest.raises(MissingExtraError, match=r'\(in a checkout: pip install "\.\[ray\]"\)'):
        require("no_such_package_at_all", extra="ray")


def test_a_part_that_nobody_asked_for_is_called_by_its_whole(monkeypatch):
    """A user asks for minari, not for h5py."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"^minari with its h5py is not installed; run: "):
        require("h5py", extra="minari")


def test_a_missing_part_of_a_missing_package_is_the_package_missing():
    with pytest.raises(MissingExtraError, match="no_such_package_at_all"):
        require("no_such_package_at_all.inner", extra="ray")


def test_what_an_installed_package_lacks_itself_is_not_blamed_on_the_extra(tmp_path, monkeypatch):
    """Not even where the name of what it lacks begins its own."""
    (tmp_path / "needy.py").write_text("import need")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="'need'") as caught:
        require("needy", extra="ray")
    assert not isinstance(caught.value, MissingExtraError)


def test_a_package_that_is_there_is_imported(monkeypatch):
    module = types.ModuleType("pretend")
    monkeypatch.setitem(sys.modules, "pretend", module)
    assert require("pretend", extra="none") is module
