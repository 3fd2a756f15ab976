"""Train the teachers that rldistill ships, with stable-baselines3 on gymnasium.

    python examples/train_teachers.py                          # all that are missing
    python examples/train_teachers.py --only lunarlander-ppo   # one of them
    python examples/train_teachers.py --out runs/teachers      # somewhere else

Each teacher becomes an ordinary stable-baselines3 zip, with the optimizer's moments left out (they
are half of the file or more, and nobody acts on them), and an entry in shipped.json that says how
it was made and how it plays. A teacher whose zip and entry are there already is skipped.

The settings are those that rl-baselines3-zoo publishes for the same algorithm and task; what is
changed is said beside it. The checkpoint kept is the one with the best mean over SELECTION_EPISODES
evaluation episodes during training; the returns in shipped.json are measured afterwards, on
MEASURE_EPISODES episodes with seeds that nothing was chosen by.
"""

import argparse
import hashlib
import importlib.metadata
import json
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env

OUT = Path(__file__).parents[1] / "src" / "rldistill" / "teachers" / "shipped"
ALGORITHMS: Mapping[str, type[DQN] | type[PPO]] = {"DQN": DQN, "PPO": PPO}
SELECTION_EPISODES, SELECTION_SEED = 40, 500_000
MEASURE_EPISODES, MEASURE_SEED = 200, 1_000_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one teacher is trained.

    Attributes:
        seed_note: how the seed came to be the one it is, so that nobody takes it for a random one.
        steps: environment steps, summed over environments.
        evaluate_every: environment steps between two looks at a checkpoint.
        changes: what differs from the zoo's settings.
    """

    task: str
    algorithm: str
    seed: int
    seed_note: str
    num_envs: int
    steps: int
    evaluate_every: int
    settings: Mapping[str, Any]
    changes: str


RECIPES: Mapping[str, Recipe] = {
    "cartpole-dqn": Recipe(
        task="CartPole-v1",
        algorithm="DQN",
        seed=1,
        seed_note="first seed tried",
        num_envs=1,
        steps=50_000,
        evaluate_every=2_560,
        settings={
            "learning_rate": 2.3e-3,
            "batch_size": 64,
            "buffer_size": 100_000,
            "learning_starts": 1_000,
            "gamma": 0.99,
            "target_update_interval": 10,
            "train_freq": 256,
            "gradient_steps": 128,
            "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
        changes="none",
    ),
    "lunarlander-dqn": Recipe(
        task="LunarLander-v3",
        algorithm="DQN",
        seed=1,
        seed_note="first seed tried",
        num_envs=1,
        steps=300_000,
        evaluate_every=10_000,
        settings={
            "learning_rate": 6.3e-4,
            "batch_size": 128,
            "buffer_size": 50_000,
            "learning_starts": 0,
            "gamma": 0.99,
            "target_update_interval": 250,
            "train_freq": 4,
            "gradient_steps": -1,
            "exploration_fraction": 0.12,
            "exploration_final_eps": 0.1,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
        changes="300,000 steps in place of 100,000",
    ),
    "lunarlander-ppo": Recipe(
        task="LunarLander-v3",
        algorithm="PPO",
        seed=1,
        seed_note="first seed tried",
        num_envs=16,
        steps=1_000_000,
        evaluate_every=65_536,
        settings={
            "n_steps": 1_024,
            "batch_size": 64,
            "gae_lambda": 0.98,
            "gamma": 0.999,
            "n_epochs": 4,
            "ent_coef": 0.01,
        },
        changes="none",
    ),
}


def train(recipe: Recipe, folder: Path) -> DQN | PPO:
    """Train one teacher on the CPU and return its best checkpoint."""
    algorithm = ALGORITHMS[recipe.algorithm]
    envs = make_vec_env(recipe.task, recipe.num_envs, seed=recipe.seed)
    selection = EvalCallback(
        make_vec_env(recipe.task, 1, seed=SELECTION_SEED + recipe.seed),
        n_eval_episodes=SELECTION_EPISODES,
        eval_freq=recipe.evaluate_every // recipe.num_envs,
        best_model_save_path=str(folder),
        deterministic=True,
    )
    model = algorithm("MlpPolicy", envs, seed=recipe.seed, device="cpu", **recipe.settings)
    model.learn(recipe.steps, callback=selection)
    return algorithm.load(folder / "best_model.zip", device="cpu")


def strip(model: DQN | PPO) -> None:
    """Drop what only further training needs, and keep the file loadable by stable-baselines3.

    Its load() demands an optimizer entry; that of an optimizer which has not stepped yet has
    the parameter groups and no moments.
    """
    model.policy.optimizer.state.clear()
    for name in ("_last_obs", "_last_original_obs", "_last_episode_starts"):
        setattr(model, name, None)
    for name in ("ep_info_buffer", "ep_success_buffer"):
        setattr(model, name, None)


def write(model: DQN | PPO, path: Path) -> None:
    """Save as a zip of stable-baselines3, without the description of the machine it ran on."""
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.zip"
        model.save(full)
        temporary = path.with_suffix(".tmp")
        with zipfile.ZipFile(full) as source, zipfile.ZipFile(temporary, "w") as target:
            for entry in source.infolist():
                if entry.filename != "system_info.txt":
                    # No date and no compression, as stable-baselines3 itself stores.
                    target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))
        temporary.replace(path)


def measure(model: DQN | PPO, task: str) -> np.ndarray:
    """Returns of MEASURE_EPISODES deterministic episodes, each from its own seed: [episodes]."""
    env = gymnasium.make(task)
    returns = np.zeros(MEASURE_EPISODES)
    for episode in range(MEASURE_EPISODES):
        observation, _ = env.reset(seed=MEASURE_SEED + episode)
        done = False
        while not done:
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action.item())
            returns[episode] += float(reward)
            done = terminated or truncated
    env.close()
    return returns


def describe(name: str, recipe: Recipe, path: Path) -> dict[str, Any]:
    """The entry of shipped.json: measured on the file as it was written, not on the model."""
    model = ALGORITHMS[recipe.algorithm].load(path, device="cpu")
    returns = measure(model, recipe.task)
    versions = ("stable-baselines3", "gymnasium", "torch", "numpy")
    return {
        "file": path.name,
        "task": recipe.task,
        "algorithm": recipe.algorithm,
        "seed": recipe.seed,
        "seed_note": recipe.seed_note,
        "training_steps": recipe.steps,
        "checkpoint_steps": model.num_timesteps,
        "checkpoint_note": f"best mean of {SELECTION_EPISODES} episodes during training",
        "num_envs": recipe.num_envs,
        "settings": dict(recipe.settings),
        "settings_source": "rl-baselines3-zoo; changes: " + recipe.changes,
        "return_mean": round(float(returns.mean()), 2),
        "return_std": round(float(returns.std(ddof=1)), 2),
        "return_min": round(float(returns.min()), 2),
        "return_episodes": MEASURE_EPISODES,
        "return_first_seed": MEASURE_SEED,
        "acting": "mode",
        "command": f"python examples/train_teachers.py --only {name}",
        "versions": {package: importlib.metadata.version(package) for package in versions},
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def is_done(entry: Mapping[str, Any] | None, recipe: Recipe, path: Path) -> bool:
    """Whether the file is there and came from this very recipe."""
    made = None if entry is None else (entry["seed"], entry["training_steps"], entry["settings"])
    return path.exists() and made == (recipe.seed, recipe.steps, dict(recipe.settings))


def make(name: str, out: Path) -> None:
    """Train, write and describe one teacher, unless that is done."""
    recipe, path, index = RECIPES[name], out / f"{name}.zip", out / "shipped.json"
    entries = json.loads(index.read_text()) if index.exists() else {}
    if is_done(entries.get(name), recipe, path):
        print(f"{name}: already there ({entries[name]['return_mean']})")
        return
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model = train(recipe, Path(folder))
    strip(model)
    write(model, path)
    entries[name] = entry = describe(name, recipe, path)
    ordered = {key: entries[key] for key in RECIPES if key in entries}
    index.write_text(json.dumps(ordered, indent=2) + "\n")
    seconds = time.monotonic() - start
    print(
        f"{name}: {entry['return_mean']} +- {entry['return_std']} over {MEASURE_EPISODES} "
        f"episodes, {entry['bytes']:,} bytes, {seconds:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the teachers that rldistill ships.")
    parser.add_argument("--only", choices=sorted(RECIPES), help="train this one (default: all)")
    parser.add_argument(
        "--out", type=Path, default=OUT, help="folder for the zips and shipped.json"
    )
    arguments = parser.parse_args()
    # More threads are slower for networks this small, and would make results depend on the machine.
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else RECIPES:
        make(name, arguments.out)


if __name__ == "__main__":
    main()
