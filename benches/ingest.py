"""Compare attend-ingest with bare JPEG decoding, Pillow and OpenCV.

    cargo xtask bench ingest        # makes the environment, builds, runs this

Each program decodes the full-size photographs of `$ATTEND_DATA/coco-mini`, repeated to
3,000 files, and resizes them to one size, on one core and on two: attend-ingest (which
writes and syncs its shards); libjpeg-turbo alone (which only decodes: the floor); Pillow
(BILINEAR, which antialiases) and OpenCV (INTER_AREA, which does, too), both writing the
same planes to one file. They take turns; the script prints medians.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

FULL_SIZE = 480  # pixels of the shorter side, at least


def pillow(files, size, threads):
    import numpy
    from PIL import Image

    def one(path):
        return numpy.asarray(Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR))

    return rate(one, files, threads)


def opencv(files, size, threads):
    import cv2

    cv2.setNumThreads(0)

    def one(path):
        return cv2.resize(cv2.imread(path, cv2.IMREAD_COLOR_RGB), (size, size), interpolation=cv2.INTER_AREA)

    return rate(one, files, threads)


def rate(one, files, threads):
    """Images per second, written plane by plane. Both libraries release Python's global
    lock while they work."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool, tempfile.TemporaryFile(dir=pathlib.Path(files[0]).parent) as out:
        for ahead in range(0, len(files), 1024):
            for image in pool.map(one, files[ahead : ahead + 1024]):
                out.write(image.transpose(2, 0, 1).tobytes())
        out.flush()
        os.fsync(out.fileno())
    return len(files) / (time.perf_counter() - begun)


def bare(program, files, threads):
    command = [program, str(threads)]
    return float(subprocess.run(command, input="\n".join(files), stdout=subprocess.PIPE, text=True, check=True).stdout)


def ours(program, root, size, threads, fast):
    """Images per second of the whole stage, and its peak memory in MB."""
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        settings = ["format=karpathy", f"root={root}", "annotations=dataset.json", f"image_size={size}", f"fast={str(fast).lower()}"]
        command = [program, "--jobs", str(threads), "--output", f"{folder}/dataset"]
        for setting in settings:
            command += ["--set", f"dataset.{setting}"]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        log = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        if status:
            sys.exit(log)
    images = len(json.loads((root / "dataset.json").read_text())["images"])
    return images / seconds, usage.ru_maxrss / 1024


def warm(folder, megabytes):
    """A virtual machine that returned free memory to its host pays for each page that it
    touches again. This touches the pages first, so that no program pays for them."""
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(megabytes):
            file.write(bytes(1 << 20))


def data_set(root, count):
    """Writes `count` copies of the full-size photographs and annotations in Karpathy's format."""
    from PIL import Image

    source = pathlib.Path(os.environ["ATTEND_DATA"], "coco-mini")
    photographs = sorted(source.glob("*2014/*.jpg"))
    photographs = [path for path in photographs if max(Image.open(path).size) >= 640]
    images = []
    for i in range(count):
        path = root / f"{i:06}.jpg"
        path.write_bytes(photographs[i % len(photographs)].read_bytes())
        sentences = [{"raw": "a photograph", "sentid": i}]
        images.append({"filename": path.name, "imgid": i, "split": "train", "sentences": sentences})
    (root / "dataset.json").write_text(json.dumps({"images": images}))
    return [str(root / image["filename"]) for image in images], len(photographs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ingest", help="path of attend-ingest")
    parser.add_argument("decode", help="path of the example program `decode` of attend-image")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 224])
    parser.add_argument("--memory", type=int, nargs="*", default=[3000, 12000], help="numbers of images to measure memory with")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "root")
        root.mkdir()
        files, different = data_set(root, args.images)
        print(f"{len(files)} files of {different} photographs, {args.rounds} rounds")
        for threads in args.threads:
            cores = sorted(os.sched_getaffinity(0))[:threads]
            os.sched_setaffinity(0, cores)
            for size in args.sizes:
                programs = {
                    "libjpeg-turbo, decode only": lambda: bare(args.decode, files, threads),
                    "attend-ingest": lambda: ours(args.ingest, root, size, threads, False)[0],
                    "attend-ingest, fast": lambda: ours(args.ingest, root, size, threads, True)[0],
                    "Pillow": lambda: pillow(files, size, threads),
                    "OpenCV": lambda: opencv(files, size, threads),
                }
                figures = {name: [] for name in programs}
                for _ in range(args.rounds):
                    for name, run in programs.items():
                        warm(folder, 2 * len(files) * size * size * 3 >> 20)
                        figures[name].append(run())
                print(f"to {size} x {size}, {threads} thread{'s' * (threads > 1)}:")
                for name, rates in figures.items():
                    ratio = statistics.median(a / b for a, b in zip(figures["attend-ingest"], rates))
                    print(f"  {name:28} {statistics.median(rates):7.0f} images/s   attend-ingest is {ratio:.2f} times as fast")
            os.sched_setaffinity(0, range(os.cpu_count()))
        for count in args.memory:
            files, _ = data_set(root, count)
            print(f"peak memory of attend-ingest with {count} images: {ours(args.ingest, root, 256, max(args.threads), False)[1]:.0f} MB")


if __name__ == "__main__":
    main()
