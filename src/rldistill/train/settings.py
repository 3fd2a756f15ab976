"""Settings of a distillation run that have a default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from rldistill.core import Acting
from rldistill.envs.spec import require_view
from rldistill.envs.views import View
from rldistill.errors import SettingError
from rldistill.evaluation.verdict import DEFAULT_FLOOR
from rldistill.methods.catalogue import DEFAULT, get_method
from rldistill.methods.method import Method

DEFAULT_STEPS = 1_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to distil; every field has a default.

    Attributes:
        method: a row's name, or a Method of one's own. None: viper for a student that is grown,
            such as a tree, else on-policy-distill.
        steps: environment steps, summed over environments, after which training ends at the latest;
            with data, rows of it, repeats counted. None: 1,000,000.
        scale: steps as a share of those of the row's paper, in place of steps; for rows that name
            them.
        until: end as soon as the student is shown to hold this fraction of its teacher's return.
            None: 0.95 where steps is None too; otherwise train for all steps and judge at the end.
        num_envs: environments stepped together; None: 64 where they are vectorised in C++, else 16.
        seed: of everything: weights, exploration, batches, environments.
        device: "auto", "cpu" or "cuda".
        backend: "auto", "envpool" or "gymnasium".
        env_kwargs: passed to the environment.
        wrapper: "module:function", applied to each gymnasium environment.
        imports: modules that register environments.
        teacher_view, student_view: what each of the two sees; None: what the task gives.
        teacher_act: how the teacher acts, when collecting and when it is judged: its likeliest
            action, or a sampled one with Acting(mode=False).
        student_act: how the student acts when it is judged.
        vecnormalize: statistics of the teacher's observation normaliser.
        card: what network the teacher's weights are of; None looks beside them.
        head: what the outputs of an ONNX file, a script or a function mean, by name; None: what
            the task's actions suggest.
        trust: run code that lies in a file of TorchScript or torch.export.
        fit_critic: environment steps of the teacher from which its value is learnt first, for rows
            that need one of a teacher that has none in raw reward; None: it must have one.
        window: steps through which the gradient of a recurrent student goes back; None: 32.
        burn_in: steps that it reads again before each window, without a gradient; None: 0.
        data: learn offline from this folder of shards, or "minari:NAME", instead of environments.
        force: replace an existing run folder.
        evaluation_envs: episodes per look.
        save_seconds: a checkpoint is written at most this often.
        command: the command line, recorded in the run folder.
    """

    method: str | Method | None = None
    steps: int | None = None
    scale: float | None = None
    until: float | None = None
    num_envs: int | None = None
    seed: int = 0
    device: str = "auto"
    backend: str = "auto"
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrapper: str | None = None
    imports: tuple[str, ...] = ()
    teacher_view: View | None = None
    student_view: View | None = None
    teacher_act: Acting = Acting()
    student_act: Acting = Acting()
    vecnormalize: Path | None = None
    card: Path | None = None
    head: str | None = None
    trust: bool = False
    fit_critic: int | None = None
    window: int | None = None
    burn_in: int | None = None
    data: str | Path | None = None
    force: bool = False
    evaluation_envs: int = 64
    save_seconds: float = 20.0
    command: str = ""

    def __post_init__(self) -> None:
        Acting.require(self.teacher_act, "teacher_act")
        Acting.require(self.student_act, "student_act")
        require_view(self.teacher_view, "teacher_view")
        require_view(self.student_view, "student_view")
        if self.until is not None and not 0.0 < self.until <= 1.0:
            raise SettingError(f"until must lie in (0, 1], got {self.until:g}")
        if self.steps is not None and self.steps < 1:
            raise SettingError(f"steps must be at least 1, got {self.steps}")
        self._check_scale()
        if self.fit_critic is not None and self.fit_critic < 100:
            raise SettingError(f"fit_critic must be at least 100 steps, got {self.fit_critic}")
        if self.num_envs is not None and self.num_envs < 1:
            raise SettingError(f"num_envs must be at least 1, got {self.num_envs}")
        if self.num_envs is not None and self.data is not None:
            raise SettingError("num_envs has no effect with data, which is recorded already")
        if self.seed < 0:
            raise SettingError(f"seed must be at least 0, got {self.seed}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise SettingError(f"device must be auto, cpu or cuda, got {self.device!r}")
        if not 1 <= self.evaluation_envs <= 1024:
            raise SettingError("evaluation_envs must lie in 1..1024")

    def _check_scale(self) -> None:
        if self.scale is None:
            return
        if not 0.0 < self.scale <= 100.0:
            raise SettingError(f"scale must lie in (0, 100], got {self.scale:g}")
        if self.steps is not None:
            raise SettingError("steps and scale both say how long to train; give one of them")
        if self.row.published_steps is None:
            raise SettingError(
                f"scale has no effect on {self.row.name}, which names no steps of its paper; give "
                "steps, or take a rusu row"
            )

    @property
    def floor(self) -> float:
        """The fraction that the verdict is about."""
        return DEFAULT_FLOOR if self.until is None else self.until

    @property
    def total_steps(self) -> int:
        """Where training ends at the latest."""
        if self.scale is not None and self.row.published_steps is not None:
            return max(1, round(self.scale * self.row.published_steps))
        return DEFAULT_STEPS if self.steps is None else self.steps

    @property
    def stops_early(self) -> bool:
        """Whether training ends as soon as the student is shown to hold the floor."""
        return self.until is not None or (self.steps is None and self.scale is None)

    @property
    def row(self) -> Method:
        """The method itself."""
        if isinstance(self.method, Method):
            return self.method
        return get_method(self.method or DEFAULT)
