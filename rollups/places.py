"""Where each device stands, beside the rollups, so that whoever reads these can choose by kind and building.

Devices that are gone stay among them.
"""

import numpy as np

from devices.columns import Batch, Coded, SeriesKey
from devices.inventory import Inventory
from rollups.state import KEPT_NS
from rollups.tables import KIND, places_table


def places(inventory: Inventory) -> Batch:
    """A row for each device of an inventory."""
    devices = tuple(inventory.devices.values())
    keys = tuple(SeriesKey(each.compound, each.id, each.building) for each in devices)
    kinds = tuple(dict.fromkeys(each.kind for each in devices))
    codes = np.array([kinds.index(each.kind) for each in devices], np.int32)
    time = np.full(len(devices), KEPT_NS, np.int64)
    return Batch(places_table(), keys, np.arange(len(devices), dtype=np.int32), time, {KIND: Coded(codes, kinds)})
