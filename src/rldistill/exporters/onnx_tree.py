"""Trees in ONNX: one operator finds the leaf, tables say what it means."""

from typing import Any, Protocol

import numpy as np

from rldistill.exporters.steps import Tree

ML_DOMAIN = "ai.onnx.ml"


class Graph(Protocol):
    """What writes nodes."""

    def node(self, kind: str, *inputs: str, gives: str = "", **attributes: Any) -> str: ...

    def constant(self, value: Any, dtype: Any = None) -> str: ...

    def cast(self, x: str, dtype: Any) -> str: ...


def tree_nodes(graph: Graph, step: Tree, x: str) -> str:
    """The raw outputs of a tree on x [B, O].

    The operator compares in float32 as the tree does; its target is the number of the node, so that
    leaves may hold any number of values, and linear models too.
    """
    count = len(step.feature)
    leaves = step.feature < 0
    nodes = np.flatnonzero(leaves)
    ids = list(range(count))
    index = graph.node(
        "TreeEnsembleRegressor",
        x,
        domain=ML_DOMAIN,
        n_targets=1,
        nodes_treeids=[0] * count,
        nodes_nodeids=ids,
        nodes_featureids=np.where(leaves, 0, step.feature).tolist(),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in leaves],
        nodes_values=np.where(leaves, 0.0, step.threshold).astype(np.float32).tolist(),
        nodes_truenodeids=np.where(leaves, 0, step.left).tolist(),
        nodes_falsenodeids=np.where(leaves, 0, step.right).tolist(),
        target_treeids=[0] * len(nodes),
        target_nodeids=nodes.tolist(),
        target_ids=[0] * len(nodes),
        target_weights=[float(i) for i in range(len(nodes))],
    )
    leaf = graph.node("Squeeze", graph.cast(index, np.int64), graph.constant([1], np.int64))
    values = graph.node("Gather", graph.constant(step.values[nodes]), leaf, axis=0)
    if not step.coefficients.size:
        return values
    models = graph.node("Gather", graph.constant(step.coefficients[nodes]), leaf, axis=0)
    column = graph.node("Unsqueeze", x, graph.constant([2], np.int64))
    product = graph.node("MatMul", models, column)
    return graph.node("Add", values, graph.node("Squeeze", product, graph.constant([2], np.int64)))
