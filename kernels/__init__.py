"""Numba kernels of the sleep phase: encode, integrate, compete, learn. NumPy arrays in and out, no torch."""

if __name__ != "sleepdefense.kernels":
    raise ImportError("import sleepdefense.kernels: the folder `kernels` is only its home")
