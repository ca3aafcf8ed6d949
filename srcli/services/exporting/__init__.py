"""Networks for other programs: written by each format's own exporter, run there, and compared.

export.py    one network in one format, from the name to the report
formats.py   what a format is: how it is written, and how it is run
graphs.py    torch.export and TorchScript
onnx.py      ONNX, run by ONNX Runtime
ncnn.py      ncnn, converted by pnnx and run by ncnn
agreement.py how far the exported network is from the original
"""
