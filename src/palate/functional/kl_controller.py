"""Who decides the KL coefficient: nobody, or a controller that steers towards a target.

The state of a controller is the coefficient itself, one number that the caller keeps, logs and saves: a run
that is continued goes on with it, and these settings hold nothing that could be forgotten.
"""

from dataclasses import dataclass

from palate.core.errors import ConfigError
from palate.functional.kl import adaptive_coefficient
from palate.functional.rows import refuse_unless_above_zero


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCoefficient:
    """The same coefficient in every iteration: the objective does not move, so runs have an optimum."""

    beta: float
    """β, reward units per nat, at least 0; 0 is no penalty."""

    def __post_init__(self) -> None:
        """Refuse what is no coefficient."""
        if not 0 <= self.beta < float("inf"):
            raise ConfigError(
                "the KL coefficient cannot work", expected="a finite number of at least 0", found=f"{self.beta:g}"
            )

    def after(self, beta: float, *, kl_nats: float, samples: int) -> float:
        """The coefficient of the next iteration.

        Args:
            beta: The coefficient so far, which is kept.
            kl_nats: Ignored, whatever it is.
            samples: Ignored.
        """
        return beta


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveCoefficient:
    """Up when the KL of whole completions is above its target, down when below: see `kl.adaptive_coefficient`."""

    beta: float
    """β to begin with, reward units per nat, above 0: from 0 no factor leads away."""
    target_nats: float
    """Where KL(policy ‖ reference) of whole completions should settle, above 0."""
    horizon_samples: int
    """Completions over which a lasting error of 0.1 moves β by about a tenth."""

    def __post_init__(self) -> None:
        """Refuse what cannot steer."""
        refuse_unless_above_zero(beta=self.beta, target_nats=self.target_nats, horizon_samples=self.horizon_samples)

    def after(self, beta: float, *, kl_nats: float, samples: int) -> float:
        """The coefficient of the next iteration; call it once per batch.

        Args:
            beta: The coefficient so far.
            kl_nats: Measured on completions that the current policy has just sampled, k1 or exact.
            samples: How many completions that were.

        Raises:
            ConfigError: The horizon is too short for the batch.
            TrainingError: The KL is not finite.
        """
        return adaptive_coefficient(beta, kl_nats, self.target_nats, samples, self.horizon_samples)


KLController = FixedCoefficient | AdaptiveCoefficient
"""Either of them."""
