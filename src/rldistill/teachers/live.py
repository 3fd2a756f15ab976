"""Live objects as policies: a model of stable-baselines3, a module, a plain function, our own.

Weights are copied, so that training the original further never changes the teacher.
"""

import copy
import hashlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import (
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    Head,
    NetworkPolicy,
    PolicyInfo,
    QValueHead,
    SquashedGaussianHead,
)
from rldistill.errors import NotFiniteError, SettingError, TaskError, TeacherFileError
from rldistill.teachers.head_names import choose_head
from rldistill.teachers.sb3 import Saved
from rldistill.teachers.sb3_policy import build_policy, num_parameters
from rldistill.teachers.settings import Settings
from rldistill.teachers.spaces import record_of_space
from rldistill.teachers.vecnormalize import Statistics, live_statistics

# What recognises an algorithm or belongs to its value; read where the model has it.
SB3_SETTINGS = (
    *("gamma", "ent_coef", "clip_range", "cg_damping", "n_quantiles", "target_noise_clip"),
    *("top_quantiles_to_drop_per_net", "_last_original_obs"),
)
# Logit of the action that a plain function chose, the others having 0: it is all but certain.
CERTAIN = 20.0
HEADS = (CategoricalHead, QValueHead, GaussianHead, SquashedGaussianHead, DeterministicHead)


def from_module(
    module: nn.Module,
    head: Head | str | None,
    observation_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
) -> NetworkPolicy:
    """A policy of any module that maps observations [B, ...] to raw outputs [B, N].

    Args:
        module: copied, frozen, in evaluation mode.
        head: what its outputs mean; None: its attribute `head`, else from action_space: logits for
            Discrete; for Box the action where N = D, mean and log std where N = 2 D.
        observation_shape: None: the inputs of its first linear layer.
        action_space: of the task.

    Raises:
        SettingError: head or shape are neither given nor to be guessed.
        TaskError: its outputs fit neither the head nor the space.
        NotFiniteError: a weight is NaN or infinite.
    """
    refuse_sb3_network(module)
    own = copy.deepcopy(module).requires_grad_(False).eval()
    shape = observation_shape or _input_shape(own)
    num_outputs = _num_outputs(own, shape)
    declared = getattr(module, "head", None)
    if head is None and isinstance(declared, HEADS):
        head = declared
    head, notes = choose_head(head, num_outputs, action_space, "the module")
    return _policy(own, head, shape, type(module).__name__, notes)


def from_function(
    function: Callable[[Any], Any],
    head: Head | str | None,
    observation_shape: tuple[int, ...] | None,
    action_space: spaces.Space[Any] | None,
) -> NetworkPolicy:
    """A policy of a function from observations (numpy [B, ...]) to raw outputs or to actions.

    Args:
        function: called with float32 (or uint8) arrays.
        head: given: the function returns raw outputs [B, head.num_outputs]; None: it returns
            actions, indices [B] for Discrete and vectors [B, D] for Box.
        observation_shape: required.
        action_space: required where head is None.

    Raises:
        SettingError: what is required is missing.
        TaskError: the function returns something of another shape.
    """
    if observation_shape is None:
        raise SettingError("a plain function needs observation_shape (or the task)")
    choices, notes = 0, ()
    if isinstance(head, str):
        tried = np.asarray(function(np.zeros((1, *observation_shape), np.float32)))
        size = tried.shape[-1] if tried.ndim == 2 else 0
        head, _ = choose_head(head, size, action_space, "the function")
    if head is None and isinstance(action_space, spaces.Discrete):
        choices = int(action_space.n)
        head = CategoricalHead(choices)
        notes = (f"its chosen action gets logit {CERTAIN:g}, all others 0",)
    elif head is None and isinstance(action_space, spaces.Box):
        record = record_of_space(action_space)
        head = DeterministicHead(record.low or (), record.high or ())
    if head is None:
        raise SettingError("a plain function needs head, or an action_space of Discrete or Box")
    module = FunctionModule(function, head.num_outputs, choices)
    module(torch.zeros((1, *observation_shape)))  # raises where shapes do not fit
    name = getattr(function, "__name__", type(function).__name__)
    return _policy(module, head, observation_shape, name, notes)


