import torch
from torch import fx

from sleepdefense.models import Purified, build_model


def _small() -> Purified:
    purifier = build_model("fc-vae", {"size": 6, "hidden": 16, "latent": 4}, seed=0)
    return Purified(purifier, build_model("c4", {"size": 6, "hidden": 16}, seed=0))


def test_surfaces_differ_in_what_they_reach() -> None:
    whole = _small().eval()
    purifier, classifier = whole.purifier, whole.classifier
    image = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(whole(image), classifier(purifier(image)))
        assert torch.equal(fx.symbolic_trace(whole)(image), whole(image))
    assert whole.attack_surfaces() == {"oblivious": classifier, "white-box": whole}


def test_gradients_pass_through_both() -> None:
    whole = _small()
    image = torch.full((1, 1, 6, 6), 0.5, requires_grad=True)
    whole(image).square().sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
