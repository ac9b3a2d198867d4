#!/usr/bin/python3
"""In the guest: run what comes over the virtio port, several at a time.

A line of JSON in: {"id", "command", "limit_s"}; a line out: {"id", "status", "out", "err"}, with status null when the
limit was reached and the command, with all that it started, was killed.
"""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

PORT = Path("/dev/virtio-ports/reflexd.lab")


def perform(order):
    process = subprocess.Popen(["/bin/bash", "-c", order["command"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True, cwd="/root")
    try:
        out, err = process.communicate(timeout=order["limit_s"])
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        status = None
    return {"id": order["id"], "status": status, "out": out, "err": err}


def serve(port):
    sending = threading.Lock()

    def answer(order):
        told = (json.dumps(perform(order)) + "\n").encode()
        with sending:
            while told:
                told = told[os.write(port, told):]

    pending = b""
    while True:
        came = os.read(port, 1 << 16)
        if not came:                 # nobody is connected on the other side
            time.sleep(0.05)
            pending = b""
            continue
        *whole, pending = (pending + came).split(b"\n")
        for line in whole:
            try:
                order = json.loads(line)
            except ValueError:       # the rest of what somebody left half said
                continue
            threading.Thread(target=answer, args=(order,), daemon=True).start()


while not PORT.exists():
    time.sleep(0.05)
serve(os.open(PORT, os.O_RDWR))
