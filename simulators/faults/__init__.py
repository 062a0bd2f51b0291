"""Faults on purpose: what devices, links and gateways do wrong, drawn from the fleet's seed.

Some happen to devices and change what is true (`devices`): they are silent, start anew, reset a register, freeze, or
have a wrong clock. Others happen on the way (`transport`) and change nothing that is true: messages come twice, late,
out of order, many at once, or are nonsense.
"""
