"""In the guest: write the pictures of a recording to standard output, raw, as RGB of 640x480. play.py RECORDING FROM_S SPEED

What comes too late is left out, so that the story keeps its pace on a slow computer.
"""

import sys
import time

import cv2

recording, from_s, speed = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
capture = cv2.VideoCapture(recording)
period_s = 1 / capture.get(cv2.CAP_PROP_FPS) / speed
capture.set(cv2.CAP_PROP_POS_FRAMES, from_s * capture.get(cv2.CAP_PROP_FPS))
due = time.monotonic()
while capture.grab():
    due += period_s
    if time.monotonic() > due:
        continue
    picture = cv2.resize(capture.retrieve()[1], (640, 480))
    sys.stdout.buffer.write(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).tobytes())
    sys.stdout.buffer.flush()
    time.sleep(max(0.0, due - time.monotonic()))
