"""Ray: a sweep over two nodes gives what it gives in one process, even if a node is lost in it."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from small_sweeps import Doomed, refuse, small_sweep

from rldistill.errors import EnvironmentFailure, SettingError
from rldistill.rollout.ray import RayTasks
from rldistill.rollout.workers import Here
from rldistill.train.shrink import finished, shrinking

TESTS = Path(__file__).parents[1]
NODE = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and a second node on this machine, of one core each."""
    ray = pytest.importorskip("ray")  # takes seconds, and only slow tests need it
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    paths = [str(TESTS / "train"), str(TESTS.parent / "src")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    # Ray takes the loopback for another address, which a machine without a network does not have.
    monkeypatch.setenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0")
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    made.add_node(**NODE)
    yield made
    ray.shutdown()
    made.shutdown()


class KillingTasks:
    """RayTasks on a cluster whose second node is killed once a stage is half done there."""

    def __init__(self, cluster: Any, note: Path) -> None:
        self.cluster, self.note = cluster, note
        self.tasks = RayTasks(cluster.address)
        self.victim = cluster.list_all_nodes()[1]
        self.killed = False

    def run(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        doomed = Doomed(function, self.victim.node_id, self.note)
        threading.Thread(target=self.kill, daemon=True).start()
        yield from self.tasks.run(doomed, items)

    def kill(self) -> None:
        while not self.note.exists():
            time.sleep(0.1)
        if not self.killed:
            self.killed = True
            self.cluster.remove_node(self.victim, allow_graceful=False)


@pytest.mark.slow
def test_a_sweep_survives_the_loss_of_a_node(cluster: Any, tmp_path: Path) -> None:
    """What the lost node had begun is done again, and every number is that of an unharmed sweep."""
    unharmed, harmed = (small_sweep(tmp_path / name, floor=1.0) for name in ("one", "two"))
    for _ in shrinking(unharmed, Here()):
        pass
    tasks = KillingTasks(cluster, tmp_path / "note")
    for _ in shrinking(harmed, tasks):
        pass
    assert tasks.killed
    assert tasks.note.read_text() in {rung.student for rung in harmed.rungs}
    one, two = finished(unharmed).summary, finished(harmed).summary
    assert two["labelled"] == one["labelled"]
    assert two["datasets"] == one["datasets"]
    for point, other in zip(one["frontier"], two["frontier"], strict=True):
        for key in ("name", "updates", "states", "env_steps"):
            assert point[key] == other[key], key


@pytest.mark.slow
def test_an_error_in_a_task_comes_as_it_is(cluster: Any) -> None:
    with pytest.raises(SettingError, match="7 is refused"):
        list(RayTasks(cluster.address).run(refuse, [7]))


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_told() -> None:
    with pytest.raises(EnvironmentFailure, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        list(RayTasks("127.0.0.1:1").run(abs, [1]))
