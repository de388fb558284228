"""The encoder as an ONNX graph: int8 matrices, 4-bit embeddings.

Used in training only. Activations are quantised token by token, never per batch as onnxruntime's own dynamic
quantisation does, so that a text's result does not depend on its neighbours.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from nlp.base_encoder import BLOCK, BaseEncoder, Blocks

MICROSOFT = "com.microsoft"


class _Graph:
    """Nodes and initialisers while the graph grows."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.constant("one", np.array(1.0, dtype=np.float32))
        self.constant("step", np.array(1.0 / 127.0, dtype=np.float32))
        self.constant("tiny", np.array(1e-6, dtype=np.float32))
        self.constant("middle", np.array(128, dtype=np.uint8))
        self.constant("last", np.array([-1], dtype=np.int64))

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], domain=domain, **attributes))
        return output

    def linear(self, name: str, source: str, matrix: Blocks, bias: npt.NDArray[np.float32]) -> str:
        """source [.., columns] times the matrix [rows, columns] transposed, plus bias.

        Each row of the source (one token) gets its own scale: max |x| / 127.
        """
        weights, scales = per_output(matrix)
        quantised, scale = self._quantised(source)
        product = self.node(
            "MatMulIntegerToFloat",
            [quantised, self.constant(f"{name}.w", weights), "one", self.constant(f"{name}.s", scales), "middle"],
            f"{name}.product",
            MICROSOFT,
        )
        scaled = self.node("Mul", [product, scale], f"{name}.scaled")
        return self.node("Add", [scaled, self.constant(f"{name}.b", bias)], f"{name}.out")

    def _quantised(self, source: str) -> tuple[str, str]:
        size = self.node("Abs", [source], f"{source}.abs")
        most = self.node("ReduceMax", [size, "last"], f"{source}.max", keepdims=1)
        floor = self.node("Max", [most, "tiny"], f"{source}.floor")
        scale = self.node("Mul", [floor, "step"], f"{source}.scale")
        whole = self.node("Div", [source, scale], f"{source}.whole")
        return self.node("QuantizeLinear", [whole, "one", "middle"], f"{source}.int8"), scale


def per_output(matrix: Blocks) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Weights [columns, rows] in int8 with one scale for each output."""
    dense = matrix.dense()
    scales = np.maximum(np.abs(dense).max(axis=1), 1e-12) / 127.0
    return np.rint(dense / scales[:, None]).astype(np.int8).T, scales.astype(np.float32)


def stack(parts: Sequence[Blocks]) -> Blocks:
    """Matrices one below the other."""
    return Blocks(np.concatenate([p.scales for p in parts]), np.concatenate([p.nibbles for p in parts]))


def encoder(base: BaseEncoder, kept: Sequence[int]) -> onnx.ModelProto:
    """The graph: ids and mask [batch, length] (int64, int32) -> states [batch, length, hidden]."""
    graph = _Graph()
    hidden = _embeddings(graph, base, kept)
    for layer in range(base.layers):
        hidden = _layer(graph, base, layer, hidden)
    graph.nodes[-1].output[0] = "states"
    made = helper.make_graph(
        graph.nodes,
        "encoder",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "length"]),
        ],
        [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch", "length", base.hidden])],
        graph.constants,
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(made, opset_imports=imports, ir_version=10, producer_name="listener")


def _embeddings(graph: _Graph, base: BaseEncoder, kept: Sequence[int]) -> str:
    words = base.matrices["emb.word"]
    chosen = Blocks(words.scales[list(kept)], words.nibbles[list(kept)])
    pairs = chosen.nibbles.reshape(len(kept), -1, 2)
    packed = (pairs[..., 0] | (pairs[..., 1] << 4)).astype(np.uint8)
    constant = helper.make_tensor("emb.word", TensorProto.UINT4, chosen.nibbles.shape, packed.tobytes(), raw=True)
    graph.constants.append(constant)
    zeros = np.full((len(kept), chosen.scales.shape[1] // 2), 0x88, dtype=np.uint8)  # two zero points of 8 a byte
    graph.constants.append(
        helper.make_tensor("emb.zero", TensorProto.UINT4, chosen.scales.shape, zeros.tobytes(), raw=True)
    )
    scales = graph.constant("emb.scale", chosen.scales)
    word16 = graph.node(
        "GatherBlockQuantized", ["emb.word", "ids", scales, "emb.zero"], "emb.word16", MICROSOFT,
        gather_axis=0, quantize_axis=1, block_size=BLOCK,
    )  # fmt: skip
    word = graph.node("Cast", [word16], "emb.word32", to=TensorProto.FLOAT)
    positions = base.vectors["emb.pos"] + base.vectors["emb.type"][0]
    zero = graph.constant("first", np.array([0], dtype=np.int64))
    length = graph.node("Shape", ["ids"], "length", start=1, end=2)
    table = graph.constant("emb.pos", positions)
    position = graph.node("Slice", [table, zero, length, zero], "emb.position")
    total = graph.node("Add", [word, position], "emb.sum")
    return _normalised(graph, base, "emb.ln", total)


def _normalised(graph: _Graph, base: BaseEncoder, name: str, source: str, skip: str | None = None) -> str:
    scale = graph.constant(f"{name}.w", base.vectors[f"{name}.w"])
    shift = graph.constant(f"{name}.b", base.vectors[f"{name}.b"])
    if skip is None:
        return graph.node("LayerNormalization", [source, scale, shift], f"{name}.out", epsilon=base.epsilon, axis=-1)
    return graph.node(
        "SkipLayerNormalization", [source, skip, scale, shift], f"{name}.out", MICROSOFT, epsilon=base.epsilon
    )


def _layer(graph: _Graph, base: BaseEncoder, number: int, source: str) -> str:
    name = f"l{number}"
    vectors, matrices = base.vectors, base.matrices
    joined = stack([matrices[f"{name}.{part}.w"] for part in "qkv"])
    bias = np.concatenate([vectors[f"{name}.{part}.b"] for part in "qkv"])
    together = graph.linear(f"{name}.qkv", source, joined, bias)
    parts = [f"{name}.{part}" for part in "qkv"]
    graph.nodes.append(helper.make_node("Split", [together], parts, axis=-1, num_outputs=3))
    attended = graph.node(
        "MultiHeadAttention", [*parts, "", "mask"], f"{name}.attended", MICROSOFT, num_heads=base.heads
    )
    output = graph.linear(f"{name}.ao", attended, matrices[f"{name}.ao.w"], vectors[f"{name}.ao.b"])
    middle = _normalised(graph, base, f"{name}.aln", output, source)
    wide = graph.linear(f"{name}.fi", middle, matrices[f"{name}.fi.w"], vectors[f"{name}.fi.b"])
    bent = graph.node("Gelu", [wide], f"{name}.gelu", MICROSOFT)
    narrow = graph.linear(f"{name}.fo", bent, matrices[f"{name}.fo.w"], vectors[f"{name}.fo.b"])
    return _normalised(graph, base, f"{name}.oln", narrow, middle)


def write(model: onnx.ModelProto, path: Path) -> None:
    """Save the graph in one file."""
    onnx.save_model(model, str(path))
