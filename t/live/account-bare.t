#!/usr/bin/python3
"""A whole account on a server that knows IMAP4rev1 and nothing else."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from scenario import run

run("bare", 3000, keep="IMAP4rev1", skips=False, layout="maildir++")
