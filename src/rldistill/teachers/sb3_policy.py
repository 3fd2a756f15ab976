"""A saved model of stable-baselines3 made into a policy: its algorithm, networks and notes.

The algorithm is recognised by the names of its tensors and the keys of its settings.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gymnasium import spaces
from torch import Tensor, nn

from rldistill.core import NetworkPolicy, PolicyInfo
from rldistill.errors import TeacherFileError
from rldistill.teachers.archive import safe_text
from rldistill.teachers.layers import Scale
from rldistill.teachers.networks import Bounds, Networks
from rldistill.teachers.sb3 import Saved
from rldistill.teachers.sb3_actor import read_ars, read_deterministic, read_soft
from rldistill.teachers.sb3_actor_critic import read_actor_critic
from rldistill.teachers.sb3_cnn import before, take_cnn
from rldistill.teachers.sb3_q import read_dqn, read_qrdqn
from rldistill.teachers.settings import Settings
from rldistill.teachers.spaces import record_of_space
from rldistill.teachers.vecnormalize import Statistics
from rldistill.teachers.weights import Weights

SUPPORTED = "MLP and CNN policies of PPO, A2C, TRPO, DQN, QRDQN, SAC, TD3, DDPG, TQC and ARS"
# Where a name begins so, the network is of a kind that is not read yet.
UNSUPPORTED = {
    r".*lstm": "a recurrent policy (RecurrentPPO)",
    r".*features_extractor\.extractors\.": "a MultiInput policy (Dict observations have no view)",
    r".*features_extractor\.(?!cnn\.|linear\.)": "a features extractor with weights of its own",
    r".*\.running_(mean|var)$": "batch normalisation (CrossQ)",
}
UNSUPPORTED_MODULES = {
    "sb3_contrib.common.maskable": "MaskablePPO (it needs action masks)",
    "sb3_contrib.common.recurrent": "RecurrentPPO",
    "sb3_contrib.crossq": "CrossQ",
}
KNOWN_MODULES = ("stable_baselines3.", "sb3_contrib.")


def build_policy(
    saved: Saved,
    statistics: Statistics | None = None,
    action_space: spaces.Space[Any] | None = None,
    task_shape: tuple[int, ...] | None = None,
) -> NetworkPolicy:
    """The policy of a saved model: normaliser, networks, head and value.

    Args:
        saved: from read_zip or a live model.
        statistics: of the VecNormalize around its environment, None if there was none.
        action_space: of the task; used where the file does not tell its own.
        task_shape: of the task's observations; for pictures whose channels are last there.

    Raises:
        TeacherFileError: not supported yet, or tensors that do not fit each other.
        NotFiniteError: a weight is NaN or infinite.
        TaskError: squashed actions without known bounds.
    """
    settings = saved.settings
    _refuse_unsupported(list(saved.tensors), settings)
    bounds, notes = _bounds(settings, action_space)
    weights = Weights(saved.tensors, saved.source)
    extractors = take_cnn(weights, settings, task_shape)
    kind = settings.action.kind or record_of_space(action_space).kind
    if weights.names("action_net.0."):
        networks = read_ars(weights, settings, bounds, is_discrete=kind == "Discrete")
    else:
        networks = _read_networks(weights, settings, bounds, saved.variables)
    weights.finish()
    if extractors is not None:
        networks = before(networks, extractors)
    _check_spaces(networks, settings)
    return _assemble(saved, networks, statistics, notes)


def _refuse_unsupported(names: list[str], settings: Settings) -> None:
    found = [
        text
        for module, text in UNSUPPORTED_MODULES.items()
        if settings.policy_module.startswith(module)
    ]
    for name in names:
        found += [text for pattern, text in UNSUPPORTED.items() if re.match(pattern, name)]
    extractor = str(settings.policy_kwargs.get("features_extractor_class") or "FlattenExtractor")
    if "FlattenExtractor" not in extractor and "NatureCNN" not in extractor:
        found.append(f"features extractor {safe_text(extractor)}")
    if settings.observation.kind in ("Dict", "Tuple"):
        found.append(f"{settings.observation.kind} observations (MultiInputPolicy)")
    if settings.action.kind not in ("", "Box", "Discrete"):
        found.append(f"{safe_text(settings.action.kind)} actions")
    if settings.observation.is_image and not any(".cnn." in name for name in names):
        found.append("pixel observations")
    if found:
        raise TeacherFileError(
            f"{settings.what}: not supported yet: {found[0]}; supported are {SUPPORTED}"
        )


def _bounds(
    settings: Settings, action_space: spaces.Space[Any] | None
) -> tuple[Bounds | None, tuple[str, ...]]:
    """The file's own bounds, else the task's; a note where the two differ."""
    own, task = settings.action, record_of_space(action_space)
    if own.low is None or own.high is None:
        if task.low is None or task.high is None:
            return None, ()
        return Bounds(task.low, task.high, of_task=True), ("action bounds taken from the task",)
    notes: tuple[str, ...] = ()
    if (
        task.low is not None
        and len(task.low) == len(own.low)
        and (task.low, task.high) != (own.low, own.high)
    ):
        notes = (
            f"its action bounds {own.low}..{own.high} are not the task's {task.low}..{task.high}",
        )
    return Bounds(own.low, own.high), notes


def _read_networks(
    weights: Weights, settings: Settings, bounds: Bounds | None, variables: Mapping[str, Tensor]
) -> Networks:
    if weights.names("q_net."):
        return read_dqn(weights, settings)
    if weights.names("quantile_net."):
        return read_qrdqn(weights, settings)
    if weights.names("actor.log_std"):
        return read_soft(weights, settings, bounds, variables)
    if weights.names("actor.mu."):
        return read_deterministic(weights, settings, bounds)
    if weights.names("action_net."):
        return read_actor_critic(weights, settings, bounds)
    some = ", ".join(safe_text(name) for name in weights.names()[:4])
    raise TeacherFileError(
        f"{weights.what}: not supported yet: tensors {some}; supported are {SUPPORTED}"
    )


def _check_spaces(networks: Networks, settings: Settings) -> None:
    size, count = settings.observation.size, settings.action.count
    if size is not None and not networks.shape and size != networks.sizes[0]:
        raise TeacherFileError(
            f"{settings.what}: its network takes {networks.sizes[0]} numbers, "
            f"its observation space has {size}"
        )
    num_actions = getattr(networks.head, "num_actions", None)
    if count is not None and num_actions is not None and count != num_actions:
        raise TeacherFileError(
            f"{settings.what}: its network has {num_actions} actions, its action space {count}"
        )


def _assemble(
    saved: Saved, networks: Networks, statistics: Statistics | None, notes: tuple[str, ...]
) -> NetworkPolicy:
    num_inputs = networks.sizes[0]
    layer = None if statistics is None else statistics.layer()
    if layer is not None and layer.mean.numel() != num_inputs:
        raise TeacherFileError(
            f"{saved.source} takes {num_inputs} numbers, the statistics in "
            f"{statistics.source if statistics else ''} have {layer.mean.numel()}"
        )
    first: list[nn.Module] = [] if layer is None else [layer]
    module = nn.Sequential(*first, *networks.actor)
    critic, units, value_notes = _value(networks, first, statistics)
    every = nn.ModuleList([module] if critic is None else [module, critic])
    every.requires_grad_(False).eval()
    acting, total = num_parameters(module), num_parameters(every)
    info = PolicyInfo(
        name=networks.algorithm,
        framework=f"stable-baselines3 {saved.version or '(version unknown)'}",
        observation_shape=networks.shape or (num_inputs,),
        head=networks.head,
        acting_parameters=acting,
        parameters=total,
        gamma=saved.settings.gamma,
        value_units=units,
        fingerprint=_fingerprint(saved, statistics),
        source=saved.source,
        notes=(
            _found(networks, saved, acting, statistics),
            *notes,
            *networks.notes,
            *value_notes,
            *_space_notes(saved.settings),
        ),
    )
    return NetworkPolicy(module, info, critic)


def _value(
    networks: Networks, first: list[nn.Module], statistics: Statistics | None
) -> tuple[nn.Module | None, str, tuple[str, ...]]:
    """The critic, its units, and notes: a reward normaliser is undone where its scale is known."""
    if networks.critic is None:
        return None, "none", ()
    critic = nn.Sequential(*first, networks.critic) if first else networks.critic
    reward_std = 1.0 if statistics is None else statistics.reward_std
    if reward_std is None:
        return (
            critic,
            "normalised",
            ("value: in units of a reward normaliser whose scale is unknown",),
        )
    if reward_std == 1.0:
        return critic, "raw", ()
    note = f"value: times {reward_std:.6g}, which undoes its reward normaliser (not its clipping)"
    return nn.Sequential(critic, Scale(reward_std)), "raw", (note,)


def _found(networks: Networks, saved: Saved, acting: int, statistics: Statistics | None) -> str:
    """One line that says what was found."""
    gamma = saved.settings.gamma
    seen = ("x".join(map(str, networks.shape)),) if networks.shape else ()
    arrow = " -> ".join(map(str, (*seen, *networks.sizes)))
    line = (
        f"{networks.algorithm} (stable-baselines3 {saved.version or 'version unknown'}): {arrow} "
        f"{networks.activation}, {acting:,} acting parameters, "
        f"value {'no' if networks.critic is None else 'yes'}, "
        f"gamma {'unknown' if gamma is None else f'{gamma:g}'}"
    )
    if statistics is None:
        return line
    does = "observations untouched" if statistics.mean is None else f"clip {statistics.clip:g}"
    return f"{line}, VecNormalize {_whereabouts(statistics, saved)}: {does}"


def _whereabouts(statistics: Statistics, saved: Saved) -> str:
    if not statistics.source:
        return "of the model"
    beside = Path(statistics.source).parent in (
        Path(saved.source).parent,
        Path(saved.source).with_suffix(""),
    )
    return "beside it" if beside else f"from {statistics.source}"


def _space_notes(settings: Settings) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if settings.observation.kind not in ("", "Box"):
        notes += (f"it was trained on {settings.observation.kind} observations: give them one-hot",)
    if settings.policy_module and not settings.policy_module.startswith(KNOWN_MODULES):
        module = safe_text(settings.policy_module)
        notes += (
            f"its policy class comes from {module}: read as the one its tensors are named after",
        )
    return notes


def _fingerprint(saved: Saved, statistics: Statistics | None) -> str:
    """sha256 of the file; with statistics, of both digests: they make another policy."""
    if statistics is None:
        return saved.fingerprint
    other = hashlib.sha256(statistics.data).hexdigest()
    return hashlib.sha256(f"{saved.fingerprint} {other}".encode()).hexdigest()


def num_parameters(module: nn.Module) -> int:
    """Numbers in a module's weights, shared ones once; statistics of a normaliser not counted."""
    return sum(parameter.numel() for parameter in module.parameters())
