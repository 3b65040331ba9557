"""python -m idc.train --cfg configs/scorer_cbr/laptop.yaml [dotted=overrides] [--resume]"""

from __future__ import annotations

import argparse

from idc.config import load_config
from idc.errors import command
from idc.training.loop import train


@command
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m idc.train", description="Train a system.")
    parser.add_argument("--cfg", required=True, help="a configuration file")
    parser.add_argument("--resume", action="store_true", help="continue the run of that name")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, e.g. optim.lr=0.001")
    arguments = parser.parse_args()
    run = train(load_config(arguments.cfg, arguments.overrides), arguments.resume)
    print(f"done; snapshots are in {run / 'snapshots'}")


if __name__ == "__main__":
    main()
