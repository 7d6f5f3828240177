# SPDX-License-Identifier: Apache-2.0
"""int8 written into a graph: which convolutions, on what ranges, and which of them stay float.

ONNX Runtime's static quantiser writes the form that TensorRT reads: QuantizeLinear and
DequantizeLinear in the graph, signed and symmetric, weights a scale per channel, biases in float.

1. Candidates are the convolutions that may also run in fp16 (``inference.half_precision``): not
   the heads, not what computes a soft-argmax, a variance or a grid.
2. What goes into them is quantised, what comes out is not: an activation that follows would waste
   half of the symmetric range, and a sum of two paths would be rounded twice.
3. Each candidate is tried alone in int8. Those that disturb the heads most for the arithmetic they
   save stay float: mostly the first layer, which sees pixels, and narrow ones. A twentieth of all
   arithmetic is enough for most models; where rounding adds up (flow refines its own result four
   times) more stays, until no head moves by more than a tenth of its deviation. So the choice is
   measured on the model at hand and follows a new training.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper
from onnxruntime import quantization

from perception_nodes.files.atomic import temporary_folder
from perception_nodes.onnx_graph.half_precision import half_nodes, head_outputs
from perception_nodes.onnx_graph.weight_storage import restore_full
from perception_nodes.types import Array, PerceptionError

QUANTISED = ('Conv', 'ConvTranspose', 'Gemm')
FLOAT_SHARES = (0.05, 0.1, 0.2, 0.4)
MOST_DISTURBED = 0.1  # root mean square change of a head over its standard deviation
TRIAL_STEP = 2  # layers are tried on every second pixel only: that ranks them as well

Inputs = Mapping[str, Array]


def quantise(model: bytes, inputs: Sequence[Inputs]) -> tuple[bytes, int, int]:
    """Quantise the convolutions of a serialised fp32 model that may and should be.

    Parameters
    ----------
    inputs : what the ranges are measured on.

    Returns
    -------
    the int8 model, the number of layers in int8, and of those that were measured to be better off
    in float.
    """
    proto = onnx.load_model_from_string(model)
    restore_full(proto)
    proto = onnx.shape_inference.infer_shapes(proto)
    _name_nodes(proto)
    allowed = set(half_nodes(proto))
    layers = [node for node in proto.graph.node
              if node.op_type in QUANTISED and node.output[0] in allowed]
    if not layers:
        raise PerceptionError('the model has no convolution that may be quantised')
    lowered = _quantised(proto, [node.name for node in layers], inputs)
    left = _left_float(proto, lowered, layers, _shrunk(inputs[0]))
    chosen = {node.name for node in layers} - left
    return _only(lowered, proto, chosen).SerializeToString(), len(chosen), len(left)


def _quantised(proto: ModelProto, names: list[str], inputs: Sequence[Inputs]) -> ModelProto:
    with temporary_folder('perception-int8') as folder:
        path = folder / 'int8.onnx'
        level = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it warns of what it need not: shapes are inferred
        try:
            quantization.quantize_static(
                ModelProto.FromString(proto.SerializeToString()),  # it moves the weights out
                path, _Reader(inputs),
                quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_quantize=names, op_types_to_quantize=list(QUANTISED),
                calibrate_method=quantization.CalibrationMethod.MinMax,
                extra_options={
                    'ActivationSymmetric': True, 'WeightSymmetric': True, 'QuantizeBias': False,
                    'OpTypesToExcludeOutputQuantization': list(QUANTISED),
                },
            )
        finally:
            logging.root.setLevel(level)
        return onnx.load(path)


def _left_float(
    proto: ModelProto, lowered: ModelProto, layers: Sequence[NodeProto], inputs: Inputs
) -> set[str]:
    """Names of the layers that stay float: as few as keep the heads where they are."""
    heads = head_outputs(proto, QUANTISED) or head_outputs(proto)
    exact = _values(proto, [*heads, *(node.output[0] for node in layers)], inputs)
    sizes = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    arithmetic = {  # of a convolution: places times numbers of the kernel
        node.name: float(np.prod(sizes.get(node.input[1], [1]), dtype=np.float64)
                         * np.prod(exact[node.output[0]].shape[2:], dtype=np.float64))
        for node in layers
    }

    def disturbances(names: set[str]) -> list[float]:
        near = _values(_only(lowered, proto, names), heads, inputs)
        return [
            float(np.square(near[name] - exact[name]).mean() / max(exact[name].var(), 1e-12))
            for name in heads
        ]

    worth = {name: sum(disturbances({name})) / cost for name, cost in arithmetic.items()}
    left: set[str] = set()
    for share in FLOAT_SHARES:
        left = _dearest(worth, arithmetic, share)
        if max(disturbances(set(arithmetic) - left)) <= MOST_DISTURBED**2:
            break
    return left


def _dearest(
    worth: Mapping[str, float], arithmetic: Mapping[str, float], share: float
) -> set[str]:
    """Names of the layers that disturb most for their arithmetic, up to a share of all of it."""
    budget = share * sum(arithmetic.values())
    left: set[str] = set()
    for name in sorted(worth, key=lambda name: -worth[name]):
        if arithmetic[name] <= budget:
            left.add(name)
            budget -= arithmetic[name]
    return left


def _only(lowered: ModelProto, proto: ModelProto, names: set[str]) -> ModelProto:
    """Copy of the quantised model with these layers in int8 and the other ones in float again."""
    copy = ModelProto.FromString(lowered.SerializeToString())
    graph = copy.graph
    made_by = {name: node for node in graph.node for name in node.output}
    plain = {}  # quantised and restored tensor -> the float one
    for node in graph.node:
        if node.op_type != 'DequantizeLinear':
            continue
        source = made_by.get(node.input[0])
        plain[node.output[0]] = source.input[0] if source is not None else (
            node.output[0].removesuffix('_DequantizeLinear_Output'))
    needed = {name for node in graph.node if node.name in names for name in node.input}
    for node in graph.node:
        if node.op_type in ('QuantizeLinear', 'DequantizeLinear') or node.name in names:
            continue
        for index, name in enumerate(node.input):
            if name in plain and (node.op_type in QUANTISED or name not in needed):
                node.input[index] = plain[name]
    known = {tensor.name for tensor in graph.initializer}
    graph.initializer.extend(t for t in proto.graph.initializer if t.name not in known)
    _drop_unused(copy)
    return copy


def _drop_unused(proto: ModelProto) -> None:
    graph = proto.graph
    used = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):  # ONNX demands topological order
        if not used.isdisjoint(node.output):
            used.update(node.input)
            kept.append(NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _values(proto: ModelProto, names: Sequence[str], inputs: Inputs) -> dict[str, Array]:
    """Run a model once and look at tensors in its middle."""
    copy = ModelProto.FromString(proto.SerializeToString())
    del copy.graph.output[:]
    copy.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # one run only
    session = ort.InferenceSession(
        copy.SerializeToString(), options, providers=['CPUExecutionProvider'])
    return dict(zip(names, session.run(list(names), dict(inputs)), strict=True))


def _shrunk(inputs: Inputs) -> dict[str, Array]:
    """Every second pixel of the images; other inputs as they are."""
    return {
        name: np.ascontiguousarray(array[:, ::TRIAL_STEP, ::TRIAL_STEP])
        if array.dtype == np.uint8 and array.ndim == 4 else array
        for name, array in inputs.items()
    }


class _Reader(quantization.CalibrationDataReader):
    """Hands the quantiser one set of inputs after the other."""

    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._inputs: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        """Return the next set, None at the end."""
        following = next(self._inputs, None)
        return None if following is None else dict(following)


def _name_nodes(proto: ModelProto) -> None:
    """Name every node uniquely: the quantiser chooses nodes by name."""
    seen: set[str] = set()
    for index, node in enumerate(proto.graph.node):
        if not node.name or node.name in seen:
            node.name = f'{node.op_type}_{index}'
        seen.add(node.name)
