"""Conversations written once, as generators that yield effects; see ``mailproto.flows.effects``."""

__all__: list[str] = []
