"""Builds, once, what a host boots from: Xen, a kernel, its first disk, a Debian root.

Everything is a Debian package of this machine's release; nothing is compiled.  The images stay
in build/xen (or $XHA_XEN_CACHE) under a name that changes with the recipe.
"""
import fcntl
import glob
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import stat
import struct
import subprocess
import tempfile
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
CACHE = os.environ.get("XHA_XEN_CACHE", os.path.join(ROOT, "build", "xen"))

#: Programs of this machine that are needed, and the packages that bring them.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86", "debootstrap": "debootstrap", "modprobe": "kmod",
    "mkfs.ext4": "e2fsprogs", "debugfs": "e2fsprogs", "setpriv": "util-linux", "dpkg-deb": "dpkg",
}
PACKAGES = ["python3", "iproute2", "kmod", "procps"]
BOOT_MODULES = ["virtio_pci", "virtio_blk", "ext4"]
ROOT_MODULES = BOOT_MODULES + [
    "virtio_net", "virtio_console", "virtio-rng", "xen-privcmd", "xenfs", "xen_wdt"]
ROOT_BYTES = 1 << 30

#: The package archive may be away for a moment.
TRIES, PAUSE_S = 4, 20


class RigError(Exception):
    """The rig itself failed."""


def run(*argv, **options):
    """Run a program of the build; return what it prints.  RigError: it failed."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        raise RigError("{}: exit {}\n{}".format(" ".join(argv), done.returncode, text[-4000:]))
    return text


def fetch(*argv, **options):
    """Run a program that needs the package archive."""
    for left in reversed(range(TRIES)):
        try:
            return run(*argv, **options)
        except RigError:
            if not left:
                raise
            time.sleep(PAUSE_S)
    raise AssertionError


def build():
    """The directory with xen.elf, vmlinux, initrd.cpio and root.img; made if need be."""
    os.makedirs(CACHE, exist_ok=True)
    images = os.path.join(CACHE, "images-" + recipe())
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(images):
            missing = sorted({package for program, package in PROGRAMS.items()
                              if not shutil.which(program)})
            fetch("apt-get", "update", "-q")
            if missing:
                fetch("apt-get", "install", "-y", "-q", "--no-install-recommends", *missing,
                      env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
            with tempfile.TemporaryDirectory(prefix="build-", dir=CACHE) as work:
                Build(work).make()
                os.rename(os.path.join(work, "images"), images)
    return images


def recipe():
    """A name for what would be built."""
    texts = [json.dumps([PACKAGES, ROOT_MODULES, ROOT_BYTES])]
    for path in sorted(glob.glob(os.path.join(HERE, "dom0", "*"))) + [os.path.abspath(__file__)]:
        with open(path) as file:
            texts.append(file.read())
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


class Build:
    """One making of the images, in a directory of its own."""

    def __init__(self, work):
        self.images, self.tree, self.first, self.root = (
            os.path.join(work, name) for name in ("images", "packages", "first", "root"))
        for path in (self.images, self.tree):
            os.mkdir(path)
        self.kernel = re.search(r"linux-image-(\d\S+)", run(
            "apt-cache", "depends", "linux-image-amd64")).group(1)
        self.xen = sorted(re.findall(r"^xen-hypervisor-\d\S*-amd64", run(
            "apt-cache", "search", "--names-only", "^xen-hypervisor-.*-amd64$"), re.M))[-1]

    def make(self):
        """All four images."""
        fetch("apt-get", "download", "-q", self.xen, "linux-image-" + self.kernel,
              "busybox-static", cwd=self.tree)
        for package in glob.glob(self.tree + "/*.deb"):
            run("dpkg-deb", "-x", package, self.tree)
        run("depmod", "-b", self.tree, self.kernel)
        # QEMU wants the plain 32-bit ELF file of the hypervisor.
        with gzip.open("{}/boot/{}.gz".format(
                self.tree, self.xen.replace("hypervisor-", ""))) as packed:
            write(self.images + "/xen.elf", packed.read())
        with open("{}/boot/vmlinuz-{}".format(self.tree, self.kernel), "rb") as packed:
            write(self.images + "/vmlinux", kernel_of(packed.read()))
        self.make_first()
        self.make_root()

    def modules(self, names):
        """The files of these modules and of what they need, in order."""
        found = []
        for name in names:
            shown = run("modprobe", "-d", self.tree, "-S", self.kernel, "--show-depends", name)
            found += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
        return list(dict.fromkeys(found))

    def make_first(self):
        """The first disk: finds the root."""
        for name in ("bin", "dev", "proc", "sys", "modules", "newroot"):
            os.makedirs(os.path.join(self.first, name))
        shutil.copy(self.tree + "/bin/busybox", self.first + "/bin/busybox")
        for number, path in enumerate(self.modules(BOOT_MODULES)):
            shutil.copy(path, "{}/modules/{:02d}-{}".format(
                self.first, number, os.path.basename(path)))
        copy_in("init", self.first + "/init")
        write(self.images + "/initrd.cpio", b"".join(cpio(self.first)))

    def make_root(self):
        """The Debian root."""
        address, release = mirror()
        fetch("debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), release,
              self.root, address)
        for name in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(os.path.join(self.root, name), ignore_errors=True)
        base = "{}/lib/modules/{}".format(self.tree, self.kernel)
        for path in self.modules(ROOT_MODULES) + glob.glob(base + "/modules.*"):
            target = "{}/usr/lib/modules/{}/{}".format(
                self.root, self.kernel, os.path.relpath(path, base))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(path, target)
        run("depmod", "-b", self.root, self.kernel)
        shutil.copy(self.tree + "/bin/busybox", self.root + "/usr/bin/busybox")
        os.symlink("../bin/busybox", self.root + "/usr/sbin/init")
        copy_in("inittab", self.root + "/etc/inittab")
        os.mkdir(self.root + "/etc/xenrig")
        copy_in("rcS", self.root + "/etc/xenrig/rcS")
        copy_in("agent.py", self.root + "/etc/xenrig/agent.py")
        image = self.images + "/root.img"
        with open(image, "wb") as file:
            file.truncate(ROOT_BYTES)
        run("mkfs.ext4", "-q", "-F", "-d", self.root, image)


def add(image, files):
    """Put new files into the image of a root: path there -> path here.  Permissions are kept."""
    folders = {os.path.dirname(path) for path in files}
    for folder in list(folders):
        while folder != "/":
            folders.add(folder)
            folder = os.path.dirname(folder)
    lines = ["mkdir " + folder for folder in sorted(folders)]
    lines += ["write {} {}".format(here, there) for there, here in sorted(files.items())]
    said = run("debugfs", "-w", "-f", "/dev/stdin", image, input="\n".join(lines).encode())
    if re.search("^write: ", said, re.M):
        raise RigError("{}: {}".format(image, said))


def write(path, data):
    """Make a file."""
    with open(path, "wb") as file:
        file.write(data)


def copy_in(name, target):
    """A file of dom0/, executable."""
    shutil.copy(os.path.join(HERE, "dom0", name), target)
    os.chmod(target, 0o755)


def mirror():
    """Address and release of the package archive that this machine uses."""
    with open("/etc/os-release") as file:
        release = re.search(r"^VERSION_CODENAME=(\S+)", file.read(), re.M).group(1)
    for line in run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)",
                    "Created-By: Packages").splitlines():
        address, name = line.split()
        if name == release:
            return address.rstrip("/"), release
    raise RigError("apt has no archive for " + release)


def kernel_of(image):
    """The kernel in a bzImage: Xen would unpack it slowly, being emulated."""
    offset, length = struct.unpack_from("<II", image, 0x248)
    packed = image[(image[0x1F1] + 1) * 512 + offset:][:length]
    if packed[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed)
    if packed[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(packed)
    return image        # another packing: Xen takes that as well


def cpio(root):
    """A directory as the pieces of a cpio archive (newc)."""
    entries = []
    for base, directories, files in os.walk(root):
        directories.sort()
        if base != root:
            entries.append((os.path.relpath(base, root), stat.S_IFDIR | 0o755, b""))
        for name in sorted(files):
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                entries.append((os.path.relpath(path, root), os.stat(path).st_mode, file.read()))
    for number, (name, mode, data) in enumerate(entries + [("TRAILER!!!", 0, b"")], 1):
        named = name.encode() + b"\0"
        yield ("070701" + "".join("{:08X}".format(value) for value in (
            number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(named), 0))).encode()
        yield named + b"\0" * (-(110 + len(named)) % 4)
        yield data + b"\0" * (-len(data) % 4)
