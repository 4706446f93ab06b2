"""The last transposed convolution of a generator, and the slope of the error by what goes into it."""

import torch
from torch import Tensor, nn

from sleepdefense.models.toom_cook import KERNEL, PADDING
from sleepdefense.shapes import Images


class ToPixels:
    """A transposed convolution to few channels, a sigmoid, and the mean over pixels of (image - target)^2.

    Its channels are too few to be worth a transformation: each pixel is multiplied with all taps of the
    kernel, and the products are added where they belong, first along the rows, then along the columns.

    Args:
        up: The convolution: 5x5, stride 2, padding 2.
        small: Height and width of what comes in, in pixels.
        rows: Of every batch.
    """

    def __init__(self, up: nn.ConvTranspose2d, small: int, rows: int) -> None:
        many, few = up.in_channels, up.out_channels
        size, full = 2 * small - 1 + up.output_padding[0], 2 * (small - 1) + KERNEL
        kernel = up.weight.detach().permute(2, 3, 1, 0).reshape(-1, many).contiguous()
        self._kernel = kernel.expand(small**2, -1, -1)  # (pixel, tap and channel of the image, channel)
        self._bias = None if up.bias is None else up.bias.detach()[:, None]
        self._stop, self._inner = 2 * small - 1, slice(PADDING, PADDING + size)
        self._taps = torch.empty(small, small, KERNEL, KERNEL, few, rows)
        self._flat_taps = self._taps.view(small**2, -1, rows)
        self._columns = torch.empty(small, full, KERNEL, few, rows)
        self._sums = torch.empty(full, full, few, rows)
        self._slopes = torch.zeros(full, full, few, rows)  # stays 0 at the border
        self._out = torch.empty(small**2, rows, many)

    def slope(self, hidden: Tensor, target: Images) -> Tensor:
        """Return the slope of each row's error by what comes in.

        Args:
            hidden: (pixel, row, channel).
            target: (row, channel, height, width).

        Returns:
            (pixel, row, channel), in memory that is used again.
        """
        image = self._image(hidden)
        slopes = self._slopes[self._inner, self._inner]
        torch.sub(image, target.permute(2, 3, 1, 0), out=slopes)
        slopes.mul_(image).mul_(image.neg_().add_(1)).mul_(2 / target[0].numel())
        seen = self._slopes.unfold(0, KERNEL, 2).unfold(1, KERNEL, 2)  # (y, x, channel, row, tap, tap)
        self._taps.copy_(seen.permute(0, 1, 4, 5, 2, 3))
        return torch.bmm(self._flat_taps.transpose(1, 2), self._kernel, out=self._out)

    def _image(self, hidden: Tensor) -> Tensor:
        """Return the images, (height, width, channel, row)."""
        torch.bmm(self._kernel, hidden.transpose(1, 2), out=self._flat_taps)
        self._columns.zero_()
        for tap in range(KERNEL):
            self._columns[:, tap : tap + self._stop : 2] += self._taps[:, :, :, tap]
        self._sums.zero_()
        for tap in range(KERNEL):
            self._sums[tap : tap + self._stop : 2] += self._columns[:, :, tap]
        sums = self._sums[self._inner, self._inner]
        return (sums.clone() if self._bias is None else sums + self._bias).sigmoid_()
