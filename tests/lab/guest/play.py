"""In the guest: write the pictures of a recording to standard output, raw, as RGB of 640x480. play.py RECORDING FROM_S HZ"""

import sys
import time

import cv2

recording, from_s, period_s = sys.argv[1], float(sys.argv[2]), 1 / float(sys.argv[3])
capture = cv2.VideoCapture(recording)
capture.set(cv2.CAP_PROP_POS_FRAMES, from_s * capture.get(cv2.CAP_PROP_FPS))
due = time.monotonic()
while True:
    more, picture = capture.read()
    if not more:
        break
    sys.stdout.buffer.write(cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), (640, 480)).tobytes())
    sys.stdout.buffer.flush()
    due += period_s
    time.sleep(max(0.0, due - time.monotonic()))
