"""Carries out in the control domain what the rig asks: one JSON object a line, on a serial port.

Every request names the boot that it is for, so one that was left in the pipe by a host that
was reset is not carried out by the next boot.
"""
import base64
import glob
import json
import os
import subprocess
import threading
import time

PORT = "xenrig.agent"


def boot_id():
    """This boot."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def port():
    """The serial port that leads to the rig, once it is there."""
    while True:
        for path in glob.glob("/sys/class/virtio-ports/*/name"):
            with open(path) as file:
                device = "/dev/" + path.split("/")[-2]
                if file.read().strip() == PORT and os.path.exists(device):
                    return os.open(device, os.O_RDWR | os.O_CLOEXEC)
        time.sleep(0.1)


class Agent:
    """One boot's answers."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.boot = boot_id()
        self.lock = threading.Lock()

    def send(self, message):
        data = json.dumps(dict(message, boot=self.boot)).encode() + b"\n"
        with self.lock:
            while data:
                data = data[os.write(self.descriptor, data[:32768]):]

    def serve(self):
        """Greet, then answer for ever; each request in a thread of its own."""
        with self.lock:
            os.write(self.descriptor, b"\n")
        self.send({"ready": True})
        waiting = b""
        while True:
            data = os.read(self.descriptor, 65536)
            if not data:
                time.sleep(0.2)
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                try:
                    request = json.loads(line.decode())
                except ValueError:
                    continue        # cut short by a reset
                if request.get("boot") == self.boot:
                    threading.Thread(target=self.handle, args=(request,), daemon=True).start()

    def handle(self, request):
        try:
            answer = getattr(self, "do_" + request["do"])(request)
        except Exception as error:      # whatever it is, the rig waits for an answer
            answer = {"error": "{}: {}".format(type(error).__name__, error)}
        self.send(dict(answer, id=request["id"]))

    def do_run(self, request):
        process = subprocess.Popen(
            request["argv"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd="/", env=request.get("env"), start_new_session=True)
        out, err = process.communicate()
        return {"code": process.returncode, "out": out.decode("utf-8", "replace"),
                "err": err.decode("utf-8", "replace")}

    def do_spawn(self, request):
        with open(request["log"], "ab") as log:
            process = subprocess.Popen(
                request["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True)
        threading.Thread(target=process.wait, daemon=True).start()
        return {"pid": process.pid}

    def do_clock(self, _):
        return {"now_s": time.time()}

    def do_put(self, request):
        with open(request["path"], "r+b" if request["offset"] else "wb") as file:
            file.seek(request["offset"])
            file.write(base64.b64decode(request["data"]))
            file.flush()
            os.fsync(file.fileno())     # it has to outlive a reset of this host
        return {}


Agent(port()).serve()
