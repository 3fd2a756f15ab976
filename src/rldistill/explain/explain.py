"""explain_policy(): a policy in words, numbers and pictures."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from rldistill.core import NetworkPolicy
from rldistill.envs.backends import TaskSource, task_spec
from rldistill.envs.naming import TaskNames, task_names
from rldistill.envs.spec import TaskInfo
from rldistill.errors import SettingError
from rldistill.evaluation.own_views import with_own_views
from rldistill.evaluation.scores import count_envs, task_info
from rldistill.explain.actions import acts, is_discrete, sameness
from rldistill.explain.changes import changes_of
from rldistill.explain.explanation import Explanation
from rldistill.explain.importance import importances, units_of
from rldistill.explain.picture import picture_of
from rldistill.explain.played import Played, Stage, stage
from rldistill.explain.regions import Region, overall, regions_of
from rldistill.explain.rules import rules_of
from rldistill.explain.saliency import Saliency, saliency
from rldistill.explain.simplify import simplified
from rldistill.explain.subject import flat, load_subject, policy_of_tree, tree_of
from rldistill.explain.surrogate import Surrogate, fit_surrogate
from rldistill.maths import stats
from rldistill.students.tree import LEAF, TreeArrays

Array = np.ndarray[Any, Any]
DEFAULT_LEAVES = 16
# Of pixels every so many-th state is kept, and so many are looked at for saliency.
PIXEL_STRIDE, PIXEL_STATES = 8, 64


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainSettings:
    """How to explain; every field has a default.

    Attributes:
        episodes: played by the policy, and again for each feature that is shuffled; rounded up to
            complete rounds.
        num_envs: episodes per round; None: 64, or fewer where fewer episodes are asked for.
        leaves: of the surrogate tree of a policy that is no tree; None: 16.
        most_features: features (or groups of them) that are played shuffled, at most: those that
            change most actions.
        seed: of everything.
        names: a TOML file of feature and action names.
        vecnormalize: statistics of the observation normaliser of POLICY, where it is a file
            without them.
    """

    episodes: int = 128
    num_envs: int | None = None
    leaves: int | None = None
    most_features: int = 24
    seed: int = 0
    names: Path | None = None
    vecnormalize: Path | None = None

    def __post_init__(self) -> None:
        for name, least in (("episodes", 2), ("most_features", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise SettingError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.num_envs is not None and self.num_envs < 1:
            raise SettingError(f"num_envs must be at least 1, got {self.num_envs}")
        if self.leaves is not None and self.leaves < 2:
            raise SettingError(f"leaves must be at least 2, got {self.leaves}")


def explain_policy(
    policy: object,
    task: TaskSource,
    *,
    against: object = None,
    settings: ExplainSettings = ExplainSettings(),
) -> Explanation:
    """Say what a policy does: rules, how they are used, what matters, what would change it.

    A tree is explained by itself. For any other policy on flat observations a surrogate tree is
    fitted to its own states and actions, and how faithful that is comes first. A policy on pixels
    gets a saliency map.

    Args:
        policy: a run folder, a file, or a live object.
        task: as in distill.
        against: a teacher: how often POLICY does what it does, in each region. None: a surrogate
            is compared with POLICY itself, a tree with nobody.
        settings: everything else.

    Returns:
        The explanation; write_explanation writes it to a folder.

    Raises:
        RldistillError: one of its kinds.
    """
    spec = with_own_views(task_spec(task), policy, against)
    spec = spec.seen_by_student() if against is None else spec
    info = task_info(spec)
    subject = load_subject(policy, info, settings.vecnormalize)
    teacher = None if against is None else load_subject(against, info, role="teacher")
    names = task_names(spec, info, settings.names)
    has_names, shape = bool(names.features), info.observation_space.shape
    _require_effects(subject, settings, has_names)
    num_envs = count_envs(spec, settings.num_envs, min(64, settings.episodes))
    with stage(spec, info, (settings.episodes, num_envs), settings.seed) as where:
        played = where.play(subject, 1 if len(shape) == 1 else PIXEL_STRIDE)
        looks = None if len(shape) == 1 else _saliency(subject, played)
        if not has_names:
            return _pixels(_About(subject, teacher, info, names, played), looks)
        if teacher is not None and spec.one_view:
            teacher = flat(teacher)
        rows = _About(flat(subject), teacher, info, names, played.flat())
        return dataclasses.replace(_numbers(rows, where, settings), saliency=looks)


@final
@dataclass(frozen=True, slots=True)
class _About:
    """Who is explained, where, and what it did."""

    subject: NetworkPolicy
    teacher: NetworkPolicy | None
    info: TaskInfo
    names: TaskNames
    played: Played

    def agreement(self) -> Array | None:
        """How alike subject and teacher act in each state played."""
        if self.teacher is None:
            return None
        seen = self.played.teacher_observations
        theirs = acts(self.teacher, self.played.observations if seen is None else seen)
        return sameness(self.subject.info.head, self.played.actions, theirs)

    def explanation(self, **found: Any) -> Explanation:
        """With what there is to say of every policy."""
        subject, played, same = self.subject.info, self.played, self.agreement()
        return Explanation(
            policy=subject.name,
            source=subject.source,
            task=self.info.id,
            discrete=is_discrete(subject.head),
            names=self.names,
            returns=stats.estimate(played.returns),
            episodes=played.num_episodes,
            states=len(played.episode),
            agreement=None if same is None else overall(same, played),
            **found,
        )


def _require_effects(subject: NetworkPolicy, settings: ExplainSettings, has_names: bool) -> None:
    """Refuse settings that do nothing here.

    Raises:
        SettingError: there is one.
    """
    if settings.leaves is not None and tree_of(subject) is not None:
        raise SettingError(
            f"leaves has no effect: {subject.info.name} is a tree and is explained as it is"
        )
    if settings.leaves is not None and not has_names:
        raise SettingError(
            "leaves has no effect on pixels: a tree asks one number at a time, and one pixel says "
            "little; give the task a view of objects or memory"
        )


def _saliency(subject: NetworkPolicy, played: Played) -> Saliency:
    """Where a policy looks, over states spread evenly over those played."""
    observations = played.observations
    rows = np.linspace(0, len(observations) - 1, min(PIXEL_STATES, len(observations)))
    return saliency(subject, observations[rows.astype(np.int64)])


def _pixels(about: _About, looks: Saliency | None) -> Explanation:
    """Of a policy on pixels: where it looks."""
    return about.explanation(
        is_tree=False,
        surrogate=None,
        tree=None,
        num_leaves=0,
        against=None if about.teacher is None else about.teacher.info.name,
        regions=(),
        importance=(),
        changes=None,
        saliency=looks,
        notes=(
            *about.info.notes,
            "pixels: no rules are drawn, since one pixel says little; a view of objects or memory "
            "has numbers with names",
        ),
        svg=None,
    )


def _numbers(about: _About, where: Stage, settings: ExplainSettings) -> Explanation:
    """Of a policy on numbers that have names: everything but saliency."""
    subject, played = about.subject, about.played
    own = tree_of(subject)
    surrogate: Surrogate | None = None
    if own is None:
        leaves = settings.leaves or DEFAULT_LEAVES
        surrogate = fit_surrogate(subject, played, leaves, where)
    full = own if surrogate is None else surrogate.tree
    assert full is not None
    tree, merged = simplified(full, subject.info.head)
    regions, against = _regions(about, surrogate, (tree, merged))
    used = None if own is None else _asked(own)
    importance = importances(
        subject, played, where, units_of(about.names), (used, settings.most_features)
    )
    notes = [*about.info.notes, *about.names.notes]
    if not about.info.equal_starts:
        notes.append("episodes do not start equally, so what shuffling loses is not paired")
    space = about.info.observation_space
    changes = changes_of(subject, own, played, (space.low.ravel(), space.high.ravel()))
    found = about.explanation(
        is_tree=own is not None,
        surrogate=surrogate,
        tree=tree,
        num_leaves=full.num_leaves,
        against=against,
        regions=regions,
        importance=importance,
        changes=changes,
        saliency=None,
        notes=tuple(notes),
        svg=None,
    )
    return picture_of(found, tree, played.observations)


def _regions(
    about: _About,
    surrogate: Surrogate | None,
    shown: tuple[TreeArrays, tuple[tuple[int, ...], ...]],
) -> tuple[tuple[Region, ...], str | None]:
    """The regions of the tree that is shown, and who their fidelity is about."""
    tree, merged = shown
    subject, played = about.subject, about.played
    rules = rules_of(tree, subject.info.head, about.names, played.observations)
    same, against = about.agreement(), None
    if about.teacher is not None:
        against = about.teacher.info.name
    elif surrogate is not None:
        against = subject.info.name
        stand_in = policy_of_tree(tree, subject.info)
        theirs = acts(stand_in, played.observations)
        same = sameness(subject.info.head, theirs, played.actions)
    numbers = np.flatnonzero(tree.feature == LEAF).tolist()
    of_leaf = dict(zip(numbers, merged, strict=True))
    leaves = tree.leaf_of(played.observations)
    return regions_of(rules, of_leaf, leaves, played, same), against


def _asked(tree: TreeArrays) -> frozenset[int]:
    """The features that a tree's outputs can depend on."""
    asked = set(tree.feature[tree.feature != LEAF].tolist())
    if tree.coefficients is not None:
        leaves = tree.coefficients[tree.feature == LEAF]
        asked |= set(np.flatnonzero((leaves != 0).any((0, 1))).tolist())
    return frozenset(asked)
