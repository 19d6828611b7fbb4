"""Kills everything that wsdash runs, at random, while a user works, and looks from outside whether its promises hold.

README.md tells what is done and checked.
"""
