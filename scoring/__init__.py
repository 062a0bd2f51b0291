"""Scores a system against the simulators' truth: every served statistic, bucket by bucket.

The truth is computed here anew, slowly and one series after the other, in plain Python. Nothing of the numpy core is
used but the edges of buckets, so that an error there cannot hide here.
"""
