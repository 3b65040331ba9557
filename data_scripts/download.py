"""Download the published data sets, check and unpack them.

    python data_scripts/download.py --what data --out data/clevr_change
    python data_scripts/download.py --what features --out data/clevr_change
    python data_scripts/download.py --what spot_the_diff --out data/spot_the_diff
    python data_scripts/download.py --what image_editing_request --out data/image_editing_request

Interrupted, the same command continues. An archive fetched with a browser and put into the folder under its
name (clevr_change.tar.gz, clevr_change_features.tar.gz, resized_images.zip) is checked and unpacked as well. The
pictures of Image-Editing-Request lie in a shared folder that only a browser can fetch; the command says where.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from idc.data.download import ARCHIVES, PUBLISHED, download, download_published
from idc.data.listed import PICTURES
from idc.errors import continuing_command


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--what",
        choices=(*ARCHIVES, *PUBLISHED),
        default="data",
        help="pictures and captions of CLEVR-Change, its features, or another data set",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--url", help="another address of the same archive")
    parser.add_argument("--no-unpack", action="store_true", help="only fetch and check")
    arguments = parser.parse_args()
    out, url, unpacked = arguments.out, arguments.url, not arguments.no_unpack
    if arguments.what in PUBLISHED:
        published = PUBLISHED[arguments.what]
        download_published(published, out, url=url, unpacked=unpacked)
        print(f"the listings are in {out}.")
        if published.pages:
            print(f"Fetch the pictures with a browser into {out / PICTURES}: {' or '.join(published.pages)}.")
        return
    archive = ARCHIVES[arguments.what]
    record = download(archive, out, url=url, unpacked=unpacked)
    print(f"{out / archive.name}: {record['bytes']} bytes, sha256 {record['sha256']}")


if __name__ == "__main__":
    main()
