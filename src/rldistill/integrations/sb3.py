"""Kickstarting a stable-baselines3 model of one's own from any teacher: one callback.

The only file that imports stable_baselines3.
"""

from dataclasses import replace
from typing import Any, cast, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from rldistill.core import QValueHead, head_for
from rldistill.errors import SettingError, TaskError, require
from rldistill.integrations.kickstart import (
    KICKSTART,
    NO_SETTINGS,
    KickstartSettings,
    Pace,
    Side,
    add_clipped,
    as_input,
)
from rldistill.integrations.term import DistillationTerm
from rldistill.methods.schedules import Schedule, Weaning
from rldistill.teachers.load import load_teacher

stable_baselines3 = require("stable_baselines3", extra="sb3")

from stable_baselines3 import A2C, DQN, PPO  # noqa: E402
from stable_baselines3.common.callbacks import BaseCallback  # noqa: E402
from stable_baselines3.common.policies import ActorCriticPolicy  # noqa: E402
from stable_baselines3.common.vec_env import VecNormalize  # noqa: E402

Model = PPO | A2C | DQN


@final
class RolloutSide:
    """PPO and A2C: the states of the latest rollout, each labelled once."""

    def __init__(self, model: PPO | A2C, term: DistillationTerm, batch_size: int | None) -> None:
        self._model = model
        self._term = term
        self._size = batch_size or (model.batch_size if isinstance(model, PPO) else None)
        # Unless it is seeded, torch's global seed decides, as it does for the model's own batches.
        seed = torch.initial_seed() if model.seed is None else model.seed
        self._generator = torch.Generator().manual_seed(seed % 2**63)
        self._raw: list[Any] = []
        self._kept: tuple[Tensor, Tensor] | None = None

    def begin(self) -> None:
        self._raw = []
        self.see()

    def see(self) -> None:
        # The buffer has what the normaliser made of a state then; its statistics move on.
        if (normaliser := normaliser_of(self._model)) is not None:
            self._raw.append(normaliser.get_original_obs())

    def end(self) -> None:
        own = self._model.rollout_buffer.observations
        seen = np.stack(self._raw[: len(own)]) if self._raw else own
        flat, raw = (
            torch.as_tensor(x, device=self._model.device).flatten(0, 1) for x in (own.copy(), seen)
        )
        self._kept = (self._term.label(as_input(raw)), flat)

    def batch(self) -> tuple[Tensor, Tensor] | None:
        if self._kept is None:
            return None
        labels, observations = self._kept
        if self._size is not None and self._size < len(labels):
            chosen = torch.randint(len(labels), (self._size,), generator=self._generator)
            chosen = chosen.to(labels.device)
            labels, observations = labels[chosen], observations[chosen]
        return labels, policy_outputs(self._model.policy, observations)


@final
class ReplaySide:
    """DQN: states of its replay buffer, labelled when they are drawn."""

    def __init__(self, model: DQN, term: DistillationTerm, batch_size: int | None) -> None:
        self._model = model
        self._term = term
        self._size = batch_size or model.batch_size

    def begin(self) -> None:
        """Nothing: the buffer has them."""

    def see(self) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def batch(self) -> tuple[Tensor, Tensor] | None:
        buffer = self._model.replay_buffer
        if buffer is None or buffer.size() == 0:
            return None
        # Replay keeps raw observations; without env= they are not normalised.
        raw = buffer.sample(self._size).observations
        own = raw
        if (normaliser := normaliser_of(self._model)) is not None:
            own = torch.as_tensor(normaliser.normalize_obs(raw.cpu().numpy()), device=raw.device)
        return self._term.label(as_input(raw)), self._model.q_net(own)


