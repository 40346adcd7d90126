"""From an application to a service: what to write beside it, and what in it will not survive a prefix.

Text in, text out: the files of the application are a `Tree`, and what is to be written is a `Proposal`. Files of other
programs that say the same as atc.yml are read by `navigator.py` and `showcases.py`.
"""
