"""Veriframe's version, which every result names.

Here and not in the front door (`detector`), which knows the whole package and is imported by none
of it.
"""

__version__ = "0.1.0"
