"""The commands, and what they print. `main.py` names them all; each imports its code when it runs."""
