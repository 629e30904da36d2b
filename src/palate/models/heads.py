"""placeholder"""
from transformers import PretrainedConfig, PreTrainedModel
class C(PretrainedConfig):
    model_type="palate_pooled_reward"
class PooledRewardModel(PreTrainedModel):
    config_class=C
