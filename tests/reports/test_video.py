"""Videos: decoded again, they are what was played."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from drawn_env import Drawn, register_drawn
from small_runs import by_hand

from rldistill.core import CategoricalHead, NetworkPolicy
from rldistill.envs.spec import TaskSpec
from rldistill.errors import MissingExtraError, RunFolderError, SettingError, TaskError
from rldistill.reports import encoder
from rldistill.reports.encoder import EncoderError, write_video
from rldistill.reports.film_section import film_section
from rldistill.reports.frames import GAP, Shown, fitted_size, join_sides
from rldistill.reports.video import VideoSettings, film

register_drawn()
# imageio's reader, which only these tests use, leaves its pipes to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def mover(right: float, name: str) -> NetworkPolicy:
    """Goes right where the constant is above 0, always."""
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([0.0, right]))
    return by_hand(layer, CategoricalHead(2), name)


RUNNER, STANDER = mover(3.0, "runner"), mover(-3.0, "stander")


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The two pictures of every frame, without their words: [frames, height, width, 3]."""
    frames = iio.imread(path).astype(int)[:, 30:-50]
    width = (frames.shape[2] - GAP) // 2
    return frames[:, :, :width], frames[:, :, width + GAP :]


def test_the_same_policy_twice_shows_the_same_twice(tmp_path: Path) -> None:
    film(RUNNER, RUNNER, "Drawn-v0", tmp_path / "v.mp4")
    left, right = halves(tmp_path / "v.mp4")
    assert np.abs(left - right).mean() < 1.0


def test_policies_that_differ_are_seen_to(tmp_path: Path) -> None:
    """From the same start: the first frame is the same, the last is not."""
    made = film(STANDER, RUNNER, "Drawn-v0", tmp_path / "v.mp4")
    left, right = halves(tmp_path / "v.mp4")
    assert np.abs(left[0] - right[0]).mean() < 1.0
    assert np.abs(left[-1] - right[-1]).mean() > 20.0
    assert (made.teacher_return, made.student_return) == (12.0, 0.0)
    assert (made.teacher_steps, made.student_steps) == (12, 12)


def test_it_has_as_many_frames_as_were_played_and_the_end_is_held(tmp_path: Path) -> None:
    """The start, 12 steps, and a second of 10 frames; sizes are even and the picture plays."""
    made = film(STANDER, RUNNER, "Drawn-v0", tmp_path / "v.mp4")
    frames = iio.imread(tmp_path / "v.mp4")
    assert made.frames == len(frames) == 1 + 12 + 10
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    assert iio.immeta(tmp_path / "v.mp4")["fps"] == 10.0
    data = (tmp_path / "v.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it starts before it is loaded
    assert b"avc1" in data
    assert made.num_bytes == len(data) < 3_000_000


def test_the_seed_is_the_start(tmp_path: Path) -> None:
    starts = []
    for seed in (0, 0, 5):
        film(RUNNER, RUNNER, "Drawn-v0", tmp_path / "v.mp4", VideoSettings(seed=seed))
        starts.append(halves(tmp_path / "v.mp4")[0][0].mean())
    assert starts[0] == starts[1] != starts[2]


def test_long_episodes_are_cut(tmp_path: Path) -> None:
    made = film(STANDER, RUNNER, "Drawn-v0", tmp_path / "v.mp4", VideoSettings(seconds=1.5))
    assert made.frames == 15
    assert not made.teacher_over
    assert "(cut there)" in made.sentence()


def test_moments_are_the_states_that_divide_the_two(tmp_path: Path) -> None:
    """A student that goes right where its place is above 5, of a teacher that never does."""
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        layer.bias.copy_(torch.tensor([0.0, 0.1]))
    student = by_hand(layer, CategoricalHead(2), "student")
    made = film(student, STANDER, "Drawn-v0", tmp_path / "v.mp4")
    first = made.moments[0]
    assert first.step == 11
    assert (first.picture[:, :44] == 255).all()
    assert not (first.picture[:, 44:] == 255).any()
    assert first.teacher == "action 0 (0.95)"
    assert all(abs(a.step - b.step) >= 10 for a in made.moments for b in made.moments if a is not b)
    section = film_section(made)
    assert [shown.media_type for shown in section.media] == ["video/mp4", "image/png", "image/png"]
    assert section.media[0].data == (tmp_path / "v.mp4").read_bytes()
    assert film_section(made, embed=False).media[0].beside == "v.mp4"
    assert film(STANDER, STANDER, "Drawn-v0", tmp_path / "v.mp4").moments == ()


def test_a_missing_encoder_is_told_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: str, extra: str) -> None:
        raise MissingExtraError(f"{module} is not installed; run: pip install")

    monkeypatch.setattr(encoder, "require", missing)
    with pytest.raises(MissingExtraError, match="imageio_ffmpeg is not installed"):
        film(RUNNER, RUNNER, TaskSpec(factory=Drawn), tmp_path / "v.mp4")


def test_what_cannot_be_filmed_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "v.mp4"
    with pytest.raises(TaskError, match="cannot draw itself"):
        film(RUNNER, RUNNER, "Unseen-v0", out)
    with pytest.raises(TaskError, match="the task gives"):
        film(RUNNER, RUNNER, "CartPole-v1", out)
    with pytest.raises(EncoderError, match="fewer seconds"):
        film(RUNNER, RUNNER, "Drawn-v0", out, VideoSettings(most_bytes=500))
    with pytest.raises(RunFolderError):
        film(RUNNER, RUNNER, "Drawn-v0", tmp_path / "absent" / "v.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_gives_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, in the middle, and where it says why: an error of ours, and no half of a file."""
    script = tmp_path / "encoder.sh"
    for says in ("exit 3", "head -c 9000 > /dev/null; echo no room >&2; exit 1"):
        script.write_text(f"#!/bin/sh\n{says}\n")
        script.chmod(0o755)
        monkeypatch.setattr(encoder.require_encoder(), "get_ffmpeg_exe", lambda: str(script))
        with pytest.raises(EncoderError, match="3" if "3" in says else "no room"):
            film(RUNNER, RUNNER, "Drawn-v0", tmp_path / "v.mp4")
        assert [path.name for path in tmp_path.iterdir()] == ["encoder.sh"]
    monkeypatch.setattr(encoder.require_encoder(), "get_ffmpeg_exe", lambda: "/nowhere/ffmpeg")
    with pytest.raises(EncoderError, match="/nowhere/ffmpeg cannot be started: No such file"):
        film(RUNNER, RUNNER, "Drawn-v0", tmp_path / "v.mp4")


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seconds": 0.5}, {"most_bytes": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        VideoSettings(**wrong)


def test_frames_of_odd_or_different_sizes_are_refused(tmp_path: Path) -> None:
    frames = [np.zeros((20, 20, 3), np.uint8), np.zeros((20, 22, 3), np.uint8)]
    for wrong in ([], [np.zeros((21, 20, 3), np.uint8)], frames):
        with pytest.raises(SettingError):
            write_video(tmp_path / "v.mp4", wrong, 10.0, 10**6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "size", [(400, 600), (210, 160), (10, 10), (37, 501), (1000, 3), (480, 480)]
)
def test_sides_of_any_picture_have_even_sizes(size: tuple[int, int]) -> None:
    height, width = fitted_size(*size)
    assert height % 2 == width % 2 == 0
    assert 16 <= height <= 270
    assert 16 <= width <= 482
    shown = Shown("student", np.zeros((*size, 3), np.uint8), 1.0, 2, "left", over=True)
    frame = join_sides(shown, shown)
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0
    assert frame.dtype == np.uint8
