"""python -m idc.train --cfg configs/scorer_cbr/laptop.yaml [dotted.key=value …] [--resume | --overwrite]

Trains a system and writes runs/<exp_name>: metrics.jsonl, snapshots, best.json. Interrupted or killed, the same
command with --resume goes on as if nothing had happened. With --pieces FOLDER it trains with your own code: the pieces
that notebooks or .py files there define take the place of the library's.

A system that trains in several stages goes through all of them; an earlier one is a run of its own in
runs/<exp_name>/<stage>, and stage=NAME trains that one alone. --seeds 0..7 trains one run per seed in
runs/<exp_name>/seed<k>, scores them on val and test and writes runs/<exp_name>/seeds.json.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

from idc.config import Config, load_config
from idc.errors import UserError, command
from idc.own import add_arguments, adopt, slowdown
from idc.seeds import parse_seeds, report_seeds, seed_configs, table, train_seeds
from idc.training.checkpoint import read_best
from idc.training.loop import Interrupted, train


@command
def main() -> None:
    logging.basicConfig(format="%(message)s")
    logging.getLogger("idc").setLevel(logging.INFO)  # which kernels were taken, for instance
    parser = argparse.ArgumentParser(
        prog="python -m idc.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cfg", required=True, help="a configuration, such as configs/scorer_cbr/laptop.yaml"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="continue the run of that name")
    existing.add_argument("--overwrite", action="store_true", help="replace the run of that name")
    parser.add_argument(
        "--logger",
        action="append",
        default=[],
        choices=("tensorboard", "visdom"),
        help="one more place for curves",
    )
    parser.add_argument("--seeds", help="train one run for each of these seeds, such as 0..7 or 0,1,5")
    add_arguments(parser)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, e.g. optim.lr=0.001")
    arguments = parser.parse_intermixed_args()
    overrides = list(arguments.overrides)
    config = load_config(arguments.cfg, overrides)
    if arguments.logger:
        names = dict.fromkeys((*config.logger, *arguments.logger))
        overrides.append(f"logger=[{','.join(names)}]")
        config = load_config(arguments.cfg, overrides)
    configs = seed_configs(arguments.cfg, overrides, parse_seeds(arguments.seeds)) if arguments.seeds else {}
    sources = adopt(arguments.pieces, arguments.unchecked)
    try:
        if sources and (times := slowdown(config)):
            print(
                f"a step with your pieces takes {times:.1f} times the CPU time of one with the library's fast ones"
            )
        if configs:
            train_seeds(configs, arguments.resume, arguments.overwrite, sources)
        else:
            train(config, resume=arguments.resume, overwrite=arguments.overwrite, sources=sources)
    except NotImplementedError as error:
        raise UserError(str(error) or "a piece raises NotImplementedError; write it first.") from error
    except Interrupted:
        print(f"stopped; the same command with --resume continues {config.run_folder}", file=sys.stderr)
        raise SystemExit(130) from None
    if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0":
        return
    if configs:
        print(table(report_seeds(configs)))
    else:
        tell(config)


def tell(config: Config) -> None:
    """Print where the snapshots of every stage are, and which is the best."""
    for stage in config.to_train():
        best = read_best(stage.run_folder)
        chosen = f"; the best is {best['step']} ({best['metric']} {best['value']:.3f})" if best else ""
        print(f"snapshots are in {stage.run_folder / 'snapshots'}{chosen}")


if __name__ == "__main__":
    main()
