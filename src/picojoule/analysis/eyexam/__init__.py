"""Eyexam: what binds each layer of a result (``docs/explanation/eyexam.md``).

subject    a layer of a result as the machine met it
storage    which ways to spread a layer leave tiles that fit
steps      the seven steps: most MACs per cycle under ever more constraints
rooflines  what ports and DRAM allow, in MACs per cycle and in energy per MAC
stalls     how far the array is used, and what keeps it from more
exchange   what energy and latency trade for each other along a front
"""
