//! Two links over a virtual network.
