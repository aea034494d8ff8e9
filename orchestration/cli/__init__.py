"""The command line: `assay`, a module per family of commands."""
