"""Download the published CLEVR-Change archives, check and unpack them.

    python data_scripts/download.py --what data --out data/clevr_change
    python data_scripts/download.py --what features --out data/clevr_change

Interrupted, the same command continues. An archive fetched with a browser and put into the folder under its
name (clevr_change.tar.gz, clevr_change_features.tar.gz) is checked and unpacked as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from idc.data.download import ARCHIVES, download
from idc.errors import command


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--what", choices=tuple(ARCHIVES), default="data", help="pictures and captions, or features"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--url", help="another address of the same archive")
    parser.add_argument("--no-unpack", action="store_true", help="only fetch and check")
    arguments = parser.parse_args()
    archive = ARCHIVES[arguments.what]
    record = download(archive, arguments.out, url=arguments.url, unpacked=not arguments.no_unpack)
    print(f"{arguments.out / archive.name}: {record['bytes']} bytes, sha256 {record['sha256']}")


if __name__ == "__main__":
    main()
