"""What each attack costs, as `sleepdefense bench attacks` measures it: for estimates before long work."""

from typing import NamedTuple


class Cost(NamedTuple):
    """What one image costs.

    Attributes:
        seconds: Processor seconds of one core.
        forward: Images shown to the model.
        backward: Gradients taken.
    """

    seconds: float
    forward: int
    backward: int


COSTS: dict[str, Cost] = {
    "Linf:FGSM": Cost(0.0015, 1, 1),
    "Linf:RAND+FGSM": Cost(0.0015, 1, 1),
    "Linf:PGD": Cost(0.056, 40, 40),
    "L2:CW": Cost(0.15, 101, 100),
    "L2:CW-strong": Cost(0.76, 501, 500),
    "none:GaussianNoise": Cost(0.00013, 0, 0),
    "none:GaussianBlur": Cost(0.00026, 0, 0),
    "none:SaltAndPepper": Cost(0.00012, 0, 0),
    "Linf:BIM": Cost(0.015, 10, 10),
    "L2:FGM": Cost(0.0023, 1, 1),
    "L2:BIM": Cost(0.015, 10, 10),
    "L2:PGD": Cost(0.072, 50, 50),
    "L2:DDN": Cost(0.14, 101, 100),
    "Linf:DeepFool": Cost(0.13, 93, 91),
    "L2:DeepFool": Cost(0.28, 165, 163),
    "L2:CarliniWagner": Cost(43.0, 29510, 29509),
    "Linf:BrendelBethge": Cost(3.9, 1014, 1000),
    "L2:BrendelBethge": Cost(3.8, 1014, 1000),
    "L1:BrendelBethge": Cost(4.0, 1014, 1000),
    "L2:Boundary": Cost(17.0, 27504, 0),
    "L0:SaltAndPepperNoise": Cost(0.74, 1002, 0),
    "L0:Pointwise": Cost(9.7, 16060, 0),
    "Linf:Inversion": Cost(0.00015, 0, 0),
    "L2:Inversion": Cost(0.00019, 0, 0),
    "L1:Inversion": Cost(0.00018, 0, 0),
    "Linf:BinarySearchContrastReduction": Cost(0.011, 16, 0),
    "L2:BinarySearchContrastReduction": Cost(0.0088, 16, 0),
    "L1:BinarySearchContrastReduction": Cost(0.0093, 16, 0),
    "Linf:LinearSearchContrastReduction": Cost(0.74, 985, 0),
    "L2:LinearSearchContrastReduction": Cost(0.76, 985, 0),
    "L1:LinearSearchContrastReduction": Cost(0.7, 985, 0),
    "Linf:LinearSearchGaussianBlur": Cost(0.79, 1002, 0),
    "L2:LinearSearchGaussianBlur": Cost(0.65, 1002, 0),
    "L1:LinearSearchGaussianBlur": Cost(0.61, 1002, 0),
    "Linf:LinearSearchBlendedUniformNoise": Cost(0.26, 515, 0),
    "L2:LinearSearchBlendedUniformNoise": Cost(0.29, 554, 0),
    "L1:LinearSearchBlendedUniformNoise": Cost(0.26, 503, 0),
    "L2:ContrastReduction": Cost(0.00016, 0, 0),
    "L2:AdditiveGaussianNoise": Cost(0.00022, 0, 0),
    "L2:RepeatedAdditiveGaussianNoise": Cost(0.069, 101, 0),
    "Linf:AdditiveUniformNoise": Cost(0.00018, 0, 0),
    "L2:AdditiveUniformNoise": Cost(0.00023, 0, 0),
    "Linf:RepeatedAdditiveUniformNoise": Cost(0.062, 101, 0),
    "L2:RepeatedAdditiveUniformNoise": Cost(0.067, 101, 0),
    "L2:ClippingAwareAdditiveGaussianNoise": Cost(0.00047, 0, 0),
    "L2:ClippingAwareRepeatedAdditiveGaussianNoise": Cost(0.087, 101, 0),
    "L2:ClippingAwareAdditiveUniformNoise": Cost(0.00038, 0, 0),
    "L2:ClippingAwareRepeatedAdditiveUniformNoise": Cost(0.087, 101, 0),
    "Linf:FMN": Cost(0.15, 101, 100),
    "L2:FMN": Cost(0.14, 101, 100),
    "L1:FMN": Cost(0.14, 101, 100),
    "L0:FMN": Cost(0.15, 101, 100),
    "L0:BrendelBethge": Cost(3.5, 1014, 1000),
    "L1:SparseL1Descent": Cost(0.13, 100, 100),
    "L1:PGD": Cost(0.061, 50, 50),
    "Linf:HopSkipJump": Cost(22.0, 35984, 0),
    "L2:HopSkipJump": Cost(22.0, 35659, 0),
    "Linf:Square": Cost(6.6, 5004, 0),
    "L2:Square": Cost(13.0, 5004, 0),
    "L1:Square": Cost(16.0, 5004, 0),
    "Linf:AutoAttack": Cost(6.4, 7865, 1910),
    "L2:AutoAttack": Cost(6.4, 7865, 1910),
    "L1:AutoAttack": Cost(6.4, 7881, 1930),
}
"""By "Norm:Name", on the published CNN of Schott et al. 2019 (249 228 weights) and MNIST, in batches of 16.

Square and AutoAttack stop where they have succeeded: they were measured on 4 images at an epsilon at which
they do not. BrendelBethge on 2 to 4 images, without its compilation. Of Boundary, HopSkipJump, Pointwise and
CarliniWagner the passes were counted on 2 images; the seconds are reckoned from them, at 0.72 ms forward and
1.65 ms forward and backward, an image's share of a batch of 16.
"""
