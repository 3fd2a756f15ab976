"""The registry of student families: one row says all that the rest of the library asks of a kind.

A new kind of student is one file with its spec and its network, and one row in FAMILIES. Whoever
makes, trains, saves, loads or exports a student looks its family up and asks no class.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import Head
from rldistill.errors import SettingError, did_you_mean
from rldistill.students import (
    cnn,
    impala,
    mlp,
    multitask_family,
    recurrent,
    soft_tree,
    tree_module,
)
from rldistill.students.cnn_specs import CnnSpec, parse_cnn
from rldistill.students.impala import ImpalaSpec, parse_impala
from rldistill.students.multitask import TaskView
from rldistill.students.multitask_specs import MultiSpec, parse_multi
from rldistill.students.recurrent_specs import RecurrentSpec, parse_recurrent
from rldistill.students.soft_tree import SoftTreeSpec, parse_soft_tree
from rldistill.students.specs import MlpSpec, parse_mlp
from rldistill.students.tree_specs import GROWTHS, TreeSpec, parse_tree

LONGEST_SPEC = 1000


class StudentSpec(Protocol):
    """What a network is built from: a frozen dataclass whose str() is read back by parse_spec."""

    def __str__(self) -> str: ...


S = TypeVar("S", bound=StudentSpec)
N = TypeVar("N", bound=nn.Module)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[S, N]):
    """One kind of student.

    Attributes:
        names: the words before the colon that stand for it.
        example: a spec, for messages.
        spec: the class of its specs.
        network: the class of its networks; every one has a .spec.
        parse: from name and what follows the colon ("" if nothing does) to a spec; its SettingError
            need not repeat the text.
        build: an untrained network for one observation space and head; a TaskError where the spec
            cannot see such observations.
        fresh: an untrained network with the spec, inputs and head of another.
        fit_inputs: prepares an untrained network for observations like [N, ...].
        scale_outputs: multiplies the raw outputs of a network by a number, in place.
        count: numbers that a network acts with.
        fold: the network as it is saved: a copy on the CPU.
        details: what student.json says of a folded network beside spec, observation shape and head.
        empty: the network that such a student.json (its whole record) describes, on the meta
            device; a SettingError where details are missing or wrong, a TaskError where the spec
            does not fit the shape. The record is of a stranger: nothing may be done that its sizes
            make slow.
        grown: its networks are grown from labelled states as a whole, and have no gradient.
    """

    names: tuple[str, ...]
    example: str
    spec: type[S]
    network: type[N]
    parse: Callable[[str, str], S]
    build: Callable[[S, spaces.Box, Head], N]
    fresh: Callable[[N], N]
    fit_inputs: Callable[[N, Tensor], None]
    scale_outputs: Callable[[N, float], None]
    count: Callable[[N], int]
    fold: Callable[[N], N]
    details: Callable[[N], dict[str, Any]]
    empty: Callable[[S, tuple[int, ...], Head, Mapping[str, Any]], N]
    grown: bool = False


def num_weights(network: nn.Module) -> int:
    """Numbers that a network without statistics acts with: its parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


