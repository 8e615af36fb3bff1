"""Prints where the collector is: the native program in rotel's wheel."""

from importlib.util import find_spec
from pathlib import Path

print(Path(find_spec("rotel").origin).with_name("rotel-agent"))
