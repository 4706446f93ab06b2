"""A tiny CelebA of noise: 6 images, 3 attributes, in the layout of the real one. No face is on any image."""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = tuple(f"{number:06}.jpg" for number in range(1, 7))
ATTRIBUTES = ("Bald", "Male", "Smiling")
ANSWERS = {
    "000001.jpg": (-1, 1, -1),
    "000002.jpg": (1, 1, -1),
    "000003.jpg": (-1, -1, 1),
    "000004.jpg": (-1, -1, -1),
    "000005.jpg": (1, 1, 1),
    "000006.jpg": (-1, -1, 1),
}
PARTS = dict(zip(NAMES, "020120", strict=True))
PEOPLE = dict(zip(NAMES, "787689", strict=True))


def photograph(seed: int, size: tuple[int, int] = (89, 109)) -> bytes:
    """Return a JPEG file of coarse noise, (width, height)."""
    levels = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    return to_jpeg(Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC))


def to_jpeg(image: Image.Image) -> bytes:
    """Compress an image as little as JPEG can."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=100, subsampling=0)
    return stream.getvalue()


@dataclass
class TinyFaces:
    """The files, to be changed by a test before they are written."""

    photographs: dict[str, bytes] = field(
        default_factory=lambda: {name: photograph(seed) for seed, name in enumerate(NAMES)}
    )
    attributes: str = "6\r\nBald Male Smiling \r\n" + "".join(
        f"{name} {' '.join(f'{answer:2}' for answer in answers)}\r\n" for name, answers in ANSWERS.items()
    )
    partition: str = "".join(f"{name} {part}\n" for name, part in PARTS.items())
    identities: str | None = "".join(f"{name} {person}\n" for name, person in PEOPLE.items())

    def write(self, data: Path, *, unpacked: bool = False) -> Path:
        """Write everything into the folder "celeba" of a data folder, and return the data folder."""
        folder = data / "celeba"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "list_attr_celeba.txt").write_text(self.attributes, newline="")
        (folder / "list_eval_partition.txt").write_text(self.partition)
        if self.identities is not None:
            (folder / "identity_CelebA.txt").write_text(self.identities)
        if unpacked:
            (folder / "img_align_celeba").mkdir()
            for name, content in self.photographs.items():
                (folder / "img_align_celeba" / name).write_bytes(content)
        else:
            with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
                for name, content in self.photographs.items():
                    archive.writestr(zipfile.ZipInfo(f"img_align_celeba/{name}"), content)
        return data
