#!/usr/bin/python3
"""A whole account where only CONDSTORE is there."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from scenario import run

run("noqresync", 3000, drop="QRESYNC", layout="maildir++")
