"""What is in a store, which runs refer to it, and deleting the rest."""
