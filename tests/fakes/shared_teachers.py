"""Which file of the folder of teachers each card of examples/cards is for."""

from pathlib import Path

CARDS_FOLDER = Path(__file__).parents[2] / "examples" / "cards"
CARDS = {
    "adroit-dapg-door": "adroit-dapg/door.npz",
    "adroit-dapg-relocate": "adroit-dapg/relocate.npz",
    "atari-ikostrikov-cnn-breakout": "atari-ikostrikov-cnn/acktr_breakout.npz",
    "atari-ikostrikov-cnn-pong": "atari-ikostrikov-cnn/acktr_pong.npz",
    "atari-ikostrikov-cnn-qbert": "atari-ikostrikov-cnn/acktr_qbert.npz",
    "atari-muupan-a3c-ff-breakout": "atari-muupan-a3c-ff/breakout_80000000_finish.h5",
    "atari-xinjinghao-dueldqn-enduro": "atari-xinjinghao-dueldqn/enduro_900k.pth",
    "minatar-gymnax-ppo-breakout": "minatar-gymnax-ppo/breakout_ppo0.001.npz",
    "minatar-gymnax-ppo-cartpole": "minatar-gymnax-ppo/cartpole_ppo.npz",
    "minatar-gymnax-ppo-freeway": "minatar-gymnax-ppo/freeway_ppo.npz",
    "minatar-gymnax-ppo-mountaincar": "minatar-gymnax-ppo/mountaincar_ppo.npz",
    "minigrid-doorkey-5x5-450k": "minigrid-doorkey/doorkey5x5_ppo_450k.npz",
    "minigrid-doorkey-5x5-61k": "minigrid-doorkey/doorkey5x5_ppo_61k.npz",
    "mujoco-cs285-experts-halfcheetah": "mujoco-cs285-experts/halfcheetah_expert.npz",
    "mujoco-cs285-experts-hopper": "mujoco-cs285-experts/hopper_expert.npz",
    "xinjinghao-drl-bipedalhardcore": "xinjinghao-drl/bipedalhardcore_sac.pth",
    "xinjinghao-drl-bipedalwalker": "xinjinghao-drl/bipedalwalker_sac.pth",
    "xinjinghao-drl-humanoid": "xinjinghao-drl/humanoid_td3.pth",
    "xinjinghao-drl-lunarlander": "xinjinghao-drl/lunarlander_dueldqn.pth",
}


def card_path(name: str) -> Path:
    return CARDS_FOLDER / f"{name}.toml"
