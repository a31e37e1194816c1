"""Where mail lies: the Store interface that embedders implement, and two stores that keep it."""
