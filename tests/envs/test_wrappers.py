from pathlib import Path

import pytest
import toy

from rldistill.envs.wrappers import import_user_module, parse_wrapper
from rldistill.errors import SettingError


def test_a_wrapper_is_found_by_name() -> None:
    """A function of a module, or a class reached through dots."""
    assert parse_wrapper("toy:shout").__qualname__ == "shout"
    assert parse_wrapper("toy:Shout").__qualname__ == "Shout"


@pytest.mark.parametrize("text", ["toy", "toy:", ":shout", "", "a:b:c"])
def test_another_form_is_refused(text: str) -> None:
    """The message has the form and what came."""
    with pytest.raises(SettingError, match=f"must be 'module:function'; got {text!r}"):
        parse_wrapper(text)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("toy:shuot", "toy has no 'shuot'. Did you mean shout"),
        ("toy:NUMBER", "a function is required, this is a int"),
        ("gymnasum.wrappers:X", r"no module 'gymnasum'.* Did you mean gymnasium"),
        ("gymnasium.wraper:X", r"no module 'gymnasium.wraper'.* Did you mean gymnasium.wrappers"),
    ],
)
def test_near_names_are_given(text: str, match: str) -> None:
    """For functions, modules and modules of packages."""
    with pytest.raises(SettingError, match=match):
        parse_wrapper(text)


def test_modules_of_the_current_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a user of an installed command expects."""
    (tmp_path / "my_own_tasks.py").write_text("def wrap(env): return env\n")
    monkeypatch.setattr("sys.path", [p for p in __import__("sys").path if p])
    monkeypatch.chdir(tmp_path)
    assert parse_wrapper("my_own_tasks:wrap")(3) == 3


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("import not_there_at_all", "could not be imported: No module named 'not_there_at_all'"),
        ("1 / 0", "raised when imported: ZeroDivisionError: division by zero"),
        ("def", "raised when imported: SyntaxError"),
    ],
)
def test_a_module_that_fails_is_not_called_missing(
    code: str, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module is there; what it does goes wrong, and the original is the cause."""
    (tmp_path / "failing_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingError, match=match) as caught:
        import_user_module("failing_module")
    assert caught.value.__cause__ is not None


def test_importing_gives_the_module() -> None:
    assert import_user_module("toy") is toy
