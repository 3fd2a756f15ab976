"""Pickles read as data: the only file that looks at pickle opcodes.

The machine below has the opcodes of Python's unpickler and none of its powers. It builds numbers,
strings, bytes, lists, tuples and dicts. What a pickle wants imported or called becomes an Inert:
a name, the arguments and the state, all data. Nothing is imported, nothing is called.
Which of those names stands for an array is decided in arrays.py.

Source: opcodes as documented in Python's pickletools, protocols 0 to 5.
"""

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

from rldistill.errors import TeacherFileError, UnsafeFileError
from rldistill.teachers.archive import safe_text

MOST_OPERATIONS = 200_000
MOST_BYTES = 64 << 20
PERSISTENT = "persistent id"
_KEYS = (str, int, float, bool, bytes, type(None))


@final
@dataclass(slots=True, eq=False, repr=False)
class Inert:
    """Something a pickle asked to import (called is False) or to call, kept as data.

    Attributes:
        name: "module.attribute".
        called: whether arguments were applied to it.
        args: those arguments.
        state: what would have been given to __setstate__ or __dict__, None if nothing.
    """

    name: str
    called: bool = False
    args: tuple[Any, ...] = ()
    state: Any = None


def read(data: bytes, what: str) -> Any:
    """The content of one pickle, with Inert placeholders for all that is not plain data.

    Args:
        data: the pickle, at most 64 MiB.
        what: how error messages call it.

    Raises:
        TeacherFileError: not a pickle, or a damaged one.
        UnsafeFileError: larger or longer than any honest file.
    """
    if len(data) > MOST_BYTES:
        raise UnsafeFileError(
            f"{what}: a pickle of {len(data):,} bytes, at most {MOST_BYTES:,} allowed"
        )
    return read_next(io.BytesIO(data), what)


def read_next(stream: io.BytesIO, what: str) -> Any:
    """As read, for one of several pickles in a row; the stream is left behind its end."""
    machine = _Machine()
    operations = pickletools.genops(stream)
    for count in range(MOST_OPERATIONS):
        try:
            opcode, argument, _ = next(operations)
            if opcode.name == "STOP":
                return machine.pop()
            machine.run(opcode.name, argument)
        except UnsafeFileError as error:
            raise UnsafeFileError(f"{what}: {error}") from error
        except Exception as error:  # a mutated pickle can raise nearly anything; none of it is ours
            reason = safe_text(f"{type(error).__name__}: {error}")
            raise TeacherFileError(
                f"{what} is a damaged pickle (operation {count}): {reason}"
            ) from error
    raise UnsafeFileError(f"{what}: a pickle of more than {MOST_OPERATIONS:,} operations")


@final
@dataclass(slots=True)
class _Machine:
    stack: list[Any] = field(default_factory=list[Any])
    marks: list[int] = field(default_factory=list[int])
    memo: dict[int, Any] = field(default_factory=dict[int, Any])

    def run(self, name: str, argument: Any) -> None:
        if name in _PUSH_ARGUMENT:
            self.stack.append(argument)
        elif name in _PUSH_NEW:
            self.stack.append(_PUSH_NEW[name]())
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise UnsafeFileError(f"pickle operation {name} has no place in a policy file")

    def pop(self) -> Any:
        # A mark is a wall: popping through it means that the pickle is broken.
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("stack is empty")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        start = self.marks.pop()
        items, self.stack[start:] = self.stack[start:], []
        return items

    def pop_many(self, count: int) -> tuple[Any, ...]:
        return tuple(reversed([self.pop() for _ in range(count)]))

    def memoize(self, argument: int | None) -> None:
        self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Inert):
            raise ValueError("append to what is not a list")

    def set_items(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            target.update(_pairs(flat))
        elif not isinstance(target, Inert):
            raise ValueError("set an item of what is not a dict")

    def call(self, function: Any, args: Any) -> None:
        if not isinstance(function, Inert):
            raise ValueError("call of what is not a global")
        arguments: tuple[Any, ...] = args if isinstance(args, tuple) else (args,)
        if function.name == "collections.OrderedDict" and not arguments:
            self.stack.append({})
        else:
            self.stack.append(Inert(function.name, True, arguments))

    def build(self, state: Any) -> None:
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.state = state  # attributes of a dict (torch's _metadata) are dropped


def _global(module: Any, attribute: Any) -> Inert:
    if not isinstance(module, str) or not isinstance(attribute, str):
        raise ValueError("global without a name")
    return Inert(f"{module}.{attribute}")


def _pairs(flat: list[Any]) -> dict[Any, Any]:
    keys, values = flat[::2], flat[1::2]
    # Hashing a deeply nested tuple would overflow the C stack, so only flat keys are taken.
    if len(keys) != len(values) or not all(isinstance(key, _KEYS) for key in keys):
        raise ValueError("dict with missing or compound keys")
    return dict(zip(keys, values, strict=True))


def _inst(machine: _Machine, argument: str) -> None:
    module, _, attribute = argument.partition(" ")
    machine.call(_global(module, attribute), tuple(machine.pop_mark()))


def _obj(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    machine.call(items[0], tuple(items[1:]))


def _call_from_stack(count: int) -> Callable[[_Machine, Any], None]:
    def act(machine: _Machine, _: Any) -> None:
        parts = machine.pop_many(count)  # (function, args[, keyword arguments])
        machine.call(parts[0], parts[1])

    return act


def _push(make: Callable[[_Machine, Any], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, argument: machine.stack.append(make(machine, argument))


_PUSH_ARGUMENT = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
        *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_PUSH_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # a set is read as a list: nothing of ours lies in one
}
_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.pop_mark(),
    "DUP": _push(lambda m, _: m.stack[-1]),
    "TUPLE": _push(lambda m, _: tuple(m.pop_mark())),
    "TUPLE1": _push(lambda m, _: m.pop_many(1)),
    "TUPLE2": _push(lambda m, _: m.pop_many(2)),
    "TUPLE3": _push(lambda m, _: m.pop_many(3)),
    "LIST": _push(lambda m, _: m.pop_mark()),
    "FROZENSET": _push(lambda m, _: m.pop_mark()),
    "DICT": _push(lambda m, _: _pairs(m.pop_mark())),
    "APPEND": lambda m, _: m.extend([m.pop()]),
    "APPENDS": lambda m, _: m.extend(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.extend(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items(list(m.pop_many(2))),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    "PUT": lambda m, a: m.memoize(a),
    "BINPUT": lambda m, a: m.memoize(a),
    "LONG_BINPUT": lambda m, a: m.memoize(a),
    "MEMOIZE": lambda m, _: m.memoize(None),
    "GET": _push(lambda m, a: m.memo[a]),
    "BINGET": _push(lambda m, a: m.memo[a]),
    "LONG_BINGET": _push(lambda m, a: m.memo[a]),
    "GLOBAL": _push(lambda _, a: _global(*a.split(" ", 1))),
    "STACK_GLOBAL": _push(lambda m, _: _global(*m.pop_many(2))),
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": _call_from_stack(2),
    "NEWOBJ": _call_from_stack(2),
    "NEWOBJ_EX": _call_from_stack(3),
    "BUILD": lambda m, _: m.build(m.pop()),
    "BINPERSID": _push(lambda m, _: Inert(PERSISTENT, True, (m.pop(),))),
}
