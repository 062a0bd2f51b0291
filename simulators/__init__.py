"""A fleet of simulated devices that behaves like a real one and speaks to the broker like one.

    behaviours/<kind>.py   what one kind does on one day in one compound, as columns
        ▼
    source.py    any span of simulated time, cut out of such days
        ▼
    encode.py    columns → MQTT messages with sequence numbers
        ▼
    fleet.py     lets them go when their time has come, over the links of link.py

Faults and the truth file belong between source and encode: the batches there are what really happened.
"""
