"""From a scene and a view to pixels: physically based, with Mitsuba 3 (Jakob et al. 2022).

`scalar_rgb` on one thread: one process per core scales, and the same scene, view and seed give the same
bits. Few samples per pixel are enough because Open Image Denoise cleans the picture (`mitsuba-oidn`);
without it the picture is taken with more samples instead.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import math
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from idc.errors import UserError
from idc.world.scene import Object, Scene, View

LOOK = 3  # raised whenever the same scene, view and seed give another picture
SIZE = (160, 120)  # width, height
SAMPLES = 4  # per pixel, when denoised: 37 dB against the converged picture, 29 dB before denoising
RAW_SAMPLES = 64  # per pixel, without a denoiser
FIELD_OF_VIEW = 36.0  # degrees, horizontal, of a 4 : 3 picture; other shapes show at least as much
VISIBLE = 0.0025  # an object counts as visible from this share of the picture on (12 of 80 x 60 pixels)
MASK_SIZE = (80, 60)

COLOR = {  # linear RGB reflectance
    "gray": (0.09, 0.09, 0.09),
    "red": (0.52, 0.025, 0.025),
    "blue": (0.03, 0.08, 0.62),
    "green": (0.02, 0.25, 0.03),
    "brown": (0.16, 0.06, 0.02),
    "purple": (0.26, 0.03, 0.42),
    "cyan": (0.04, 0.50, 0.55),
    "yellow": (0.80, 0.58, 0.02),
}

log = logging.getLogger(__name__)
one_at_a_time = threading.RLock()  # the renderer starts and works in one thread of a process at a time


def denoiser_available() -> bool:
    """Whether the denoiser's package is installed."""
    return importlib.util.find_spec("mitsuba_oidn") is not None


@functools.cache
def mitsuba() -> Any:
    """Mitsuba with its variant set, on one thread: a process per core is quicker, and keeps the bits."""
    import drjit
    import mitsuba as mi

    mi.set_variant("scalar_rgb")
    mi.set_log_level(mi.LogLevel.Warn)
    drjit.set_thread_count(1)
    return mi


@functools.cache
def cube_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder of this process, removed when it ends."""
    return tempfile.TemporaryDirectory(prefix="idc-cube-")


@functools.cache
def cube_file(bevel: float = 0.09, steps: int = 4) -> Path:
    """A PLY file of the cube [-1, 1]^3 with edges rounded by `bevel`.

    Every face is a grid; a point of it is pulled to the inner cube and pushed out again along the normal.
    """
    line = np.concatenate([np.linspace(-1, -1 + bevel, steps), np.linspace(1 - bevel, 1, steps)])
    n = len(line)
    u, v = (axis.ravel() for axis in np.meshgrid(line, line, indexing="ij"))
    row, column = (axis.ravel() for axis in np.meshgrid(np.arange(n - 1), np.arange(n - 1), indexing="ij"))
    corner = row * n + column
    quads = np.stack([corner, corner + n, corner + n + 1, corner + 1], axis=1)
    outer, faces = np.empty((6 * n * n, 3)), []
    for face in range(6):
        axis, positive = divmod(face, 2)
        rows = slice(face * n * n, (face + 1) * n * n)
        outer[rows, axis] = 1.0 if positive else -1.0
        outer[rows, (axis + 1) % 3] = u
        outer[rows, (axis + 2) % 3] = v
        faces.append((quads if positive else quads[:, ::-1]) + face * n * n)
    inner = np.clip(outer, -1 + bevel, 1 - bevel)
    normals = outer - inner
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    vertices = np.concatenate([inner + bevel * normals, normals], axis=1)
    quad = np.concatenate(faces)
    triangles = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])

    lines = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    lines += [f"element face {len(triangles)}", "property list uchar int vertex_index", "end_header"]
    lines += [" ".join(f"{value:.6f}" for value in vertex) for vertex in vertices]
    lines += [" ".join(map(str, (3, *triangle))) for triangle in triangles]
    path = Path(cube_folder().name) / "cube.ply"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


def bsdf(thing: Object) -> dict[str, Any]:
    """How an object's surface scatters light: matte plastic-like rubber, or tinted rough metal."""
    tint = {"type": "rgb", "value": list(COLOR[thing.color])}
    if thing.material == "rubber":
        return {"type": "diffuse", "reflectance": tint}
    # Schlick-like tint: a metal's colour is its reflectance; lifted so that dark colours stay readable.
    bright = [min(1.0, 0.12 + 1.25 * c) for c in COLOR[thing.color]]
    return {
        "type": "roughconductor",
        "material": "none",
        "specular_reflectance": {"type": "rgb", "value": bright},
        "distribution": "ggx",
        "alpha": 0.09,
    }


