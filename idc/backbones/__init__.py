"""Backbones: from a picture to a grid of features."""

from idc.backbones.backbone import Backbone, load_backbone, open_image

__all__ = ["Backbone", "load_backbone", "open_image"]
