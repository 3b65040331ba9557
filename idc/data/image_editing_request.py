"""Image-Editing-Request (Tan et al., ACL 2019, arXiv 1906.07689): a picture, and the same one as somebody edited it."""

from __future__ import annotations

from pathlib import Path

from idc.data.listed import ListedPair, ListedPairs, Listing, read_listing


def pair_of(uid: str, img0: str, img1: str) -> ListedPair:
    return ListedPair(uid, img0, img1, ())


class ImageEditingRequest(ListedPairs):
    """A split of Image-Editing-Request, as published: `train.json`, `valid.json`, `test.json`, pictures in `images/`.

    A file is a list of {"uid": "Reddit_1012", "img0": "….jpg", "img1": "….jpg", "sents": […]}: one sentence for training,
    three for the other splits. The same pictures come several times under other uids, also in two splits.
    """

    kind = "image_editing_request"

    @staticmethod
    def listing(root: Path) -> Listing:
        files = {split: root / f"{name}.json" for split, name in SPLITS.items()}
        return read_listing(files, ("uid", "img0", "img1"), "sents", pair_of, ImageEditingRequest.kind)


SPLITS = {"train": "train", "val": "valid", "test": "test"}  # our names -> those of the files
