"""How probable a spike train is: the first term of the evidence lower bound of a spiking autoencoder.

Talafha et al. 2023, Eqs. 3-5, X_V being the visible and X_H the hidden spike trains ("||" inside a
distribution is a misprint of "|", as in Algorithm 1 X_Ic is one of X_H and X_X of X_V):

    (3)  KL[q || p] = integral over X_H of q(X_H | X_V) log (q(X_H | X_V) / p(X_H | X_V))
    (4)  log p(X_V) = KL[q || p] + L,
         L          = integral over X_H of q(X_H | X_V) log (p(X_V, X_H) / q(X_H | X_V))
    (5)  < d log p(X_V) / d w_ij > = sum over k of integral over t of
                                         d log rho_k(t) / d w_ij  (X_k(t) - rho_k(t))

What is garbled, and what can be computed:

- L is a bound to be maximised, though the text calls it the loss and Algorithm 1 says "minimize". For the
  encoder that is the same as minimising Eq. 3, since log p(X_V) does not depend on it; Eq. 3 itself cannot
  be computed, for p(X_H | X_V) is not known. Algorithm 1's log p(X_V) - KL is L by Eq. 4, in two terms that
  are both unknown; the two below are known.
- Eq. 5 is the gradient for neurons that fire at random with intensity rho_k. Neurons that integrate and fire
  do not: their trains are a function of the input, q(X_H | X_V) is one train and has no spread. What is
  random in a converted autoencoder is its Gaussian latent z. It takes the place of X_H.
- Eq. 5 averages over the posterior, which is not known; the average over q takes its place. Its steps go up
  the gradient ("gradient descent" in the text). That they "yield" mirrored STDP is not derived.

So, for a train of T steps and the pixel probabilities rho_k(z) that a decoder gives, with X_k(t) = 0 or 1,

    L(X_V)         = E_q(z | X_V*)[log p(X_V | z)] - KL(q(z | X_V*) || N(0, 1)),
    log p(X_V | z) = sum over t and k of X_k(t) log rho_k + (1 - X_k(t)) log(1 - rho_k).

Its derivative by the logit of rho_k is the sum over t of X_k(t) - rho_k: Eq. 5 in discrete time, where the
logarithm of the odds stands for that of the intensity. With the intensities of the pixels in place of spikes,
one step has the reconstruction term of the awake network.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sleepdefense.errors import ConversionError


def train_log_likelihood(
    counts: Float[Tensor, " batch *unit"], logits: Float[Tensor, " batch *same"], num_steps: int
) -> Float[Tensor, " batch"]:
    """Return the log-probability of Bernoulli spike trains, in nats.

        log p = sum over k of  c_k log rho_k + (T - c_k) log(1 - rho_k),    rho_k = sigmoid(logit_k)

    Args:
        counts: Spikes c_k of each unit, in [0, num_steps]; fractions stand for expected spikes, so that the
            intensities of an image, with `num_steps` 1, give the awake network's term. (batch, *unit).
        logits: Of the probability of a spike in a step, (batch, *unit).
        num_steps: Steps T of the trains, >= 1.

    Returns:
        One number for each train, <= 0, (batch,).

    Raises:
        ConversionError: `num_steps` < 1, or the counts do not fit it or the logits.

    Source:
        Talafha et al. 2023, Eqs. 4 and 5, read as above.

    >>> import torch
    >>> train_log_likelihood(torch.tensor([[2.0]]), torch.zeros(1, 1), 3).exp()  # three fair coins
    tensor([0.1250])
    """
    if num_steps < 1:
        raise ConversionError(f"'num_steps' must be >= 1, got {num_steps}")
    if counts.shape != logits.shape:
        raise ConversionError(
            f"counts of shape {tuple(counts.shape)} do not fit logits of shape {tuple(logits.shape)}"
        )
    if counts.numel() and not bool(((counts >= 0) & (counts <= num_steps)).all()):
        raise ConversionError(
            f"the counts run from {float(counts.min()):g} to {float(counts.max()):g}: "
            f"expected 0 to {num_steps}"
        )
    silent = F.logsigmoid(-logits)
    return (counts * F.logsigmoid(logits) + (num_steps - counts) * silent).flatten(1).sum(1)
