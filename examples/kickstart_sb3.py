"""A stable-baselines3 PPO of one's own, kickstarted by a trained DQN.

    python examples/kickstart_sb3.py --steps 50000

Needs: pip install "rldistill[sb3]"
"""

import argparse
from pathlib import Path

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import rldistill
from rldistill.integrations.sb3 import KickstartCallback
from rldistill.methods.schedules import Linear

TEACHER = Path(rldistill.__file__).parent / "teachers" / "shipped" / "cartpole-dqn.zip"


def main(steps: int, n_steps: int = 128) -> float:
    """Train, and return the mean return of ten episodes."""
    envs = make_vec_env("CartPole-v1", 8, seed=0)
    model = PPO("MlpPolicy", envs, n_steps=n_steps, batch_size=256, n_epochs=4, seed=0)
    # The weight of the teacher falls from 1 to 0 over 40 rollouts; then it is PPO alone.
    model.learn(steps, callback=KickstartCallback(TEACHER, weight=Linear(1.0, 0.0, 40)))
    mean, _ = evaluate_policy(model, envs, n_eval_episodes=10)
    return float(mean)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kickstart a PPO on CartPole from a DQN.")
    parser.add_argument("--steps", type=int, default=50_000)
    print(f"mean return: {main(parser.parse_args().steps):.1f}")
