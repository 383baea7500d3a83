"""Skew of gray pictures by `jdeskew` and `deskew`, in clockwise degrees.

Arguments are how often each estimate is made, of which the fastest counts, and files. Each gives lines "file <TAB> estimator <TAB> degrees or none <TAB> milliseconds of processor time".
"""
import sys
import time

import cv2
import deskew
import jdeskew.estimator
import numpy

cv2.setNumThreads(1)


def estimators():
    # Both answer the turn that straightens, counter-clockwise positive: the skew itself is clockwise.
    yield "jdeskew", jdeskew.estimator.get_angle
    yield "deskew", deskew.determine_skew


def main(times, files):
    warm = numpy.full((64, 64), 255, numpy.uint8)
    warm[20:24, 8:56] = 0
    for _, estimate in estimators():
        estimate(warm)
    for file in files:
        picture = cv2.imread(file, cv2.IMREAD_GRAYSCALE)
        for name, estimate in estimators():
            fastest = float("inf")
            for _ in range(times):
                begun = time.process_time()
                degrees = estimate(picture)
                fastest = min(fastest, time.process_time() - begun)
            ms = fastest * 1e3
            print(file, name, "none" if degrees is None else float(degrees), ms, sep="\t")


main(int(sys.argv[1]), sys.argv[2:])