MLP = Family(
    names=("mlp", "linear"),
    example="mlp:32,32",
    spec=MlpSpec,
    network=mlp.Mlp,
    parse=parse_mlp,
    build=mlp.build,
    fresh=mlp.fresh,
    fit_inputs=mlp.fit_inputs,
    scale_outputs=mlp.scale_outputs,
    count=mlp.num_parameters,
    fold=mlp.Mlp.folded,
    details=mlp.details,
    empty=mlp.empty,
)
TREE = Family(
    names=tuple(GROWTHS),
    example="tree:64",
    spec=TreeSpec,
    network=tree_module.TreeModule,
    parse=parse_tree,
    build=tree_module.build,
    fresh=tree_module.fresh,
    fit_inputs=tree_module.fit_inputs,
    scale_outputs=tree_module.scale_outputs,
    count=tree_module.count,
    fold=tree_module.fold,
    details=tree_module.details,
    empty=tree_module.empty,
    grown=True,
)
SOFT_TREE = Family(
    names=("soft-tree",),
    example="soft-tree:4",
    spec=SoftTreeSpec,
    network=soft_tree.SoftTree,
    parse=parse_soft_tree,
    build=soft_tree.build,
    fresh=soft_tree.fresh,
    fit_inputs=soft_tree.fit_inputs,
    scale_outputs=soft_tree.scale_outputs,
    count=soft_tree.count,
    fold=soft_tree.fold,
    details=soft_tree.details,
    empty=soft_tree.empty,
)
CNN = Family(
    names=("nature", "cnn", "minatar"),
    example="nature:25%",
    spec=CnnSpec,
    network=cnn.Cnn,
    parse=parse_cnn,
    build=cnn.build,
    fresh=cnn.fresh,
    fit_inputs=cnn.fit_inputs,
    scale_outputs=cnn.scale_outputs,
    count=num_weights,
    fold=cnn.fold,
    details=cnn.details,
    empty=cnn.empty,
)
IMPALA = Family(
    names=("impala",),
    example="impala:small",
    spec=ImpalaSpec,
    network=impala.Impala,
    parse=parse_impala,
    build=impala.build,
    fresh=impala.fresh,
    fit_inputs=cnn.fit_inputs,
    scale_outputs=impala.scale_outputs,
    count=num_weights,
    fold=impala.fold,
    details=impala.details,
    empty=impala.empty,
)
MULTI = Family(
    names=("multi",),
    example="multi:nature:25%,fc128",
    spec=MultiSpec,
    network=TaskView,
    parse=parse_multi,
    build=multitask_family.build,
    fresh=multitask_family.fresh,
    fit_inputs=multitask_family.fit_inputs,
    scale_outputs=multitask_family.scale_outputs,
    count=multitask_family.count,
    fold=multitask_family.fold,
    details=multitask_family.details,
    empty=multitask_family.empty,
)
RECURRENT = Family(
    names=("gru", "lstm"),
    example="gru:64",
    spec=RecurrentSpec,
    network=recurrent.RecurrentStudent,
    parse=parse_recurrent,
    build=recurrent.build,
    fresh=recurrent.fresh,
    fit_inputs=recurrent.fit_inputs,
    scale_outputs=recurrent.scale_outputs,
    count=mlp.num_parameters,
    fold=recurrent.fold,
    details=recurrent.details,
    empty=recurrent.empty,
)
FAMILIES: tuple[Family[Any, Any], ...] = (MLP, CNN, IMPALA, TREE, SOFT_TREE, MULTI, RECURRENT)
_BY_NAME = {name: family for family in FAMILIES for name in family.names}
_BY_CLASS: dict[type, Family[Any, Any]] = {
    kind: family for family in FAMILIES for kind in (family.spec, family.network)
}


def parse_spec(text: str) -> StudentSpec:
    """Read a student spec: FAMILY:WORD,WORD,...; docs/students.md lists the families and words.

    Raises:
        SettingError: unknown family or word (near names are given), a size out of range, or a
            setting that is given twice or has no effect.

    >>> str(parse_spec(" mlp: 64,32 , relu"))
    'mlp:64,32,relu'
    """
    if len(text) > LONGEST_SPEC:
        raise SettingError(f"student {text!r:.80}: a spec has at most {LONGEST_SPEC} characters")
    name, _, rest = text.strip().partition(":")
    family = _BY_NAME.get(name)
    if family is None:
        raise SettingError(
            f"student {text!r:.80}: unknown family {name!r:.40}; known: {', '.join(_BY_NAME)}."
            + did_you_mean(name[:40], _BY_NAME)
        )
    try:
        return family.parse(name, rest.strip())
    except SettingError as error:
        raise SettingError(f"student {text!r:.80}: {error}") from None


def family_of(thing: object) -> Family[Any, Any] | None:
    """The family of a spec or a network; None for what belongs to none, as modules of others do.

    >>> family_of(parse_spec("mlp:8")) is MLP, family_of(nn.Linear(2, 2))
    (True, None)
    """
    return _BY_CLASS.get(type(thing))


def is_grown(thing: object) -> bool:
    """Whether a spec or network is of a family that is grown from states, not trained.

    >>> is_grown(parse_spec("tree:8")), is_grown(parse_spec("mlp:8"))
    (True, False)
    """
    family = family_of(thing)
    return family is not None and family.grown


def require_family(thing: object) -> Family[Any, Any]:
    """The family of a spec or a network of ours.

    Raises:
        SettingError: it belongs to no family.
    """
    family = family_of(thing)
    if family is None:
        examples = ", ".join(family.example for family in FAMILIES)
        raise SettingError(
            f"a student's spec is required, such as {examples}; got a {type(thing).__name__}"
        )
    return family
