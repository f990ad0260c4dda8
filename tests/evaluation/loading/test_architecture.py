"""What makes two architectures the same, and settings that open_clip does not know."""

import pytest

from evaluation.loading.architecture import architecture
from taxonomy.errors import BadInputError
from tests.evaluation.small_models import SMALL, changed

pytestmark = pytest.mark.torch


def test_defaults_and_settings_without_effect_make_no_other_architecture():
    spelt_out = changed(SMALL, quick_gelu=True, init_logit_scale=1.0, vision_cfg={"patch_dropout": 0.5, "mlp_ratio": 4})
    assert architecture(spelt_out) == architecture(SMALL)
    assert architecture(SMALL)["vision_cfg"]["mlp_ratio"] == 4 and changed(SMALL) == SMALL
    for other in ({"embed_dim": 8}, {"vision_cfg": {"head_width": 4}}, {"text_cfg": {"heads": 4}}):
        assert architecture(changed(SMALL, **other)) != architecture(SMALL)


def test_a_setting_that_open_clip_does_not_know_is_named():
    with pytest.raises(BadInputError, match=r"text_cfg does not fit open_clip.*depth"):
        architecture(changed(SMALL, text_cfg={"depth": 3}))
