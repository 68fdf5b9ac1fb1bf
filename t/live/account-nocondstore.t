#!/usr/bin/python3
"""A whole account with UIDPLUS and LIST-STATUS, but no mod-sequences."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from scenario import run

run("nocondstore", 3000, drop="CONDSTORE,QRESYNC", skips=False)
