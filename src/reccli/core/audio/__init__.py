"""Whether a body is the recording, and how long it plays; for the copy and the delete.

A cut body can end cleanly: only its audio shows that half of it is missing. So every byte passes a
`Meter`, which counts the seconds of a WAV by its format and those of an MP3 frame by frame.

We walk the frames ourselves because no library does it on a stream: mutagen (GPL), eyeD3 (GPL) and
tinytag read the first frames or a Xing header and multiply by the file's size, which is how a cut
file looks whole; waxcut walks them, but wants the whole file and takes any sync for a frame; PyAV
brings all of FFmpeg along.
"""

from reccli.core.audio.meter import Expected, Judgement, Meter
from reccli.core.audio.reading import long_enough, proves_length

__all__ = ["Expected", "Judgement", "Meter", "long_enough", "proves_length"]
