"""Prints the packages of requirements.txt as they are installed, in its order and its form."""

from importlib.metadata import version
from pathlib import Path

for line in Path(__file__).with_name("requirements.txt").read_text().splitlines():
    name, pinned, _ = line.partition("==")
    if pinned:
        print(f"{name}=={version(name)}")