@final
class KickstartCallback(BaseCallback):
    """Adds lambda_i l(teacher, student) to what a PPO, A2C or DQN model of one's own minimises.

    Before each step of the model's optimizer the gradient of the term, on a batch of the states
    that the model learns from, is added to the model's own: in expectation the step is one on
    l_RL + lambda_i E_s[l(pi(s), pi_theta(s))], the loss of kickstarting, with one optimizer and no
    steps of its own. The batch is drawn apart from the model's. The term's gradient is clipped to
    the model's max_grad_norm by itself, so that neither part silences the other.

    Logs distill/loss (mean per state), distill/weight and distill/agreement (Discrete).

    Source: Schmitt et al. 2018 (Kickstarting, arXiv:1803.03835), equation 3; for DQN, Agarwal et
    al. 2022 (QDagger, arXiv:2206.01626), without its offline phase.

    Attributes:
        weight: lambda in the current round.
        term: the loss, once training has begun.
    """

    def __init__(
        self,
        teacher: object,
        weight: float | Schedule | Weaning = KICKSTART,
        loss: str | None = None,
        settings: KickstartSettings = NO_SETTINGS,
        verbose: int = 0,
    ) -> None:
        """Keep what is asked; teacher and model are checked when training begins.

        Args:
            teacher: whatever load_teacher takes: a file, a run folder, a live model. It is shown
                raw observations, also where the model's are normalised.
            weight: lambda, a number or a schedule over rounds, see KickstartSettings.round_steps.
            loss: overrides the one in settings.
            settings: everything else.
            verbose: of stable-baselines3.

        Raises:
            SettingError: a weight that is never above 0, or Weaning without returns.
        """
        super().__init__(verbose)
        self.settings = settings
        self.weight = 0.0
        self.term: DistillationTerm | None = None
        self._pace = Pace(weight, settings)
        self._term_settings = settings.term if loss is None else replace(settings.term, loss=loss)
        self._teacher = teacher
        self._side: Side | None = None
        self._handle: RemovableHandle | None = None

    def detach(self) -> None:
        """Leave the model's optimizer alone again; training that ends does this by itself.

        Only needed where learn() was interrupted and the model goes on without this callback.
        """
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _init_callback(self) -> None:
        model = checked_model(self.model)
        settings, shape = self.settings, model.observation_space.shape
        assert shape is not None
        teacher = load_teacher(
            self._teacher,
            vecnormalize=settings.vecnormalize,
            observation_shape=shape,
            action_space=model.action_space,
        ).to(torch.device(model.device))
        head = head_for(model.action_space)
        if isinstance(model, DQN):
            head = QValueHead(head.num_outputs)
        # A second learn() with this callback goes on with its temperature.
        if self.term is None:
            self.term = DistillationTerm(teacher, head, self._term_settings)
        if isinstance(model, DQN):
            self._side = ReplaySide(model, self.term, settings.batch_size)
        else:
            self._side = RolloutSide(model, self.term, settings.batch_size)

    def _on_training_start(self) -> None:
        self.detach()
        optimizer = cast("ActorCriticPolicy", self.model.policy).optimizer
        self._handle = optimizer.register_step_pre_hook(self._add_gradient)

    def _on_training_end(self) -> None:
        self.detach()

    def _on_rollout_start(self) -> None:
        assert self._side is not None
        recent = [float(episode["r"]) for episode in self.model.ep_info_buffer or ()]
        self.weight = self._pace.weight(isinstance(self.model, DQN), recent)
        self._side.begin()

    def _on_step(self) -> bool:
        assert self._side is not None
        self._pace.steps += self.training_env.num_envs
        self._side.see()
        return True

    def _on_rollout_end(self) -> None:
        assert self._side is not None
        self._side.end()
        self._pace.rollouts += 1
        self.logger.record("distill/weight", self.weight)

    def _add_gradient(self, *_: object) -> None:
        """The hook: called before each step of the model's optimizer."""
        if self.weight == 0.0 or self._side is None or self.term is None:
            return
        batch = self._side.batch()
        if batch is None:
            return
        labels, raw = batch
        loss = self.term(labels, raw).mean()
        own = [p for p in self.model.policy.parameters() if p.requires_grad]
        slopes = torch.autograd.grad(self.weight * loss, own, allow_unused=True)
        add_clipped(own, slopes, float(cast("Any", self.model).max_grad_norm))
        self.logger.record_mean("distill/loss", float(loss.detach()))
        alike = self.term.agreement(labels, raw)
        if alike is not None:
            self.logger.record_mean("distill/agreement", alike)


def checked_model(model: object) -> Model:
    """The model, if the term can be a part of what it minimises.

    Raises:
        SettingError: another algorithm, or one with state-dependent exploration.
        TaskError: observations that are not one Box.
    """
    if not isinstance(model, (PPO, A2C, DQN)):
        raise SettingError(
            f"KickstartCallback is for PPO, A2C and DQN; this model is a {type(model).__name__}"
        )
    if model.use_sde:
        raise SettingError("use_sde=True has no log-probability that a teacher's could meet")
    if not isinstance(model.observation_space, spaces.Box):
        raise TaskError(f"observations must be one Box; got {model.observation_space}")
    return model


def normaliser_of(model: Model) -> VecNormalize | None:
    """What normalises the model's observations, if anything does."""
    wrapper = model.get_vec_normalize_env()
    return wrapper if wrapper is not None and wrapper.norm_obs else None


def policy_outputs(policy: ActorCriticPolicy, observations: Tensor) -> Tensor:
    """The raw outputs of a PPO or A2C policy: logits [N, A], or mean and log deviation [N, 2 D]."""
    says = policy.get_distribution(observations).distribution
    if isinstance(says, torch.distributions.Categorical):
        return says.logits
    assert isinstance(says, torch.distributions.Normal), "checked_model() refuses the others"
    return torch.cat([says.mean, says.stddev.log()], -1)
