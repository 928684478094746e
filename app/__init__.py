"""SBT: one verifiable ledger of civil-servant neutrality cases. README.md explains the folders."""

VERSION = "0.5.0"
