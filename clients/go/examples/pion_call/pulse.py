"""Makes pulse.ivf: two seconds of VP8, of one shade that goes from black to white and back.

It has a key frame each second, so that a late viewer sees a picture soon. Needs PyAV.
"""  # noqa: INP001 - a program, not a package

from pathlib import Path

import av

SIZE = (320, 240)
FPS = 30
FRAMES = 2 * FPS

with av.open(Path(__file__).with_suffix(".ivf"), "w", format="ivf") as file:
    stream = file.add_stream("libvpx", rate=FPS, options={"g": str(FPS), "b": "50000"})
    stream.width, stream.height = SIZE
    for number in range(FRAMES):
        picture = av.VideoFrame(*SIZE, "yuv420p")
        shade = abs(number * 510 // FRAMES - 255)
        for plane, value in zip(picture.planes, (shade, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        picture.pts = number
        file.mux(stream.encode(picture))
    file.mux(stream.encode())
