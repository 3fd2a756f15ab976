"""The user's own code, named on a command line: modules to import and "module:function" wrappers.

Importing a module runs it: that is the purpose, and why only the user names modules, never a file.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import gymnasium

from rldistill.errors import SettingError, did_you_mean

EnvWrapper = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]


def parse_wrapper(text: str) -> EnvWrapper:
    """The function that "module:function" names; dots in function reach into classes.

    The result takes an environment and returns one; anything else it returns is refused.

    Raises:
        SettingError: the text has another form, or the module or the function does not exist.

    >>> parse_wrapper("gymnasium.wrappers:FlattenObservation").__name__
    'FlattenObservation'
    """
    return cast(EnvWrapper, parse_function(text, "wrapper"))


def parse_function(text: str, what: str) -> Callable[..., Any]:
    """The function that "module:function" names; `what` is the setting, for errors.

    Raises:
        SettingError: the text has another form, or the module or the function does not exist.
    """
    module_name, colon, path = text.partition(":")
    if not (module_name and colon and path) or ":" in path:
        raise SettingError(f"{what} must be 'module:function'; got {text!r}")
    found: Any = import_user_module(module_name, what=what)
    for name in path.split("."):
        if not hasattr(found, name):
            callables = [known for known in dir(found) if callable(getattr(found, known, None))]
            raise SettingError(
                f"{what} {text!r}: {module_name} has no {name!r}.{did_you_mean(name, callables)}"
            )
        found = getattr(found, name)
    if not callable(found):
        raise SettingError(
            f"{what} {text!r}: a function is required, this is a {type(found).__name__}"
        )
    return found


def import_user_module(name: str, what: str = "import") -> ModuleType:
    """Import a module by name; the current folder is searched too, after everything else.

    Raises:
        SettingError: there is no such module (near names are given), or it fails when imported.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise SettingError(
                f"{what}: there is no module {error.name!r} in {here} or on the Python path."
                f"{did_you_mean(name, _near_modules(name))}"
            ) from error
        raise SettingError(f"{what}: module {name!r} could not be imported: {error}") from error
    except Exception as error:
        raise SettingError(
            f"{what}: module {name!r} raised when imported: {type(error).__name__}: {error}"
        ) from error


def _near_modules(name: str) -> Iterable[str]:
    """Modules beside the one that is missing."""
    parent, _, _ = name.rpartition(".")
    if not parent:
        return [module.name for module in pkgutil.iter_modules()]
    package = sys.modules.get(parent)
    if package is None:
        return _near_modules(parent)
    found = pkgutil.iter_modules(getattr(package, "__path__", None) or ())
    return [f"{parent}.{module.name}" for module in found]
