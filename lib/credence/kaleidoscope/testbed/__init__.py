"""A real MooseFS in network namespaces, real faults put into it, and the loop that finds and explains them.

Everything runs below one process: the first of a PID and mount namespace of its own. When it ends (``down``, its life
time, or a kill), the kernel ends all others and drops their mounts, also where a server is stopped or a mount hangs.
"""
