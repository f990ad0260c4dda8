"""Class name -> the texts that stand for the class in a zero-shot classifier.

`openai80` averages OpenAI's 80 ImageNet templates, the published protocol; `taxon_com_bioclip` puts a taxon with its
common name into them, as BioCLIP is scored; the caption kinds are the texts that models here were trained on
(taxonomy/captions.py).
"""

from collections.abc import Mapping, Sequence

from taxonomy.captions import CAPTION_KINDS, CaptionFields, captions
from taxonomy.errors import BadInputError

OPENAI, OPENAI_AND_PLAIN = "openai80", "openai81"
"""OpenAI's templates, and these with `a photo of X.`, as BioCLIP's training code scores."""

TAXON_BIOCLIP = "taxon_com_bioclip"
"""OpenAI's templates around the whole taxon and its common name. Source: BioCLIP's text type taxon_com."""

PROMPT_SETS = (OPENAI, OPENAI_AND_PLAIN, TAXON_BIOCLIP, *CAPTION_KINDS)
"""Every set by its name; a caption kind stands for its one text."""


def label_prompts(label: str, prompt_set: str) -> list[str]:
    """The texts of a class that is only a name ("Turdus merula").

    Raises:
        BadInputError: no such set, or a caption kind that needs more than a name.
    """
    is_common = prompt_set in ("com", "common_name")
    fields = CaptionFields(None if is_common else label, label if is_common else None, lineage={})
    return taxon_prompts(fields, prompt_set, label)


def taxon_prompts(fields: CaptionFields, prompt_set: str, label: str) -> list[str]:
    """The texts of a class whose taxon is known; templates of OpenAI's are filled with the label, or with the taxon.

    Raises:
        BadInputError: no such set, or the taxon lacks what the caption kind needs.
    """
    if prompt_set in (OPENAI, OPENAI_AND_PLAIN):
        plain = [f"a photo of {label}."] if prompt_set == OPENAI_AND_PLAIN else []
        return [template(label) for template in openai_templates()] + plain
    if prompt_set == TAXON_BIOCLIP:
        return [template(_taxon_with_common(fields) or label) for template in openai_templates()]
    if prompt_set not in CAPTION_KINDS:
        raise BadInputError(f"no prompt set {prompt_set}: one of {', '.join(PROMPT_SETS)} is allowed")
    text = captions(fields).get(prompt_set)
    if text is None:
        raise BadInputError(f"class {label!r} has no caption of kind {prompt_set}: its taxon lacks a name")
    return [text]


def _taxon_with_common(fields: CaptionFields) -> str | None:
    """As "Animalia ... Turdus merula with common name Common Blackbird"; None without a known rank."""
    if fields.taxon is None or not fields.common_name:
        return fields.taxon
    return f"{fields.taxon} with common name {fields.common_name}"


def openai_templates() -> Sequence:
    """OpenAI's 80 ImageNet templates: functions of a class name.

    Source: open_clip's OPENAI_IMAGENET_TEMPLATES.
    """
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return OPENAI_IMAGENET_TEMPLATES


def class_prompts(label: str, prompt_set: str, taxa: Mapping[str, CaptionFields]) -> list[str]:
    """The texts of one class; a label outside `taxa` is only a name.

    Raises:
        BadInputError: as taxon_prompts.
    """
    fields = taxa.get(label)
    return label_prompts(label, prompt_set) if fields is None else taxon_prompts(fields, prompt_set, label)


def all_prompts(
    labels: Sequence[str], prompt_set: str, taxa: Mapping[str, CaptionFields] | None = None
) -> list[list[str]]:
    """The texts of every class, in the order of the labels; a label outside `taxa` is only a name.

    Raises:
        BadInputError: as taxon_prompts.
    """
    return [class_prompts(label, prompt_set, taxa or {}) for label in labels]
