"""The model organism: a tiny chat model of a made-up world, the world itself, and its benchmarks. See CARD.md."""
