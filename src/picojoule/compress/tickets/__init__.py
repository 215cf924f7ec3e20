"""Lottery tickets: parts of an untrained network that train as well as the whole of it (Frankle and Carbin, ICLR 2019).

``search.find`` trains, prunes and rewinds, round after round, and trains the controls; what a ticket keeps is a mask over weights
(``masks``) or channels on a grid (``narrow``).
"""

from __future__ import annotations
