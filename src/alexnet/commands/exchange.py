"""The commands that bring weights in and out: import, export."""

import shlex

from alexnet.options import Parser, json_option, print_json


def import_weights(arguments: list[str]) -> int:
    """Bring in weights from torchvision or ONNX, checked against the original."""
    parser = Parser(
        "import",
        "Bring weights in as a run, after its outputs were compared with the original's. WHAT is an ONNX file of "
        "AlexNet, CaffeNet, VGG, GoogLeNet or ResNet; a state dict of torchvision's AlexNet, VGG, GoogLeNet or ResNet "
        "(.pt, .pth, .safetensors); or torchvision:NAME (such as torchvision:resnet50), which is downloaded.",
    )
    parser.add_argument("what", metavar="WHAT", help="a file, or torchvision:NAME")
    parser.add_argument("out", metavar="OUT", help="the new run's folder")
    parser.add_argument("--as", dest="name", metavar="MODEL", help="the net it is, when it is not to be recognised")
    parser.add_argument("--classes", help="file with a class name in each line (default for 1000: ImageNet's)")
    parser.add_argument(
        "--preprocessing",
        help="what a file's net does to its input: torchvision, torchvision_googlenet, caffe, caffe_googlenet, vgg, "
        "zero_to_one or none; or give the next three",
    )
    parser.add_argument("--mean", help="what is subtracted: red,green,blue in 0..255")
    parser.add_argument("--scale", help="what is divided by: one number, or red,green,blue")
    parser.add_argument("--channels", choices=("rgb", "bgr"), help="the order in which the net takes them")
    parser.add_argument("--size", type=int, help="side of the input in pixels (default: the file's own)")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.exchange.bring import bring
    from alexnet.progress import note

    result = bring(
        asked.what,
        asked.out,
        asked.name,
        asked.classes,
        asked.preprocessing,
        asked.mean,
        asked.scale,
        asked.channels,
        asked.size,
        shlex.join(["alexnet", "import", *arguments]),
    )
    if asked.json:
        return print_json(result)
    for text in result["notes"]:
        note(text)
    agreed = result["agreement"]
    print(
        f"{result['run']}: {result['model']} for {result['size']} pixels and {result['classes']} classes; "
        f"largest difference to the original {agreed['scores']:.1e} of the largest score, on {agreed['images']} images"
    )
    return 0


def export(arguments: list[str]) -> int:
    """Write a trained net as ONNX, torch.export or OpenVINO, checked against it."""
    parser = Parser(
        "export",
        "Write RUN's net as a file that other programs serve: RGB pixels in 0..255 go in, scores and calibrated "
        "probabilities come out. A description (OUT.json) with classes and preprocessing lies beside it. Nothing is "
        "left unless the file's answers are the net's.",
    )
    parser.add_argument("run", help="a run's folder, or a .safetensors file")
    parser.add_argument("out", metavar="OUT", help="the new file: .onnx, .pt2 or .xml")
    parser.add_argument(
        "--format", choices=("onnx", "torch", "openvino"), help="default: what OUT's suffix says, otherwise onnx"
    )
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.exchange.export import export

    result = export(asked.run, asked.out, asked.format)
    if asked.json:
        return print_json(result)
    agreed = result["agreement"]
    print(
        f"{', '.join(result['files'])}: {result['model']} for {result['size']} pixels; run by "
        f"{result['compared_with']} it differs from the net by {agreed['scores']:.1e} of the largest score, "
        f"on {agreed['images']} images"
    )
    return 0
