"""Writes the tensors of a file of torch.save as a safetensors file. Numbers with a fraction become float32, others int64.

    python read_weights.py SOURCE TARGET PACKAGES

PACKAGES is the folder of the torch to use. Nothing in SOURCE is run (weights_only). The reason of a refusal is the last line
on stderr.
"""

import sys

# The folder in which the command is called may hold files with the names of modules.
sys.path = [folder for folder in sys.path if folder]

import ctypes  # noqa: E402
import json  # noqa: E402
import re  # noqa: E402
import struct  # noqa: E402

source, target, packages = sys.argv[1:]
sys.path.insert(0, packages)

def refuse(problem):
    print(problem, file=sys.stderr)
    sys.exit(1)

try:
    import torch
except Exception as error:
    refuse(f"python3 cannot import torch to read it ({error})")
try:
    found = torch.load(source, map_location="cpu", weights_only=True)
except Exception as error:
    text = str(error)
    if "weights_only" in text or "Weights only" in text:
        asked = re.search(r"GLOBAL ([\w.]+)", text)
        what = f" ({asked[1]})" if asked else ""
        refuse(f"it holds more than tensors{what}, which reading would have to run")
    refuse("it cannot be read: " + (text.splitlines() or [type(error).__name__])[0][:200])

def state(of):
    if not isinstance(of, dict):
        return None
    if any(isinstance(value, torch.Tensor) for value in of.values()):
        return of
    for key in ("state_dict", "model_state_dict", "model", "net", "params", "state_dict_ema"):
        if found := state(of.get(key)):
            return found
    return None

tensors = state(found)
if not tensors:
    refuse("there is no state dict in it")
header, parts, end = {}, [], 0
for name, tensor in tensors.items():
    if not isinstance(tensor, torch.Tensor):
        continue
    wide = torch.float32 if tensor.is_floating_point() else torch.int64
    tensor = tensor.detach().to(wide).contiguous()
    size = tensor.numel() * tensor.element_size()
    header[str(name)] = {"dtype": "F32" if wide == torch.float32 else "I64", "shape": list(tensor.shape),
                         "data_offsets": [end, end + size]}
    parts.append(tensor)
    end += size
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(target, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for tensor in parts:
        file.write(ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size()))