def shapes(index: int, thing: Object) -> dict[str, Any]:
    """The Mitsuba shapes of object `index`, standing on z = 0; their names begin with `object<index>_`."""
    mi = mitsuba()
    transform = mi.ScalarTransform4f
    x, y = thing.position
    r = thing.radius
    surface = bsdf(thing)
    name = f"object{index}_"
    if thing.shape == "sphere":
        return {name: {"type": "sphere", "center": [x, y, r], "radius": r, "bsdf": surface}}
    if thing.shape == "cylinder":
        disk = {"type": "disk", "bsdf": surface}
        lid = transform().translate([x, y, 2 * r]).scale([r, r, 1])
        return {
            name + "side": {
                "type": "cylinder",
                "p0": [x, y, 0],
                "p1": [x, y, 2 * r],
                "radius": r,
                "bsdf": surface,
            },
            name + "lid": {**disk, "to_world": lid},
        }
    half = r / math.sqrt(2)  # CLEVR's cubes: the diagonal, not the side, is the diameter
    placed = transform().translate([x, y, half]).rotate([0, 0, 1], thing.rotation).scale(half)
    return {name: {"type": "ply", "filename": str(cube_file()), "to_world": placed, "bsdf": surface}}


def camera(view: View, size: tuple[int, int], samples: int) -> dict[str, Any]:
    """A pinhole camera at `view.camera` that looks at `view.target`; size is (width, height)."""
    mi = mitsuba()
    wide = 3 * size[0] > 4 * size[1]  # wider than 4 : 3: keep the height of the 4 : 3 frame, not its width
    vertical = math.degrees(2 * math.atan(0.75 * math.tan(math.radians(FIELD_OF_VIEW) / 2)))
    return {
        "type": "perspective",
        "fov": vertical if wide else FIELD_OF_VIEW,
        "fov_axis": "y" if wide else "x",
        "to_world": mi.ScalarTransform4f().look_at(
            origin=list(view.camera), target=list(view.target), up=[0, 0, 1]
        ),
        "film": {
            "type": "hdrfilm",
            "width": size[0],
            "height": size[1],
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
        },
        "sampler": {"type": "multijitter", "sample_count": samples},
    }


LAMPS = ((0.8, 62.0), (1.6, 2.2), (1.2, 5.0))  # key, fill, back: half side (world units) and radiance


def world(scene: Scene, view: View, integrator: dict[str, Any], sensor: dict[str, Any]) -> Any:
    """The Mitsuba scene: ground, dim sky, three area lights, objects.

    Loaded without merging and in order: otherwise shapes lose their names and two loads of one
    dictionary render different pixels.
    """
    mi = mitsuba()
    transform = mi.ScalarTransform4f
    parts: dict[str, Any] = {
        "type": "scene",
        "integrator": integrator,
        "sensor": sensor,
        "ground": {
            "type": "rectangle",
            "to_world": transform().scale([60, 60, 1]),
            "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": [0.55, 0.55, 0.54]}},
        },
        "sky": {"type": "constant", "radiance": {"type": "rgb", "value": [0.15, 0.155, 0.17]}},
    }
    for index, (position, (half, radiance)) in enumerate(zip(view.lights, LAMPS, strict=True)):
        parts[f"lamp{index}"] = {
            "type": "rectangle",
            "to_world": transform()
            .look_at(origin=list(position), target=[0, 0, 0], up=[0.1, 0.2, 1])
            .scale([half, half, 1]),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance}},
        }
    for index, thing in enumerate(scene.objects):
        parts.update(shapes(index, thing))
    return mi.load_dict(parts, parallel=False, optimize=False)


