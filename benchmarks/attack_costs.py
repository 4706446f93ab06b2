"""Put measured costs into the catalogue of attacks, and leave everything else of its file as it is.

sleepdefense bench attacks vanilla_cnn.net --data mnist --json > costs.json
python benchmarks/attack_costs.py costs.json sleepdefense/attacks/attack_costs.py
"""

import json
import re
import sys
from pathlib import Path

from sleepdefense.attacks import parse_attack


def main(measured: Path, catalogue: Path) -> None:
    """Rewrite the line of each attack that was measured; counts of passes change only where they were run."""
    text = catalogue.read_text()
    for row in json.loads(measured.read_text()):
        spec = parse_attack(row["attack"])
        is_run = row["how"] == "measured" and spec.name not in ("Square", "AutoAttack")
        forward, backward = (
            round(row[name]) if is_run else getattr(spec, name) for name in ("forward", "backward")
        )
        seconds = float(f"{row['seconds']:.2g}")
        line = f'"{spec.norm}:{spec.name}": Cost({max(seconds, 1e-4)}, {forward}, {backward}),'
        text, found = re.subn(rf'"{re.escape(f"{spec.norm}:{spec.name}")}": Cost\(.*\),', line, text)
        if found != 1:
            sys.exit(f"{catalogue}: expected one line for {spec.norm}:{spec.name}, found {found}")
    catalogue.write_text(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
