"""Make small detectors in the layouts of which there is no public file here. It needs TensorFlow 2.15: see README.md.

Each finds the red, the green and the blue rectangle of a picture, 48 x 32 px: it marks the pixels of that colour, and the
edges are where the first and the last mark lies. So a box is right only when the picture was placed and scaled rightly.
Each thing is told three times, twice a little shifted and with a smaller score, so it is told once only after suppression.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import flatbuffers
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

WIDTH, HEIGHT = 48, 32
LABELS = ("red", "green", "blue")
SHIFTS, SURE = (0.02, 0.0, -0.03), (0.7, 0.9, 0.5)      # of the three anchors of each thing, and their scores
ANCHORS = 3 * len(LABELS)


def edges(pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Find left, top, right, bottom (shares) and presence of each colour, [1, 3] each, in pixels as shares of 255."""
    own = np.float32(8 * (2 * np.eye(3) - 1)).reshape(1, 1, 3, 3)
    marks = tf.minimum(tf.nn.relu(tf.nn.conv2d(pixels, own, 1, "SAME") - 3.5), 1.0)

    def ends(marked: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        ramp = np.arange(1, size + 1, dtype=np.float32).reshape(1, size, 1) / size
        return 1.0 - tf.reduce_max(marked * ramp[:, ::-1], axis=1), tf.reduce_max(marked * ramp, axis=1)

    columns, rows = tf.reduce_max(marks, axis=1), tf.reduce_max(marks, axis=2)
    (left, right), (top, bottom) = ends(columns, WIDTH), ends(rows, HEIGHT)
    return left, top, right, bottom, tf.reduce_max(columns, axis=1)


def anchors(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Tell middle, size and scores of each anchor: [1, 9] four times, and [1, 3, 9]."""
    left, top, right, bottom, there = edges(pixels)
    shift = np.float32(np.repeat(SHIFTS, 3))[None]
    score = np.float32(np.tile(np.eye(3), 3) * np.repeat(SURE, 3))[None]
    middles = [tf.tile((low + high) * 0.5, (1, 3)) + shift for low, high in ((left, right), (top, bottom))]
    sizes = [tf.tile(high - low, (1, 3)) for low, high in ((left, right), (top, bottom))]
    return (*middles, *sizes, there[:, :, None] * score)


def ultralytics(pixels: tf.Tensor) -> tf.Tensor:
    """Tell [1, 4 + 3, 9], in shares."""
    *box, scores = anchors(pixels)
    return tf.concat((tf.stack(box, axis=1), scores), axis=1)


def in_pixels(pixels: tf.Tensor) -> tf.Tensor:
    """Tell [1, 4 + 3, 9] with boxes in pixels."""
    x, y, wide, high, scores = anchors(pixels)
    return tf.concat((tf.stack((x * WIDTH, y * HEIGHT, wide * WIDTH, high * HEIGHT), axis=1), scores), axis=1)


def end_to_end(pixels: tf.Tensor) -> tf.Tensor:
    """Tell [1, 5, 6] in pixels: left, top, right, bottom, score, class; two rows are empty."""
    left, top, right, bottom, there = edges(pixels)
    box = (left * WIDTH, top * HEIGHT, right * WIDTH, bottom * HEIGHT)
    rows = tf.stack((*box, there * 0.9, there * 0 + np.float32([[0, 1, 2]])), axis=2)
    return tf.pad(rows, ((0, 0), (0, 2), (0, 0)))


def suppressed(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Tell boxes [1, 3, 4] as top, left, bottom, right, classes, scores and count, without an operator for it."""
    left, top, right, bottom, there = edges(pixels)
    boxes = tf.stack((top, left, bottom, right), axis=2)
    return boxes, there * 0 + np.float32([[0, 1, 2]]), there * 0.9, tf.reduce_sum(there, axis=1) * 0 + 3.0


OPERATOR = " ".join((
    'name: "TFLite_Detection_PostProcess"',
    *(f'attr {{ key: "{key}" value {{ i: {value} }} }}' for key, value in
      (("max_detections", 5), ("max_classes_per_detection", 1), ("num_classes", 3))),
    *(f'attr {{ key: "{key}" value {{ f: {value} }} }}' for key, value in
      (("nms_score_threshold", 0.1), ("nms_iou_threshold", 0.5), *((f"{side}_scale", 1.0) for side in "yxhw"))),
    'attr { key: "use_regular_nms" value { b: true } }'))


def by_operator(pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Tell what the operator TFLite_Detection_PostProcess gives of the anchors: boxes, classes, scores, count."""
    x, y, wide, high, scores = anchors(pixels)
    logs = [tf.math.log(tf.maximum(size, 0.001)) for size in (high, wide)]
    encoded = tf.stack((y - 0.5, x - 0.5, *logs), axis=2)        # against an anchor that is the whole picture
    nobody = tf.zeros((1, ANCHORS, 1))                           # class 0 of the operator's input is the background
    ranked = tf.concat((nobody, tf.transpose(scores, (0, 2, 1))), axis=2)
    whole = tf.constant(np.tile(np.float32([0.5, 0.5, 1, 1]), (ANCHORS, 1)))

    @tf.function(experimental_implements=OPERATOR)
    def post_process(boxes: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor) -> tuple[tf.Tensor, ...]:
        del anchors      # only the shapes count here: the converter puts the operator in this place
        few = boxes[:, :5]
        return few, scores[:, :5, 0], scores[:, :5, 1], boxes[:, 0, 0]

    return tuple(post_process(encoded, ranked, whole))


def samples() -> Iterator[list[np.ndarray]]:
    """Draw pictures to calibrate by."""
    rng = np.random.default_rng(1)
    for number in range(60):
        picture = np.full((1, HEIGHT, WIDTH, 3), rng.uniform(0, 0.5), np.float32)
        for colour in range(number % 4):
            left, top = rng.uniform(0, 0.7, 2)
            wide, high = rng.uniform(0.25, 1, 2)
            x, right = (int(share * WIDTH) for share in (left, left + wide))
            y, bottom = (int(share * HEIGHT) for share in (top, top + high))
            picture[0, y:bottom, x:right] = np.eye(3)[colour]
        yield [picture]


def convert(tell: Callable[[tf.Tensor], object], kind: str = "float", planar: bool = False, signed: bool = True) -> bytes:
    """Convert what tells an output; `planar` takes channels first, `signed` keeps the keys of the signature."""
    shape = (1, 3, HEIGHT, WIDTH) if planar else (1, HEIGHT, WIDTH, 3)

    class Network(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="pixels")])
        def tell(self, pixels: tf.Tensor) -> object:
            return tell(tf.transpose(pixels, (0, 2, 3, 1)) if planar else pixels)

    network = Network()
    made = network.tell.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([made], network if signed else None)
    converter.allow_custom_ops = True
    if kind == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([one.transpose(0, 3, 1, 2) if planar else one] for (one,) in samples())
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def archive(**files: str) -> bytes:
    """Pack files as they stand behind a network."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as packed:
        for name, text in files.items():
            packed.writestr(zipfile.ZipInfo(name.replace("_", ".")), text)
    return kept.getvalue()


def of_ultralytics(file: bytes) -> bytes:
    """Add what Ultralytics adds."""
    said = {"description": "boxes of colours", "stride": 32, "task": "detect", "batch": 1, "imgsz": [HEIGHT, WIDTH],
            "names": dict(enumerate(LABELS))}
    return file + archive(metadata_json=json.dumps(said))


def as_tf1(file: bytes) -> bytes:
    """Order outputs as TF1's export does, with its names, without a signature and without their shapes."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file, 0))
    graph = model.subgraphs[0]
    (operator,) = [one for one in graph.operators if model.operatorCodes[one.opcodeIndex].customCode]
    graph.outputs, model.signatureDefs = operator.outputs, []
    for place, index in enumerate(operator.outputs):
        graph.tensors[index].name = "TFLite_Detection_PostProcess" + (f":{place}" if place else "")
        graph.tensors[index].shape = []
    return packed(model)


def takes_int8(file: bytes) -> bytes:
    """Put a DEQUANTIZE before a network of floats: as quantized detectors have it that end in operators of floats."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file, 0))
    graph = model.subgraphs[0]
    before, code, operator = schema.TensorT(), schema.OperatorCodeT(), schema.OperatorT()
    inside = graph.tensors[graph.inputs[0]]
    before.name, before.shape, before.type, before.quantization = inside.name, inside.shape, schema.TensorType.INT8, _quantized()
    inside.name = b"pixels as shares"
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 2         # of int8
    operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), [len(graph.tensors)], [graph.inputs[0]]
    graph.inputs = [len(graph.tensors)]
    for signature in model.signatureDefs:
        signature.inputs[0].tensorIndex = graph.inputs[0]
    graph.tensors.append(before)
    model.operatorCodes.append(code)
    graph.operators.insert(0, operator)
    return packed(model)


def _quantized() -> schema.QuantizationParametersT:
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint = [1 / 255], [-128]
    return made


def packed(model: schema.ModelT) -> bytes:
    """Write a network's tables."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def described(file: bytes, outputs: tuple[str, ...]) -> bytes:
    """Add TFLite metadata: names of the outputs, normalisation, threshold and labels."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(_metadata(outputs), np.uint8)
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return packed(model) + archive(labels_txt="\n".join(LABELS) + "\n")


def _metadata(outputs: tuple[str, ...]) -> bytes:
    """Write a ModelMetadata. Source: metadata_schema.fbs for the numbers of fields."""
    builder = flatbuffers.Builder(512)

    def table(fields: dict[int, tuple[str, object]]) -> int:
        builder.StartObject(10)
        for slot, (kind, value) in fields.items():
            getattr(builder, f"Prepend{kind}Slot")(slot, value, 0)
        return int(builder.EndObject())

    def several(items: list[int]) -> int:
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            builder.PrependUOffsetTRelative(item)
        return int(builder.EndVector())

    def floats(value: float) -> int:
        return int(builder.CreateNumpyVector(np.array([value], np.float32)))

    def unit(kind: int, options: int) -> int:
        return several([table({0: ("Uint8", kind), 1: ("UOffsetTRelative", options)})])

    mean, std = floats(0.0), floats(255.0)
    normal = unit(1, table({0: ("UOffsetTRelative", mean), 1: ("UOffsetTRelative", std)}))
    threshold = unit(3, table({0: ("Float32", 0.4)}))
    labels = several([table({0: ("UOffsetTRelative", builder.CreateString("labels.txt")), 2: ("Int8", 3)})])
    told = []
    for name in outputs:
        called = builder.CreateString(name)
        more = {6: ("UOffsetTRelative", labels)} if name == "category" else {}
        more |= {4: ("UOffsetTRelative", threshold)} if name == "score" else {}
        told.append(table({0: ("UOffsetTRelative", called), **more}))
    takes = several([table({4: ("UOffsetTRelative", normal)})])
    subgraph = several([table({2: ("UOffsetTRelative", takes), 3: ("UOffsetTRelative", several(told))})])
    builder.Finish(table({3: ("UOffsetTRelative", subgraph)}), b"M001")
    return bytes(builder.Output())


def tf2_order(tell: Callable[[tf.Tensor], tuple[tf.Tensor, ...]]) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Give the keys that TF2's export gives: output_0 to 3 are count, scores, classes, boxes."""
    def ordered(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes, classes, scores, count = tell(pixels)
        return {"output_0": count, "output_1": scores, "output_2": classes, "output_3": boxes}
    return ordered


def swapped(tell: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Give an anchor a row."""
    return lambda pixels: tf.transpose(tell(pixels), (0, 2, 1))


def networks() -> Iterator[tuple[str, bytes]]:
    """Make each file."""
    yield "ultralytics", of_ultralytics(convert(ultralytics))
    yield "ultralytics_int8", of_ultralytics(convert(ultralytics, "int8"))
    yield "ultralytics_nchw", of_ultralytics(convert(ultralytics, planar=True))
    yield "ultralytics_nchw_int8", of_ultralytics(convert(ultralytics, "int8", planar=True))
    yield "pixels", convert(in_pixels)
    yield "transposed_int8", convert(swapped(ultralytics), "int8")
    yield "transposed_nchw", convert(swapped(ultralytics), planar=True)
    yield "end_to_end", convert(end_to_end)
    yield "end_to_end_nchw_int8", takes_int8(convert(end_to_end, planar=True))
    yield "tf1", as_tf1(convert(tf2_order(by_operator)))
    yield "tf2", convert(tf2_order(by_operator))
    yield "tf2_int8", takes_int8(convert(tf2_order(by_operator)))
    yield "signature", convert(tf2_order(suppressed))
    yield "untold", convert(suppressed, signed=False)
    yield "efficientdet", described(convert(suppressed, signed=False), ("location", "category", "score", "number of detections"))


def main() -> None:
    """Write all networks beside this file, or into the folder given."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, file in networks():
        (folder / f"{name}.tflite").write_bytes(file)
        print(f"{name}.tflite: {len(file)} bytes")


if __name__ == "__main__":
    main()
