"""Several classifiers that vote."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images, Logits

Vote = Literal["mean", "max"]


class Ensemble(nn.Module):
    """Classify by the mean, or by the maximum, of the members' softmax probabilities.

        logit_c = log mean over members m of softmax(F_m(x))_c,    or log max over m

    The logarithm changes no decision and keeps a gradient where a probability is near 0 or 1.

    Args:
        members: Give logits for the same classes; one at least.
        vote: Which of the two.

    Raises:
        ConfigError: There is no member.

    Source:
        Talafha et al. 2023, section 3.5: "the maximum or average of the softmax probability distribution".
    """

    def __init__(self, members: Sequence[nn.Module], vote: Vote = "mean") -> None:
        super().__init__()
        if not members:
            raise ConfigError("an ensemble needs a member, got none")
        self.members = nn.ModuleList(members)
        self.vote = vote

    @override
    def forward(self, image: Images) -> Logits:
        """Return logarithms of what was voted, (batch, class)."""
        logs = torch.stack([torch.log_softmax(member(image), dim=1) for member in self.members])
        if self.vote == "max":
            return logs.amax(dim=0)
        result: Tensor = torch.logsumexp(logs, dim=0) - torch.log(torch.tensor(float(len(logs))))
        return result

    @override
    def extra_repr(self) -> str:
        """Return the vote."""
        return self.vote