@final
class FunctionModule(nn.Module):
    """A numpy function behind the interface of a module."""

    def __init__(self, function: Callable[[Any], Any], num_outputs: int, choices: int) -> None:
        """Wrap a function.

        Args:
            function: from an array [B, ...] to an array.
            num_outputs: of the head.
            choices: number of actions where it returns indices, 0 where it returns raw outputs.
        """
        super().__init__()
        self.function = function
        self.num_outputs = num_outputs
        self.choices = choices
        # Tells the device of this module, as the weights of others do.
        self.anchor = nn.Parameter(torch.empty(0), requires_grad=False)

    def forward(self, observations: Tensor) -> Tensor:
        result = np.asarray(self.function(observations.detach().cpu().numpy()))
        required = (len(observations),) if self.choices else (len(observations), self.num_outputs)
        if result.shape != required:
            raise TaskError(f"the function returned shape {result.shape}, {required} is required")
        tensor = torch.as_tensor(result, device=self.anchor.device)
        if not self.choices:
            return tensor.float()
        index = tensor.long()
        if bool(((index < 0) | (index >= self.choices)).any()):
            raise TaskError(f"the function chose an action outside 0..{self.choices - 1}")
        return CERTAIN * nn.functional.one_hot(index, self.choices).float()


def is_sb3_model(source: object) -> bool:
    """Whether an object is a model of stable-baselines3, told without importing it."""
    return _is_instance(source, "stable_baselines3.common.base_class", "BaseAlgorithm")


def refuse_sb3_network(module: nn.Module) -> None:
    """A policy network of stable-baselines3 does not say what the model around it knows.

    Raises:
        SettingError: it is one.
    """
    if _is_instance(module, "stable_baselines3.common.policies", "BaseModel"):
        raise SettingError("give the stable-baselines3 model itself, not its policy network")


def _is_instance(source: object, module: str, name: str) -> bool:
    """isinstance(source, module.name); where nobody imported the module there is no instance."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(source, getattr(loaded, name))


def from_sb3_model(model: Any) -> NetworkPolicy:
    """A policy of a live model, read as its zip would be; its VecNormalize included.

    Raises:
        TeacherFileError: not supported yet.
        NotFiniteError: a weight is NaN or infinite.
    """
    return build_policy(saved_of_model(model), statistics_of_model(model))


def statistics_of_model(model: Any) -> Statistics | None:
    """Of the VecNormalize around the model's environment; None where there is none."""
    wrapper = model.get_vec_normalize_env()
    return None if wrapper is None else live_statistics(wrapper)


def saved_of_model(model: Any) -> Saved:
    """The tensors and settings of a live model, as read_zip gives them for its zip."""
    tensors: dict[str, Tensor] = {k: v.detach() for k, v in model.policy.state_dict().items()}
    attributes = vars(model)
    loose = {name: attributes.get(name) for name in ("log_ent_coef", "ent_coef_tensor")}
    policy_kwargs: Mapping[str, Any] = model.policy_kwargs or {}
    package = sys.modules.get("stable_baselines3")
    name = type(model).__name__
    return Saved(
        tensors=tensors,
        settings=Settings(
            values={key: attributes[key] for key in SB3_SETTINGS if key in attributes},
            policy_kwargs={
                k: str(v) if isinstance(v, type) else v for k, v in policy_kwargs.items()
            },
            policy_module=type(model.policy).__module__,
            policy_text=type(model.policy).__name__,
            observation=record_of_space(model.observation_space),
            action=record_of_space(model.action_space),
            what=f"live {name}",
        ),
        variables={k: v.detach() for k, v in loose.items() if isinstance(v, Tensor)},
        version=str(getattr(package, "__version__", "")),
        source=f"live {name}",
        fingerprint=_fingerprint(tensors),
    )


def _policy(
    module: nn.Module, head: Head, shape: tuple[int, ...], name: str, notes: tuple[str, ...]
) -> NetworkPolicy:
    count = num_parameters(module)
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise NotFiniteError(f"{name}: weight {key} holds NaN or infinity")
    dims = "x".join(str(n) for n in shape)
    found = f"{name} (live): {dims} -> {head.num_outputs}, {count:,} acting parameters, value no"
    info = PolicyInfo(
        name=name,
        framework="live object",
        observation_shape=shape,
        head=head,
        acting_parameters=count,
        parameters=count,
        fingerprint=_fingerprint(module.state_dict()),
        source=f"live {name}",
        notes=(found, *notes),
    )
    return NetworkPolicy(module, info)


def _fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """sha256 of names, shapes and bytes of the weights."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _input_shape(module: nn.Module) -> tuple[int, ...]:
    first = next((layer for layer in module.modules() if isinstance(layer, nn.Linear)), None)
    if first is None:
        raise SettingError("a module without a linear layer needs observation_shape (or the task)")
    return (first.in_features,)


def _num_outputs(module: nn.Module, shape: tuple[int, ...]) -> int:
    try:
        with torch.no_grad():
            output = module(torch.zeros((1, *shape)))
    except (RuntimeError, TypeError, ValueError) as error:
        raise TaskError(
            f"the module does not take observations of shape {shape}: {error}"
        ) from error
    if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[0] != 1:
        kind = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise TeacherFileError(
            f"the module must give one tensor [B, N] for a batch of B; got {kind}"
        )
    return output.shape[1]
