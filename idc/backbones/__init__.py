"""Backbones: from a picture to a grid of features."""

from idc.backbones.backbone import BACKBONES, Backbone, load_backbone, open_image

__all__ = ["BACKBONES", "Backbone", "load_backbone", "open_image"]
