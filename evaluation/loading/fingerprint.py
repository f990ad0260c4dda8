"""What tells one model's weights from another's, wherever they came from.

Activation and picture preprocessing are not weights: results and caches name them beside the hash.
"""

import hashlib
import json

import torch

from evaluation.loading.architecture import architecture
from evaluation.loading.facts import ModelFacts


def model_hash(model: torch.nn.Module, facts: ModelFacts) -> str:
    """Hex SHA-256 of the weights (names, dtypes, shapes, values) and of the architecture.

    The same for a model built from a tag, a file, a folder or one of our checkpoints. Values are hashed as fp32
    where they are stored, without a copy of those that are fp32 on the CPU already.

    Args:
        model: an open_clip model.
        facts: its architecture.
    """
    digest = hashlib.sha256(json.dumps(architecture(facts.model_config), sort_keys=True).encode())
    # CustomTextCLIP holds CLIP's text tower under this prefix
    state = {name.removeprefix("text."): tensor for name, tensor in model.state_dict().items()}
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: torch.Tensor) -> memoryview:
    """The values as bytes, row-major; floating ones as fp32."""
    tensor = tensor.detach()
    on_cpu = (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous()
    return on_cpu.reshape(-1).view(torch.uint8).numpy().data