def srgb(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light to display values: clip, IEC 61966-2-1 transfer curve, 8 bits."""
    clipped = np.clip(linear, 0, 1)
    curved = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return (curved * 255 + 0.5).astype(np.uint8)


def render(
    scene: Scene,
    view: View,
    *,
    size: tuple[int, int] = SIZE,
    samples: int | None = None,
    denoise: bool | None = None,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """A picture of the scene, (height, width, 3) sRGB bytes.

    size: (width, height) in pixels. samples: paths per pixel; None takes 4 with the denoiser, 64 without.
    denoise: None denoises where `mitsuba-oidn` is installed. seed: of the pixel noise only.
    """
    if denoise is None:
        denoise = denoiser_available()
        if not denoise:
            say_once(f"mitsuba-oidn is not installed: rendering raw, with {samples or RAW_SAMPLES} samples")
    count = samples or (SAMPLES if denoise else RAW_SAMPLES)
    with one_at_a_time:
        integrator = {"type": "path", "max_depth": 3, "hide_emitters": True}
        placed = world(scene, view, integrator, camera(view, size, count))
        linear = np.array(mitsuba().render(placed, seed=seed, spp=count), dtype=np.float32)
        return srgb(denoised(linear) if denoise else linear)


def denoised(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture without its noise, (height, width, 3) linear light.

    Mirrored margins fill the picture up to the denoiser's tiles of 16 pixels: without them its borders
    stay noisy. Light is clipped at twice white: a stray bright sample then spreads less.
    """
    height, width = linear.shape[:2]
    tall, wide = (-(-(side + 8) // 16) * 16 for side in (height, width))
    top, left = (tall - height) // 2, (wide - width) // 2
    margins = ((top, tall - height - top), (left, wide - width - left), (0, 0))
    padded = np.pad(np.clip(linear, 0, 2), margins, mode="reflect")
    fast = open_image_denoise().Quality.Fast
    clean = open_image_denoise().denoise(padded, hdr=True, device=denoise_device(), quality=fast)
    return np.asarray(clean)[top : top + height, left : left + width]


@functools.cache
def say_once(message: str) -> None:
    """Log a warning, the first time only."""
    log.warning(message)


def open_image_denoise() -> Any:
    """The denoiser's module, imported by name: type checkers cannot read its stubs.

    Raises UserError when it is not installed.
    """
    try:
        return importlib.import_module("mitsuba_oidn")
    except ImportError as error:
        raise UserError(
            "denoising needs the package mitsuba-oidn: pip install mitsuba-oidn, or render raw (--raw)."
        ) from error


@functools.cache
def denoise_device() -> Any:
    """The denoiser on the processor, whatever else the machine has: the same bits everywhere it can be."""
    mitsuba()  # the thread count is set before the denoiser starts
    return open_image_denoise().Device(open_image_denoise().DeviceType.CPU)


@functools.lru_cache(maxsize=8)
def instance_mask(scene: Scene, view: View, *, size: tuple[int, int] = MASK_SIZE) -> NDArray[np.uint8]:
    """Which object each pixel shows, (height, width): 0 for ground and sky, i + 1 for object i.

    Read from an identity buffer of the renderer, one ray a pixel; the last few are remembered.
    """
    with one_at_a_time:
        placed = world(scene, view, {"type": "aov", "aovs": "id:shape_index"}, camera(view, size, 1))
        identity = np.array(mitsuba().render(placed, seed=0, spp=1))[..., -1]
        names = [shape.id() for shape in placed.shapes()]
    lookup = np.zeros(len(names) + 1, dtype=np.uint8)
    for number, name in enumerate(names, start=1):  # 0 is where no shape is hit
        if name.startswith("object"):
            lookup[number] = int(name.removeprefix("object").split("_")[0]) + 1
    mask = lookup[np.rint(identity).astype(np.int64)]
    mask.flags.writeable = False  # it is remembered
    return mask


def visible(scene: Scene, view: View, minimum: float = VISIBLE) -> bool:
    """Whether every object covers at least the share `minimum` of the picture."""
    mask = instance_mask(scene, view)
    counts = np.bincount(mask.ravel(), minlength=len(scene.objects) + 1)[1:]
    return bool((counts >= minimum * mask.size).all())


def box(mask: NDArray[np.uint8], index: int) -> tuple[int, int, int, int] | None:
    """The bounding box (x, y, width, height) of object `index` in pixels of the mask; None if not seen."""
    ys, xs = np.nonzero(mask == index + 1)
    if len(xs) == 0:
        return None
    return (int(xs.min()), int(ys.min()), int(xs.max() - xs.min() + 1), int(ys.max() - ys.min() + 1))
