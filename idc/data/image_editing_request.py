"""Image-Editing-Request (Tan et al., ACL 2019, arXiv 1906.07689): a picture, and the same one as somebody edited it."""

from __future__ import annotations

from pathlib import Path

from idc.data.listed import ListedPair, ListedPairs


class ImageEditingRequest(ListedPairs):
    """A split of Image-Editing-Request, as published: `train.json`, `valid.json`, `test.json`, pictures in `images/`.

    A file is a list of {"uid": "Reddit_1012", "img0": "….jpg", "img1": "….jpg", "sents": […]}: one sentence for training,
    three for the other splits. The same pictures come several times under other uids, also in two splits.
    """

    kind = "image_editing_request"
    texts = ("uid", "img0", "img1")
    sentences = "sents"

    @staticmethod
    def files(root: Path) -> dict[str, Path]:
        return {"train": root / "train.json", "val": root / "valid.json", "test": root / "test.json"}

    @staticmethod
    def pair(record: dict[str, str]) -> ListedPair:
        return ListedPair(record["uid"], record["img0"], record["img1"], ())
