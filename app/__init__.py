"""SBT: one shared, verifiable ledger of civil-servant neutrality cases. The folders are explained in README.md, "Rooms"."""

VERSION = "0.5.0"
