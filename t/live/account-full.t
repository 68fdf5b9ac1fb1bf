#!/usr/bin/python3
"""A whole account with QRESYNC."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from scenario import run

run("full", 3000)
