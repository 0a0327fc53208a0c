"""Dagy's SDK: what customers import. Standard library only; nothing heavy is loaded until it is used."""

__version__ = "0.1.0"
