"""Map pictures of high dynamic range or wide gamut to BT.709, as a screen of ordinary brightness shows them.

Light is relative to the white of ordinary pictures, which HDR shows at 203 cd/m² (ITU-R BT.2408). Only a picture that
holds brighter light is compressed, and only above the knee; what fits keeps its colours.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import Final, TypeAlias

UNSPECIFIED, BT2020, P3_D65 = 2, 9, 12
"""Colour primaries (ITU-T H.273, table 2)."""
PQ, HLG = 16, 18
"""Transfer characteristics (ITU-T H.273, table 3)."""

_WHITE_NITS: Final = 203.0
_PQ_NITS: Final = 10_000.0
_HLG_NITS: Final = 1_000.0
"""Peak of the screen for which HLG's system gamma is 1.2 (ITU-R BT.2100, table 5)."""
_HLG_GAMMA: Final = 1.2
_SCREEN_GAMMA: Final = 2.4
"""Gamma of a BT.709 screen (ITU-R BT.1886)."""
_KNEE: Final = 0.75
"""Light up to here is never compressed."""
_STEPS: Final = 4096
"""Entries of tables that are indexed by a code value or a share of the light."""
_STEP_BITS: Final = 4
"""Bits of a 16-bit code value that are dropped to index such a table."""
_OUTPUT_STEPS: Final = 65_536
"""Entries of the output table: dark shades need fine steps of light."""

Matrix: TypeAlias = tuple[tuple[float, float, float], ...]
Light: TypeAlias = "array[float]"  # before Python 3.12, `array` can't be subscripted at run time

_TO_BT709: Final[dict[int, Matrix]] = {
    # ITU-R BT.2087; for P3 derived in the same way from SMPTE EG 432-1.
    BT2020: ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    P3_D65: ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078651, 1.098288)),
}
_AS_IT_IS: Final[Matrix] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def is_needed(transfer: int, primaries: int) -> bool:
    """Return whether a picture with these characteristics looks wrong when it is shown as BT.709."""
    return transfer in {PQ, HLG} or primaries in _TO_BT709


def to_bt709(codes: memoryview, transfer: int, primaries: int) -> bytes:
    """Map a picture.

    Args:
        codes: red, green and blue of each pixel, as native 16-bit code values of full range (format `H`).
        transfer: transfer characteristics; any but PQ and HLG count as BT.709's.
        primaries: colour primaries; HDR that does not say is in BT.2020.

    Returns:
        Red, green and blue of each pixel in 8 bits.
    """
    if transfer in {PQ, HLG} and primaries == UNSPECIFIED:
        primaries = BT2020
    light = array("f")
    peak = 1.0
    for red, green, blue in _changed(_shown(codes, transfer), _TO_BT709.get(primaries, _AS_IT_IS)):
        light.extend((red, green, blue))
        peak = max(peak, red, green, blue)
    return _written(light, peak)


def _shown(codes: memoryview, transfer: int) -> Iterator[tuple[float, float, float]]:
    """Yield the light that a screen makes of each pixel."""
    table = _light_table(transfer)
    pixels = zip(codes[0::3], codes[1::3], codes[2::3], strict=True)
    light = ((table[r >> _STEP_BITS], table[g >> _STEP_BITS], table[b >> _STEP_BITS]) for r, g, b in pixels)
    return _scene_shown(light) if transfer == HLG else light


def _light_table(transfer: int) -> Light:
    signals = (step / (_STEPS - 1) for step in range(_STEPS))
    decode = {PQ: _decode_pq, HLG: _decode_hlg}.get(transfer, _decode_sdr)
    return array("d", map(decode, signals))


def _decode_pq(signal: float) -> float:
    """Return the light of a PQ signal (ITU-R BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return math.pow(max(root - c1, 0) / (c2 - c3 * root), 1 / m1) * _PQ_NITS / _WHITE_NITS


def _decode_hlg(signal: float) -> float:
    """Return the light of a scene, of 0 to 1, of an HLG signal (ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return signal**2 / 3 if signal <= 1 / 2 else (math.exp((signal - c) / a) + b) / 12


def _decode_sdr(signal: float) -> float:
    return math.pow(signal, _SCREEN_GAMMA)


def _scene_shown(scene: Iterator[tuple[float, float, float]]) -> Iterator[tuple[float, float, float]]:
    """Yield what a screen makes of a scene by HLG's opto-optical transfer function (ITU-R BT.2100, table 5)."""
    steps = (step / (_STEPS - 1) for step in range(_STEPS))
    gains = array("d", (step ** (_HLG_GAMMA - 1) * _HLG_NITS / _WHITE_NITS for step in steps))
    for red, green, blue in scene:
        luminance = 0.2627 * red + 0.6780 * green + 0.0593 * blue
        gain = gains[min(int(luminance * (_STEPS - 1) + 0.5), _STEPS - 1)]
        yield red * gain, green * gain, blue * gain


def _changed(light: Iterator[tuple[float, float, float]], matrix: Matrix) -> Iterator[tuple[float, float, float]]:
    """Yield light in other primaries; what they can't show is below 0."""
    (rr, rg, rb), (gr, gg, gb), (br, bg, bb) = matrix
    for r, g, b in light:
        yield rr * r + rg * g + rb * b, gr * r + gg * g + gb * b, br * r + bg * g + bb * b


def _written(light: Light, peak: float) -> bytes:
    """Return the code values of BT.709 for light of which nothing is brighter than `peak`."""
    top = _OUTPUT_STEPS - 1
    table = bytes(round((step / top) ** (1 / _SCREEN_GAMMA) * 255) for step in range(_OUTPUT_STEPS))
    out = bytearray(len(light))
    for at in range(0, len(light), 3):
        red, green, blue = light[at : at + 3]
        strongest = max(red, green, blue)
        # Scale all three alike, so that the hue stays.
        scale = top * (compress(strongest, peak) / strongest if strongest > _KNEE else 1.0)
        out[at] = table[max(0, int(red * scale + 0.5))]
        out[at + 1] = table[max(0, int(green * scale + 0.5))]
        out[at + 2] = table[max(0, int(blue * scale + 0.5))]
    return bytes(out)


def compress(light: float, peak: float) -> float:
    """Return light of at most `peak` bent, above the knee, so that `peak` becomes 1 (Reinhard's extended curve)."""
    if light <= _KNEE:
        return light
    above, highest = (light - _KNEE) / (1 - _KNEE), (peak - _KNEE) / (1 - _KNEE)
    return min(1.0, _KNEE + (1 - _KNEE) * above * (1 + above / highest**2) / (1 + above))
