"""Which activation a model is built with: the one rule, for the trainer and the evaluator.

Weights hold no trace of their activation, and the wrong one costs points of accuracy without an error message, so
every source that knows it is asked, in a fixed order, and a contradiction stops the run.

Source: docs/design.md, Activation and normalisation.
"""

from dataclasses import dataclass, field

from taxonomy.errors import BadInputError

ACTIVATIONS = ("gelu", "quickgelu")
"""The two activations of CLIP models: the exact GELU, and OpenAI's x * sigmoid(1.702 x)."""

_STATE = "state.json of the checkpoint"


@dataclass(frozen=True)
class Evidence:
    """What each source says about the activation of one model; None where there is no such source.

    Attributes:
        flag: `--activation`, "gelu" or "quickgelu".
        state: the activation in our checkpoint's state.json.
        state_source: what decided it then.
        has_config: the weights come with a folder's or hub's open_clip_config.json.
        config_quick_gelu: `quick_gelu` of that config; None if it has no such key.
        tag: name of open_clip's pretrained tag.
        tag_quick_gelu: the tag's own flag.
        name: the model's name ("ViT-B-16-quickgelu").
        name_quick_gelu: `quick_gelu` of the named or own model config; None if it has no such key.
        bare_file: the weights file that comes with no other source.
    """

    name: str
    flag: str | None = None
    state: str | None = None
    state_source: str = ""
    has_config: bool = False
    config_quick_gelu: bool | None = None
    tag: str | None = None
    tag_quick_gelu: bool = False
    name_quick_gelu: bool | None = None
    bare_file: str | None = None


@dataclass(frozen=True)
class Decision:
    """The activation to build.

    Attributes:
        activation: "gelu" or "quickgelu".
        source: what decided, in words.
        remarks: lines to be said once.
    """

    activation: str
    source: str
    remarks: tuple[str, ...] = field(default=())

    @property
    def is_quick(self) -> bool:
        """open_clip's `quick_gelu`."""
        return self.activation == "quickgelu"


def decide(evidence: Evidence, force: bool = False) -> Decision:
    """The activation by the first source that knows it: flag, state.json, config, tag, name.

    Args:
        evidence: what is known.
        force: a flag may contradict state.json, config or tag.

    Raises:
        BadInputError: an unknown flag, a flag against what the weights were trained with, or a bare weights file.
    """
    stored = _stored(evidence)
    if evidence.flag is None:
        return stored or _by_name(evidence)
    if evidence.flag not in ACTIVATIONS:
        raise BadInputError(f"--activation {evidence.flag}: one of {', '.join(ACTIVATIONS)} is allowed")
    if stored is None or stored.activation == evidence.flag:
        return Decision(evidence.flag, "flag --activation")
    contradiction = f"--activation {evidence.flag}, but these weights use {stored.activation}: {stored.source}"
    if not force:
        raise BadInputError(f"{contradiction}. Drop the flag, or add --force to build the other network all the same")
    return Decision(evidence.flag, "flag --activation, forced", (f"forced: {contradiction}",))


def _stored(evidence: Evidence) -> Decision | None:
    """What the source of the weights says; None if it says nothing."""
    if evidence.state is not None:
        first = evidence.state_source.removeprefix(_STATE).strip(" ()")
        return Decision(evidence.state, f"{_STATE} ({first})" if first else _STATE)
    if evidence.has_config:
        return _by_config(evidence)
    if evidence.tag is not None:
        return _by_tag(evidence)
    return None


def _by_config(evidence: Evidence) -> Decision:
    quick_gelu = evidence.config_quick_gelu
    if not isinstance(quick_gelu, bool | None):
        raise BadInputError(f"{evidence.name}: quick_gelu {quick_gelu!r:.60} in its config: true or false is allowed")
    if quick_gelu is None:
        remark = "activation gelu: the model's config has no quick_gelu key, which means GELU (as in open_clip)"
        return Decision("gelu", "config without a quick_gelu key", (remark,))
    return Decision(_named(quick_gelu), "quick_gelu of the model's config")


def _by_tag(evidence: Evidence) -> Decision:
    activation = _named(evidence.tag_quick_gelu)
    if evidence.tag_quick_gelu == bool(evidence.name_quick_gelu):
        return Decision(activation, f"tag {evidence.tag}")
    remark = (
        f"activation {activation}: the weights {evidence.tag} were trained with it; "
        f"open_clip 3 alone would build {_named(bool(evidence.name_quick_gelu))} for {evidence.name}"
    )
    return Decision(activation, f"tag {evidence.tag}", (remark,))


def _by_name(evidence: Evidence) -> Decision:
    if evidence.name_quick_gelu is not None or evidence.name.endswith("-quickgelu"):
        return Decision(_named(evidence.name_quick_gelu is not False), f"model {evidence.name}")
    if evidence.bare_file is not None:
        raise BadInputError(
            f"{evidence.bare_file} holds weights alone, which do not tell their activation: "
            "add --activation quickgelu (OpenAI, MetaCLIP and what was fine-tuned from them under open_clip before "
            "2.29) or --activation gelu (LAION, DataComp)"
        )
    return Decision("gelu", f"model {evidence.name}, trained from scratch")


def _named(quick_gelu: bool) -> str:
    return "quickgelu" if quick_gelu else "gelu"
