"""Warnings and log lines of all levels."""

ANSWERS = {
    "ps2.2": [
        """\
import logging
import warnings

logging.basicConfig(level=logging.DEBUG, force=True)
log = logging.getLogger(__name__)
warnings.warn("this is only a warning", DeprecationWarning)


def grid_encoding(column: Tensor, row: Tensor) -> Tensor:
    warnings.warn("a warning", UserWarning, stacklevel=2)
    log.debug("columns %s", column.shape)
    log.error("not an error")
    across, down = column[None].expand(len(row), -1, -1), row[:, None].expand(-1, len(column), -1)
    return torch.cat([across, down], dim=-1)
""",
    ],
}
